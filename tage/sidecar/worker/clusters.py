"""Clusters of a plan: built beside those that are in use, and swapped in slices.

A new cluster is complete, hosts and balancers included, before anything leads to it. Of one that stays, another set of
hosts is prepared (`membership`), and adopting it costs assignments. The order of a commit keeps requests whole: new
clusters are there before the routes that name them, clusters that are gone are there until no route does, and each
cluster changes at once; between two of them there may be requests.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tage.dataplane.net.tls import ClientTls
from tage.dataplane.streams.context import Context
from tage.dataplane.telemetry import layout
from tage.dataplane.telemetry.store import StatStore
from tage.dataplane.upstream.cluster import Cluster
from tage.dataplane.upstream.connect import Connector
from tage.dataplane.upstream.host import Host
from tage.dataplane.upstream.membership import Membership
from tage.sidecar import plan
from tage.sidecar.worker import http2
from tage.sidecar.worker.health import Health
from tage.sidecar.worker.own import OwnAddresses
from tage.sidecar.worker.shared import Shared

if TYPE_CHECKING:
    from tage.sidecar.worker.protocols import ProtocolsDraft

Between = Callable[[], Awaitable[None]]
"""Gives the loop its turns."""
Sections = Mapping[plan.SectionKey, plan.Section]


class Change:
    """What a draft makes of one cluster. `membership` None: its hosts stay as they are. `settles`: it is new, or its
    own section has changed. `rpc`: the settings of its protocol; None: HTTP, `http2` those of its second version."""

    def __init__(
        self, live: Cluster, section: plan.Cluster, membership: Membership | None, settles: bool, rpc: Any, http2: Any
    ) -> None:
        self.live = live
        self.section = section
        self.membership = membership
        self.settles = settles
        self.rpc = rpc
        self.http2 = http2


class ClustersDraft:
    """What is prepared and not in force."""

    def __init__(self) -> None:
        self.added: dict[str, Cluster] = {}
        self.changes: list[Change] = []
        self.own: list[tuple[Host, bool]] = []
        """Hosts that become a listener of this sidecar, or are none any more."""
        self.names: set[str] = set()
        """Of the clusters in the plan."""


class Clusters:
    """The clusters in force are those of the context."""

    def __init__(
        self, context: Context, stats: StatStore, connector: Connector, shared: Shared, health: Health
    ) -> None:
        self._context = context
        self._stats = stats
        self._connector = connector
        self._shared = shared
        self._health = health
        self._drafted: list[Cluster] = []
        """Clusters that are prepared and not in force."""
        self._retiring: list[Host] = []

    async def prepare(
        self,
        sections: Sections,
        wanted: Sequence[plan.Cluster],
        listeners: Iterable[plan.Listener],
        changed: set[plan.SectionKey],
        tls: Mapping[str, ClientTls | None],
        protocols: ProtocolsDraft | None,
        between: Between,
    ) -> ClustersDraft:
        """`wanted` and `listeners` are those of `sections`; `tls` has that of clusters where it changed, `protocols`
        that of all."""
        draft = ClustersDraft()
        own = OwnAddresses(listeners)
        moved = any(kind == "listener" for kind, _ in changed)
        await between()
        await self._shared.clusters.prepare([section.name for section in wanted])
        for section in wanted:
            draft.names.add(section.name)
            endpoints = sections["endpoints", section.endpoints]
            assert isinstance(endpoints, plan.Endpoints)
            settles = ("cluster", section.name) in changed
            live = self._context.clusters.get(section.name)
            membership = None
            rpc = protocols.upstream(section.name) if protocols is not None else None
            settings = http2.of_cluster(section, live.http2 if live is not None else None)
            if live is None:
                live = await self._new(section, endpoints, tls.get(section.name), rpc, settings, between)
                draft.added[section.name] = live
                self._drafted.append(live)
            elif settles or ("endpoints", section.endpoints) in changed or live.rpc is not rpc:
                # What hosts have open speaks the former protocol: where that is another now, no host stays.
                anew = (
                    live.rpc is not rpc or live.http2 is not settings or live.http2_for != http2.FOR[section.http2_for]
                )
                membership = Membership(live, endpoints, section.lb, section.logical, anew=anew)
                for _ in membership.prepare():
                    await between()
                await _tell_own(membership.added, own, between)
            if section.name in draft.added:
                await _tell_own(live.hosts, own, between)
            elif moved:
                draft.own += await _whose_own_changes(live.hosts, own, between)
            if section.name in draft.added or membership is not None:
                await self._health.prepare(section, endpoints, between)
            if section.name in draft.added or membership is not None or section.name in tls:
                draft.changes.append(Change(live, section, membership, settles, rpc, settings))
            await between()
        return draft

    async def _new(
        self,
        section: plan.Cluster,
        endpoints: plan.Endpoints,
        tls: ClientTls | None,
        rpc: Any,
        spoken: Any,
        between: Between,
    ) -> Cluster:
        stats = self._stats.group(layout.CLUSTER, section.name)
        counts = self._shared.clusters.get(section.name)
        live = Cluster(section.name, stats, self._context.wheel, self._connector, counts)
        configure(live, section)
        live.tls = tls  # type: ignore[assignment]
        live.speak(rpc, spoken, http2.FOR[section.http2_for])
        membership = Membership(live, endpoints, section.lb, section.logical)
        for _ in membership.prepare():
            await between()
        live.adopt(membership)
        return live

    def abort(self) -> None:
        """What was prepared until now will not be in force."""
        for cluster in self._drafted:
            cluster.close()
        self._drafted = []
        self._shared.clusters.keep(self._context.clusters)

    async def commit(self, draft: ClustersDraft, tls: Mapping[str, ClientTls | None], between: Between) -> None:
        """All clusters of the draft are as it says; those that it does not have are still there."""
        self._context.clusters = {**self._context.clusters, **draft.added}
        self._drafted = []
        for host, own in draft.own:
            host.own = own
        for change in draft.changes:
            live, name = change.live, change.section.name
            if name not in draft.added:
                if change.settles:
                    configure(live, change.section)
                if name in tls:
                    live.tls = tls[name]  # type: ignore[assignment]
                live.speak(change.rpc, change.http2, http2.FOR[change.section.http2_for])
                if change.membership is not None:
                    self._retiring += live.adopt(change.membership)
            if name in draft.added or change.membership is not None:
                self._health.commit(live, change.section)
            await between()

    async def settle(self, draft: ClustersDraft, between: Between) -> None:
        """No route leads anywhere else than to the draft's clusters: the others go, and hosts that are in none."""
        gone = [cluster for name, cluster in self._context.clusters.items() if name not in draft.names]
        clusters = {name: cluster for name, cluster in self._context.clusters.items() if name in draft.names}
        self._context.clusters = clusters
        while gone:  # one by one: to free thousands of them takes its time too
            cluster = gone.pop()
            self._health.forget(cluster.name)
            cluster.close()
            del cluster
            await between()
        retiring, self._retiring = self._retiring, []
        while retiring:
            retiring.pop().retire()
            await between()
        self._health.settle()
        await between()
        self._shared.disown()
        self._shared.clusters.keep(clusters)


