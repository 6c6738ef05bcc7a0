"""What goes wrong on either side, and what the client is told: status, reason, Envoy's response flag."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import Iterator

import pytest

from tests.e2e.backend import Answer, Backend, DeadPort, RawBackend, Request, mirror
from tests.e2e.bootstraps import bootstrap, cluster, listener, route, virtual_host
from tests.e2e.ports import LOOPBACK, free_port, until
from tests.e2e.sidecar import Sidecar, sidecar
from tests.e2e.wire import Client, head

pytestmark = pytest.mark.processes

RETRY_503 = {"retry_on": "retriable-status-codes", "retriable_status_codes": [503], "num_retries": 2}
RETRY_CONNECT = {"retry_on": "connect-failure", "num_retries": 1}


class Setup:
    """Two backends, one of raw bytes, a port that refuses connections and one that never takes any."""

    def __init__(self) -> None:
        self.port = free_port()
        self.admin = free_port()
        self.one, self.two, self.raw, self.dead = (
            Backend(mirror, "one"),
            Backend(mirror, "two"),
            RawBackend(),
            DeadPort(),
        )
        self.silent = socket.create_server((LOOPBACK, 0), backlog=0)
        self.sidecar: Sidecar

    def bootstrap(self) -> dict[str, object]:
        pair = (self.one.port, self.two.port)
        hosts = [
            virtual_host("one", route("one", "/quick", timeout="0.2s"), route("one")),
            virtual_host("tries", route("one", retry_policy={**RETRY_503, "per_try_timeout": "0.15s"}, timeout="5s")),
            virtual_host("idle", route("raw", idle_timeout="0.2s", timeout="0s")),
            virtual_host("pair", route("pair", retry_policy=RETRY_503)),
            virtual_host("half", route("half", retry_policy=RETRY_CONNECT)),
            virtual_host("dead", route("dead")),
            virtual_host("silent", route("silent")),
            virtual_host("empty", route("empty")),
            virtual_host("missing", route("missing")),
            virtual_host("raw", route("raw")),
            virtual_host("one-at-a-time", route("limited")),
            virtual_host(
                "static",
                {"match": {"prefix": "/"}, "direct_response": {"status": 418, "body": {"inline_string": "tea"}}},
            ),
        ]
        limits = {"thresholds": [{"max_requests": 1}]}
        clusters = [
            cluster("one", self.one.port),
            cluster("pair", *pair),
            cluster("half", self.dead.port, self.two.port),
            cluster("dead", self.dead.port),
            cluster("silent", self.silent.getsockname()[1], connect_timeout="0.2s"),
            cluster("empty"),
            cluster("raw", self.raw.port),
            cluster("limited", self.one.port, circuit_breakers=limits),
        ]
        manager = {"max_request_headers_kb": 8, "request_headers_timeout": "0.5s", "server_name": "edge"}
        return bootstrap(self.admin, [listener("l", self.port, hosts, **manager)], clusters)

    def client(self) -> Client:
        return Client(self.port)

    def close(self) -> None:
        for each in (self.one, self.two, self.raw, self.dead, self.silent):
            each.close()


@pytest.fixture(scope="module")
def module_setup(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Setup]:
    with contextlib.closing(Setup()) as made, sidecar(tmp_path_factory.mktemp("failures"), made.bootstrap()) as running:
        made.sidecar = running
        yield made


@pytest.fixture
def setup(module_setup: Setup) -> Setup:
    for backend in (module_setup.one, module_setup.two):
        backend.handler = mirror
        backend.requests.clear()
    return module_setup


def after(seconds: float, answer: Answer):
    async def handler(request: Request) -> Answer:
        await asyncio.sleep(seconds)
        return answer

    return handler


# -- our own answers ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("host", "status", "flags", "reason"),
    [
        ("unknown", 404, "NR", "no route"),
        ("dead", 503, "UF", "upstream connection failure: Connection refused"),
        ("empty", 503, "UH", "no healthy upstream"),
        ("missing", 503, "NC", "no cluster"),
    ],
)
def test_why_there_is_no_answer(setup: Setup, host: str, status: int, flags: str, reason: str) -> None:
    with setup.client() as client:
        response = client.get(host)
        assert (response.status, response.flags) == (status, flags)
        assert response.body.decode().startswith(reason)
        assert response.headers["server"] == "edge"
        response = client.post(host, "/", b"a body")  # the connection goes on
        assert (response.status, response.flags) == (status, flags)
        client.send(head("HEAD", "/", host))
        assert client.response("HEAD").status == status
        assert client.get("one").status == 200


def test_a_direct_response(setup: Setup) -> None:
    with setup.client() as client:
        response = client.get("static")
        assert (response.status, response.body, response.flags) == (418, b"tea", "")


def test_a_connection_that_does_not_come_about_in_time(setup: Setup) -> None:
    filler = [socket.socket() for _ in range(4)]
    try:
        for each in filler:  # until the kernel takes no more for a server that accepts none
            each.setblocking(False)
            each.connect_ex(setup.silent.getsockname())
        with setup.client() as client:
            response = client.get("silent")
        assert (response.status, response.flags) == (503, "UF")
        assert b"connection timeout" in response.body
    finally:
        for each in filler:
            each.close()


def test_a_limit_is_answered_at_once(setup: Setup) -> None:
    setup.one.handler = after(0.3, Answer(body=b"slow"))
    with setup.client() as first, setup.client() as second:
        first.send(head("GET", "/", "one-at-a-time"))
        until(lambda: setup.one.requests, "the first request has arrived")
        response = second.get("one-at-a-time")
        assert (response.status, response.flags) == (503, "UO")
        assert first.response().body == b"slow"
        assert second.get("one-at-a-time").status == 200


# -- time --------------------------------------------------------------------------------------------------------------


def test_the_routes_timeout(setup: Setup) -> None:
    setup.one.handler = after(3, Answer())
    with setup.client() as client:
        started = time.monotonic()
        response = client.get("one", "/quick")
        assert 0.15 < time.monotonic() - started < 2
        assert (response.status, response.flags) == (504, "UT")
        assert b"timeout" in response.body
        setup.one.handler = mirror
        assert client.get("one", "/quick").body == b"/quick"


def test_a_try_that_takes_too_long(setup: Setup) -> None:
    setup.one.handler = after(3, Answer())
    with setup.client() as client:
        response = client.get("tries")
    assert (response.status, response.flags) == (504, "UT")


def test_an_answer_that_stops(setup: Setup) -> None:
    async def stop(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
        await reader.read()

    setup.raw.handler = stop
    with setup.client() as client:
        client.send(head("GET", "/", "idle"))
        client.read_until(b"half")
        with contextlib.suppress(ConnectionResetError):
            client.assert_closed()


def test_a_head_that_does_not_arrive_in_time(setup: Setup) -> None:
    with setup.client() as client:
        client.send(b"GET / HTTP/1.1\r\nHost: one\r\n")
        response = client.response()
        assert (response.status, response.flags) == (408, "DT")
        client.assert_closed()


# -- retries -----------------------------------------------------------------------------------------------------------


def test_a_503_is_tried_elsewhere(setup: Setup) -> None:
    setup.one.handler = lambda request: Answer(503, b"not now")
    with setup.client() as client:
        for _ in range(6):
            response = client.post("pair", "/", b"body")
            assert (response.status, response.headers["x-backend"], response.body) == (200, "two", b"body")
    assert 2 <= len(setup.one.requests) <= 6


def test_the_last_503_is_passed_on(setup: Setup) -> None:
    setup.one.handler = setup.two.handler = lambda request: Answer(503, b"not now")
    with setup.client() as client:
        response = client.get("pair")
    assert (response.status, response.body, response.flags) == (503, b"not now", "")
    assert len(setup.one.requests) + len(setup.two.requests) == 3


def test_a_refused_connection_is_tried_elsewhere(setup: Setup) -> None:
    with setup.client() as client:
        for _ in range(6):
            response = client.get("half")
            assert (response.status, response.headers["x-backend"]) == (200, "two")
    assert setup.sidecar.stats()["cluster.half.upstream_cx_connect_fail"] >= 2


def test_connections_that_were_closed_between_requests(setup: Setup) -> None:
    """The sidecar sees the end when it comes, or meets it with a request in flight and sends that one anew."""
    with setup.client() as client:
        for _ in range(30):
            assert client.get("one").status == 200
            setup.one.drop_connections()

    async def once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        await reader.readuntil(b"\r\n\r\n")  # the second request meets the end

    setup.raw.handler = once
    before = setup.raw.connections
    with setup.client() as client:
        for _ in range(10):
            assert client.get("raw").body == b"ok"
    assert setup.raw.connections - before == 10
    assert setup.sidecar.stats()["cluster.raw.upstream_rq_replay"] >= 9


def test_a_post_is_not_sent_twice(setup: Setup) -> None:
    heads = []

    async def once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        heads.append(await reader.readuntil(b"\r\n\r\n"))

    setup.raw.handler = once
    setup.raw.drop_connections()
    with setup.client() as client:
        assert client.get("raw").body == b"ok"
        response = client.post("raw", "/", b"pay")
    assert (response.status, response.flags) == (503, "UC")
    assert sum(each.startswith(b"POST") for each in heads) == 1


# -- upstreams that break the protocol ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "garbage",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok!",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: own\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX:" + b" x" * 50_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\nBad name: x\r\nContent-Length: 0\r\n\r\n",
        bytes(range(256)) * 8,
    ],
    ids=[
        "ssh",
        "two-lengths",
        "length-and-chunked",
        "unknown-coding",
        "switch",
        "too-large",
        "bad-chunk",
        "bad-name",
        "noise",
    ],
)
def test_garbage_from_upstream(setup: Setup, garbage: bytes) -> None:
    setup.raw.drop_connections()
    setup.raw.answers(garbage)
    with setup.client() as client:
        response = client.get("raw")
        assert (response.status, response.flags) == (502, "UPE")
        assert b"upstream protocol error" in response.body
        setup.raw.answers(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        assert client.get("raw").body == b"ok"


CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n"


@pytest.mark.parametrize(
    ("begin", "rest"),
    [(b"Content-Length: 10\r\n\r\nhalf", b""), (CHUNKED, b""), (CHUNKED, b"zz\r\n"), (CHUNKED, b"0\r\nX: \0\r\n\r\n")],
)
def test_an_answer_that_breaks_off_is_not_taken_for_a_whole_one(setup: Setup, begin: bytes, rest: bytes) -> None:
    seen_half = asyncio.Event()

    async def break_off(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\n" + begin)
        await seen_half.wait()
        writer.write(rest)

    setup.raw.drop_connections()
    setup.raw.handler = break_off
    with setup.client() as client:
        client.send(head("GET", "/", "raw"))
        seen = client.read_until(b"half")
        setup.raw.call(seen_half.set)
        with contextlib.suppress(ConnectionResetError):
            while data := client.socket.recv(1 << 16):
                seen += data
    assert not seen.endswith(b"0\r\n\r\n")


def test_an_upstream_that_hangs_up(setup: Setup) -> None:
    setup.raw.drop_connections()
    setup.raw.answers(b"")
    with setup.client() as client:
        response = client.get("raw")
    assert (response.status, response.flags) == (503, "UC")


# -- clients that break the protocol -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(40) + b"\r\n\r\n", 400),
        (b"GET / HTTP/2.0\r\nHost: one\r\n\r\n", 505),
        (b"GET  / HTTP/1.1\r\nHost: one\r\n\r\n", 400),
        (b"GET / HTTP/1.1\nHost: one\n\n", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: one\r\nHost: two\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: one\r\nX : 1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: one\r\nX: a\x00b\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: one\r\nX: a\r\n b\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: one\r\nExpect: tea\r\n\r\n", 417),
        (b"CONNECT one:80 HTTP/1.1\r\nHost: one:80\r\n\r\n", 501),
        (b"GET / HTTP/1.1\r\nHost: one\r\nX: " + b"x" * 9000 + b"\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\nHost: one\r\n" + b"X: 1\r\n" * 101 + b"\r\n", 431),
        (b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: one\r\n\r\n", 414),
    ],
    ids=["tls", "version", "two-spaces", "bare-lf", "no-host", "two-hosts", "space-before-colon", "nul", "folded",
         "expect", "connect", "too-large", "too-many", "long-target"],
)  # fmt: skip
def test_a_malformed_request_is_refused_and_the_connection_closed(
    setup: Setup, request_bytes: bytes, status: int
) -> None:
    with setup.client() as client:
        client.send(request_bytes)
        response = client.response()
        assert (response.status, response.headers["connection"], response.flags) == (status, "close", "DPE")
        assert response.body
        client.assert_closed()
    assert setup.one.requests == []


SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: one\r\n\r\n"


@pytest.mark.parametrize(
    "framing",
    [
        b"Content-Length: 3\r\nContent-Length: 4\r\n",
        b"Content-Length: 3, 3\r\n",
        b"Content-Length: +3\r\n",
        b"Content-Length: 0x3\r\n",
        b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n",
        b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        b"Transfer-Encoding: chunked, identity\r\n",
        b"Transfer-Encoding: xchunked\r\n",
        b"Transfer-Encoding:\x0bchunked\r\n",
        b"Transfer-Encoding : chunked\r\n",
        b"Content-Length: 99999999999999999999\r\n",
    ],
)
def test_smuggling(setup: Setup, framing: bytes) -> None:
    with setup.client() as client:
        client.send(b"POST / HTTP/1.1\r\nHost: one\r\n" + framing + b"\r\n0\r\n\r\n" + SMUGGLED)
        response = client.response("POST")
        assert response.status in (400, 501)
        client.assert_closed()
    assert setup.one.requests == []


def test_a_malformed_chunk_ends_the_request(setup: Setup) -> None:
    with setup.client() as client:
        client.send(head("POST", "/", "one", transfer_encoding="chunked") + b"3\r\nabc\r\n")
        client.send(b"3x\r\nabc\r\n0\r\n\r\n" + SMUGGLED)
        response = client.response("POST")
        assert (response.status, response.flags) == (400, "DPE")
        client.assert_closed()
    assert setup.one.requests == []


def test_a_chunk_cannot_hide_a_request(setup: Setup) -> None:
    """Bytes that look like a request within a body, and a request right behind one."""
    with setup.client() as client:
        client.send(head("POST", "/first", "one", content_length=str(len(SMUGGLED))) + SMUGGLED)
        client.send(head("GET", "/second", "one"))
        assert client.response("POST").body == SMUGGLED
        assert client.response().body == b"/second"
    assert [each.target for each in setup.one.requests] == ["/first", "/second"]


def test_a_client_that_goes_away(setup: Setup) -> None:
    """The upstream's work is given up: its connection is closed."""
    ended: list[bytes] = []

    async def wait(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        ended.append(b"begun")
        ended.append(await reader.read())

    setup.raw.drop_connections()
    setup.raw.handler = wait
    client = setup.client()
    client.send(head("GET", "/", "raw"))
    until(lambda: ended, "the request has arrived")
    client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # reset
    client.close()
    until(lambda: len(ended) == 2, "the upstream connection has ended")


def test_what_is_under_way_is_zero_afterwards(setup: Setup) -> None:
    def left() -> dict[str, int]:
        gauges = ("rq_active", "rq_pending_active", "downstream_cx_active")
        return {name: value for name, value in setup.sidecar.stats().items() if name.endswith(gauges) and value}

    until(lambda: not left(), "no request and no client is counted any more")
