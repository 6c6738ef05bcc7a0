"""Processes that are killed, stopped and ended while requests are under way."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.backend import Answer, Backend, Request, mirror
from tests.e2e.bootstraps import Json, bootstrap, cluster, listener, route, virtual_host
from tests.e2e.load import Load
from tests.e2e.ports import free_port, until
from tests.e2e.sidecar import AGENT, WORKER, Sidecar, sidecar
from tests.e2e.wire import Client, head

pytestmark = pytest.mark.processes

REQUESTS = "listener.l.downstream_rq_total"


@pytest.fixture(scope="module")
def backend() -> Iterator[Backend]:
    with contextlib.closing(Backend(mirror)) as made:
        yield made


def bootstrap_of(backend: Backend, port: int) -> Json:
    hosts = [virtual_host("app", route("app", timeout="0s"))]
    return bootstrap(free_port(), [listener("l", port, hosts)], [cluster("app", backend.port)])


@pytest.fixture(scope="module")
def port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, backend: Backend, port: int) -> Iterator[Sidecar]:
    """For the tests after which it is as before."""
    with sidecar(tmp_path_factory.mktemp("lifecycle"), bootstrap_of(backend, port)) as it:
        yield it


def answers(port: int) -> None:
    """New connections are served."""
    with Client(port) as client:
        assert client.get("app", "/new").body == b"/new"


# -- the agent ---------------------------------------------------------------------------------------------------------


def test_the_agent_is_killed_under_load(running: Sidecar, port: int) -> None:
    worker = running.worker
    with Load(port, "app") as load:
        before = running.stats()[REQUESTS]
        former = running.kill(AGENT)
        load.wait_more(100)
        running.wait_replaced(AGENT, former)
        running.wait_ready()
        after = running.stats()[REQUESTS]
        load.wait_more(100)
    assert load.failures == []
    assert running.worker == worker
    assert before < after <= running.stats()[REQUESTS]
    assert running.json("/config_dump")["sections"]["listener"]["l"]["port"] == port


# -- a worker ----------------------------------------------------------------------------------------------------------


def test_a_killed_worker_is_replaced(running: Sidecar, port: int) -> None:
    answers(port)
    before = running.stats()[REQUESTS]
    former = running.kill(WORKER)
    answers(port)  # waits in the listening socket, which the supervisor holds, until the new worker accepts it
    assert running.wait_replaced(WORKER, former)
    running.wait_ready()
    assert running.stats()[REQUESTS] == before + 1


def test_a_worker_is_replaced_while_the_agent_hangs(running: Sidecar, port: int) -> None:
    agent = running.agent
    os.kill(agent, signal.SIGSTOP)
    try:
        former = running.kill(WORKER)
        answers(port)
        assert running.wait_replaced(WORKER, former)
        with Load(port, "app", 4) as load:
            load.wait_more(50)
        assert load.failures == []
    finally:
        os.kill(agent, signal.SIGCONT)
    running.wait_ready()
    assert running.agent == agent


def test_a_worker_is_replaced_while_the_agent_keeps_dying(running: Sidecar, port: int) -> None:
    ended = threading.Event()

    def massacre() -> None:
        while not ended.wait(0.02):
            with contextlib.suppress(AssertionError, ProcessLookupError):
                running.kill(AGENT)

    killer = threading.Thread(target=massacre, daemon=True)
    killer.start()
    try:
        former = running.kill(WORKER)
        answers(port)
        assert running.wait_replaced(WORKER, former)
    finally:
        ended.set()
        killer.join()
    running.wait_ready()


def test_two_workers_share_the_work_and_one_may_die(tmp_path: Path, backend: Backend) -> None:
    port = free_port()
    with sidecar(tmp_path, bootstrap_of(backend, port), "--workers", "2") as pair:
        workers = [pid for pid, words in pair.family().items() if words[1:3] == ["-m", WORKER]]
        assert len(workers) == 2
        os.kill(workers[0], signal.SIGKILL)
        for _ in range(20):
            answers(port)
        until(lambda: pair.json("/server_info")["live_workers"] == 2, "two workers are live again")
        with Load(port, "app", 16) as load:
            load.wait_more(200)
        assert load.failures == []
        assert pair.stats()[REQUESTS] >= load.total


# -- the end -----------------------------------------------------------------------------------------------------------


def test_the_end_under_load(tmp_path: Path, backend: Backend) -> None:
    """What is under way is answered, and each answer says that the connection closes."""
    port = free_port()
    with sidecar(tmp_path, bootstrap_of(backend, port)) as it:
        with Load(port, "app", 16, reconnect=False) as load:
            it.send(signal.SIGTERM)
            load.join()
        assert load.failures == []
        assert load.closes == 16
        assert it.wait() == 0
        it.assert_clean()


def test_the_end_waits_for_a_slow_answer_and_closes_what_is_idle(tmp_path: Path) -> None:
    async def slow(request: Request) -> Answer:
        if request.target == "/slow":
            await asyncio.sleep(1.5)
        return Answer(body=b"here it is")

    port = free_port()
    with (
        contextlib.closing(Backend(slow)) as backend,
        sidecar(tmp_path, bootstrap_of(backend, port)) as it,
        Client(port) as busy,
        Client(port) as idle,
    ):
        assert idle.get("app").body == b"here it is"
        busy.send(head("GET", "/slow", "app"))
        until(lambda: len(backend.requests) == 2, "the slow request has arrived")
        it.send(signal.SIGTERM)
        idle.assert_closed()
        response = busy.response()
        assert (response.body, response.headers["connection"]) == (b"here it is", "close")
        busy.assert_closed()
        assert it.wait(3) == 0
        it.assert_clean()


def test_the_supervisor_is_killed(tmp_path: Path, backend: Backend) -> None:
    port = free_port()
    with sidecar(tmp_path, bootstrap_of(backend, port)) as it, Client(port) as client:
        assert client.get("app").status == 200
        it.send(signal.SIGKILL)
        assert it.wait(8) == -signal.SIGKILL
        assert client.socket.recv(1) == b""
    # What it could not remove, the next one does.
    with sidecar(tmp_path, bootstrap_of(backend, port)):
        answers(port)


def test_the_bootstrap_is_read_anew(tmp_path: Path) -> None:
    """SIGUSR2: a new file takes effect as a whole under load, a wrong one changes nothing and is told about."""
    backends = [Backend(lambda request, name=name: Answer(body=name)) for name in (b"first", b"second")]
    port, added, admin = free_port(), free_port(), free_port()

    def content(at: int, *ports: int) -> Json:
        listeners = [listener(f"l{each}", each, [virtual_host("*", route("c"))]) for each in ports]
        return bootstrap(admin, listeners, [cluster("c", backends[at].port)])

    try:
        with sidecar(tmp_path, content(0, port)) as running, Client(port) as client:
            file = tmp_path / "sidecar.json"
            assert client.get("a").body == b"first"
            file.write_text(json.dumps({**content(1, port), "tracing": {}}))
            os.kill(running.pid, signal.SIGUSR2)
            until(lambda: "tracing: not supported" in running.log, "the refusal is told")
            assert client.get("a").body == b"first"
            file.write_text(json.dumps(content(1, port, added)))
            os.kill(running.pid, signal.SIGUSR2)
            until(lambda: client.get("a").body == b"second", "the open connection meets the new configuration")
            with Client(added) as other:
                assert other.get("a").body == b"second"
            assert "the new configuration is in force" in running.log
    finally:
        for each in backends:
            each.close()
