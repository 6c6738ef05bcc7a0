"""Circuit breakers hold for a sidecar, however many workers it has; a worker that is killed has nothing under way."""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.backend import Answer, Backend, Request
from tests.e2e.bootstraps import bootstrap, cluster, listener, route, virtual_host
from tests.e2e.ports import free_port, until
from tests.e2e.processes import Process
from tests.e2e.sidecar import WORKER, Sidecar, sidecar
from tests.e2e.wire import Client, head

pytestmark = pytest.mark.processes

LIMIT = 12
CLIENTS = 60


class Patient(Backend):
    """Answers nobody until it is told to."""

    def __init__(self) -> None:
        self.going = asyncio.Event()
        super().__init__(self._hold)

    async def _hold(self, request: Request) -> Answer:
        await self.going.wait()
        return Answer(body=b"at last")


class Crowd:
    """Clients with a connection each, so many that every worker has some."""

    def __init__(self, port: int, size: int = CLIENTS) -> None:
        self.clients = [Client(port) for _ in range(size)]

    def close(self) -> None:
        for client in self.clients:
            client.close()

    def ask(self) -> None:
        for client in self.clients:
            client.send(head("GET", "/", "limited"))

    def heard(self) -> list[Client]:
        """Those that were answered, or whose connection has ended."""
        return [client for client in self.clients if select.select([client.socket], [], [], 0)[0]]

    def pick_out(self, clients: list[Client]) -> None:
        self.clients = [client for client in self.clients if client not in clients]


@pytest.fixture
def backend() -> Iterator[Patient]:
    with contextlib.closing(Patient()) as made:
        yield made


@pytest.fixture(params=[1, 4])
def workers(request: pytest.FixtureRequest) -> int:
    return request.param


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def running(tmp_path: Path, backend: Patient, port: int, workers: int) -> Iterator[Sidecar]:
    limits = {"thresholds": [{"max_requests": LIMIT}]}
    hosts = [virtual_host("limited", route("limited", timeout="0s"))]
    content = bootstrap(
        free_port(), [listener("l", port, hosts)], [cluster("limited", backend.port, circuit_breakers=limits)]
    )
    with sidecar(tmp_path, content, "--workers", str(workers)) as it:
        yield it


def worker_pids(process: Process) -> set[int]:
    return {pid for pid, words in process.family().items() if words[1:3] == ["-m", WORKER]}


def refused(crowd: Crowd) -> list[Client]:
    """Of those that were answered, all were answered so."""
    clients = crowd.heard()
    for client in clients:
        response = client.response()
        assert (response.status, response.flags) == (503, "UO")
    return clients


def stat(running: Sidecar, name: str) -> int:
    return running.stats()[f"cluster.limited.upstream_{name}"]


def check_quiet(running: Sidecar) -> None:
    """Nothing is under way, and no gauge is anywhere near a negative number, which would be a very large one."""
    until(lambda: not stat(running, "rq_active"), "no request is under way")
    assert all(stat(running, name) == 0 for name in ("rq_active", "rq_pending_active"))
    assert 0 <= stat(running, "cx_active") <= CLIENTS


def test_max_requests(running: Sidecar, backend: Patient, port: int, workers: int) -> None:
    """All at once: as many as the limit, or, where others checked at the same moment, one a worker more at most."""
    with contextlib.closing(Crowd(port)) as crowd:
        crowd.ask()
        until(lambda: len(crowd.heard()) + len(backend.requests) >= CLIENTS, "everybody is refused or served")
        served = len(backend.requests)
        assert LIMIT <= served <= LIMIT + workers - 1
        assert stat(running, "rq_pending_overflow") == CLIENTS - served
        assert stat(running, "rq_active") == served
        crowd.pick_out(refused(crowd))
        with Client(port) as late:
            assert late.get("limited").flags == "UO"
        backend.call(backend.going.set)
        assert [client.response().body for client in crowd.clients] == [b"at last"] * served
    check_quiet(running)
    with contextlib.closing(Crowd(port, LIMIT)) as crowd:
        crowd.ask()
        assert [client.response().status for client in crowd.clients] == [200] * LIMIT


def test_one_after_the_other(running: Sidecar, backend: Patient, port: int) -> None:
    """Nobody checks at the same moment: the limit is exact."""
    with contextlib.closing(Crowd(port)) as crowd:
        for number, client in enumerate(crowd.clients):
            client.send(head("GET", "/", "limited"))
            until(lambda n=number: len(crowd.heard()) + len(backend.requests) == n + 1, "refused or served")
        assert len(backend.requests) == LIMIT
        assert refused(crowd) == crowd.clients[LIMIT:]
        backend.call(backend.going.set)
        for client in crowd.clients[:LIMIT]:
            assert client.response().status == 200
    check_quiet(running)


def test_a_killed_worker_has_nothing_under_way(running: Sidecar, backend: Patient, port: int, workers: int) -> None:
    with contextlib.closing(Crowd(port)) as crowd, contextlib.closing(Crowd(port, 0)) as others:
        crowd.ask()
        until(lambda: len(crowd.heard()) + len(backend.requests) >= CLIENTS, "everybody is refused or served")
        served = len(backend.requests)
        crowd.pick_out(refused(crowd))
        before = worker_pids(running)
        # The one that serves some of them, for one may have got none.
        for pid in sorted(before):
            os.kill(pid, signal.SIGKILL)
            until(lambda known=before: len(worker_pids(running) - known) == 1, "a new worker")
            until(lambda: running.json("/server_info")["live_workers"] == workers, "it is live")
            left = crowd.heard()
            if left:
                break
            before = worker_pids(running)
        assert all(client.socket.recv(1) == b"" for client in left)
        crowd.pick_out(left)
        until(lambda: stat(running, "rq_active") == served - len(left), "its requests are not counted any more")
        others.clients += [Client(port) for _ in range(CLIENTS)]
        for number, client in enumerate(others.clients):
            client.send(head("GET", "/", "limited"))
            until(lambda n=number: len(others.heard()) + len(backend.requests) == served + n + 1, "refused or served")
        assert len(backend.requests) - served == LIMIT - (served - len(left))
        others.pick_out(refused(others))
        backend.call(backend.going.set)
        for client in (*crowd.clients, *others.clients):
            assert client.response().body == b"at last"
    check_quiet(running)
