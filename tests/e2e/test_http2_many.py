"""Ten thousand requests under way at a time through one sidecar: a hundred clients' connections, as many streams on
each, and upstream no more connections than the server's limit of streams asks for. Every one is answered, with its
own answer, and what they cost in memory is measured and bounded."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from pathlib import Path

import pytest

from tests.e2e.bootstraps import bootstrap
from tests.e2e.frames import END_HEADERS, END_STREAM, HEADERS, Peer, frame
from tests.e2e.http2_backend import Answer, Http2Backend, Request
from tests.e2e.ports import free_port, until
from tests.e2e.processes import Memory
from tests.e2e.sidecar import sidecar
from tests.interop.grpc.sidecars import http2_cluster, http2_listener

pytestmark = pytest.mark.processes

CONNECTIONS, STREAMS = 100, 100
ALL = CONNECTIONS * STREAMS
UPSTREAM_STREAMS = 1000
"""On a connection, as the server allows."""
EACH_KIB = 5
"""What a request under way may cost the worker: both its streams, its head, what is known of it."""
SECONDS = 120.0


def test_ten_thousand_at_a_time(tmp_path: Path) -> None:
    held = asyncio.Event()

    async def hold(request: Request) -> Answer:
        await held.wait()
        return Answer(body=request.headers[":path"].encode(), trailers=[("grpc-status", "0")])

    backend, port = Http2Backend(hold, streams=UPSTREAM_STREAMS), free_port()
    content = bootstrap(free_port(), [http2_listener("l", port, "c")], [http2_cluster("c", backend.port)])
    with contextlib.closing(backend), sidecar(tmp_path, content) as running, contextlib.ExitStack() as stack:
        peers = [stack.enter_context(Peer(port)) for _ in range(CONNECTIONS)]
        for peer in peers:
            peer.ping()
        memory = Memory(running.worker)
        asked = {(number, peer.next_stream()): peer for _ in range(STREAMS) for number, peer in enumerate(peers)}
        for (number, stream), peer in asked.items():
            fields = [
                (":method", "GET"),
                (":scheme", "http"),
                (":authority", "a.test"),
                (":path", f"/{number}/{stream}"),
            ]
            peer.send(frame(HEADERS, END_HEADERS | END_STREAM, stream, peer.block(fields)))
        until(lambda: len(backend.requests) == ALL, "all requests are under way", SECONDS)
        # Each carries what its server allows; until that has said so, the hundred that RFC 9113 (6.5.2) recommends.
        used = Counter(request.connection for request in backend.requests)
        assert max(used.values()) <= UPSTREAM_STREAMS
        assert len(used) <= ALL // 100 + 1
        assert running.stats()["cluster.c.upstream_rq_active"] == ALL
        backend.call(held.set)
        for (number, stream), peer in asked.items():
            answer = peer.answer(stream, SECONDS)
            assert (answer.status, answer.body) == (200, f"/{number}/{stream}".encode())
            assert answer.trailers == {"grpc-status": "0"}
        growth = memory.growth()
        print(f"{ALL} requests under way: {growth} KiB, {growth / ALL:.1f} each; {len(used)} upstream connections")
        assert growth < EACH_KIB * ALL
        until(lambda: running.stats()["cluster.c.upstream_rq_active"] == 0, "none is under way")
