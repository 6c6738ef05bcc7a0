"""What the agent does while it runs: carries events to `AdsState`, and what the machine wants to where it belongs.

Everything happens on one event loop. The machine's requests go to the control plane, its updates to the supervisor, one
at a time, for the machine sends no second one before the first one's result. The engine ends when the supervisor's
channel closes.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tage.sidecar import plan
from tage.sidecar.admin import AdminServer
from tage.sidecar.admin_pages import Pages
from tage.sidecar.ads_state import CLUSTER, LISTENER, Action, AdsState, Decode, Request
from tage.sidecar.bootstrap import Bootstrap, load_apart
from tage.sidecar.channel import AsyncChannel, ChannelClosed
from tage.sidecar.dns import Resolver
from tage.sidecar.protocol_files import ProtocolFiles, allowed
from tage.sidecar.secrets import SecretError, SecretFiles
from tage.sidecar.translate.draft import FileSection
from tage.sidecar.translate.problem import TranslateError

HELLO_TIMEOUT = 30.0
"""Seconds for the supervisor's first message."""
RESULT_TIMEOUT = 60.0
"""Seconds for the result of an update; the supervisor gives up on workers long before."""

logger = logging.getLogger(__name__)


class EngineError(Exception):
    """The agent cannot go on; the supervisor starts a new one."""


class StartRefused(Exception):
    """Static configuration that cannot be put in force: a port is taken, for example. Nothing would change that, so the
    sidecar ends as it does for configuration that is wrong in itself."""


