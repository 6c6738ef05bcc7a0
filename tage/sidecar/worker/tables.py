"""Sections of the plan -> what the data plane runs on.

`prepare` builds what is new beside what is live, in slices of at most `SLICE_US`, and gives a `Draft`; nothing that
carries traffic has changed by then. `commit` swaps: from one request to the next, on every open connection.

A cluster that stays keeps its hosts, and a host that stays keeps its connections, whatever else of it has changed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import msgspec

from tage.dataplane.native import monotonic_us
from tage.dataplane.net.reactor import Reactor
from tage.dataplane.routing.build import build_in_steps
from tage.dataplane.routing.table import RouteTable
from tage.dataplane.streams.context import Context, ListenerState
from tage.dataplane.streams.http1_upstream import Http1UpstreamConnection
from tage.dataplane.telemetry import layout
from tage.dataplane.telemetry.access_log.log import AccessLog
from tage.dataplane.telemetry.store import StatStore
from tage.dataplane.upstream.cluster import Cluster
from tage.dataplane.upstream.connect import Connector
from tage.dataplane.upstream.limits import LimitsFile
from tage.sidecar import plan
from tage.sidecar.worker.limits import Limits
from tage.sidecar.worker.logs import LogFiles, LogRefused

SLICE_US = 1_000
"""How long preparing a plan may keep traffic waiting at a time."""

S = TypeVar("S", bound=plan.Section)


class PlanRefused(Exception):
    """The plan cannot be carried out; the message says which section, and why."""


class Draft:
    """A plan that is prepared and not in force."""

    def __init__(self, version: int, sections: dict[plan.SectionKey, plan.Section]) -> None:
        self.version = version
        self.sections = sections
        self.routes: dict[str, RouteTable] = {}
        self.changed: set[plan.SectionKey] = set()
        self.access_logs: dict[str, list[AccessLog]] = {}
        """By listener, of those that changed."""


class Tables:
    """The plan in force, and what was built from it."""

    def __init__(
        self,
        context: Context,
        stats: StatStore,
        loop: asyncio.AbstractEventLoop,
        reactor: Reactor,
        limits: LimitsFile | None = None,
    ) -> None:
        self.version = 0
        self.listeners: dict[str, ListenerState] = {}
        self._context = context
        self._stats = stats
        self._sections: dict[plan.SectionKey, plan.Section] = {}
        self._routes: dict[str, RouteTable] = {}
        self.logs = LogFiles(loop, stats)
        self._limits = Limits(limits, stats)
        self._connector = Connector(loop, reactor, self._connection)

    def _connection(self, host: Any) -> Http1UpstreamConnection:
        return Http1UpstreamConnection(host, self._context.writer)

    # -- preparing -----------------------------------------------------------------------------------------------------

    async def prepare(self, message: plan.Prepare) -> Draft:
        """Raises `PlanRefused`."""
        draft = Draft(message.version, {} if message.full else dict(self._sections))
        pause = _Slices()
        for kind, name in message.removed:
            draft.sections.pop((kind, name), None)
            draft.changed.add((kind, name))
        for kind, name, blob in message.upserts:
            try:
                section = plan.decode(kind, blob)
            except KeyError:
                raise PlanRefused(f"{kind} {name!r}: an unknown kind of section") from None
            except msgspec.DecodeError as error:
                raise PlanRefused(f"{kind} {name!r}: {error}") from None
            if section.name != name:
                raise PlanRefused(f"{kind} {name!r}: the section calls itself {section.name!r}")
            if self._sections.get((kind, name)) != section:
                draft.changed.add((kind, name))
            draft.sections[(kind, name)] = section
            await pause.between()
        if message.full:
            draft.changed.update(key for key in self._sections if key not in draft.sections)
        self._check_closed(draft)
        for routes in _of_kind(draft.sections, "routes", plan.Routes):
            if ("routes", routes.name) not in draft.changed:
                draft.routes[routes.name] = self._routes[routes.name]
                continue
            table = RouteTable(routes.name)
            try:
                for _ in build_in_steps(routes, table, self._route_stats):
                    await pause.between()
            except ValueError as error:
                raise PlanRefused(str(error)) from None
            draft.routes[routes.name] = table
        for listener in _of_kind(draft.sections, "listener", plan.Listener):
            if listener.http is not None and ("listener", listener.name) in draft.changed:
                try:
                    draft.access_logs[listener.name] = await self.logs.prepare(listener.http.access_logs)
                except LogRefused as error:
                    raise PlanRefused(f"listener {listener.name!r}: {error}") from None
                await pause.between()
        await self._limits.prepare([cluster.name for cluster in _of_kind(draft.sections, "cluster", plan.Cluster)])
        return draft

    def abort(self) -> None:
        """No draft that was prepared before this is committed."""
        self.logs.abort()
        self._limits.settle(self._context.clusters)

    def _route_stats(self, owner: str) -> Any:
        return self._stats.group(layout.ROUTE, owner)

    @staticmethod
    def _check_closed(draft: Draft) -> None:
        for cluster in _of_kind(draft.sections, "cluster", plan.Cluster):
            if ("endpoints", cluster.endpoints) not in draft.sections:
                raise PlanRefused(f"cluster {cluster.name!r}: its endpoints {cluster.endpoints!r} are not in the plan")
        for listener in _of_kind(draft.sections, "listener", plan.Listener):
            if listener.http is None:
                raise PlanRefused(f"listener {listener.name!r}: it says nothing of what to do with connections")
            if ("routes", listener.http.routes) not in draft.sections:
                routes = listener.http.routes
                raise PlanRefused(f"listener {listener.name!r}: its routes {routes!r} are not in the plan")

    # -- swapping ------------------------------------------------------------------------------------------------------

    def commit(self, draft: Draft) -> tuple[list[ListenerState], list[ListenerState]]:
        """Makes the draft the plan in force. Gives the listeners that are new, and those that are gone (their
        connections are still open)."""
        clusters = dict(self._context.clusters)
        for cluster in _of_kind(draft.sections, "cluster", plan.Cluster):
            key, endpoints_key = ("cluster", cluster.name), ("endpoints", cluster.endpoints)
            live = clusters.get(cluster.name)
            if live is None:
                stats = self._stats.group(layout.CLUSTER, cluster.name)
                counts = self._limits.counts(cluster.name)
                live = Cluster(cluster.name, stats, self._context.wheel, self._connector, counts)
                clusters[cluster.name] = live
                _configure(live, cluster)
            elif key in draft.changed:
                _configure(live, cluster)
            if key in draft.changed or endpoints_key in draft.changed:
                endpoints = draft.sections[endpoints_key]
                assert isinstance(endpoints, plan.Endpoints)
                live.set_hosts([(e.address, e.port, e.weight, e.healthy) for e in endpoints.endpoints])
        for name in [name for name in clusters if ("cluster", name) not in draft.sections]:
            clusters.pop(name).close()
        self._limits.settle(clusters)
        added = []
        used_logs: set[str] = set()
        for listener in _of_kind(draft.sections, "listener", plan.Listener):
            state = self.listeners.get(listener.name)
            if state is None:
                stats = self._stats.group(layout.LISTENER, listener.name)
                state = self.listeners[listener.name] = ListenerState(self._context, listener.name, stats)
                added.append(state)
            assert listener.http is not None
            _configure_http(state, listener.http)
            if listener.name in draft.access_logs:
                state.access_logs = draft.access_logs[listener.name] or None  # type: ignore[assignment]
            used_logs.update(log.path for log in listener.http.access_logs)
            state.routes = draft.routes[listener.http.routes]  # type: ignore[assignment]
        gone = [name for name in self.listeners if ("listener", name) not in draft.sections]
        self.logs.commit(used_logs)
        self._context.clusters = clusters
        self._routes = draft.routes
        self._sections = draft.sections
        self.version = draft.version
        return added, [self.listeners.pop(name) for name in gone]


def _of_kind(sections: dict[plan.SectionKey, plan.Section], kind: str, _: type[S]) -> Iterable[S]:
    return [section for (k, _), section in sections.items() if k == kind]  # type: ignore[misc]


def _configure(live: Cluster, cluster: plan.Cluster) -> None:
    live.set_lb(cluster.lb)
    live.connect_timeout = cluster.connect_timeout
    live.idle_timeout = cluster.idle_timeout
    live.max_connections = cluster.max_connections
    live.max_pending = cluster.max_pending
    live.max_requests = cluster.max_requests
    live.max_retries = cluster.max_retries
    live.max_requests_per_connection = cluster.max_requests_per_connection
    live.logical = cluster.logical


def _configure_http(state: ListenerState, http: plan.Http) -> None:
    state.append_x_forwarded_for = http.append_x_forwarded_for
    state.generate_request_id = http.generate_request_id
    state.max_head_bytes = http.max_head_bytes
    state.max_headers = http.max_headers
    state.idle_timeout = http.idle_timeout
    state.head_timeout = http.head_timeout
    state.server_name = http.server_name.encode()


class _Slices:
    """Gives the loop a turn whenever `SLICE_US` have passed."""

    def __init__(self, clock: Callable[[], int] = monotonic_us) -> None:
        self._clock = clock
        self._since = clock()

    async def between(self) -> None:
        if self._clock() - self._since >= SLICE_US:
            await asyncio.sleep(0)
            self._since = self._clock()
