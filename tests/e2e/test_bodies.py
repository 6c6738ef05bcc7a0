"""Bodies far larger than any buffer: they arrive whole, at the pace of whoever takes them, in flat memory.

1 GiB each way, TAGE_SOAK=1 makes it 4 GiB.
"""

from __future__ import annotations

import os
import socket
import threading
import time
import zlib
from collections.abc import Iterator

import pytest

from tests.e2e.bootstraps import bootstrap, cluster, listener, route, virtual_host
from tests.e2e.ports import LOOPBACK, PATIENCE, free_port, until
from tests.e2e.processes import Memory
from tests.e2e.sidecar import Sidecar, sidecar
from tests.e2e.wire import Client, head

pytestmark = pytest.mark.processes

MIB = 1 << 20
SIZE = (4096 if os.environ.get("TAGE_SOAK", "") not in ("", "0") else 1024) * MIB
BLOCK = MIB
LIMIT_KIB = 16 * 1024
"""How much the worker may grow."""
IN_BUFFERS = 64 * MIB
"""More than sockets and sidecar can hold of a body that nobody takes."""


def blocks(size: int) -> Iterator[memoryview]:
    """A body in which every block is another: a place that is swapped, lost or doubled changes the checksum."""
    block = bytearray(os.urandom(1 << 10) * (BLOCK >> 10))
    for number in range(size // BLOCK):
        block[:8] = number.to_bytes(8, "big")
        yield memoryview(block)


class Tally:
    """What went through one end."""

    def __init__(self) -> None:
        self.size = 0
        self.checksum = 0

    def add(self, data: bytes | memoryview) -> None:
        self.checksum = zlib.crc32(data, self.checksum)
        self.size += len(data)


class Peer:
    """A backend of blocking sockets for one request, on its own thread. It takes or sends the body only from when
    `go` is set."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.tally = Tally()
        self.error: Exception | None = None
        self._socket = socket.create_server((LOOPBACK, 0))
        self.port = self._socket.getsockname()[1]
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            with self._socket, self._socket.accept()[0] as connection:
                connection.settimeout(PATIENCE)
                self._serve(connection)
        except Exception as error:
            self.error = error

    def _serve(self, connection: socket.socket) -> None:
        raise NotImplementedError

    def join(self) -> None:
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive()
        if self.error is not None:
            raise self.error


def read_head(connection: socket.socket) -> tuple[bytes, bytes]:
    """The head, and what came behind it."""
    data = b""
    while b"\r\n\r\n" not in data:
        data += connection.recv(1 << 16)
    before, _, rest = data.partition(b"\r\n\r\n")
    return before, rest


class Sink(Peer):
    def _serve(self, connection: socket.socket) -> None:
        _, rest = read_head(connection)
        assert self.go.wait(PATIENCE)
        self.tally.add(rest)
        buffer = memoryview(bytearray(1 << 18))
        while self.tally.size < SIZE:
            count = connection.recv_into(buffer)
            assert count, f"the end after {self.tally.size} bytes"
            self.tally.add(buffer[:count])
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone")


class Source(Peer):
    def _serve(self, connection: socket.socket) -> None:
        read_head(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for block in blocks(SIZE):
            self.tally.add(block)
            connection.sendall(b"%x\r\n" % len(block))
            connection.sendall(block)
            connection.sendall(b"\r\n")
        connection.sendall(b"0\r\n\r\n")


@pytest.fixture(scope="module")
def peers() -> tuple[Sink, Source]:
    return Sink(), Source()


@pytest.fixture(scope="module")
def port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, peers: tuple[Sink, Source], port: int) -> Iterator[Sidecar]:
    hosts = [virtual_host(name, route(name, timeout="0s")) for name in ("sink", "source")]
    clusters = [cluster(name, peer.port) for name, peer in zip(("sink", "source"), peers, strict=True)]
    with sidecar(
        tmp_path_factory.mktemp("bodies"), bootstrap(free_port(), [listener("l", port, hosts)], clusters)
    ) as it:
        with Client(port) as client:
            assert client.get("nobody").status == 404  # what a first request needs once is there
        yield it


def stalls(size: Tally) -> bool:
    """Whether nothing moved for a while."""
    before = size.size
    time.sleep(0.2)
    return size.size == before > 0


def test_upload(running: Sidecar, peers: tuple[Sink, Source], port: int) -> None:
    sink, sent = peers[0], Tally()
    memory = Memory(running.worker)
    with Client(port) as client:

        def send() -> None:
            client.send(head("PUT", "/", "sink", content_length=str(SIZE)))
            for block in blocks(SIZE):
                client.send(block)
                sent.add(block)

        sender = threading.Thread(target=send, daemon=True)
        sender.start()
        until(lambda: stalls(sent), "the client is held while the upstream takes nothing")
        assert sent.size < IN_BUFFERS
        sink.go.set()
        assert client.response("PUT").body == b"done"
        sender.join(PATIENCE)
    sink.join()
    assert (sent.size, sent.checksum) == (SIZE, sink.tally.checksum)
    assert memory.growth() < LIMIT_KIB


def test_download(running: Sidecar, peers: tuple[Sink, Source], port: int) -> None:
    source, got = peers[1], Tally()
    memory = Memory(running.worker)
    with Client(port) as client:
        client.send(head("GET", "/", "source"))
        response, pieces = client.stream()
        assert response.headers["transfer-encoding"] == "chunked"
        until(lambda: stalls(source.tally), "the upstream is held while the client takes nothing")
        assert source.tally.size < IN_BUFFERS
        for piece in pieces:
            got.add(piece)
    source.join()
    assert (got.size, got.checksum) == (SIZE, source.tally.checksum)
    assert memory.growth() < LIMIT_KIB
