"""Everything at once, in an order that a seed decides: bodies of all sizes and framings, pipelines, clients that go
away in the middle, upstreams that close, break off and talk nonsense. Answers are right, and nothing is left over."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections import Counter
from collections.abc import AsyncIterator, Iterator

import h11
import pytest

from tests.e2e.backend import Answer, Backend, RawBackend, Request
from tests.e2e.bootstraps import bootstrap, cluster, listener, route, virtual_host
from tests.e2e.ports import LOOPBACK, PATIENCE, free_port, until
from tests.e2e.processes import Memory
from tests.e2e.sidecar import Sidecar, sidecar

pytestmark = pytest.mark.processes

CLIENTS = 40
ROUNDS = 25
"""Conversations of each client."""
PATTERN = bytes(range(251)) * 4200
"""1 MB; of length 251 a turn, so that a shifted body differs."""


def handler(request: Request) -> Answer:
    """`/N`: N bytes with a length; `/chunked/N`: the same in pieces; with a body: its echo; `/close`: an end."""
    if request.body:
        return Answer(body=request.body)
    kind, _, size = request.target[1:].rpartition("/")
    body = PATTERN[: int(size)]
    return Answer(body=pieces(body) if kind == "chunked" else body, close=kind == "close")


async def pieces(body: bytes) -> AsyncIterator[bytes]:
    for at in range(0, len(body), 70_001):
        yield body[at : at + 70_001]


async def unreliable(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """The path says what goes wrong."""
    while True:
        head = await reader.readuntil(b"\r\n\r\n")
        what = head.split(b" ", 2)[1]
        if what == b"/ok":
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            continue
        if what == b"/half":
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\nhalf")
        elif what == b"/nonsense":
            writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nno chunk\r\n")
        elif what == b"/more":
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok and more")
        return


class Client:
    """One client's conversations, each on a connection of its own."""

    def __init__(self, port: int, seed: int, seen: Counter[str]) -> None:
        self._port = port
        self._random = random.Random(seed)
        self._seen = seen

    async def run(self) -> None:
        kinds = (self._exchange, self._exchange, self._pipeline, self._leave, self._unreliable)
        for _ in range(ROUNDS):
            kind = self._random.choice(kinds)
            async with asyncio.timeout(PATIENCE):
                reader, writer = await asyncio.open_connection(LOOPBACK, self._port)
                try:
                    await kind(reader, writer)
                finally:
                    writer.close()
            self._seen[kind.__name__] += 1

    def _size(self) -> int:
        return self._random.choice([0, 1, 100, 4_096, 65_536, 65_537, self._random.randrange(len(PATTERN))])

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Some requests one after the other."""
        rest = b""
        for _ in range(self._random.randrange(1, 8)):
            method, data, expected = self._request()
            async with asyncio.TaskGroup() as group:
                group.create_task(self._write(writer, data))
                status, body, rest, ends = await answer(reader, method, rest)
            assert status == 200
            assert body == (b"" if method == "HEAD" else expected), f"{method}: {len(body)} of {len(expected)} bytes"
            if ends:
                assert await reader.read() == b""
                return

    async def _pipeline(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        requests = [self._request() for _ in range(self._random.randrange(2, 12))]
        rest = b""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._write(writer, b"".join(data for _, data, _ in requests)))
            for method, _, expected in requests:
                status, body, rest, _ = await answer(reader, method, rest)
                assert status == 200
                assert body == (b"" if method == "HEAD" else expected), (
                    f"{method}: {len(body)} of {len(expected)} bytes"
                )
        assert rest == b""

    async def _leave(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """In the middle of a request, or of its answer."""
        _, data, _ = self._request()
        writer.write(data[: self._random.randrange(1, len(data) + 1)])
        if self._random.random() < 0.5:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0.05):
                    await reader.read(1000)
        if self._random.random() < 0.5:
            writer.transport.abort()

    async def _unreliable(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        what = self._random.choice(["ok", "half", "nonsense", "more", "close"])
        writer.write(f"GET /{what} HTTP/1.1\r\nhost: raw\r\n\r\n".encode())
        try:
            status, body, _, _ = await answer(reader, "GET", b"")
        except (ConnectionResetError, h11.RemoteProtocolError):
            assert what in ("half", "nonsense")
            return
        assert (status, body) == (200, b"ok") if what in ("ok", "more") else status in (502, 503)

    def _request(self) -> tuple[str, bytes, bytes]:
        """Method, bytes, and the answer's body."""
        size = self._size()
        kind = self._random.choice(["", "", "chunked/"])
        form = self._random.choice(["http://app", ""])
        if self._random.random() < 0.6:
            method = self._random.choice(["GET", "GET", "HEAD"])
            return method, f"{method} {form}/{kind}{size} HTTP/1.1\r\nhost: app\r\n\r\n".encode(), PATTERN[:size]
        body = PATTERN[: size + 1]
        head = f"POST {form}/ HTTP/1.1\r\nhost: app\r\n"
        if not kind:
            return "POST", f"{head}content-length: {len(body)}\r\n\r\n".encode() + body, body
        chunks, at = [], 0
        while at < len(body):
            chunk = body[at : at + self._random.choice([1, 1000, 16_384, 300_000])]
            chunks.append(b"%x\r\n%s\r\n" % (len(chunk), chunk))
            at += len(chunk)
            if len(chunks) > 20:
                chunks.append(b"%x\r\n%s\r\n" % (len(body) - at, body[at:]) if at < len(body) else b"")
                break
        return "POST", f"{head}transfer-encoding: chunked\r\n\r\n".encode() + b"".join(chunks) + b"0\r\n\r\n", body

    async def _write(self, writer: asyncio.StreamWriter, data: bytes) -> None:
        """In pieces, now and then very small ones."""
        at = 0
        while at < len(data):
            size = self._random.choice([1, 17, 1_000, 100_000, 1_000_000])
            writer.write(data[at : at + size])
            await writer.drain()
            at += size