class Engine:
    """Make it on the running loop; `run` it once."""

    def __init__(self, channel: AsyncChannel, bootstrap: Bootstrap, run_dir: Path) -> None:
        self.node: Mapping[str, Any] = bootstrap.node
        self.live_workers = 0
        self._channel = channel
        self._bootstrap = bootstrap
        self._state: AdsState | None = None
        self._client: Any = None
        self._resolver = Resolver(self._resolved)
        self._secrets = SecretFiles(self._renewed)
        self._protocols = ProtocolFiles(allowed(), self._protocols_changed)
        self._admin = AdminServer(Pages(self, run_dir))
        self._version = 0
        self._updates: asyncio.Queue[plan.Update] = asyncio.Queue(1)
        self._changed = asyncio.Event()
        """The machine's deadline may have moved."""
        self._sent_at = 0.0

    async def start_admin(self, host: str, port: int) -> None:
        """Raises `admin.AdminError`."""
        chosen = await self._admin.start(host, port)
        logger.info("admin API at http://%s:%d/", host, chosen)

    async def run(self) -> None:
        """Until the channel closes. Raises `EngineError`, `StartRefused`, `channel.ChannelError`."""
        async with asyncio.timeout(HELLO_TIMEOUT):
            hello, _ = await self._channel.receive()
        if not isinstance(hello, plan.Hello):
            raise EngineError(f"the supervisor said {type(hello).__name__} first, not Hello")
        self._version = hello.version
        self._state = self._machine(hello.version)
        self._resolver.remember(hello.endpoints)
        background = [
            asyncio.create_task(task) for task in (self._send_updates(), self._watch_time(), *self._control_plane())
        ]
        reader = asyncio.create_task(self._read_channel())
        self._protocols.start()
        self._do(self._state.tick(time.monotonic()))
        try:
            done, _ = await asyncio.wait(
                [reader, self._resolver.failed, *background], return_when=asyncio.FIRST_COMPLETED
            )
            for task in done:
                task.result()
        except ChannelClosed:
            logger.debug("the supervisor is gone")
        finally:
            self._admin.close()
            self._resolver.close()
            self._secrets.close()
            self._protocols.close()
            for task in (reader, *background):
                task.cancel()
            await asyncio.gather(reader, *background, return_exceptions=True)

    async def reload(self, file: Path) -> None:
        """Reads the bootstrap anew: listeners and clusters are taken over, or nothing is, and why is told."""
        try:
            fresh = await load_apart(file)
        except TranslateError as error:
            logger.warning("the new configuration is refused: %s", error)
            return
        known = self._bootstrap
        before, after = ((each.node, each.admin, each.control, each.overload) for each in (known, fresh))
        if before != after:
            what = "node, admin, dynamic_resources and layered_runtime"
            logger.warning("%s: %s count from the sidecar's next start on", file, what)
        if self._state is not None:
            self._protocols.look()  # it may ask for one that has just come
            self._do(self._state.reloaded(fresh.listeners, fresh.clusters, time.monotonic()))

    def _machine(self, in_force: int) -> AdsState:
        bootstrap = self._bootstrap
        subscribe: list[str] = []
        decode: Decode = _no_decode
        if bootstrap.control is not None:
            from tage.sidecar.translate.resources import decode  # loads protobuf: dynamic configuration only

            subscribe += [CLUSTER] if bootstrap.control.clusters else []
            subscribe += [LISTENER] if bootstrap.control.listeners else []
        return AdsState(
            decode,
            in_force=in_force,
            subscribe=subscribe,
            listeners=bootstrap.listeners,
            clusters=bootstrap.clusters,
            overload=bootstrap.overload,
            protocols=self._first_protocols(in_force),
        )

    def _first_protocols(self, in_force: int) -> list[plan.ProtocolCode]:
        """Raises `StartRefused`, unless a plan is in force already."""
        try:
            return self._protocols.read()
        except SecretError as error:
            if not in_force:
                raise StartRefused(str(error)) from None
        self._protocols.update()
        return self._protocols.all()

    def _control_plane(self) -> list[Any]:
        """The coroutine that talks to it, if there is one."""
        if self._bootstrap.control is None:
            return []
        from tage.sidecar.xds import AdsClient  # loads gRPC: dynamic configuration only

        self._client = AdsClient(self._bootstrap.control.address, dict(self.node), self)
        return [self._client.run()]

    # -- admin_pages.Sidecar -------------------------------------------------------------------------------------------

    @property
    def version(self) -> int:
        return self._version

    @property
    def sections(self) -> Mapping[plan.SectionKey, bytes]:
        return self._state.sections if self._state is not None else {}

    @property
    def control(self) -> Mapping[str, Any]:
        if self._bootstrap.control is None or self._state is None:
            return {}
        return {
            "address": self._bootstrap.control.address,
            "connected": self._state.connected_now,
            "types": self._state.status(),
        }

    @property
    def dns(self) -> Mapping[str, Sequence[Mapping[str, Any]]]:
        return self._resolver.status()

    # -- events of the control plane, xds.Events -----------------------------------------------------------------------

    def connected(self) -> None:
        self._do(self._machine_now().connected(time.monotonic()))

    def disconnected(self) -> None:
        self._machine_now().disconnected()
        self._changed.set()

    def response(self, type_url: str, version: str, nonce: str, resources: Sequence[Any]) -> None:
        self._do(self._machine_now().response(type_url, version, nonce, resources, time.monotonic()))

    # -- other events --------------------------------------------------------------------------------------------------

    def _resolved(self, cluster: str, endpoints: list[plan.Endpoint]) -> None:
        self._do(self._machine_now().resolved(cluster, endpoints, time.monotonic()))

    def _renewed(self, section: FileSection) -> None:
        self._do(self._machine_now().renewed(section, time.monotonic()))

    def _protocols_changed(self, sections: list[plan.ProtocolCode]) -> None:
        self._do(self._machine_now().protocols_changed(sections, time.monotonic()))

    async def _read_channel(self) -> None:
        async for message, _ in self._channel:
            if isinstance(message, plan.Result):
                self._sent_at = 0.0
                if message.error and self._version == 0 and self._bootstrap.control is None:
                    raise StartRefused(message.error)
                self._do(self._machine_now().result(message.version, message.error, time.monotonic()))
            elif isinstance(message, plan.WorkerState):
                self.live_workers, self._version = message.live, message.version
            else:
                raise EngineError(f"the supervisor sent an unexpected {type(message).__name__}")

    async def _watch_time(self) -> None:
        while True:
            self._changed.clear()
            now = time.monotonic()
            due = [each for each in (self._machine_now().deadline(), self._result_deadline()) if each is not None]
            try:
                async with asyncio.timeout(max(0.0, min(due) - now) if due else None):
                    await self._changed.wait()
            except TimeoutError:
                now = time.monotonic()
                limit = self._result_deadline()
                if limit is not None and now >= limit:
                    raise EngineError(f"the supervisor did not answer an update in {RESULT_TIMEOUT:g} s") from None
                self._do(self._machine_now().tick(now))

    def _result_deadline(self) -> float | None:
        return self._sent_at + RESULT_TIMEOUT if self._sent_at else None

    # -- actions -------------------------------------------------------------------------------------------------------

    def _do(self, actions: Iterable[Action]) -> None:
        for action in actions:
            if isinstance(action, Request):
                self._client.send(action)
            elif isinstance(action, plan.Update):
                self._sent_at = time.monotonic()
                self._updates.put_nowait(action)
            else:
                logger.warning("%s", action.text)
        self._resolver.set(self._machine_now().dns)
        self._secrets.set(self._machine_now().secrets)
        self._changed.set()

    async def _send_updates(self) -> None:
        while True:
            await self._channel.send(await self._updates.get())

    def _machine_now(self) -> AdsState:
        assert self._state is not None, "events come after Hello"
        return self._state


def _no_decode(type_url: str, resources: Sequence[Any]) -> dict[str, Any]:
    raise AssertionError("static configuration gets no responses")
