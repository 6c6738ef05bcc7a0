"""Outlier detection holds for a sidecar, however many workers it has, and outlives each of them."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.backend import Answer, Backend, DeadPort, Request
from tests.e2e.bootstraps import bootstrap, cluster, listener, route, tcp_listener, virtual_host
from tests.e2e.ports import free_port, until
from tests.e2e.sidecar import WORKER, Sidecar, sidecar
from tests.e2e.wire import Client

pytestmark = pytest.mark.processes

CONNECTIONS = 12
"""So many that every worker has some."""


class Moody(Backend):
    """Fails every `every`th call; 0: none."""

    def __init__(self, name: str) -> None:
        self.every = 0
        self.calls = 0
        super().__init__(self._call, name)

    def _call(self, request: Request) -> Answer:
        self.calls += 1
        return Answer(503 if self.every and self.calls % self.every == 0 else 200)


@pytest.fixture
def backends() -> Iterator[list[Moody]]:
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(contextlib.closing(Moody(name))) for name in "abcd"]


@pytest.fixture(params=[1, 2])
def workers(request: pytest.FixtureRequest) -> int:
    return request.param


class Mesh:
    """A sidecar in front of the backends, and clients of it."""

    def __init__(self, running: Sidecar, port: int, backends: list[Moody]) -> None:
        self.sidecar = running
        self.backends = backends
        self._port = port
        self._clients: list[Client] = []

    def close(self) -> None:
        for client in self._clients:
            client.close()

    def reconnect(self) -> None:
        self.close()
        self._clients = [Client(self._port) for _ in range(CONNECTIONS)]

    def ask(self, rounds: int = 1) -> list[int]:
        if not self._clients:
            self.reconnect()
        return [client.get("c").status for _ in range(rounds) for client in self._clients]

    def calls(self) -> list[int]:
        return [backend.calls for backend in self.backends]

    def reached(self, rounds: int = 2) -> set[str]:
        """Who gets calls now."""
        before = self.calls()
        self.ask(rounds)
        return {each.name for each, was in zip(self.backends, before, strict=True) if each.calls > was}

    def stat(self, name: str) -> int:
        return self.sidecar.stats().get(f"cluster.c.outlier_detection.ejections_{name}", 0)


@contextlib.contextmanager
def mesh(directory: Path, backends: list[Moody], workers: int, **detection: Any) -> Iterator[Mesh]:
    port = free_port()
    detection = {"enforcing_success_rate": 0, "max_ejection_percent": 100, "interval": "0.5s", **detection}
    content = bootstrap(
        free_port(),
        [listener("l", port, [virtual_host("c", route("c", timeout="0s"))])],
        [cluster("c", *(backend.port for backend in backends), outlier_detection=detection)],
    )
    with sidecar(directory, content, "--workers", str(workers)) as running:
        made = Mesh(running, port, backends)
        try:
            yield made
        finally:
            made.close()


def replace_workers(running: Sidecar, workers: int) -> None:
    """Each is killed, one after the other."""
    for pid in [pid for pid, words in running.family().items() if words[1:3] == ["-m", WORKER]]:
        os.kill(pid, signal.SIGKILL)
        until(lambda gone=pid: gone not in running.family(), "it is gone")
        until(lambda: running.json("/server_info")["live_workers"] == workers, "another is live")


def test_one_that_fails_half_its_calls(tmp_path: Path, backends: list[Moody], workers: int) -> None:
    """It is left out, and comes back when its time is over; it fails no more by then."""
    backends[3].every = 2
    fields = {
        "consecutive_5xx": 0,
        "base_ejection_time": "2s",
        "failure_percentage_threshold": 40,
        "failure_percentage_minimum_hosts": 4,
        "failure_percentage_request_volume": 8,
        "enforcing_failure_percentage": 100,
    }
    with mesh(tmp_path, backends, workers, **fields) as it:
        until(lambda: it.ask(4) and "d" not in it.reached(), "d is left out")
        assert f"host 127.0.0.1:{backends[3].port} is ejected for 2 s" in it.sidecar.log
        assert it.ask(4) == [200] * 4 * CONNECTIONS
        until(lambda: it.stat("active") == 1, "the statistics say so")
        health = f"c::127.0.0.1:{backends[3].port}::health_flags::/failed_outlier_check"
        assert health in it.sidecar.page("/clusters")[1]
        assert it.stat("enforced_failure_percentage") == it.stat("enforced_total") == 1
        assert it.sidecar.stats()["cluster.c.membership_healthy"] == 3
        backends[3].every = 0
        until(lambda: "d" in it.reached(), "d is in again")
        until(lambda: it.stat("active") == 0, "the statistics say so")


def test_all_down_and_back(tmp_path: Path, backends: list[Moody], workers: int) -> None:
    """When all are out there is no better choice than all: requests go on, and the first good answers are good."""
    for backend in backends:
        backend.every = 1
    with mesh(tmp_path, backends, workers, consecutive_5xx=3, base_ejection_time="1s") as it:
        until(lambda: it.ask() and it.stat("enforced_consecutive_5xx") >= 4, "all are out")
        assert it.ask() == [503] * CONNECTIONS
        for backend in backends:
            backend.every = 0
        assert it.ask() == [200] * CONNECTIONS
        until(lambda: it.stat("active") == 0, "all are in again")
        assert it.reached(4) == {"a", "b", "c", "d"}


def test_a_killed_worker_keeps_what_all_know(tmp_path: Path, backends: list[Moody], workers: int) -> None:
    backends[0].every = 1
    with mesh(tmp_path, backends, workers, consecutive_5xx=3, base_ejection_time="600s") as it:
        until(lambda: it.ask() and "a" not in it.reached(), "a is left out")
        backends[0].every = 0
        replace_workers(it.sidecar, workers)
        it.reconnect()
        assert it.reached(4) == {"b", "c", "d"}
        until(lambda: it.stat("active") == 1, "the statistics know of it still")


def test_at_most_so_many(tmp_path: Path, backends: list[Moody], workers: int) -> None:
    for backend in backends[:2]:
        backend.every = 1
    fields = {"consecutive_5xx": 3, "base_ejection_time": "600s", "max_ejection_percent": 25}
    with mesh(tmp_path, backends, workers, **fields) as it:
        until(lambda: it.ask() and it.stat("overflow") > 0, "one was to be left out and could not")
        assert it.stat("enforced_total") == 1
        assert len(it.reached(4)) == 3


def test_a_tcp_proxy_s_host_that_refuses(tmp_path: Path, backends: list[Moody], workers: int) -> None:
    dead = DeadPort()
    port = free_port()
    detection = {"consecutive_5xx": 2, "base_ejection_time": "600s", "max_ejection_percent": 50}
    content = bootstrap(
        free_port(),
        [tcp_listener("l", port, "c", max_connect_attempts=5)],
        [cluster("c", backends[0].port, dead.port, outlier_detection=detection)],
    )
    with contextlib.closing(dead), sidecar(tmp_path, content, "--workers", str(workers)) as running:

        def refused() -> int:
            for _ in range(CONNECTIONS):
                with Client(port) as client:
                    assert client.get("c").status == 200
            return running.stats()["cluster.c.upstream_cx_connect_fail"]

        refused()
        until(lambda: running.stats()["cluster.c.outlier_detection.ejections_enforced_total"] == 1, "it is left out")
        assert refused() == refused()