async def answer(reader: asyncio.StreamReader, method: str, rest: bytes) -> tuple[int, bytes, bytes, bool]:
    """Status, body, what came behind it, and whether the connection ends."""
    events = h11.Connection(h11.CLIENT)
    events.send(h11.Request(method=method, target="/", headers=[("host", "x")]))
    events.send(h11.EndOfMessage())
    if rest:
        events.receive_data(rest)
    status, body, ends = 0, [], False
    while True:
        event = events.next_event()
        if event is h11.NEED_DATA:
            events.receive_data(await reader.read(1 << 18))
        elif isinstance(event, h11.Response):
            status = event.status_code
            ends = (b"connection", b"close") in list(event.headers)
        elif isinstance(event, h11.Data):
            body.append(bytes(event.data))
        elif isinstance(event, h11.EndOfMessage):
            return status, b"".join(body), events.trailing_data[0], ends
        else:
            raise AssertionError(f"{event} instead of an answer")


@pytest.fixture
def backends() -> Iterator[tuple[Backend, RawBackend]]:
    with contextlib.closing(Backend(handler)) as app, contextlib.closing(RawBackend(unreliable)) as raw:
        yield app, raw


def left_over(running: Sidecar) -> dict[str, int]:
    gauges = ("rq_active", "rq_pending_active", "downstream_cx_active")
    return {name: value for name, value in running.stats().items() if name.endswith(gauges) and value}


def by_class(stats: dict[str, int], prefix: str) -> int:
    return sum(stats[f"{prefix}_{each}xx"] for each in range(1, 6))


def test_mixture(tmp_path_factory: pytest.TempPathFactory, backends: tuple[Backend, RawBackend]) -> None:
    app, raw = backends
    port = free_port()
    hosts = [virtual_host("app", route("app", timeout="0s")), virtual_host("raw", route("raw"))]
    content = bootstrap(free_port(), [listener("l", port, hosts)], [cluster("app", app.port), cluster("raw", raw.port)])
    seen: Counter[str] = Counter()

    async def play() -> None:
        await asyncio.gather(*(Client(port, seed, seen).run() for seed in range(CLIENTS)))

    with sidecar(tmp_path_factory.mktemp("mixture"), content) as running:
        worker, memory = running.worker, Memory(running.worker)
        asyncio.run(play())
        assert seen.total() == CLIENTS * ROUNDS
        until(lambda: not left_over(running), "no request and no client is counted any more")
        assert running.worker == worker
        assert memory.growth() < 64 * 1024
        stats = running.stats()
        assert stats["listener.l.downstream_cx_total"] == stats["listener.l.downstream_cx_destroy"]
        gone = stats["cluster.app.upstream_rq_code_0_DC"]  # clients that left before an answer
        assert stats["listener.l.downstream_rq_total"] == gone + by_class(stats, "listener.l.downstream_rq")
        assert stats["cluster.app.upstream_rq_total"] == gone + by_class(stats, "cluster.app.upstream_rq")
    assert "Traceback" not in running.log
