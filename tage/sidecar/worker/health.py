"""Outlier detection and active health checks of a plan's clusters, set up in this worker.

Every worker counts results and ejects, and goes by what is in the hosts' shared cells. The first worker alone sweeps at
intervals and makes the active checks. A cluster with neither of both has no part in this, and costs nothing.
"""

from __future__ import annotations

import asyncio
from typing import NamedTuple

from tage.dataplane.native import Random
from tage.dataplane.net.timers import TimerWheel
from tage.dataplane.telemetry import layout
from tage.dataplane.telemetry.store import StatStore
from tage.dataplane.upstream.cells import Cells
from tage.dataplane.upstream.cluster import Cluster
from tage.dataplane.upstream.connect import Connector
from tage.dataplane.upstream.health.checker import MAX_AT_ONCE, Checked, Checker, Probe
from tage.dataplane.upstream.health.probes import HttpProbe, Target, TcpProbe
from tage.dataplane.upstream.health.state import ClusterCell, ClusterHealth, HostCell, HostFlag, slot_name
from tage.dataplane.upstream.host import Health as Mark
from tage.dataplane.upstream.host import Host
from tage.dataplane.upstream.outlier import HostMonitor, Outliers
from tage.sidecar import plan
from tage.sidecar.worker.notices import Notices
from tage.sidecar.worker.shared import Claims

LOOK_SECONDS = 1.0
"""How often changes by other workers are looked for where there is no traffic to notice them; statistics show them."""


class _Member(NamedTuple):
    host: Host
    cells: Cells
    endpoint: plan.Endpoint
    monitor: HostMonitor


class _Watched:
    """One cluster."""

    def __init__(self, cluster: Cluster, health: ClusterHealth, outliers: Outliers) -> None:
        self.cluster = cluster
        self.health = health
        self.outliers = outliers
        self.checker: Checker | None = None
        self.check: plan.HealthCheck | None = None
        self.names: set[str] = set()

    def look(self) -> None:
        if self.health.changed() and self.health.update():
            self.cluster.refresh()

    def stop_checks(self) -> None:
        if self.checker is not None:
            self.checker.stop()
        self.checker = self.check = None


