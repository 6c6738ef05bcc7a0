"""Apache Thrift's own clients and servers, with a sidecar between them."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
from thrift.protocol.TBinaryProtocol import TBinaryProtocol
from thrift.protocol.TMultiplexedProtocol import TMultiplexedProtocol
from thrift.Thrift import TApplicationException, TMessageType
from thrift.transport.TSocket import TSocket
from thrift.transport.TTransport import TFramedTransport

from tests.dataplane.protocols.xprotocol.thrift_library import answering, ask, write
from tests.e2e.bootstraps import bootstrap, route, virtual_host
from tests.e2e.ports import LOOPBACK, PATIENCE, free_port, until
from tests.e2e.rpc import rpc_cluster, rpc_listener
from tests.e2e.sidecar import sidecar

pytestmark = [pytest.mark.processes, pytest.mark.uncompiled]


class Server:
    """A thread a connection."""

    def __init__(self) -> None:
        self.listening = socket.create_server((LOOPBACK, 0))
        self.port = self.listening.getsockname()[1]
        self.connections: list[socket.socket] = []
        self.seen: list[str] = []
        self._accepting = threading.Thread(target=self._accept)
        self._accepting.start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self.listening.accept()
            except OSError:
                return
            self.connections.append(connection)
            threading.Thread(target=answering, args=(connection, self.seen), daemon=True).start()

    def close(self) -> None:
        self.listening.shutdown(socket.SHUT_RDWR)
        self.listening.close()
        self._accepting.join(PATIENCE)
        assert not self._accepting.is_alive()


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.close()


@contextmanager
def connected(port: int) -> Iterator[TBinaryProtocol]:
    raw = TSocket(LOOPBACK, port)
    raw.setTimeout(PATIENCE * 1000)
    transport = TFramedTransport(raw)
    transport.open()
    try:
        yield TBinaryProtocol(transport)
    finally:
        transport.close()


@pytest.fixture
def port(tmp_path: Path, server: Server) -> Iterator[int]:
    port = free_port()
    rules = [
        virtual_host("thrift", route("server", "/thrift/hang", timeout="0.3s"), route("server")),
        virtual_host("Echo", route("server")),
        virtual_host("Gone", route("gone")),
    ]
    content = bootstrap(
        free_port(),
        [rpc_listener("thrift", "thrift", port, rules)],
        [rpc_cluster("thrift", "server", server.port), rpc_cluster("thrift", "gone", free_port())],
    )
    with sidecar(tmp_path, content, "--workers", "1"):
        yield port


def test_calls(port: int, server: Server) -> None:
    with connected(port) as client:
        for sequence in (0, 0, 7, -1):
            assert ask(client, "say", "hello", sequence) == "say hello"
        assert ask(client, "say", "x" * 400_000, 1) == "say " + "x" * 400_000
        assert ask(TMultiplexedProtocol(client, "Echo"), "say", "hello", 2) == "Echo:say hello"
        with pytest.raises(TApplicationException, match="no such thing"):
            ask(client, "fail", "no such thing", 3)
        write(client, "tell", TMessageType.ONEWAY, 4)
        assert ask(client, "say", "again", 5) == "say again"
        until(lambda: "tell" in server.seen, "the call that nobody waits for")


def test_what_the_sidecar_answers(port: int) -> None:
    with connected(port) as client:
        with pytest.raises(TApplicationException) as missing:
            ask(TMultiplexedProtocol(client, "Nobody"), "say", "hello", 1)
        assert missing.value.type == TApplicationException.UNKNOWN_METHOD
        with pytest.raises(TApplicationException) as gone:
            ask(TMultiplexedProtocol(client, "Gone"), "say", "hello", 2)
        assert gone.value.type == TApplicationException.INTERNAL_ERROR
        began = time.monotonic()
        with pytest.raises(TApplicationException) as late:
            ask(client, "hang", "hello", 3)
        assert late.value.type == TApplicationException.INTERNAL_ERROR
        assert time.monotonic() - began >= 0.3
        # The connection is as good as before, and the late answer goes to nobody.
        assert ask(client, "say", "hello", 4) == "say hello"


def test_many_clients(port: int, server: Server) -> None:
    def calls(number: int) -> int:
        with connected(port) as client:
            for i in range(50):
                assert ask(client, "say", f"{number} {i}", 0) == f"say {number} {i}"
        return number

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(calls, range(8))) == list(range(8))
    # One call at a time on a connection, and these are used again.
    assert 1 <= len(server.connections) <= 8
