"""A whole mesh on this machine: the control plane, then every instance with its sidecar, until it is told to stop.

Start: the applications and the control plane at once, the sidecars when the control plane serves. Stop: the client
entry drains first, while everything behind it still answers; then no instance is ready any more, the sidecars drain,
each application ends after its sidecar, the control plane last. Nothing of it waits without bound.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import shutil
from collections.abc import Callable, Coroutine, Mapping, Sequence
from pathlib import Path

from tage.cli.errors import CommandError
from tage.cli.runtime import RunDirectory
from tage.cli.up import registry, table
from tage.cli.up.addresses import ADMIN_PORT, HTTP_PORT, INBOUND_PORT, OUTBOUND_PORT, XDS_PORT
from tage.cli.up.console import Console
from tage.cli.up.instance import RunningInstance
from tage.cli.up.plan import CLIENT, PlannedInstance, PlannedMesh, infrastructure_environment
from tage.cli.up.probes import answers_ok, get
from tage.cli.up.processes import Command, Keeper
from tage.cli.up.programs import ControlFiles, Programs
from tage.cli.up.traffic import Traffic
from tage.config import protocols

GRACE = 10.0
"""Seconds between SIGTERM and SIGKILL; a sidecar ends by itself after at most 6."""

CONTROL = "control"
"""Name of the control plane in the output."""

TABLE_TERMINAL = 1.0
TABLE_PLAIN = 10.0
"""Seconds between two tables."""

_PROBE = 0.1
_WRONG_CONFIGURATION = 2
_LISTED = 5
"""Instances named in one error."""


class MeshRunner:
    """Runs one planned mesh. `stop` asks it to end in order, `abort` at once; both may be called at any time."""

    def __init__(
        self,
        mesh: PlannedMesh,
        mesh_file: Path,
        run: RunDirectory,
        programs: Programs,
        console: Console,
        environ: Mapping[str, str],
        *,
        ready_timeout: float = 60.0,
        show_table: bool = True,
    ) -> None:
        self._mesh = mesh
        self._run_dir = run.path
        self._console = console
        self._directory = mesh_file.parent
        self._env = infrastructure_environment(environ, self._directory, mesh.protocols)
        self._ready_timeout = ready_timeout
        self._deadline = 0.0
        self._show_table = show_table
        self._stopping = asyncio.Event()
        self._aborting = asyncio.Event()
        self._changed = asyncio.Event()
        self._publish_soon = False
        self._registry = run.path / "registry.json"
        files = ControlFiles(config=run.path / "config", mesh=run.path / "mesh.yaml", registry=self._registry)
        files.config.mkdir()
        # The file seeds this run: a control plane that starts again must not see what became of it meanwhile.
        shutil.copyfile(mesh_file, files.mesh)
        self._control = self._keeper(CONTROL, programs.control(files, mesh.control), self._changed.set)
        self._control_ready = False
        self._control_reason = "has not started"
        self._instances = {planned.name: self._instance(planned, programs) for planned in mesh.instances}
        self._client = self._client_entry(programs)
        self._uninformed = {CLIENT, *self._instances}
        """Whose sidecars may not know of all instances yet."""
        self._traffic = Traffic({name: run.path / name for name in self._instances})
        self._watchers: list[asyncio.Task[None]] = []
        self._defect: BaseException | None = None

    @property
    def ready(self) -> dict[str, bool]:
        """Instance name -> whether callers are sent to it."""
        return {name: instance.ready for name, instance in self._instances.items()}

    @property
    def stopping(self) -> bool:
        return self._stopping.is_set()

    def stop(self) -> None:
        """End in order."""
        self._stopping.set()
        self._changed.set()

    def abort(self) -> None:
        """End now: SIGKILL to everything."""
        self.stop()
        self._aborting.set()

    async def run(self) -> None:
        """Returns after `stop`, when nothing runs any more. Raises `CommandError` if the mesh did not become ready."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        self._deadline = began + self._ready_timeout
        registry.write(self._registry, self._mesh.registry({}))
        try:
            self._start_first()
            if not await self._until(lambda: self._control_ready):
                return
            self._start_sidecars()
            if not await self._until(lambda: not self._not_ready()):
                return
            self._watch(self._watch_convergence())
            if not await self._until(lambda: not self._uninformed):
                return
            self._announce(loop.time() - began)
            self._watch(self._tables())
            await self._stopping.wait()
        finally:
            self._console.close()
            await self._shut_down()
        if self._defect is not None:
            raise self._defect

    # -- start ---------------------------------------------------------------------------------------------------------

    def _start_first(self) -> None:
        self._control.start()
        self._watch(self._watch_control())
        for instance in self._instances.values():
            if instance.app is not None:
                instance.app.start()

    def _start_sidecars(self) -> None:
        for instance in (*self._instances.values(), self._client):
            instance.sidecar.start()
            self._watch(instance.watch())

    def _keeper(
        self, name: str, argv: Sequence[str], changed: Callable[[], None], env: Mapping[str, str] | None = None
    ) -> Keeper:
        """`env` is given for applications, which run in the mesh file's directory and are signalled as a group."""
        is_application = env is not None
        return Keeper(
            name,
            Command(argv, env=env if env is not None else self._env, cwd=self._directory if is_application else None),
            on_line=functools.partial(self._console.child, name),
            on_event=functools.partial(self._console.event, name),
            changed=changed,
            group=is_application,
        )

    def _instance(self, planned: PlannedInstance, programs: Programs) -> RunningInstance:
        name = planned.name
        run_dir = self._new_directory(name)
        changed = functools.partial(self._process_changed, name)
        return RunningInstance(
            name,
            planned.address,
            planned.app_port,
            self._keeper(name, planned.argv, changed, planned.env),
            self._keeper(f"{name}/sidecar", programs.sidecar(planned, self._xds, run_dir), changed),
            self._readiness_changed,
        )

    def _client_entry(self, programs: Programs) -> RunningInstance:
        mesh = self._mesh
        argv = programs.client(mesh.namespace, mesh.client, self._xds, self._new_directory(CLIENT))
        keeper = self._keeper(f"{CLIENT}/sidecar", argv, functools.partial(self._process_changed, CLIENT))
        return RunningInstance(CLIENT, mesh.client, 0, None, keeper, self._readiness_changed)

    @property
    def _xds(self) -> str:
        return f"{self._mesh.control}:{XDS_PORT}"

    def _new_directory(self, name: str) -> Path:
        path = self._run_dir / name
        path.mkdir(mode=0o700)
        return path

    async def _until(self, condition: Callable[[], bool]) -> bool:
        """Wait for `condition`; False if we are to stop. Raises `CommandError` at the deadline, saying what lacks."""
        loop = asyncio.get_running_loop()
        while True:
            self._changed.clear()
            if self._stopping.is_set():
                return False
            if condition():
                return True
            if self._control.last_code == _WRONG_CONFIGURATION:
                raise CommandError("the control plane refused its configuration, see above", 2)
            try:
                await asyncio.wait_for(self._changed.wait(), max(0.0, self._deadline - loop.time()))
            except TimeoutError:
                lacking = self._not_ready() or [
                    f"{name}: its sidecar does not know all instances" for name in sorted(self._uninformed)
                ]
                listed = "; ".join(lacking[:_LISTED]) + ("; ..." if len(lacking) > _LISTED else "")
                raise CommandError(f"not ready after {self._ready_timeout:g} s: {listed}") from None

    def _not_ready(self) -> list[str]:
        if not self._control_ready:
            return [f"control plane: {self._control.last_exit or self._control_reason}"]
        instances = (self._client, *self._instances.values())
        return [f"{instance.name}: {instance.why_not_ready()}" for instance in instances if not instance.ready]

    def _announce(self, seconds: float) -> None:
        mesh = self._mesh
        proxy = f"http://{mesh.client}:{OUTBOUND_PORT}"
        service = next((service.name for service in mesh.services if protocols.is_http(service.protocol)), "SERVICE")
        ports = ", ".join(f"{protocol} {mesh.client}:{port}" for protocol, port in mesh.ports.items())
        calls = f"  other protocols   {ports}\n" if ports else ""
        self._console.say(
            f"{mesh.name} is ready: {_count(len(mesh.services), 'service')}, "
            f"{_count(len(mesh.instances), 'instance')}, {seconds:.1f} s\n"
            f"  call a service    curl -x {proxy} http://{service}/   (or: export http_proxy={proxy})\n"
            f"{calls}"
            f"  control plane     {mesh.control}:{HTTP_PORT}   (tage status, tage get, tage apply -f FILE)\n"
            f"  stop              Ctrl-C"
        )

    # -- while it runs -------------------------------------------------------------------------------------------------

    def _process_changed(self, name: str) -> None:
        (self._client if name == CLIENT else self._instances[name]).process_changed()
        self._changed.set()

    def _readiness_changed(self) -> None:
        self._changed.set()
        if not self._publish_soon:  # One write for all that changes in this turn of the loop.
            self._publish_soon = True
            asyncio.get_running_loop().call_soon(self._publish)

    def _publish(self) -> None:
        self._publish_soon = False
        if self._run_dir.exists():
            registry.write(self._registry, self._mesh.registry(self.ready))

    async def _watch_control(self) -> None:
        """Until the control plane serves for the first time; afterwards its keeper is enough."""
        while True:
            self._control_reason = await answers_ok(self._mesh.control, HTTP_PORT, "/healthz/ready")
            if not self._control_reason:
                self._control_ready = True
                self._changed.set()
                return
            await asyncio.sleep(_PROBE)

    async def _watch_convergence(self) -> None:
        """Until every sidecar has heard that every instance is ready, so that the first call does not come too early.

        Asked of the sidecars themselves: each lists the endpoints that its workers have."""
        wanted = [f"{planned.address}:{INBOUND_PORT}::" for planned in self._mesh.instances]
        for instance in (self._client, *self._instances.values()):
            while True:
                try:
                    _, known = await get(instance.address, ADMIN_PORT, "/clusters")
                except (OSError, TimeoutError):
                    known = ""  # Its agent has just died; the supervisor starts it again.
                if all(endpoint in known for endpoint in wanted):
                    break
                await asyncio.sleep(_PROBE)
            self._uninformed.discard(instance.name)
            self._changed.set()

    async def _tables(self) -> None:
        interval = TABLE_TERMINAL if self._console.terminal else TABLE_PLAIN
        loop = asyncio.get_running_loop()
        self._traffic.sample(loop.time())
        while self._show_table:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), interval)
                return
            self._traffic.sample(loop.time())
            rows = table.rows(self._mesh, self.ready, self._traffic)
            self._console.table(functools.partial(table.plain, rows), functools.partial(table.rich, rows))

    def _watch(self, watcher: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(watcher)
        self._watchers.append(task)
        task.add_done_callback(self._watcher_done)

    def _watcher_done(self, task: asyncio.Task[None]) -> None:
        """A watcher only fails by a defect: stop everything rather than run unwatched."""
        if not task.cancelled() and (defect := task.exception()) is not None:
            self._defect = self._defect or defect
            self.stop()

    # -- stop ----------------------------------------------------------------------------------------------------------

    async def _shut_down(self) -> None:
        """Drain all, or kill all once `abort` was called; returns when no process is left."""
        drain = asyncio.create_task(self._drain())
        abort = asyncio.create_task(self._aborting.wait())
        await asyncio.wait({drain, abort}, return_when=asyncio.FIRST_COMPLETED)
        abort.cancel()
        if not drain.done():
            for keeper in self._keepers():
                keeper.kill()
        for watcher in self._watchers:
            watcher.cancel()
        await asyncio.gather(abort, *self._watchers, return_exceptions=True)
        await drain
        await asyncio.gather(*(keeper.finished() for keeper in self._keepers()))

    async def _drain(self) -> None:
        await self._client.stop(GRACE)
        for instance in self._instances.values():
            instance.drain()
        self._publish()
        await asyncio.gather(*(instance.stop(GRACE) for instance in self._instances.values()))
        await self._control.stop(GRACE)

    def _keepers(self) -> list[Keeper]:
        keepers = [self._control, self._client.sidecar]
        for instance in self._instances.values():
            keepers.append(instance.sidecar)
            if instance.app is not None:
                keepers.append(instance.app)
        return keepers


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")
