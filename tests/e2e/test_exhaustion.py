"""A worker without descriptors, and workers that die: what is open goes on, what is not waits or is told."""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.backend import Answer, Backend, Request, mirror
from tests.e2e.bootstraps import bootstrap, cluster, listener, route, virtual_host
from tests.e2e.ports import free_port, until
from tests.e2e.sidecar import WORKER, Sidecar, sidecar
from tests.e2e.wire import Client, head

pytestmark = pytest.mark.processes


@pytest.fixture
def backend() -> Iterator[Backend]:
    with contextlib.closing(Backend(mirror)) as made:
        yield made


@contextlib.contextmanager
def started(directory: Path, backend: Backend, port: int, *options: str) -> Iterator[Sidecar]:
    hosts = [virtual_host("app", route("app", timeout="0s"))]
    content = bootstrap(free_port(), [listener("l", port, hosts)], [cluster("app", backend.port)])
    with sidecar(directory, content, *options) as running:
        yield running


def descriptors(pid: int) -> list[int]:
    return sorted(int(name) for name in os.listdir(f"/proc/{pid}/fd"))


@contextlib.contextmanager
def free_descriptors(pid: int, count: int) -> Iterator[None]:
    """The process can open so many more, and no others, until the context ends."""
    taken = descriptors(pid)
    limit = next(n for n in range(len(taken), taken[-1] + count + 2) if n - sum(each < n for each in taken) == count)
    before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (limit, before[1]))
    try:
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_NOFILE, before)


def test_no_descriptor_is_left_for_clients(tmp_path: Path, backend: Backend) -> None:
    """Those that come wait to be accepted; those that are there are served; afterwards all are."""
    port = free_port()
    with started(tmp_path, backend, port) as running, Client(port) as first, contextlib.ExitStack() as stack:
        assert first.get("app").status == 200  # its upstream connection stays in the pool
        worker = running.worker
        before = descriptors(worker)
        with free_descriptors(worker, 2):
            late = [stack.enter_context(Client(port)) for _ in range(6)]
            until(lambda: "cannot accept: Too many open files" in running.log, "the worker runs out of descriptors")
            for _ in range(5):
                assert first.get("app", "/first").body == b"/first"
        for client in late:
            client.send(head("GET", "/late", "app"))
        for client in late:
            assert client.response().body == b"/late"
        stack.close()

        def are_free() -> bool:
            # Again and again: the backend may hear only now of connections that no request needed in the end.
            backend.drop_connections()
            return len(descriptors(worker)) < len(before)

        until(are_free, "the descriptors are free again")
        assert running.worker == worker
        assert "Traceback" not in running.log


def test_no_descriptor_is_left_for_upstream_connections(tmp_path: Path, backend: Backend) -> None:
    """A request that needs a new connection is told so at once; one that has one is answered."""
    going = asyncio.Event()

    async def slow(request: Request) -> Answer:
        if request.target == "/slow":
            await going.wait()
        return Answer(body=request.target.encode())

    backend.handler = slow
    port = free_port()
    with started(tmp_path, backend, port) as running, Client(port) as first, Client(port) as second:
        assert first.get("app").status == second.get("app").status == 200  # both are accepted
        first.send(head("GET", "/slow", "app"))
        until(lambda: len(backend.requests) == 3, "the slow request has arrived")
        with free_descriptors(running.worker, 0):
            response = second.get("app")
            assert (response.status, response.flags) == (503, "UF")
            assert b"Too many open files" in response.body
            backend.call(going.set)
            assert first.response().body == b"/slow"
            assert second.get("app", "/pooled").body == b"/pooled"
        assert second.get("app").status == 200
        assert "Traceback" not in running.log


@pytest.mark.parametrize("workers", [1, 4])
def test_a_killed_worker_takes_only_its_own_connections_along(tmp_path: Path, backend: Backend, workers: int) -> None:
    port = free_port()
    with (
        started(tmp_path, backend, port, "--workers", str(workers)) as running,
        contextlib.ExitStack() as stack,
    ):
        clients = [stack.enter_context(Client(port)) for _ in range(12 * workers)]
        for client in clients:
            assert client.get("app").status == 200
        pids = [pid for pid, words in running.family().items() if words[1:3] == ["-m", WORKER]]
        assert len(pids) == workers
        victim = pids[0]
        sockets = sockets_of(victim)
        its_own = [client for client in clients if inode(port, client.socket.getsockname()[1]) in sockets]
        assert its_own
        os.kill(victim, signal.SIGKILL)
        for client in clients:
            if client in its_own:
                with contextlib.suppress(ConnectionResetError):
                    assert client.socket.recv(1) == b""
            else:
                assert client.get("app", "/goes-on").body == b"/goes-on"
        with Client(port) as client:
            assert client.get("app", "/new").body == b"/new"
        until(lambda: running.json("/server_info")["live_workers"] == workers, "all workers are there again")


def sockets_of(pid: int) -> set[int]:
    """By inode."""
    found = set()
    for name in os.listdir(f"/proc/{pid}/fd"):
        with contextlib.suppress(OSError):
            target = os.readlink(f"/proc/{pid}/fd/{name}")
            if target.startswith("socket:"):
                found.add(int(target[8:-1]))
    return found


def inode(port: int, peer: int) -> int:
    """Of the socket with that port and that peer's; 0 if there is none (proc_net_tcp)."""
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if [int(fields[at].split(":")[1], 16) for at in (1, 2)] == [port, peer]:
            return int(fields[9])
    return 0
