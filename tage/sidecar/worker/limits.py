"""Circuit breakers' counts for a plan's clusters: claimed when it is prepared, given up when they are not in force.

What cannot be counted together with the other workers is counted by this one alone: said once a plan, and counted in
`circuit_breakers_not_shared`, one a cluster.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Collection

from tage.dataplane.telemetry.store import StatStore
from tage.dataplane.upstream.limits import Counts, LimitsFile, alone

LOCK_SECONDS = 1.0
"""For another worker to be done with its plan's clusters; it needs a few ms."""


class Limits:
    """`file` None: the sidecar has none to share."""

    def __init__(self, file: LimitsFile | None, stats: StatStore) -> None:
        self._file = file
        self._stats = stats

    async def prepare(self, names: Collection[str]) -> None:
        if self._file is None:
            return
        reason = await self._claim(self._file, names)
        if reason:
            missing = [name for name in names if self._file.counts(name) is None]
            self._stats.count(self._stats.counter("server", "", "circuit_breakers_not_shared"), len(missing))
            which = f"{len(missing)} clusters, {missing[0]!r} first"
            print(f"worker: the limits of {which}, hold for each worker alone: {reason}", file=sys.stderr, flush=True)

    async def _claim(self, file: LimitsFile, names: Collection[str]) -> str:
        """Why not all could be had, or nothing."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + LOCK_SECONDS
        while True:
            try:
                file.claim(names)
            except BlockingIOError:
                if loop.time() >= deadline:
                    return f"another worker has kept the file locked for {LOCK_SECONDS:g} s"
            except OSError as error:
                return error.strerror or str(error)
            else:
                return ""
            await asyncio.sleep(0.001)

    def counts(self, name: str) -> Counts:
        """Of a cluster that is new with the plan that was prepared."""
        return (self._file.counts(name) if self._file is not None else None) or alone()

    def settle(self, names: Collection[str]) -> None:
        """These are the clusters of the plan in force."""
        if self._file is not None:
            self._file.keep(names)
