"""Failures of all kinds, again and again: the worker's descriptors, memory, gauges and timers are as before."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import struct
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.e2e.backend import Backend, DeadPort, RawBackend, mirror
from tests.e2e.bootstraps import bootstrap, cluster, listener, route, virtual_host
from tests.e2e.ports import PATIENCE, free_port, until
from tests.e2e.sidecar import Sidecar, sidecar
from tests.e2e.wire import Client, head

pytestmark = pytest.mark.processes

WARM_UP, ROUNDS = 3, 12
"""Memory is compared after the first and after the second number of rounds."""
EACH = 6
"""How often each failure happens in a round."""
GROWTH_KIB = 2_048
SETTLE_SECONDS = 1.0
RESET = struct.pack("ii", 1, 0)


async def unreliable(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """The path says what goes wrong; the connection ends with it."""
    what = (await reader.readuntil(b"\r\n\r\n")).split(b" ", 2)[1]
    if what == b"/reset":
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        writer.transport.abort()
    elif what == b"/half":
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\nhalf")
    elif what == b"/nonsense":
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length : 1\r\n\r\nx")
    elif what == b"/leftover":
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nxHTTP/1.1 200 OK\r\n\r\n")
    elif what == b"/silent":
        await reader.read()
    elif what == b"/pour":
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n")
        while True:
            writer.write(bytes(1 << 16))
            await writer.drain()


class Setup:
    def __init__(self) -> None:
        self.port = free_port()
        self.app, self.raw, self.dead = Backend(mirror), RawBackend(unreliable), DeadPort()

    def bootstrap(self) -> dict[str, object]:
        again = {"retry_on": "reset,connect-failure", "num_retries": 1}
        hosts = [
            virtual_host("app", route("app")),
            virtual_host("raw", route("raw", timeout="0.2s")),
            virtual_host("again", route("raw", timeout="0.5s", retry_policy=again)),
            virtual_host("dead", route("dead", retry_policy=again)),
        ]
        clusters = [
            cluster(name, each.port) for name, each in (("app", self.app), ("raw", self.raw), ("dead", self.dead))
        ]
        manager = {"request_headers_timeout": "0.2s", "stream_idle_timeout": "0.3s"}
        return bootstrap(free_port(), [listener("l", self.port, hosts, **manager)], clusters)

    def close(self) -> None:
        for each in (self.app, self.raw, self.dead):
            each.close()

    # -- what goes wrong -----------------------------------------------------------------------------------------------

    def failures(self) -> list[Callable[[Client], None]]:
        def asks(host: str, path: str) -> Callable[[Client], None]:
            return lambda client: client.send(head("GET", path, host))

        def sends(data: bytes) -> Callable[[Client], None]:
            return lambda client: client.send(data)

        upstream = [asks(host, f"/{what}") for host in ("raw", "again") for what in
                    ("reset", "half", "nonsense", "leftover", "silent", "end")]  # fmt: skip
        return [
            *upstream,
            asks("dead", "/"),
            asks("nobody", "/"),
            asks("app", "/fine"),
            sends(b"GET / HTTP/1.1\r\nHost: app\r\nX: "),
            sends(b"GET / HTTP/1.1\r\nHost: app\r\nX : \r\n\r\n"),
            sends(head("POST", "/", "app", content_length="10") + b"half"),
            sends(head("POST", "/", "app", transfer_encoding="chunked") + b"5\r\nhello\r\nzz\r\n"),
            self._leaves_in_the_middle,
            self._resets_in_the_middle,
        ]

    @staticmethod
    def _leaves_in_the_middle(client: Client) -> None:
        client.send(head("GET", "/pour", "raw"))
        client.read_until(b"\r\n\r\n")
        client.close()

    @staticmethod
    def _resets_in_the_middle(client: Client) -> None:
        client.send(head("GET", "/pour", "again"))
        client.read_until(b"\r\n\r\n")
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        client.close()

    def round(self) -> None:
        """All at the same time; each client waits for the first that it hears and leaves."""
        clients = []
        for failure in self.failures() * EACH:
            client = Client(self.port)
            clients.append(client)
            failure(client)
        for client in clients:
            with contextlib.suppress(OSError):  # closed by the failure itself, or reset
                client.socket.settimeout(PATIENCE)
                client.socket.recv(1 << 16)
            client.close()


@pytest.fixture
def setup() -> Iterator[Setup]:
    with contextlib.closing(Setup()) as made:
        yield made


def memory(pid: int) -> int:
    """KiB that are the process's own (smaps_rollup)."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith(("Private_Dirty:", "Private_Clean:")))


def wakes(pid: int) -> int:
    """How often it has gone to sleep."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("voluntary_ctxt_switches:"):
            return int(line.split()[1])
    raise AssertionError("no such line")


def quiet(setup: Setup, running: Sidecar) -> int:
    """Waits until nothing is under way and no connection open; how many descriptors the worker has then."""
    gauges = ("rq_active", "rq_pending_active", "cx_active")

    def left() -> dict[str, int]:
        setup.app.drop_connections()
        return {name: value for name, value in running.stats().items() if name.endswith(gauges) and value}

    until(lambda: not left(), f"nothing is under way: {left()}")
    return len(os.listdir(f"/proc/{running.worker}/fd"))


def test_nothing_leaks(tmp_path: Path, setup: Setup) -> None:
    with sidecar(tmp_path, setup.bootstrap()) as running:
        worker = running.worker
        for _ in range(WARM_UP):
            setup.round()
        descriptors, before = quiet(setup, running), memory(worker)
        for _ in range(ROUNDS):
            setup.round()
        assert quiet(setup, running) == descriptors
        assert memory(worker) - before < GROWTH_KIB
        stats = running.stats()
        for each in ("listener.l.downstream", "cluster.app.upstream", "cluster.raw.upstream", "cluster.dead.upstream"):
            assert stats[f"{each}_cx_total"] == stats[f"{each}_cx_destroy"], each
        assert stats["listener.l.downstream_rq_header_timeout"] >= EACH * ROUNDS
        assert stats["cluster.raw.upstream_rq_timeout"] >= EACH * ROUNDS
        assert stats["cluster.raw.upstream_rq_retry"] >= EACH * ROUNDS
        # With no timer armed nothing wakes the worker.
        time.sleep(SETTLE_SECONDS)
        asleep = wakes(worker)
        time.sleep(SETTLE_SECONDS)
        assert wakes(worker) - asleep <= 2
        assert running.worker == worker
        assert "Traceback" not in running.log