class Health:
    """`claims` are the slots of hosts, and of clusters among them. `first`: this is worker 0."""

    def __init__(
        self,
        claims: Claims[Cells],
        stats: StatStore,
        wheel: TimerWheel,
        random: Random,
        connector: Connector,
        first: bool,
    ) -> None:
        self._claims = claims
        self._stats = stats
        self._wheel = wheel
        self._random = random
        self._connector = connector
        self._first = first
        self._log = Notices(wheel.now)
        self._turns = asyncio.Semaphore(MAX_AT_ONCE)
        self._watched: dict[str, _Watched] = {}
        self._drafted: set[str] = set()
        """Slots that a draft needs and that are not in use yet."""
        self._looking: asyncio.TimerHandle | None = None

    # -- the plan ------------------------------------------------------------------------------------------------------

    async def prepare(self, cluster: plan.Cluster, endpoints: plan.Endpoints) -> None:
        """Of a draft: one that is new, or that has changed."""
        if not _is_watched(cluster):
            return
        watched = self._watched.get(cluster.name)
        names = set(_slots(cluster, endpoints))
        self._drafted |= names - watched.names if watched is not None else names
        await self._claims.prepare(sorted(names))

    def commit(self, live: Cluster, cluster: plan.Cluster, endpoints: plan.Endpoints) -> None:
        """`live` has these endpoints as its hosts now."""
        if not _is_watched(cluster):
            self.forget(cluster.name)
            return
        watched = self._watch(live, cluster)
        names = set(_slots(cluster, endpoints))
        gone, watched.names = watched.names - names, names
        self._drafted -= names
        members = self._members(watched, cluster, endpoints)
        self._clear_unused(watched, cluster, members)
        watched.outliers.configure(cluster.outlier_detection or plan.OutlierDetection())
        watched.outliers.watch([member.monitor for member in members])
        for member in members:
            member.host.monitor = member.monitor if cluster.outlier_detection is not None else None  # type: ignore[assignment]
        checks = cluster.health_check is not None
        watched.health.watch([(each.host, each.cells, checks and each.endpoint.checked) for each in members])
        if watched.health.update():
            live.refresh()
        if self._first:
            self._sweep(watched, cluster)
            self._check(watched, cluster, members)
        self._claims.give_up(gone)
        self._look_later()

    def forget(self, name: str) -> None:
        """The cluster is gone, or is not watched any more."""
        watched = self._watched.pop(name, None)
        if watched is None:
            return
        watched.outliers.stop()
        watched.stop_checks()
        watched.cluster.watch = None
        before = [host.usable for host in watched.cluster.hosts]
        for host in watched.cluster.hosts:
            host.monitor = None
            _apply(host, False, False, False)
        if before != [host.usable for host in watched.cluster.hosts]:
            watched.cluster.refresh()
        self._claims.give_up(watched.names)

    def settle(self) -> None:
        """Nothing more will be committed of what was prepared until now."""
        self._claims.give_up(self._drafted)
        self._drafted = set()

    # -- one cluster ---------------------------------------------------------------------------------------------------

    def _watch(self, live: Cluster, cluster: plan.Cluster) -> _Watched:
        cells = self._claims.get(slot_name(cluster.name))
        watched = self._watched.get(cluster.name)
        if watched is not None and watched.health.cells is cells:
            return watched
        if watched is not None:  # there was no room in the workers' file, and now there is
            watched.outliers.stop()
            watched.stop_checks()
        stats = self._stats.group(layout.HEALTH, cluster.name)
        outliers = Outliers(cluster.name, cells, stats, self._wheel, self._random, self._log)
        made = self._watched[cluster.name] = _Watched(live, ClusterHealth(cells, _apply), outliers)
        if watched is not None:
            made.names = watched.names
        live.watch = made.health  # type: ignore[assignment]
        return made

    def _members(self, watched: _Watched, cluster: plan.Cluster, endpoints: plan.Endpoints) -> list[_Member]:
        by_address = {(endpoint.address, endpoint.port): endpoint for endpoint in endpoints.endpoints}
        members = []
        for host in watched.cluster.hosts:
            cells = self._claims.get(slot_name(cluster.name, host.address, host.port))
            monitor = host.monitor
            if monitor is None or monitor.cells is not cells or monitor.outliers is not watched.outliers:
                monitor = HostMonitor(watched.outliers, cells, _shown(host.address, host.port))
            members.append(_Member(host, cells, by_address[host.address, host.port], monitor))
        return members

    def _clear_unused(self, watched: _Watched, cluster: plan.Cluster, members: list[_Member]) -> None:
        """What is not configured any more leaves nothing behind."""
        flags = HostFlag(0)
        if cluster.outlier_detection is None:
            flags |= HostFlag.FLAG_EJECTED
        if cluster.health_check is None:
            flags |= HostFlag.FLAG_CHECKED | HostFlag.FLAG_CHECK_FAILED
        if self._first and flags:
            cleared = [
                member.cells.clear_bits(HostCell.FLAGS, flags)  # type: ignore[attr-defined]
                & flags
                for member in members
            ]
            if any(cleared):
                watched.health.announce()

    def _sweep(self, watched: _Watched, cluster: plan.Cluster) -> None:
        if cluster.outlier_detection is not None:
            watched.outliers.start()
        else:
            watched.outliers.stop()

    def _check(self, watched: _Watched, cluster: plan.Cluster, members: list[_Member]) -> None:
        check = cluster.health_check
        if watched.check != check:
            watched.stop_checks()
        if check is None:
            return
        if watched.checker is None:
            stats = self._stats.group(layout.HEALTH, cluster.name)
            watched.check = check
            watched.checker = Checker(
                cluster.name, check, watched.health, stats, self._turns, self._random.sample, self._log
            )
        watched.checker.watch(
            [self._checked(watched, cluster, check, each) for each in members if each.endpoint.checked]
        )

    def _checked(self, watched: _Watched, cluster: plan.Cluster, check: plan.HealthCheck, member: _Member) -> Checked:
        endpoint, how = member.endpoint, check.check
        port = endpoint.check_port or endpoint.port
        hostname = ""
        if isinstance(how, plan.HttpCheck):
            hostname = endpoint.check_hostname or how.host or cluster.name
        target = Target(watched.cluster, endpoint.address, port, hostname)

        def make() -> Probe:
            if isinstance(how, plan.HttpCheck):
                return HttpProbe(self._connector, target, check.reuse_connection, how)
            return TcpProbe(self._connector, target, check.reuse_connection, how)

        outliers, monitor = watched.outliers, member.monitor
        settings = cluster.outlier_detection
        readmits = settings is not None and settings.successful_active_health_check_uneject_host

        def readmit(why: str) -> None:
            outliers.readmit(monitor, why)

        return Checked(
            _shown(endpoint.address, endpoint.port), member.cells, target, make, readmit if readmits else None
        )

    # -- without traffic -----------------------------------------------------------------------------------------------

    def _look_later(self) -> None:
        if self._looking is None and self._watched:
            self._looking = asyncio.get_running_loop().call_later(LOOK_SECONDS, self._look)

    def _look(self) -> None:
        self._looking = None
        for watched in self._watched.values():
            cells = watched.health.cells
            if not cells.load(ClusterCell.HAD_TRAFFIC) and watched.cluster.stats.value("upstream_cx_total"):
                cells.store(ClusterCell.HAD_TRAFFIC, 1)
            watched.look()
            watched.outliers.show()
        self._look_later()


def _is_watched(cluster: plan.Cluster) -> bool:
    return cluster.outlier_detection is not None or cluster.health_check is not None


def _slots(cluster: plan.Cluster, endpoints: plan.Endpoints) -> list[str]:
    hosts = [slot_name(cluster.name, endpoint.address, endpoint.port) for endpoint in endpoints.endpoints]
    return [slot_name(cluster.name), *hosts]


def _apply(host: Host, ejected: bool, failed: bool, unchecked: bool) -> bool:
    before = host.usable
    host.mark(Mark.EJECTED, ejected)
    host.mark(Mark.CHECK_FAILED, failed)
    host.mark(Mark.UNCHECKED, unchecked)
    return host.usable != before


def _shown(address: str, port: int) -> str:
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
