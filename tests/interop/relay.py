"""A TCP relay that keeps what passes, by connection and direction: where the test vectors come from."""

from __future__ import annotations

import contextlib
import socket
import threading

from tests.e2e.ports import LOOPBACK, PATIENCE


class Conversation:
    """One connection: what its client has sent, and what the server has."""

    def __init__(self) -> None:
        self.sent = bytearray()
        self.received = bytearray()


class Relay:
    """Listens on a port of its own and dials `port` for each connection. Closed with its `with` block."""

    def __init__(self, port: int) -> None:
        self._upstream = port
        self._listening = socket.create_server((LOOPBACK, 0))
        self.port: int = self._listening.getsockname()[1]
        self.conversations: list[Conversation] = []
        self._open: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> Relay:
        return self

    def __exit__(self, *_: object) -> None:
        self._listening.close()
        for each in self._open:
            with contextlib.suppress(OSError):  # it has ended already
                each.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):  # the end of `with`
            while True:
                downstream, _ = self._listening.accept()
                upstream = socket.create_connection((LOOPBACK, self._upstream), PATIENCE)
                upstream.settimeout(None)
                conversation = Conversation()
                self.conversations.append(conversation)
                self._open += [downstream, upstream]
                for source, target, record in (
                    (downstream, upstream, conversation.sent),
                    (upstream, downstream, conversation.received),
                ):
                    threading.Thread(target=self._pass_on, args=(source, target, record), daemon=True).start()

    @staticmethod
    def _pass_on(source: socket.socket, target: socket.socket, record: bytearray) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 18):
                record += data
                target.sendall(data)
        with contextlib.suppress(OSError):
            target.shutdown(socket.SHUT_WR)
