"""One instance while it runs: an application and its sidecar, and whether callers may be sent to it.

It is ready when the application accepts connections on its port and the sidecar's admin `/ready` is 200. It ceases to
be ready at the moment the application or the sidecar's supervisor ends, or when the application's port refuses.
Afterwards `/ready` is not asked again: it is the agent that answers it, and traffic does not need the agent.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

from tage.cli.up.addresses import ADMIN_PORT
from tage.cli.up.probes import accepts, answers_ok, refuses
from tage.cli.up.processes import Keeper

PROBE_FIRST = 0.05
PROBE_LIMIT = 0.5
"""Seconds between two probes of what is not ready yet: doubling from the first to the limit."""

WATCH = 1.0
"""Seconds between two looks at a ready application's port."""


class RunningInstance:
    """`app` is None for the client entry, which is a sidecar only. `changed` is called when `ready` has changed."""

    def __init__(
        self,
        name: str,
        address: str,
        app_port: int,
        app: Keeper | None,
        sidecar: Keeper,
        changed: Callable[[], None],
    ) -> None:
        self.name = name
        self.address = address
        self.app_port = app_port
        self.app = app
        self.sidecar = sidecar
        self.ready = False
        self._changed = changed
        self._moved = asyncio.Event()
        self._runs = 0
        self._probed = ""
        self._draining = False

    def process_changed(self) -> None:
        """For the keepers: a process of this instance has started or ended."""
        self._runs += 1
        self._moved.set()
        if not self._running():
            self._set_ready(False)

    def why_not_ready(self) -> str:
        """In the user's words; empty when it is ready."""
        if self.ready:
            return ""
        history = [
            f"{part} {keeper.last_exit}, started {keeper.restarts + 1} times"
            for part, keeper in (("application", self.app), ("sidecar", self.sidecar))
            if keeper is not None and keeper.last_exit
        ]
        if not self._running() and history:
            return "; ".join(history)
        return "; ".join([self._probed or "has not started", *history])

    async def watch(self) -> None:
        """Keep `ready` true to what is; runs until it is cancelled."""
        delay = PROBE_FIRST
        while True:
            self._moved.clear()
            runs = self._runs
            if self.ready:
                gone = self.app is not None and await refuses(self.address, self.app_port)
                if gone:
                    self._set_ready(False)
                delay = WATCH
            elif self._running():
                self._probed = await self._probe()
                if not self._probed and runs == self._runs:
                    self._set_ready(True)
                    delay = WATCH
                else:
                    delay = min(max(delay, PROBE_FIRST) * 2, PROBE_LIMIT)
            else:
                delay = PROBE_FIRST
            with contextlib.suppress(TimeoutError):
                # Processes that do not run need no looking at: their start wakes us.
                await asyncio.wait_for(self._moved.wait(), delay if self._running() else None)

    def drain(self) -> None:
        """Not ready from now on, whatever the probes say."""
        self._draining = True
        self._set_ready(False)

    async def stop(self, grace: float) -> None:
        """The sidecar first, which lets requests in flight end; then the application. `grace` seconds for each."""
        self.drain()
        await self.sidecar.stop(grace)
        if self.app is not None:
            await self.app.stop(grace)

    def _running(self) -> bool:
        return self.sidecar.running and (self.app is None or self.app.running)

    async def _probe(self) -> str:
        if self.app is not None:
            reason = await accepts(self.address, self.app_port)
            if reason:
                return f"application does not accept connections on {self.address}:{self.app_port}: {reason}"
        reason = await answers_ok(self.address, ADMIN_PORT, "/ready")
        return f"sidecar is not ready (http://{self.address}:{ADMIN_PORT}/ready): {reason}" if reason else ""

    def _set_ready(self, ready: bool) -> None:
        ready = ready and not self._draining
        if ready != self.ready:
            self.ready = ready
            self._changed()
