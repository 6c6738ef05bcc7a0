"""Which endpoints requests may get, and which one a hash picks: balancers, built as a cluster builds them."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

from tage.dataplane.native import Random
from tage.dataplane.net.timers import TimerWheel
from tage.dataplane.telemetry import layout
from tage.dataplane.telemetry.store import StatStore
from tage.dataplane.upstream.balancing.balancer import Balancer
from tage.dataplane.upstream.balancing.build import Builder, Member
from tage.dataplane.upstream.cluster_info import ClusterInfo
from tage.dataplane.upstream.host import Health, Host
from tage.sidecar import plan

HASHED = ("ring_hash", "maglev")
"""Policies that look at a request's key."""
DRAWS = 2_000
"""Picks that show which priorities take part, each of which has a hundredth of the requests at least."""

Subset = tuple[tuple[str, str], ...] | None

_MARKS = {
    "failed_eds_health": Health.EDS_FAILED,
    "failed_active_hc": Health.CHECK_FAILED,
    "pending_active_hc": Health.UNCHECKED,
    "failed_outlier_check": Health.EJECTED,
    "degraded_eds_health": Health.DEGRADED,
}
"""By the reasons of `admin_clusters`."""


def _info(name: str) -> ClusterInfo:
    """What hosts want to know of their cluster; its statistics go nowhere."""
    with tempfile.TemporaryDirectory(prefix="tage-explain-") as directory:
        stats = StatStore(Path(directory) / "stats").group(layout.CLUSTER, name)
    return ClusterInfo(name, stats, TimerWheel(None), _no_connection)


def _no_connection(*_: object) -> None:
    raise AssertionError("no connection is made here")


class Balanced:
    """`reasons` say of each endpoint why it is not to be used; endpoints are told by their index."""

    def __init__(self, cluster: plan.Cluster, endpoints: plan.Endpoints, reasons: Sequence[Sequence[str]]) -> None:
        self._endpoints = endpoints
        info = _info(cluster.name)
        self._hosts = [Host(info, endpoint) for endpoint in endpoints.endpoints]
        self._random = Random()
        members = []
        for host, given in zip(self._hosts, reasons, strict=True):
            for reason in given:
                host.mark(_MARKS[reason], True)
            members.append(Member(host, host.endpoint, host.health))
        builder = Builder(endpoints, cluster.lb, info.wheel)
        for _ in builder.build(members):
            pass
        self._balancing = builder.balancing

    def candidates(self, subset: Subset) -> frozenset[int]:
        """Those that may get a request with this subset."""
        balancer = self._balancer(subset)
        if balancer is None:
            return frozenset()
        picked = {id(host) for _ in range(DRAWS) if (host := balancer.pick(self._random, 0, 0)) is not None}
        known = {id(host) for host in balancer.hosts}
        seen = [at for at, host in enumerate(self._hosts) if id(host) in picked]
        priorities = {self._endpoints.endpoints[at].priority for at in seen}
        # One with little weight may not have been drawn: it takes part if it is well and its priority does.
        return frozenset(seen) | {
            at
            for at, host in enumerate(self._hosts)
            if host.usable and host.weight and id(host) in known and host.endpoint.priority in priorities
        }

    def by_key(self, key: int, subset: Subset) -> int | None:
        """The one that requests with this key get."""
        balancer = self._balancer(subset)
        host = balancer.pick(self._random, key, 0) if balancer is not None else None
        return next((at for at, each in enumerate(self._hosts) if each is host), None)

    def _balancer(self, subset: Subset) -> Balancer | None:
        found = self._balancing
        selected: Balancer | None = found.subsets.select(subset) if found.subsets is not None else found.root
        return selected
