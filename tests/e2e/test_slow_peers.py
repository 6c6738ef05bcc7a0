"""Peers that are slow, stop, vanish or reset: every wait has an end, and the client is told."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import time
from collections.abc import Iterator

import pytest

from tests.e2e.backend import Backend, RawBackend, mirror
from tests.e2e.bootstraps import bootstrap, cluster, listener, route, virtual_host
from tests.e2e.ports import PATIENCE, free_port, until
from tests.e2e.processes import Memory
from tests.e2e.sidecar import Sidecar, sidecar
from tests.e2e.wire import Client, head

pytestmark = pytest.mark.processes

RESET = struct.pack("ii", 1, 0)
CROWD = 150
HEAD_KIB, ANSWER_KIB = 60, 64 + 256 + 80
"""What the worker may hold for a client whose head is not complete, and for one that takes no answer: its limit, one
read, and what connection, stream and sockets are made of."""


class Setup:
    """`port`: half a second for a head and between bytes; `quiet`: as long for a connection that is not used."""

    def __init__(self) -> None:
        self.port, self.quiet = free_port(), free_port()
        self.app, self.raw = Backend(mirror), RawBackend()
        self.sidecar: Sidecar

    def bootstrap(self) -> dict[str, object]:
        hosts = [
            virtual_host("app", route("app", timeout="0s")),
            virtual_host("raw", route("raw", timeout="0s", idle_timeout="0.5s")),
            virtual_host("hasty", route("raw", timeout="0.5s")),
        ]
        slow = {"request_headers_timeout": "0.5s", "stream_idle_timeout": "0.5s"}
        idle = {"common_http_protocol_options": {"idle_timeout": "0.5s"}}
        listeners = [listener("l", self.port, hosts, **slow), listener("q", self.quiet, hosts, **idle)]
        return bootstrap(free_port(), listeners, [cluster("app", self.app.port), cluster("raw", self.raw.port)])

    def client(self) -> Client:
        return Client(self.port)

    def gauge(self, name: str) -> int:
        return self.sidecar.stats()[name]

    def close(self) -> None:
        self.app.close()
        self.raw.close()


@pytest.fixture(scope="module")
def setup(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Setup]:
    with contextlib.closing(Setup()) as made, sidecar(tmp_path_factory.mktemp("slow"), made.bootstrap()) as running:
        made.sidecar = running
        with made.client() as client:
            assert client.get("app").status == 200
        yield made


def rest(client: Client) -> bytes:
    """What comes until the connection ends, in order or not."""
    data = bytearray()
    with contextlib.suppress(ConnectionResetError):
        while piece := client.socket.recv(1 << 16):
            data += piece
    return bytes(data)


# -- clients -----------------------------------------------------------------------------------------------------------


def test_a_head_byte_by_byte_has_no_more_time_than_one_that_stops(setup: Setup) -> None:
    began = time.monotonic()
    with setup.client() as client:
        client.socket.settimeout(0.05)
        data = bytearray()
        client.send(b"GET / HTTP/1.1\r\nHost: app\r\nX: ")
        while not data and time.monotonic() < began + PATIENCE:
            client.send(b"x")
            with contextlib.suppress(TimeoutError):
                data += client.socket.recv(1 << 16)
    assert data.startswith(b"HTTP/1.1 408 ")
    assert b"x-tage-response-flags: DT" in data
    assert time.monotonic() - began > 0.4


def test_a_body_that_stops(setup: Setup) -> None:
    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    setup.raw.handler = listen
    with setup.client() as client:
        client.send(head("POST", "/", "raw", content_length="10") + b"half")
        response = client.response("POST")
        assert (response.status, response.flags) == (408, "SI")
        client.assert_closed()


def test_an_answer_that_nobody_takes(setup: Setup) -> None:
    """The connection is given up, the upstream's with it."""
    ended = []

    async def pour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
        try:
            while True:
                writer.write(bytes(1 << 16))
                await writer.drain()
        finally:
            ended.append(True)

    setup.raw.handler = pour
    with setup.client() as client:
        client.send(head("GET", "/", "raw"))
        until(lambda: ended, "the upstream connection ends")
        assert len(rest(client)) < 100_000_000
    until(lambda: not setup.gauge("listener.l.downstream_cx_active"), "no client is counted any more")


