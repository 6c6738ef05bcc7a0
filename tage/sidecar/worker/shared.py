"""What all workers share of a plan: circuit breakers' counts, hosts' health, rate limits' buckets. It is claimed when
the plan is prepared, and given up when it is not in force.

What there is no room for is each worker's own: said once a plan, and counted, one a name
(`circuit_breakers_not_shared`, `host_health_not_shared`, `rate_limits_not_shared`).
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Collection, Iterable
from typing import Generic, TypeVar

from tage.dataplane.telemetry.store import StatStore
from tage.dataplane.upstream import cells, limits
from tage.dataplane.upstream.cells import Cells
from tage.dataplane.upstream.limits import Counts
from tage.dataplane.upstream.shared import Region, SharedFile
from tage.dataplane.upstream.shared_layout import BUCKETS, HOSTS

LOCK_SECONDS = 1.0
"""For another worker to be done with its plan; it needs a few ms."""
BATCH = 128
"""Names claimed at a time; then the loop, and the other workers, have their turn."""

T = TypeVar("T")


class Claims(Generic[T]):
    """The slots of one kind. `region` None: the sidecar has none to share. `what`: who misses out, in words."""

    def __init__(
        self, region: Region | None, stats: StatStore, counter: str, what: str, alone: Callable[[], T]
    ) -> None:
        self._region = region
        self._stats = stats
        self._counter = counter
        self._what = what
        self._alone = alone
        self._own: dict[str, T] = {}
        """What could not be shared."""

    async def prepare(self, names: Collection[str]) -> None:
        if self._region is None:
            return
        missing = [name for name in names if self._region.get(name) is None]
        reason = ""
        for start in range(0, len(missing), BATCH):
            reason = await self._claim(self._region, missing[start : start + BATCH])
            if reason:
                break
            await asyncio.sleep(0)
        if reason:
            missing = [name for name in missing if self._region.get(name) is None]
            self._stats.count(self._stats.counter("server", "", self._counter), len(missing))
            which = f"{len(missing)} {self._what}, {missing[0]!r} first"
            print(f"worker: {which}, hold for each worker alone: {reason}", file=sys.stderr, flush=True)

    async def _claim(self, region: Region, names: Collection[str]) -> str:
        """Why not all could be had, or nothing."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + LOCK_SECONDS
        while True:
            try:
                region.claim(names)
            except BlockingIOError:
                if loop.time() >= deadline:
                    return f"another worker has kept the file locked for {LOCK_SECONDS:g} s"
            except OSError as error:
                return error.strerror or str(error)
            else:
                return ""
            await asyncio.sleep(0.001)

    def get(self, name: str) -> T:
        """Of a name that was prepared: shared, or this worker's own."""
        shared: T | None = self._region.get(name) if self._region is not None else None
        if shared is not None:
            self._own.pop(name, None)
            return shared
        if name not in self._own:
            self._own[name] = self._alone()
        return self._own[name]

    def keep(self, names: Iterable[str]) -> None:
        """These are the names of the plan in force; what is still under way of others is given up at a later call."""
        wanted = set(names)
        self._own = {name: own for name, own in self._own.items() if name in wanted}
        if self._region is not None:
            self._region.keep(wanted)

    def disown(self) -> None:
        """A plan is in force: what this worker's predecessor left and is not of that plan is nobody's."""
        if self._region is not None:
            self._region.disown()

    def give_up(self, names: Collection[str]) -> None:
        """These are of no plan any more. They have been prepared."""
        for name in names:
            self._own.pop(name, None)
        if self._region is not None:
            self._region.give_up([name for name in names if self._region.get(name) is not None])


class Shared:
    """`file` None: the sidecar has none to share."""

    def __init__(self, file: SharedFile | None, stats: StatStore) -> None:
        self.clusters: Claims[Counts] = Claims(
            file.clusters if file is not None else None,
            stats,
            "circuit_breakers_not_shared",
            "clusters' circuit breakers",
            limits.alone,
        )
        """By name."""
        self.hosts: Claims[Cells] = Claims(
            file.hosts if file is not None else None,
            stats,
            "host_health_not_shared",
            "hosts' health",
            lambda: cells.alone(HOSTS.cells),
        )
        """By cluster, address and port."""
        self.buckets: Claims[Cells] = Claims(
            file.buckets if file is not None else None,
            stats,
            "rate_limits_not_shared",
            "rate limits",
            lambda: cells.alone(BUCKETS.cells),
        )
        """By whatever names a rate limit."""

    def disown(self) -> None:
        for claims in (self.hosts, self.buckets):
            claims.disown()
