"""`ControlPlane`: a store and registries on one side, ADS and the HTTP API on the other, in one event loop.

A change of the store or of a registry triggers the debounce; when it fires, a new snapshot is made of everything and
published. State is only what the sources hold: a restarted control plane is as good as the old one.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Iterator, Sequence
from typing import Any

import uvicorn

from tage.config.model import Resource
from tage.config.store import Store
from tage.pilot import api, listen, preview
from tage.pilot.ads import AdsServer
from tage.pilot.debounce import Debounce
from tage.pilot.preview import Preview
from tage.pilot.world import World
from tage.registry.model import Registry, Service

log = logging.getLogger(__name__)

STOP_SECONDS = 1.5
"""Within which `stop` ends everything."""


class ControlPlane:
    """`start` it, then `wait` and `stop`. The ports are known once it has started."""

    def __init__(self, store: Store, registries: Sequence[Registry]) -> None:
        self.store = store
        self.ready = False
        self.http_port = 0
        self._registries = tuple(registries)
        self._services: tuple[Service, ...] = ()
        self._warned: frozenset[str] = frozenset()
        self._world = World()
        self._ads = AdsServer(self._world)
        self._debounce = Debounce(self._push)
        self._http: _HttpServer | None = None
        self._http_task: asyncio.Task[None] | None = None
        self._running = contextlib.AsyncExitStack()

    @property
    def xds_port(self) -> int:
        return self._ads.port

    def services(self) -> Sequence[Service]:
        """Of all registries, as last published."""
        return self._services

    def sidecars(self) -> list[dict[str, Any]]:
        return self._ads.status()

    def preview(self, sidecar: str, address: str, overlay: Sequence[Resource]) -> Preview:
        """What a connected sidecar would be sent with `overlay` applied. Raises `NoSidecar`."""
        nodes = self._ads.nodes()
        found = [preview.at(nodes, address)] if address else preview.named(nodes, sidecar)
        snapshot = preview.snapshot(self._services, preview.overlaid(self.store.list(), overlay))
        return preview.preview(snapshot, found[0], len(found) - 1)

    async def start(self, address: str, xds_port: int, http_port: int) -> None:
        """Raises `ConfigError` for sources that cannot be read and for an address that is not loopback, `ListenError`
        for a port that cannot be had; nothing is left running then."""
        listen.require_loopback(address)
        async with contextlib.AsyncExitStack() as stack:
            listener = listen.listening_socket(address, http_port, "HTTP API", "--http-port")
            stack.callback(listener.close)
            sources: tuple[Store | Registry, ...] = (self.store, *self._registries)
            for source in sources:
                source.subscribe(self._debounce.trigger)
                await source.start()
                stack.push_async_callback(source.stop)
            self._snapshot()
            await self._ads.start(address, xds_port)
            stack.push_async_callback(self._ads.stop)
            self.http_port = listener.getsockname()[1]
            self._http = _HttpServer(api.application(self))
            self._http_task = asyncio.create_task(self._http.serve(sockets=[listener]), name="http-api")
            stack.push_async_callback(self._stop_http)
            self._running = stack.pop_all()
        self.ready = True
        log.info("xDS on %s:%d, HTTP API on %s:%d", address, self.xds_port, address, self.http_port)

    async def wait(self) -> None:
        """Returns only by an exception: when the HTTP API failed."""
        assert self._http_task is not None
        await asyncio.shield(self._http_task)
        raise RuntimeError("the HTTP API ended by itself")

    async def stop(self) -> None:
        """Ends everything within `STOP_SECONDS`."""
        self.ready = False
        self._debounce.cancel()
        try:
            async with asyncio.timeout(STOP_SECONDS):
                await self._running.aclose()
        except TimeoutError:
            log.error("not everything ended within %s s; giving up on the rest", STOP_SECONDS)

    async def _stop_http(self) -> None:
        assert self._http is not None
        assert self._http_task is not None
        self._http.should_exit = True
        await self._http_task

    def _push(self) -> None:
        try:
            self._snapshot()
            self._ads.publish()
        except Exception:
            log.exception("a change could not be turned into xDS; sidecars keep what they have")

    def _snapshot(self) -> None:
        services, warnings = merge(self._registries)
        snapshot = preview.snapshot(services, self.store.list())
        self._services = snapshot.services
        warnings += snapshot.warnings
        for warning in warnings:
            if warning not in self._warned:
                log.warning("%s", warning)
        self._warned = frozenset(warnings)
        self._world.update(snapshot)


def merge(registries: Sequence[Registry]) -> tuple[list[Service], list[str]]:
    """The services of all registries; of a name that several have, the first one's. Also what to warn of."""
    merged: dict[str, Service] = {}
    warnings: list[str] = []
    for number, registry in enumerate(registries, 1):
        for service in registry.services():
            if service.fqdn in merged:
                warnings.append(f"service {service.fqdn} of registry {number} is ignored: an earlier one has it too")
            else:
                merged[service.fqdn] = service
    return list(merged.values()), warnings


class _HttpServer(uvicorn.Server):
    """In a loop and a process that are not its own."""

    def __init__(self, app: Any) -> None:
        # Its own announcements would name it, not the control plane.
        logging.getLogger("uvicorn").setLevel(logging.WARNING)
        super().__init__(
            uvicorn.Config(
                app,
                http="h11",
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                timeout_graceful_shutdown=1,
            )
        )

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals are the process's business (`tage.pilot.server`)."""
        yield
