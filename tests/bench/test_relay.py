"""The floor of TCP proxying carries what it is given."""

from __future__ import annotations

import os
import socket
import sys
import threading
from collections.abc import Iterator

import pytest

from bench.processes import Process, free_port, wait_for
from tests.bench.compiled import require_compiled
from tests.bench.server import listens

pytestmark = pytest.mark.processes


class Echo:
    """Answers with what it gets."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._open: list[socket.socket] = []
        self._accepting = threading.Thread(target=self._accept)
        self._accepting.start()

    def close(self) -> None:
        if self._listener.fileno() >= 0:
            self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
        self._accepting.join(5)
        for connection in self._open:
            connection.close()

    def hang_up(self) -> None:
        """Ends the newest connection."""
        self._open[-1].shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self._open.append(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    @staticmethod
    def _serve(connection: socket.socket) -> None:
        try:
            while data := connection.recv(65536):
                connection.sendall(data)
            connection.shutdown(socket.SHUT_RDWR)
        except OSError:
            return  # the other side has gone


@pytest.fixture
def echo() -> Iterator[Echo]:
    server = Echo()
    yield server
    server.close()


@pytest.fixture
def relay(echo, tmp_path) -> Iterator[int]:
    """Its port."""
    require_compiled()
    port = free_port()
    (tmp_path / "ports").write_text(f"{port} {echo.port}\n")
    argv = [sys.executable, "-c", "import bench.relay; bench.relay.main()", str(tmp_path / "ports")]
    with Process("relay", argv, tmp_path / "log", min(os.sched_getaffinity(0))) as process:
        wait_for(lambda: listens(port), 20, "the start", process)
        yield port
        assert not process.ended(), process.log_tail()


def connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=10)


def receive(sock: socket.socket, size: int) -> bytes:
    received = b""
    while len(received) < size and (data := sock.recv(65536)):
        received += data
    return received


def test_many_connections_keep_their_bytes_apart(relay):
    connections = [connect(relay) for _ in range(20)]
    for turn in range(3):
        for number, sock in enumerate(connections):
            sock.sendall(b"%d-%d;" % (turn, number))
        for number, sock in enumerate(connections):
            assert receive(sock, len(b"%d-%d;" % (turn, number))) == b"%d-%d;" % (turn, number)
    for sock in connections:
        sock.close()


def test_more_than_the_buffers_hold_arrives_whole(relay):
    sent = bytes(range(256)) * 8192
    with connect(relay) as sock:
        sender = threading.Thread(target=sock.sendall, args=(sent,))
        sender.start()
        assert receive(sock, len(sent)) == sent
        sender.join(10)


def test_the_end_of_one_side_ends_the_other(relay, echo):
    with connect(relay) as sock:
        sock.sendall(b"up")
        assert receive(sock, 2) == b"up"
        echo.hang_up()
        assert sock.recv(1) == b""


def test_without_a_backend_a_connection_ends(relay, echo):
    echo.close()
    with connect(relay) as sock:
        assert sock.recv(1) == b""
