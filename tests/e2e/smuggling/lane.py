"""The sockets on both sides of a sidecar, driven by one thread.

A piece of a message is a read of its own in the sidecar only if that has read the piece before it. The kernel is asked
(sock_diag(7): how much a socket has received and nobody has read), so no pause is needed and none is too short.
"""

from __future__ import annotations

import contextlib
import itertools
import select
import socket
import struct
import time
from collections.abc import Callable, Sequence

from tests.e2e.ports import LOOPBACK, PATIENCE

_TAKEN_SECONDS = 0.5
"""How long the sidecar may leave bytes unread: it does so on purpose while a request is under way."""
_READ = 1 << 18
_RESET = struct.pack("ii", 1, 0)


class End:
    """One connection of ours, client's or origin's. `ended`: the peer said so in order, or `reset`."""

    def __init__(self, sock: socket.socket, number: int = 0) -> None:
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket = sock
        self.number = number
        self.received = bytearray()
        self.ended = False
        self.reset = False
        self.open = True
        self._names = sock.getpeername(), sock.getsockname()

    def unread(self, diagnosis: Diagnosis) -> int:
        """Bytes that the sidecar has not read yet; 0 also when its end is gone."""
        return diagnosis.unread(*self._names)


class Diagnosis:
    """Asks the kernel about TCP sockets, whoever's they are."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 4)  # NETLINK_SOCK_DIAG

    def unread(self, local: tuple[str, int], peer: tuple[str, int]) -> int:
        addresses = [socket.inet_aton(host) + bytes(12) for host, _ in (local, peer)]
        ports = struct.pack("!HH", local[1], peer[1])
        question = struct.pack("=BBBxI", socket.AF_INET, socket.IPPROTO_TCP, 0, 0xFFFFFFFF)
        question += ports + b"".join(addresses) + struct.pack("=III", 0, 0xFFFFFFFF, 0xFFFFFFFF)
        self._socket.send(struct.pack("=IHHII", 16 + len(question), 20, 1, 1, 0) + question)
        answer = self._socket.recv(8192)
        if struct.unpack_from("=H", answer, 4)[0] != 20:  # an error: there is no such socket
            return 0
        return struct.unpack_from("=I", answer, 16 + 56)[0]

    def close(self) -> None:
        self._socket.close()


class Lane:
    """A sidecar's port on one side, and its origin's listening socket on the other. What an origin's connection
    received, `on_origin` looks at; it may send, and ask for more time with `until`."""

    def __init__(self) -> None:
        self.listening = socket.create_server((LOOPBACK, 0), backlog=128)
        self.listening.setblocking(False)
        self.port = self.listening.getsockname()[1]
        self.sidecar_port = 0
        self.on_origin: Callable[[End], None] = lambda end: None
        self.origins: dict[int, End] = {}
        self.diagnosis = Diagnosis()
        self._epoll = select.epoll()
        self._ends: dict[int, End] = {}
        self._accepted = 0
        self._epoll.register(self.listening, select.EPOLLIN)

    def close(self) -> None:
        for end in list(self._ends.values()):
            self.drop(end)
        self.listening.close()
        self.diagnosis.close()
        self._epoll.close()

    # -- connections ---------------------------------------------------------------------------------------------------

    def connect(self) -> End:
        return self._add(End(socket.create_connection((LOOPBACK, self.sidecar_port), PATIENCE)))

    def _add(self, end: End) -> End:
        self._ends[end.socket.fileno()] = end
        self._epoll.register(end.socket, select.EPOLLIN)
        return end

    def drop(self, end: End, *, reset: bool = False) -> None:
        """Closes our end."""
        if end.open:
            end.open = False
            del self._ends[end.socket.fileno()]
            self.origins.pop(end.number, None)
            if reset:
                end.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            end.socket.close()

    def finish(self, end: End) -> None:
        """Half-closes it."""
        with contextlib.suppress(OSError):
            end.socket.shutdown(socket.SHUT_WR)

    # -- time ----------------------------------------------------------------------------------------------------------

    def pump(self, seconds: float = 0.0) -> bool:
        """Takes what has arrived, or waits for something to. Whether there was anything."""
        events = self._epoll.poll(seconds)
        for descriptor, _ in events:
            if descriptor == self.listening.fileno():
                self._accept()
            elif descriptor in self._ends:
                self._receive(self._ends[descriptor])
        return bool(events)

    def settle(self) -> None:
        """Takes all that has been sent to us so far."""
        while self.pump():
            pass

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self.listening.accept()
            except BlockingIOError:
                return
            self._accepted += 1
            end = self._add(End(sock, self._accepted))
            self.origins[end.number] = end

    def _receive(self, end: End) -> None:
        try:
            data = end.socket.recv(_READ)
        except BlockingIOError:
            return
        except OSError:
            end.reset = True
            data = b""
        if data:
            end.received += data
        else:
            end.ended = True
            self._epoll.unregister(end.socket)
        if end.number:
            self.on_origin(end)

    def until(self, condition: Callable[[], bool]) -> bool:
        """Whether it came true in time."""
        deadline = time.monotonic() + PATIENCE
        while not condition():
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            self.pump(left)
        return True

    # -- sending -------------------------------------------------------------------------------------------------------

    def send(self, end: End, pieces: Sequence[bytes]) -> None:
        """Each piece when the sidecar has read the one before, unless it does not want to."""
        for number, piece in enumerate(pieces):
            if number:
                self.taken(end)
            self._send(end, piece)

    def _send(self, end: End, data: bytes) -> None:
        view = memoryview(data)
        deadline = time.monotonic() + PATIENCE
        while view and end.open and time.monotonic() < deadline:
            try:
                view = view[end.socket.send(view) :]
            except BlockingIOError:
                self.pump(0.001)
            except OSError:  # it has been closed already: the message was refused
                return

    def taken(self, end: End) -> None:
        """Returns when the sidecar has read all that was sent."""
        deadline = time.monotonic() + _TAKEN_SECONDS
        while end.open and end.unread(self.diagnosis) and time.monotonic() < deadline:
            self.pump()


def pieces(data: bytes, cuts: Sequence[int]) -> list[bytes]:
    places = [0, *sorted({at for at in cuts if 0 < at < len(data)}), len(data)]
    return [data[a:b] for a, b in itertools.pairwise(places)]
