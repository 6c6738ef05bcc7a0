"""How much each priority gets, and panic: what Envoy does (LoadBalancerBase).

A priority's health is min(100, overprovisioning factor x healthy hosts / hosts). Each gets as much as its health, first
come first served, until 100 % are shared out; where all together have less, in proportion. What then is left goes to
degraded hosts in the same way. A priority with too few healthy hosts *panics* where all together have less than 100: it
uses all its hosts, healthy or not. When all panic they are loaded by how many hosts they have.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple


class Level(NamedTuple):
    """Of one priority: how many hosts, how many of them are healthy, how many degraded."""

    hosts: int
    healthy: int
    degraded: int


class Shares:
    """What each priority gets, in percent, and which of them panic. `healthy` and `degraded` add up to 100."""

    def __init__(self, levels: Sequence[Level], overprovisioning: int, panic_threshold: int) -> None:
        healthy = [_availability(level.healthy, level.hosts, overprovisioning) for level in levels]
        degraded = [_availability(level.degraded, level.hosts, overprovisioning) for level in levels]
        total = min(100, sum(healthy) + sum(degraded))
        self.healthy = [0] * len(levels)
        self.degraded = [0] * len(levels)
        self.panics = [False] * len(levels)
        if total:
            left = _distribute(self.healthy, healthy, 100, total)
            left = _distribute(self.degraded, degraded, left, total)
            # Rounding leaves a rest: the first that is available gets it.
            first = next((i for i, share in enumerate(healthy) if share), -1)
            if first >= 0:
                self.healthy[first] += left
            else:
                self.degraded[next(i for i, share in enumerate(degraded) if share)] += left
        elif panic_threshold == 0:
            self.healthy[0] = 100  # nobody is there to get it
            return
        if total < 100:
            self.panics = [_available(level) < panic_threshold for level in levels]
        if all(self.panics):
            self._all_panic(levels)

    def _all_panic(self, levels: Sequence[Level]) -> None:
        total = sum(level.hosts for level in levels)
        self.degraded = [0] * len(levels)
        self.healthy = [100 * level.hosts // total if total else 0 for level in levels]
        first = next((i for i, level in enumerate(levels) if level.hosts), 0)
        self.healthy[first] += 100 - sum(self.healthy)


def _availability(available: int, hosts: int, overprovisioning: int) -> int:
    return min(100, overprovisioning * available // hosts) if hosts else 0


def _distribute(shares: list[int], availability: Sequence[int], left: int, total: int) -> int:
    """Fills `shares`; what is left."""
    for i, available in enumerate(availability):
        shares[i] = min(left, available * 100 // total)
        left -= shares[i]
    return left


def _available(level: Level) -> float:
    """The percentage of hosts that are available."""
    return 100.0 * (level.healthy + level.degraded) / level.hosts if level.hosts else 0.0