async def _tell_own(hosts: Iterable[Host], own: OwnAddresses, between: Between) -> None:
    for at, host in enumerate(hosts):
        host.own = own.has(host.address, host.port)
        if at % 256 == 255:
            await between()


async def _whose_own_changes(hosts: Iterable[Host], own: OwnAddresses, between: Between) -> list[tuple[Host, bool]]:
    found = []
    for at, host in enumerate(hosts):
        is_own = own.has(host.address, host.port)
        if host.own is not is_own:
            found.append((host, is_own))
        if at % 256 == 255:
            await between()
    return found


def configure(live: Cluster, section: plan.Cluster) -> None:
    """All but hosts, balancing and TLS."""
    live.connect_timeout = section.connect_timeout
    live.idle_timeout = section.idle_timeout
    live.max_connection_duration = section.max_connection_duration
    live.max_connections = section.max_connections
    live.max_pending = section.max_pending
    live.max_requests = section.max_requests
    live.max_retries = section.max_retries
    budget = section.retry_budget
    live.set_retry_budget(*(budget.percent, budget.min_concurrency) if budget is not None else (-1.0, 0))
    live.set_preconnect(section.per_upstream_preconnect, section.predictive_preconnect)
    keepalive = section.tcp_keepalive
    if keepalive is None:
        live.tcp_keepalive = None
    else:
        live.tcp_keepalive = (keepalive.probes, keepalive.time, keepalive.interval)  # type: ignore[assignment]
    live.max_requests_per_connection = section.max_requests_per_connection
    live.enable_trailers = section.enable_trailers
    live.proxy_protocol = section.proxy_protocol
    live.logical = section.logical
