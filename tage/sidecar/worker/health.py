"""Outlier detection and active health checks of a plan's clusters, set up in this worker.

Every worker counts results and ejects, and goes by what is in the hosts' shared cells. The first worker alone sweeps at
intervals and makes the active checks. A cluster with neither of both has no part in this, and costs nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from tage.dataplane.native import Random
from tage.dataplane.net.timers import TimerWheel
from tage.dataplane.telemetry import layout
from tage.dataplane.telemetry.store import StatStore
from tage.dataplane.upstream.cells import Cells
from tage.dataplane.upstream.cluster import Cluster
from tage.dataplane.upstream.connect import Connector
from tage.dataplane.upstream.health.checker import MAX_AT_ONCE, Checked, Checker, Probe
from tage.dataplane.upstream.health.http2_probes import GrpcProbe, Http2Probe
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
    endpoint: plan.Endpoint
    cells: Cells
    monitor: HostMonitor

    @property
    def shown(self) -> str:
        return _shown(self.endpoint.address, self.endpoint.port)


Members = dict[tuple[str, int], _Member]
"""By address and port."""


class _Watched:
    """One cluster. `detects` and `check` are what the plan in force asks for."""

    def __init__(self, health: ClusterHealth, outliers: Outliers) -> None:
        self.cluster: Cluster | None = None
        self.health = health
        self.outliers = outliers
        self.members: Members = {}
        self.detects: bool | None = None
        self.check: plan.HealthCheck | None = None
        self.readmits = False
        """A check that passes ends an ejection."""
        self.checker: Checker | None = None

    def look(self) -> None:
        if self.cluster is not None and self.health.changed() and self.health.update():
            self.cluster.refresh()

    def close(self) -> None:
        self.outliers.close()
        self.stop_checks()

    def stop_checks(self) -> None:
        if self.checker is not None:
            self.checker.stop()
        self.checker = None


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
        self._prepared: dict[str, tuple[_Watched, Members]] = {}
        self._drafted: list[str] = []
        """Slots that a draft needs and that are not in use yet."""
        self._looking: asyncio.TimerHandle | None = None

    # -- the plan ------------------------------------------------------------------------------------------------------

    async def prepare(
        self, cluster: plan.Cluster, endpoints: plan.Endpoints, between: Callable[[], Awaitable[None]]
    ) -> None:
        """Of a draft: one that is new, or that has changed. `between` gives the loop its turns."""
        if not _is_watched(cluster):
            return
        name = cluster.name
        live = self._watched.get(name)
        slots = {}
        for endpoint in endpoints.endpoints:
            slots[endpoint.address, endpoint.port] = slot_name(name, endpoint.address, endpoint.port)
            await between()
        self._drafted += [slot for key, slot in slots.items() if live is None or key not in live.members]
        if live is None:
            self._drafted.append(slot_name(name))
        await self._claims.prepare([slot_name(name), *slots.values()])
        cells = self._claims.get(slot_name(name))
        if live is None or live.health.cells is not cells:
            stats = self._stats.group(layout.HEALTH, name)
            outliers = Outliers(name, cells, stats, self._wheel, self._random, self._log)
            live = _Watched(ClusterHealth(cells, _apply), outliers)
        members: Members = {}
        for endpoint in endpoints.endpoints:
            key = endpoint.address, endpoint.port
            if key not in members:
                members[key] = self._member(live, endpoint, self._claims.get(slots[key]))
            await between()
        self._prepared[name] = live, members

    def _member(self, watched: _Watched, endpoint: plan.Endpoint, cells: Cells) -> _Member:
        """The one that is there already, where nothing of it has changed."""
        known = watched.members.get((endpoint.address, endpoint.port))
        if known is None or known.cells is not cells:
            shown = _shown(endpoint.address, endpoint.port)
            return _Member(endpoint, cells, HostMonitor(watched.outliers, cells, shown))
        return known if known.endpoint == endpoint else known._replace(endpoint=endpoint)

    def commit(self, live: Cluster, cluster: plan.Cluster) -> None:
        """`live` has the endpoints that were prepared as its hosts now."""
        if not _is_watched(cluster):
            self.forget(cluster.name)
            return
        watched, members = self._prepared.pop(cluster.name)
        if self._watched.get(cluster.name) is not watched:
            self._replace(cluster.name, live, watched)
        before, watched.members = watched.members, members
        detects, checks = cluster.outlier_detection is not None, cluster.health_check is not None
        if self._first:
            self._clear_unused(watched, detects, checks)
        watched.outliers.configure(cluster.outlier_detection or plan.OutlierDetection())
        watched.outliers.watch([member.monitor for member in members.values()])
        hosts = []
        for host in live.hosts:
            member = members[host.address, host.port]
            monitor = member.monitor if detects else None
            if host.monitor is not monitor:
                host.monitor = monitor  # type: ignore[assignment]
            hosts.append((host, member.cells, checks and member.endpoint.checked))
        watched.health.watch(hosts)
        if watched.health.update():
            live.refresh()
        if self._first:
            self._sweep(watched, detects)
            self._check(watched, cluster, before)
        watched.detects, watched.check = detects, cluster.health_check
        watched.readmits = (
            cluster.outlier_detection is not None
            and cluster.outlier_detection.successful_active_health_check_uneject_host
        )
        gone = before.keys() - members.keys()
        for key in gone:
            before[key].monitor.gone = True
        self._claims.give_up([slot_name(cluster.name, *key) for key in gone])
        self._look_later()

    def forget(self, name: str) -> None:
        """The cluster is gone, or is not watched any more."""
        watched = self._watched.pop(name, None)
        if watched is None or watched.cluster is None:
            return
        watched.close()
        watched.cluster.watch = None
        self._unmark(watched.cluster)
        self._claims.give_up([slot_name(name), *(slot_name(name, *key) for key in watched.members)])

    def settle(self) -> None:
        """What was prepared until now is in force, or will not be."""
        used = self._watched
        self._claims.give_up([slot for slot in self._drafted if not _is_used(used.get(slot.partition("\0")[0]), slot)])
        self._drafted = []
        self._prepared = {}

    # -- one cluster ---------------------------------------------------------------------------------------------------

    def _replace(self, name: str, live: Cluster, watched: _Watched) -> None:
        """By one that is new; or there was no room in the workers' file, and now there is."""
        former = self._watched.get(name)
        if former is not None:
            former.close()
            self._unmark(live)
        self._watched[name] = watched
        watched.cluster = live
        live.watch = watched.health  # type: ignore[assignment]

    @staticmethod
    def _unmark(live: Cluster) -> None:
        changed = False
        for host in live.hosts:
            host.monitor = None
            changed |= _apply(host, False, False, False)
        if changed:
            live.refresh()

    @staticmethod
    def _clear_unused(watched: _Watched, detects: bool, checks: bool) -> None:
        """What is not configured any more leaves nothing behind."""
        if (watched.detects, watched.check is not None) == (detects, checks):
            return
        flags = HostFlag(0)
        if not detects:
            flags |= HostFlag.FLAG_EJECTED
        if not checks:
            flags |= HostFlag.FLAG_CHECKED | HostFlag.FLAG_CHECK_FAILED
        found = 0
        for member in watched.members.values():
            found |= member.cells.clear_bits(HostCell.FLAGS, flags) & flags  # type: ignore[attr-defined]
        if found:
            watched.health.announce()

    @staticmethod
    def _sweep(watched: _Watched, detects: bool) -> None:
        if detects:
            watched.outliers.start()
        else:
            watched.outliers.stop()

    def _check(self, watched: _Watched, cluster: plan.Cluster, before: Members) -> None:
        check = cluster.health_check
        if watched.check != check:
            watched.stop_checks()
        if check is None:
            return
        if watched.checker is None:
            before = {}
            stats = self._stats.group(layout.HEALTH, cluster.name)
            watched.checker = Checker(
                cluster.name, check, watched.health, stats, self._turns, self._random.sample, self._log
            )
        for key, member in before.items():
            now = watched.members.get(key)
            if now is None or not now.endpoint.checked:
                watched.checker.remove(member.shown)
        for key, member in watched.members.items():
            if member.endpoint.checked and before.get(key) is not member:
                watched.checker.add(self._checked(watched, cluster, check, member))
        watched.checker.show()

    def _checked(self, watched: _Watched, cluster: plan.Cluster, check: plan.HealthCheck, member: _Member) -> Checked:
        endpoint, how = member.endpoint, check.check
        port = endpoint.check_port or endpoint.port
        hostname = ""
        if isinstance(how, plan.HttpCheck):
            hostname = endpoint.check_hostname or how.host or cluster.name
        elif isinstance(how, plan.GrpcCheck):
            hostname = endpoint.check_hostname or how.authority or cluster.name
        target = Target(watched.cluster, endpoint.address, port, hostname)

        def make() -> Probe:
            if isinstance(how, plan.HttpCheck):
                kind = Http2Probe if how.http2 else HttpProbe
                return kind(self._connector, target, check.reuse_connection, how)
            if isinstance(how, plan.GrpcCheck):
                return GrpcProbe(self._connector, target, check.reuse_connection, how)
            return TcpProbe(self._connector, target, check.reuse_connection, how)

        def readmit(why: str) -> None:
            if watched.readmits:
                watched.outliers.readmit(member.monitor, why)

        return Checked(member.shown, member.cells, target, make, readmit)

    # -- without traffic -----------------------------------------------------------------------------------------------

    def _look_later(self) -> None:
        if self._looking is None and self._watched:
            self._looking = asyncio.get_running_loop().call_later(LOOK_SECONDS, self._look)

    def _look(self) -> None:
        self._looking = None
        for watched in self._watched.values():
            cells = watched.health.cells
            had_traffic = watched.cluster is not None and watched.cluster.stats.value("upstream_cx_total")
            if had_traffic and not cells.load(ClusterCell.HAD_TRAFFIC):
                cells.store(ClusterCell.HAD_TRAFFIC, 1)
            watched.look()
            watched.outliers.show()
        self._look_later()


def _is_watched(cluster: plan.Cluster) -> bool:
    return cluster.outlier_detection is not None or cluster.health_check is not None


def _is_used(watched: _Watched | None, slot: str) -> bool:
    """By the plan in force."""
    _, _, rest = slot.partition("\0")
    if watched is None or not rest:
        return watched is not None
    address, _, port = rest.partition("\0")
    return (address, int(port)) in watched.members


def _apply(host: Host, ejected: bool, failed: bool, unchecked: bool) -> bool:
    before = host.usable
    host.mark(Mark.EJECTED, ejected)
    host.mark(Mark.CHECK_FAILED, failed)
    host.mark(Mark.UNCHECKED, unchecked)
    return host.usable != before


def _shown(address: str, port: int) -> str:
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
