"""Active health checks: worker 0 asks, all workers go by the answer."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.backend import Answer, Backend, DeadPort, Request
from tests.e2e.bootstraps import address, bootstrap, cluster, listener, route, virtual_host
from tests.e2e.ports import LOOPBACK, free_port, until
from tests.e2e.sidecar import Sidecar, sidecar
from tests.e2e.test_outliers import replace_workers
from tests.e2e.wire import Client

pytestmark = pytest.mark.processes

CONNECTIONS = 12
"""So many that every worker has some."""
SOON = {
    "timeout": "2s",
    **dict.fromkeys(("interval", "no_traffic_interval"), "0.1s"),
    "unhealthy_threshold": 2,
    "healthy_threshold": 2,
}


class Patient(Backend):
    """Says how it is at /healthz, or nothing with a status of 0, and answers all else."""

    def __init__(self, name: str) -> None:
        self.status = 200
        super().__init__(self._call, name)

    async def _call(self, request: Request) -> Answer:
        if request.target != "/healthz":
            return Answer()
        if not self.status:
            await asyncio.Event().wait()
        return Answer(self.status)

    def served(self) -> int:
        return sum(request.target != "/healthz" for request in self.requests)

    def checks(self) -> list[Request]:
        return [request for request in self.requests if request.target == "/healthz"]


@pytest.fixture
def backends() -> Iterator[list[Patient]]:
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(contextlib.closing(Patient(name))) for name in "abc"]


@pytest.fixture(params=[1, 2])
def workers(request: pytest.FixtureRequest) -> int:
    return request.param


class Mesh:
    def __init__(self, running: Sidecar, port: int, backends: list[Patient]) -> None:
        self.sidecar = running
        self._port = port
        self._backends = backends

    def reached(self) -> str:
        """Who gets requests now, on new connections."""
        before = [backend.served() for backend in self._backends]
        for _ in range(CONNECTIONS):
            with Client(self._port) as client:
                assert [client.get("c").status for _ in range(3)] == [200] * 3
        return "".join(each.name for each, was in zip(self._backends, before, strict=True) if each.served() > was)

    def stat(self, name: str) -> int:
        return self.sidecar.stats().get(f"cluster.c.health_check.{name}", 0)  # none before the first plan


@contextlib.contextmanager
def mesh(directory: Path, backends: list[Patient], workers: int, check: dict[str, Any], *more: Any) -> Iterator[Mesh]:
    port = free_port()
    checked = cluster("c", *(backend.port for backend in backends), health_checks=[{**SOON, **check}])
    checked["load_assignment"]["endpoints"][0]["lb_endpoints"] += more
    content = bootstrap(free_port(), [listener("l", port, [virtual_host("c", route("c", timeout="0s"))])], [checked])
    with sidecar(directory, content, "--workers", str(workers)) as running:
        yield Mesh(running, port, backends)


HTTP = {"http_health_check": {"path": "/healthz", "host": "health.test"}}


def test_out_and_in_again(tmp_path: Path, backends: list[Patient], workers: int) -> None:
    with mesh(tmp_path, backends, workers, HTTP) as it:
        until(lambda: it.stat("healthy") == 3, "all were found healthy")
        until(lambda: it.reached() == "abc", "all are used")
        backends[1].status = 503
        until(lambda: it.reached() == "ac", "b is left out")
        assert it.stat("healthy") == 2
        assert f"host 127.0.0.1:{backends[1].port} is unhealthy: status 503" in it.sidecar.log
        backends[1].status = 200
        until(lambda: it.reached() == "abc", "b is in again")
        assert {request.headers["host"] for request in backends[0].checks()} == {"health.test"}
        assert len({request.connection for request in backends[0].checks()}) == 1
        stats = it.sidecar.stats()
        attempts, good, bad = (stats[f"cluster.c.health_check.{name}"] for name in ("attempt", "success", "failure"))
        assert bad > 0
        assert attempts - 3 <= good + bad <= attempts


def test_a_replacement_of_worker_0_goes_on(tmp_path: Path, backends: list[Patient], workers: int) -> None:
    backends[2].status = 503
    with mesh(tmp_path, backends, workers, {**HTTP, "timeout": "600s"}) as it:
        until(lambda: it.stat("healthy") == 2, "two were found healthy")
        until(lambda: it.reached() == "ab", "c is left out")
        for backend in backends:
            backend.status = 0  # from now on a check finds nothing out
        replace_workers(it.sidecar, workers)
        assert it.reached() == "ab"
        until(lambda: it.stat("healthy") == 2, "the statistics know of it still")


def test_checks_go_on_in_a_replacement(tmp_path: Path, backends: list[Patient], workers: int) -> None:
    with mesh(tmp_path, backends, workers, HTTP) as it:
        until(lambda: it.stat("healthy") == 3, "all were found healthy")
        replace_workers(it.sidecar, workers)
        backends[0].status = 503
        until(lambda: it.reached() == "bc", "a is left out")


def test_over_tcp(tmp_path: Path, backends: list[Patient], workers: int) -> None:
    """A port that nobody listens at is left out before any request goes there."""
    with contextlib.closing(DeadPort()) as dead:
        endpoint = {"endpoint": {"address": address(LOOPBACK, dead.port)}}
        with mesh(tmp_path, backends, workers, {"tcp_health_check": {}}, endpoint) as it:
            until(lambda: it.stat("healthy") == 3 and it.stat("network_failure") > 0, "one was found unhealthy")
            until(lambda: it.sidecar.stats()["cluster.c.membership_healthy"] == 3, "all workers know")
            assert it.reached() == "abc"
            assert it.sidecar.stats()["cluster.c.upstream_cx_connect_fail"] == 0


def test_a_port_of_its_own_and_none_at_all(tmp_path: Path, backends: list[Patient], workers: int) -> None:
    with contextlib.closing(Patient("health")) as health:
        config = {"port_value": health.port, "hostname": "other.test"}
        backends[0].status = 500  # nobody asks it
        entries = [
            {"endpoint": {"address": address(LOOPBACK, backends[0].port), "health_check_config": config}},
            {
                "endpoint": {
                    "address": address(LOOPBACK, backends[1].port),
                    "health_check_config": {"disable_active_health_check": True},
                }
            },
        ]
        with mesh(tmp_path, [], workers, HTTP, *entries) as it:
            it._backends = backends[:2]
            until(lambda: it.stat("healthy") == 1, "the one that is asked is healthy")
            until(lambda: it.reached() == "ab", "both are used")
            assert not backends[0].checks() + backends[1].checks()
            assert {request.headers["host"] for request in health.requests} == {"other.test"}
            health.status = 503
            until(lambda: it.reached() == "b", "a is left out")
