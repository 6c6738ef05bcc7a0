"""Connections and requests that have lasted as long as they may."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.backend import Backend, RawBackend
from tests.e2e.bootstraps import bootstrap, cluster, listener, route, virtual_host
from tests.e2e.ports import free_port
from tests.e2e.sidecar import sidecar
from tests.e2e.wire import Client

pytestmark = [pytest.mark.processes, pytest.mark.uncompiled]


@pytest.fixture
def backend() -> Iterator[Backend]:
    made = Backend()
    yield made
    made.close()


@pytest.fixture
def silent() -> Iterator[RawBackend]:
    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    made = RawBackend(listen)
    yield made
    made.close()


def test_durations(tmp_path: Path, backend: Backend, silent: RawBackend) -> None:
    ports = {name: free_port() for name in ("requests", "connection", "stream")}
    limits = {
        "requests": {"max_requests_per_connection": 2},
        "connection": {"max_connection_duration": "0.3s"},
        "stream": {"max_stream_duration": "0.3s"},
    }
    hosts = [virtual_host("app", route("app")), virtual_host("silent", route("silent"))]
    listeners = [listener(name, port, hosts, common_http_protocol_options=limits[name]) for name, port in ports.items()]
    content = bootstrap(free_port(), listeners, [cluster("app", backend.port), cluster("silent", silent.port)])
    with sidecar(tmp_path, content) as running:
        with Client(ports["requests"]) as client:
            assert "connection" not in client.get("app").headers
            assert client.get("app").headers["connection"] == "close"
            assert client.socket.recv(1) == b""
        with Client(ports["connection"]) as client:
            assert client.socket.recv(1) == b""  # it waits for the end, which is not the idle timeout's
        with Client(ports["stream"]) as client:
            assert client.get("silent").status == 504
            assert client.get("app").status == 200
        stats = running.stats()
        assert stats["listener.requests.downstream_cx_max_requests_reached"] == 1
        assert stats["listener.connection.downstream_cx_max_duration_reached"] == 1
        assert stats["listener.stream.downstream_rq_max_duration_reached"] == 1
