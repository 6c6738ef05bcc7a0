"""A cluster with any hosts and settings, whose clock only the test moves."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from tage.dataplane.native import Random
from tage.dataplane.net.timers import TimerWheel
from tage.dataplane.telemetry import layout
from tage.dataplane.telemetry.store import StatStore
from tage.dataplane.upstream.balancing.settings import Settings
from tage.dataplane.upstream.cluster import Cluster
from tage.dataplane.upstream.endpoint import Assignment, Endpoint, Locality
from tage.xprotocol_testing.fakes import FakeLoop


class Balanced:
    """`hosts` are told by their index in the assignment, from 0."""

    def __init__(self, store: StatStore, hosts: list[dict[str, Any]], weights: tuple[int, ...], settings: Any) -> None:
        self.loop = FakeLoop()
        self.wheel = TimerWheel(self.loop.call_later, self.loop.clock)
        self.cluster = Cluster("c", store.group(layout.CLUSTER, "c"), self.wheel, lambda host: None)
        self.random = Random(5)
        self.weights = weights
        self.settings = Settings(**settings)
        self.assign(hosts)

    def assign(self, hosts: list[dict[str, Any]]) -> None:
        """Makes these its hosts, by what differs from the default; `name` is the index that picks give."""
        endpoints = [
            Endpoint(f"10.0.{name // 250}.{name % 250}", 80, **{k: v for k, v in host.items() if k != "name"})
            for name, host in ((host.get("name", at), host) for at, host in enumerate(hosts))
        ]
        localities = [Locality(weight) for weight in self.weights]
        self.cluster.assign(Assignment(endpoints, localities), self.settings)

    def host(self, name: int) -> Any:
        [host] = [host for host in self.cluster.hosts if host.address == f"10.0.{name // 250}.{name % 250}"]
        return host

    def pick(self, tried: list[Any] | None = None, key: int = 0, subset: Any = None) -> int | None:
        host = self.cluster.pick(self.random, tried, key, subset)
        if host is None:
            return None
        _, _, high, low = host.address.split(".")
        return int(high) * 250 + int(low)

    def picks(self, n: int, **how: Any) -> list[int | None]:
        return [self.pick(**how) for _ in range(n)]

    def shares(self, n: int = 20_000, **how: Any) -> dict[int | None, float]:
        return {name: count / n for name, count in Counter(self.picks(n, **how)).items()}


@pytest.fixture
def balanced(tmp_path):
    store = StatStore(tmp_path / "stats")

    def make(hosts: Any, weights: tuple[int, ...] = (), **settings: Any) -> Balanced:
        """`hosts` is how many, or what each of them differs in."""
        return Balanced(store, [{}] * hosts if isinstance(hosts, int) else hosts, weights, settings)

    return make


def chi_square(counted: list[int], expected: list[float]) -> float:
    """Of a sample against what was to be expected of it; compare with `LIMITS`."""
    return sum((count - want) ** 2 / want for count, want in zip(counted, expected, strict=True))


LIMITS = {1: 10.83, 2: 13.82, 3: 16.27, 4: 18.47, 9: 27.88, 19: 43.82, 99: 148.2}
"""Degrees of freedom -> what the sum exceeds once in a thousand samples."""
