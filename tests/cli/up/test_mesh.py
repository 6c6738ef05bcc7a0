from __future__ import annotations

import asyncio
import contextlib
import io
import json
import os
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tage.cli.errors import CommandError
from tage.cli.runtime import RunDirectory, running, start_time
from tage.cli.up.addresses import HTTP_PORT, INBOUND_PORT, allocate
from tage.cli.up.console import Console
from tage.cli.up.mesh import MeshRunner
from tage.cli.up.plan import count_instances, plan
from tage.config.mesh import Mesh, MeshInstance, MeshService
from tests.cli.up.fakes import FakePrograms

pytestmark = pytest.mark.processes

LIMIT = 20.0


class Run:
    """A mesh of `web` (two replicas) and `db` under fake programs, and what it printed."""

    def __init__(self, tmp_path: Path, programs: FakePrograms, web: str = "", **options: Any) -> None:
        services = [
            MeshService("web", instances=[MeshInstance(web or programs.application("web"), version="v1", replicas=2)]),
            MeshService("db", instances=[MeshInstance(programs.application("db"))]),
        ]
        mesh = Mesh(services)
        self.directory = RunDirectory("test-mesh")
        addresses = allocate("test-mesh", count_instances(mesh) + 1)
        self.mesh = plan("test-mesh", "default", mesh, addresses, os.environ)
        self.directory.register(f"{addresses.control}:{HTTP_PORT}", "")
        self.output = io.StringIO()
        console = Console(20, file=self.output)
        mesh_file = tmp_path / "mesh.yaml"
        mesh_file.touch()
        self.runner = MeshRunner(self.mesh, mesh_file, self.directory, programs, console, os.environ, **options)
        self.task = asyncio.create_task(self.runner.run())

    def registered(self) -> dict[str, bool]:
        """Instance name -> ready, as the registry file has it."""
        content = json.loads((self.directory.path / "registry.json").read_bytes())
        return {
            instance["name"]: instance.get("ready", True)
            for service in content["services"]
            for instance in service.get("instances", ())
        }

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until `condition` holds; fails with the output if it does not or the runner ends."""
        async with asyncio.timeout(LIMIT):
            while not condition():
                if self.task.done():
                    self.task.result()
                    pytest.fail(f"the runner ended:\n{self.output.getvalue()}")
                await asyncio.sleep(0.01)

    def lacking(self) -> str:
        """What the mesh waits for, as it would say at its deadline."""
        return "; ".join(self.runner._not_ready())

    def expire(self) -> None:
        """The time that the mesh is given to become ready is over now."""
        self.runner._deadline = 0.0
        self.runner._changed.set()

    async def ready(self) -> None:
        await self.until(lambda: "is ready" in self.output.getvalue())


@asynccontextmanager
async def running_mesh(tmp_path: Path, programs: FakePrograms, **options: Any) -> AsyncIterator[Run]:
    run = Run(tmp_path, programs, **options)
    try:
        yield run
    finally:
        run.runner.abort()
        with contextlib.suppress(CommandError):
            await asyncio.wait_for(run.task, LIMIT)
        run.directory.close()


@pytest.fixture(autouse=True)
def others() -> Iterator[None]:
    """What tests before these have left running is not for these to miss."""
    _OTHERS.update(descendants())
    yield
    _OTHERS.clear()


_OTHERS: set[int] = set()


def descendants() -> list[int]:
    """Pids of processes that a test has started and that are not zombies."""
    found = []
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError, ValueError):
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
            if int(fields[1]) == os.getpid() and fields[0] != "Z":
                found.append(int(entry.name))
    return [pid for pid in found if pid not in _OTHERS]


def test_starts_serves_and_stops_in_order(tmp_path: Path) -> None:
    log = tmp_path / "log"

    async def scenario() -> Run:
        async with running_mesh(tmp_path, FakePrograms(log)) as run:
            await run.ready()
            assert run.registered() == {"web-v1-1": True, "web-v1-2": True, "db-1": True}
            entry = run.mesh.registry(run.runner.ready)[0].instances[0]
            assert (entry.port, entry.labels) == (INBOUND_PORT, {"app": "web", "version": "v1"})
            assert [mesh.name for mesh in running()] == ["test-mesh"]
            run.runner.stop()
            await asyncio.wait_for(run.task, LIMIT)
            assert run.registered() == {"web-v1-1": False, "web-v1-2": False, "db-1": False}
            return run

    run = asyncio.run(scenario())
    ended = log.read_text().split()
    assert ended[0] == "client"
    assert ended[-1] == "control"
    assert ended.index("db-1/sidecar") < ended.index("db")
    assert len(ended) == 8
    assert f"{'web-v1-1/sidecar':<20} | web-v1-1/sidecar listens\n" in run.output.getvalue()
    assert f"curl -x http://{run.mesh.client}:15001 http://web/" in run.output.getvalue()
    assert descendants() == []
    assert not (tmp_path / "tage").exists()


def test_a_crashed_application_is_not_ready_at_once_and_comes_back(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running_mesh(tmp_path, FakePrograms(tmp_path / "log")) as run:
            await run.ready()
            app = run.runner._instances["db-1"].app
            assert app is not None
            os.kill(app.pid, signal.SIGKILL)
            await run.until(lambda: not run.registered()["db-1"])
            await run.until(lambda: run.registered()["db-1"])
            assert app.restarts == 1
            assert "killed by SIGKILL; starts again in 0.1 s" in run.output.getvalue()
            assert run.registered() == {"web-v1-1": True, "web-v1-2": True, "db-1": True}

    asyncio.run(scenario())


def test_a_killed_control_plane_starts_again_with_the_same_command(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running_mesh(tmp_path, FakePrograms(tmp_path / "log")) as run:
            await run.ready()
            control = run.runner._control
            pid = control.pid
            os.kill(pid, signal.SIGKILL)
            await run.until(lambda: control.pid not in (0, pid))
            assert run.runner.ready == {"web-v1-1": True, "web-v1-2": True, "db-1": True}

    asyncio.run(scenario())


def test_says_which_instance_is_not_ready(tmp_path: Path) -> None:
    async def scenario() -> None:
        programs = FakePrograms(tmp_path / "log", sidecar_status=503)
        async with running_mesh(tmp_path, programs, ready_timeout=60) as run:
            await run.until(lambda: run.lacking().count("no listeners yet") == 3 and "client" not in run.lacking())
            run.expire()
            with pytest.raises(CommandError) as caught:
                await asyncio.wait_for(run.task, LIMIT)
        message = str(caught.value)
        assert "not ready after 60 s" in message
        assert "db-1: sidecar is not ready (http://127." in message
        assert "no listeners yet" in message
        assert "client" not in message

    asyncio.run(scenario())
    assert descendants() == []


def test_an_application_that_always_ends_is_named(tmp_path: Path) -> None:
    async def scenario() -> None:
        programs = FakePrograms(tmp_path / "log")
        async with running_mesh(tmp_path, programs, web="false") as run:
            await run.until(lambda: "web-v1-1: application exited" in run.lacking())
            run.expire()
            with pytest.raises(CommandError, match=r"web-v1-1: .*application exited with code 1, started \d+ times"):
                await asyncio.wait_for(run.task, LIMIT)

    asyncio.run(scenario())


def test_a_control_plane_that_refuses_its_configuration_ends_the_start(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running_mesh(tmp_path, FakePrograms(tmp_path / "log", control_exit=2)) as run:
            with pytest.raises(CommandError, match="refused its configuration") as caught:
                await asyncio.wait_for(run.task, LIMIT)
            assert caught.value.code == 2
            assert "mesh.yaml: wrong" in run.output.getvalue()

    asyncio.run(scenario())


def test_abort_kills_what_ignores_sigterm(tmp_path: Path) -> None:
    stubborn = (
        'python -c "import signal, socket, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); '
        "s = socket.create_server(('$HOST', $PORT)); [time.sleep(1) for _ in range(60)]\""
    )

    async def scenario() -> None:
        async with running_mesh(tmp_path, FakePrograms(tmp_path / "log"), web=stubborn) as run:
            await run.ready()
            run.runner.stop()
            await asyncio.sleep(0)
            run.runner.abort()
            await asyncio.wait_for(run.task, 5)

    asyncio.run(scenario())
    assert descendants() == []


def test_the_second_mesh_of_a_name_is_refused(tmp_path: Path) -> None:
    first = RunDirectory("test-mesh")
    try:
        first.register("127.1.2.1:15014", "127.1.2.1:15010")
        with pytest.raises(CommandError, match=rf"test-mesh already runs here \(pid {os.getpid()}\)"):
            RunDirectory("test-mesh")
    finally:
        first.close()
    assert start_time(os.getpid()) > 0