def test_a_client_that_vanishes_between_requests(setup: Setup) -> None:
    """No end comes from it, ever; it is the same as one that says nothing."""
    with Client(setup.quiet) as client:
        assert client.get("app").status == 200
        until(lambda: not setup.gauge("listener.q.downstream_cx_active"), "it is not counted any more")
        assert rest(client) == b""
    assert setup.gauge("listener.q.downstream_cx_idle_timeout") >= 1


def test_many_slow_clients_in_bounded_memory(setup: Setup) -> None:
    """Some send their heads slowly, some take no answer; who is not slow is served."""

    async def pour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
        while True:
            writer.write(bytes(1 << 16))
            await writer.drain()

    setup.raw.handler = pour
    memory = Memory(setup.sidecar.worker)
    with contextlib.ExitStack() as stack:
        for number in range(2 * CROWD):
            client = Client(setup.quiet)
            stack.callback(client.close)
            client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            half = b"GET / HTTP/1.1\r\nHost: app\r\nX: " + b"x" * (HEAD_KIB * 1024 - 100)
            client.send(half if number % 2 else head("GET", "/", "raw"))
            if number % 50 == 0:
                with setup.client() as other:
                    assert other.get("app", "/quick").body == b"/quick"
    until(lambda: not setup.gauge("listener.q.downstream_cx_active"), "no client is counted any more")
    assert memory.growth() < CROWD * (HEAD_KIB + ANSWER_KIB)


# -- servers -----------------------------------------------------------------------------------------------------------


def test_a_server_that_says_nothing(setup: Setup) -> None:
    ends = []

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        ends.append(await reader.read())

    setup.raw.handler = listen
    with setup.client() as client:
        response = client.get("hasty")
        assert (response.status, response.flags) == (504, "UT")
        assert client.get("app", "/next").body == b"/next"
    until(lambda: ends, "the server's connection ends")


def test_a_head_that_trickles_from_the_server(setup: Setup) -> None:
    async def trickle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        for byte in b"HTTP/1.1 200 OK\r\nX: " + b"x" * 10_000:
            writer.write(bytes([byte]))
            await asyncio.sleep(0.05)

    setup.raw.handler = trickle
    with setup.client() as client:
        response = client.get("hasty")
    assert (response.status, response.flags) == (504, "UT")


def test_a_server_that_resets_before_its_answer(setup: Setup) -> None:
    async def reset(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        writer.transport.abort()

    setup.raw.handler = reset
    with setup.client() as client:
        response = client.get("raw")
        assert (response.status, response.flags) == (503, "UC")
        assert client.get("app", "/next").body == b"/next"


@pytest.mark.parametrize(
    ("framing", "half"),
    [
        (b"Content-Length: 8", b"half"),
        (b"Transfer-Encoding: chunked", b"4\r\nhalf\r\n"),
        (b"X: until the end", b"half"),
    ],
    ids=["length", "chunked", "until the end"],
)
def test_a_server_that_resets_within_its_answer(setup: Setup, framing: bytes, half: bytes) -> None:
    seen = asyncio.Event()

    async def reset(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\n" + framing + b"\r\n\r\n" + half)
        await seen.wait()
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        writer.transport.abort()

    setup.raw.handler = reset
    with setup.client() as client:
        client.send(head("GET", "/", "raw"))
        client.read_until(b"half")
        setup.raw.call(seen.set)
        assert not rest(client).endswith(b"0\r\n\r\n")


def test_a_server_that_ends_its_side_with_the_answer(setup: Setup) -> None:
    async def half_close(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\n\r\nto the end")
        writer.write_eof()
        await reader.read()

    setup.raw.handler = half_close
    with setup.client() as client:
        assert client.get("raw").body == b"to the end"
        assert client.get("app", "/next").body == b"/next"


def test_nothing_is_left_of_them(setup: Setup) -> None:
    def left() -> dict[str, int]:
        gauges = ("rq_active", "rq_pending_active", "downstream_cx_active")
        return {name: value for name, value in setup.sidecar.stats().items() if name.endswith(gauges) and value}

    until(lambda: not left(), "no request and no client is counted any more")
    assert "Traceback" not in setup.sidecar.log
