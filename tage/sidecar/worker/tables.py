"""Sections of the plan -> what the data plane runs on.

`prepare` builds what is new beside what is live, in slices of about `SLICE_US`, and gives a `Draft`; nothing that
carries traffic has changed by then. `commit` swaps, in slices too: from one request to the next, on every open
connection, a cluster or a listener is another.

A cluster that stays keeps its hosts, and a host that stays keeps its connections, whatever else of it has changed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar, cast

import msgspec

from tage.dataplane.filters.filter import HttpFilter
from tage.dataplane.native import monotonic_us
from tage.dataplane.net.reactor import Reactor
from tage.dataplane.net.tls import ClientTls, ServerTls, TlsError
from tage.dataplane.routing.build import build_in_steps
from tage.dataplane.routing.table import RouteTable
from tage.dataplane.routing.tcp import TcpRoute
from tage.dataplane.streams.context import Context, ListenerState
from tage.dataplane.streams.http1_upstream import Http1UpstreamConnection
from tage.dataplane.telemetry import layout
from tage.dataplane.telemetry.access_log.log import AccessLog
from tage.dataplane.telemetry.methods import MethodStats
from tage.dataplane.telemetry.store import StatStore
from tage.dataplane.upstream.connect import Connector
from tage.dataplane.upstream.shared import SharedFile
from tage.sidecar import plan
from tage.sidecar.worker import http2, tls
from tage.sidecar.worker.clusters import Clusters, ClustersDraft
from tage.sidecar.worker.filters import Environment, Filters, in_python
from tage.sidecar.worker.health import Health
from tage.sidecar.worker.listeners import Listener, keyed
from tage.sidecar.worker.logs import LogFiles, LogRefused
from tage.sidecar.worker.native_filters import NativeFilters, bucket_names, limits_of
from tage.sidecar.worker.shared import Shared

if TYPE_CHECKING:
    from tage.sidecar.worker.protocols import Protocols, ProtocolsDraft
    from tage.sidecar.worker.python_filters import PythonFilters

SLICE_US = 400
"""How long a plan may keep traffic waiting at a time, with the step that is under way: a millisecond in all."""

WHOLE = 262_144
"""Bytes of a frame of an RPC protocol that is forwarded whole; a larger one goes on while it comes, on a connection of
its own."""

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
        self.tcp: dict[tuple[str, str], TcpRoute] = {}
        """By listener and chain."""
        self.access_logs: dict[tuple[str, str], list[AccessLog]] = {}
        """By listener and chain, of listeners that changed."""
        self.buckets: dict[plan.SectionKey, list[str]] = {}
        """Names of rate limits' buckets, by listener or routes."""
        self.filters: dict[tuple[str, str], list[HttpFilter] | None] = {}
        """By listener and chain, of listeners that changed, or whose filters in Python did."""
        self.server_tls: dict[str, dict[str, ServerTls]] = {}
        """By listener and chain."""
        self.clusters = ClustersDraft()
        self.protocols: ProtocolsDraft | None = None
        """None: there are none, and there were none."""
        self.client_tls: dict[str, ClientTls | None] = {}
        """By cluster, where it changed."""
        self._kinds: dict[str, list[plan.Section]] = {}

    def of(self, kind: str, _: type[S]) -> list[S]:
        """The sections of a kind; asked once `sections` are complete."""
        if not self._kinds:
            for (each, _name), section in self.sections.items():
                self._kinds.setdefault(each, []).append(section)
        return self._kinds.get(kind, [])  # type: ignore[return-value]


class Swap(NamedTuple):
    """What a commit changed for the sockets: listeners that are new; names of those that are gone; the states whose
    connections are open and that nobody comes to any more."""

    added: list[Listener]
    gone: list[str]
    states: list[ListenerState]


class Tables:
    """The plan in force, and what was built from it."""

    def __init__(
        self,
        context: Context,
        stats: StatStore,
        loop: asyncio.AbstractEventLoop,
        reactor: Reactor,
        shared: SharedFile | None = None,
    ) -> None:
        self.version = 0
        self.listeners: dict[str, Listener] = {}
        self._context = context
        self._stats = stats
        self._sections: dict[plan.SectionKey, plan.Section] = {}
        self._routes: dict[str, RouteTable] = {}
        self._server_tls: dict[str, dict[str, ServerTls]] = {}
        self.logs = LogFiles(loop, stats)
        self._shared = Shared(shared, stats)
        self._python: PythonFilters | None = None
        self._protocols: Protocols | None = None
        self._filters = Filters(Environment(stats, NativeFilters(stats, self._shared.buckets), self._in_python))
        self._buckets: dict[plan.SectionKey, list[str]] = {}
        self._connector = Connector(loop, reactor, self._connection)
        first = shared is None or not shared.column
        self._health = Health(self._shared.hosts, stats, context.wheel, context.random, self._connector, first)
        self._clusters = Clusters(context, stats, self._connector, self._shared, self._health)

    def _in_python(self) -> PythonFilters:
        if self._python is None:
            # Here: who has no such filter does without the memory.
            from tage.sidecar.worker.python_filters import PythonFilters

            self._python = PythonFilters(self._stats)
        return self._python

    def _connection(self, pool: Any, agreed: str = "") -> Any:
        """See `Connector`."""
        if pool.cluster.rpc is not None:
            from tage.dataplane.streams.rpc_upstream import RpcUpstreamConnection

            return RpcUpstreamConnection(pool, self._context)
        if pool.http2 or (agreed == "h2" and pool.cluster.http2 is not None):
            from tage.dataplane.streams.http2_upstream import Http2UpstreamConnection

            return Http2UpstreamConnection(pool, self._context)
        return Http1UpstreamConnection(pool, self._context.writer)

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
                section = await self._decode(kind, blob, pause)
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
        await self._check_closed(draft, pause)
        await self._prepare_protocols(draft, pause)
        await self._prepare_buckets(draft, pause)
        for routes in draft.of("routes", plan.Routes):
            if ("routes", routes.name) not in draft.changed:
                draft.routes[routes.name] = self._routes[routes.name]
                continue
            table = RouteTable(routes.name)
            try:
                for _ in build_in_steps(routes, table, self._route_stats, self._filters.settings):
                    await pause.between()
            except ValueError as error:
                raise PlanRefused(str(error)) from None
            draft.routes[routes.name] = table
        self._prepare_tcp(draft)
        await self._prepare_filters(draft, pause)
        await self._prepare_logs(draft, pause)
        await self._prepare_tls(draft, pause)
        draft.clusters = await self._clusters.prepare(
            draft.sections,
            draft.of("cluster", plan.Cluster),
            draft.of("listener", plan.Listener),
            draft.changed,
            draft.client_tls,
            draft.protocols,
            pause.between,
        )
        return draft

    @staticmethod
    async def _decode(kind: str, blob: bytes, pause: _Slices) -> plan.Section:
        steps = plan.decode_in_steps(kind, blob)
        while True:
            try:
                next(steps)
            except StopIteration as done:
                return cast(plan.Section, done.value)
            await pause.between()

    async def _prepare_protocols(self, draft: Draft, pause: _Slices) -> None:
        listeners, clusters = draft.of("listener", plan.Listener), draft.of("cluster", plan.Cluster)
        if self._protocols is None:
            if not draft.of("protocol", plan.ProtocolCode) and not _asks_for_protocols(listeners, clusters):
                return
            # Here: who has no such protocol does without the memory.
            from tage.sidecar.worker.protocols import Protocols

            self._protocols = Protocols(self._stats)
            self._context.methods = MethodStats(self._stats)  # type: ignore[assignment]
        try:
            draft.protocols = await self._protocols.prepare(draft.sections, listeners, clusters, pause.between)
        except ValueError as error:
            raise PlanRefused(str(error)) from None

    async def _prepare_buckets(self, draft: Draft, pause: _Slices) -> None:
        """Of rate limits, for filters are made with them."""
        for key, section in draft.sections.items():
            if key not in draft.changed:
                if key in self._buckets:
                    draft.buckets[key] = self._buckets[key]
            elif names := [name for limit in limits_of(section) for name in bucket_names(limit)]:
                draft.buckets[key] = names
            await pause.between()
        await self._shared.buckets.prepare(sorted({name for names in draft.buckets.values() for name in names}))

    @staticmethod
    def _prepare_tcp(draft: Draft) -> None:
        for listener in draft.of("listener", plan.Listener):
            for key, chain in keyed(listener):
                if chain.tcp is None:
                    continue
                try:
                    draft.tcp[listener.name, key] = _tcp_route(chain.tcp)
                except ValueError as error:
                    raise PlanRefused(f"listener {listener.name!r}: filter chain {key!r}: {error}") from None

    async def _prepare_filters(self, draft: Draft, pause: _Slices) -> None:
        touched = self._renewed(draft)
        if self._python is not None or any(
            any(in_python(listener)) for listener in draft.of("listener", plan.Listener)
        ):
            try:
                touched |= await self._in_python().prepare(draft.sections, draft.changed, pause.between)
            except ValueError as error:
                raise PlanRefused(str(error)) from None
        for listener in draft.of("listener", plan.Listener):
            if ("listener", listener.name) not in draft.changed and listener.name not in touched:
                continue
            for key, chain in keyed(listener):
                if chain.http is not None:
                    try:
                        draft.filters[listener.name, key] = self._filters.chain(
                            chain.http.filters, chain.http.stat_prefix
                        )
                    except ValueError as error:
                        raise PlanRefused(f"listener {listener.name!r}: {error}") from None
                    await pause.between()

    @staticmethod
    def _renewed(draft: Draft) -> set[str]:
        """Listeners that get new states for their connections to come, though they may not have changed themselves."""
        return set(draft.protocols.touched) if draft.protocols is not None else set()

    async def _prepare_logs(self, draft: Draft, pause: _Slices) -> None:
        renewed = self._renewed(draft)
        for listener in draft.of("listener", plan.Listener):
            if ("listener", listener.name) not in draft.changed and listener.name not in renewed:
                continue
            for key, chain in keyed(listener):
                try:
                    draft.access_logs[listener.name, key] = await self.logs.prepare(_access_logs(chain))
                except LogRefused as error:
                    raise PlanRefused(f"listener {listener.name!r}: {error}") from None
                await pause.between()

    async def _prepare_tls(self, draft: Draft, pause: _Slices) -> None:
        """New contexts where settings, certificates or trust are others than before."""
        for listener in draft.of("listener", plan.Listener):
            live = self._server_tls.get(listener.name, {})
            built = draft.server_tls[listener.name] = {}
            for key, chain in keyed(listener):
                if chain.tls is None:
                    continue
                stays = ("listener", listener.name) not in draft.changed and not tls.needs(chain.tls) & draft.changed
                try:
                    built[key] = live[key] if stays and key in live else tls.server(chain, draft.sections)
                except TlsError as error:
                    raise PlanRefused(f"listener {listener.name!r}: filter chain {key!r}: {error}") from None
                await pause.between()
        for cluster in draft.of("cluster", plan.Cluster):
            if ("cluster", cluster.name) in draft.changed or tls.needs(cluster.tls) & draft.changed:
                try:
                    draft.client_tls[cluster.name] = (
                        tls.client(cluster, draft.sections) if cluster.tls is not None else None
                    )
                except TlsError as error:
                    raise PlanRefused(f"cluster {cluster.name!r}: {error}") from None
                await pause.between()

    def abort(self) -> None:
        """No draft that was prepared before this is committed."""
        self.logs.abort()
        if self._python is not None:
            self._python.abort()
        if self._protocols is not None:
            self._protocols.abort()
        self._clusters.abort()
        self._health.settle()
        self._keep_buckets(self._buckets)

    def _keep_buckets(self, names: dict[plan.SectionKey, list[str]]) -> None:
        self._shared.buckets.keep({name for each in names.values() for name in each})

    def _route_stats(self, owner: str) -> Any:
        return self._stats.group(layout.ROUTE, owner)

    @staticmethod
    async def _check_closed(draft: Draft, pause: _Slices) -> None:
        for cluster in draft.of("cluster", plan.Cluster):
            if ("endpoints", cluster.endpoints) not in draft.sections:
                raise PlanRefused(f"cluster {cluster.name!r}: its endpoints {cluster.endpoints!r} are not in the plan")
            _check_secrets(f"cluster {cluster.name!r}", cluster.tls, draft)
            await pause.between()
        for listener in draft.of("listener", plan.Listener):
            who = f"listener {listener.name!r}"
            if not listener.all_chains():
                raise PlanRefused(f"{who}: it has no filter chain")
            for chain in listener.all_chains():
                _check_secrets(who, chain.tls, draft)
                if (chain.http is None) == (chain.tcp is None):
                    raise PlanRefused(f"{who}: a filter chain has to say one thing to do with connections")
                if chain.http is not None and ("routes", chain.http.routes) not in draft.sections:
                    raise PlanRefused(f"{who}: its routes {chain.http.routes!r} are not in the plan")

    # -- swapping ------------------------------------------------------------------------------------------------------

    async def commit(self, draft: Draft) -> Swap:
        """Makes the draft the plan in force, in slices: first the clusters, then each listener with its routes, then
        what is gone goes. A request meets a cluster, and a listener, as it was or as it is."""
        pause = _Slices()
        await self._clusters.commit(draft.clusters, draft.client_tls, pause.between)
        added, states = [], []
        used_logs: set[str] = set()
        for listener in draft.of("listener", plan.Listener):
            there = self.listeners.get(listener.name)
            if there is None:
                stats = self._stats.group(layout.LISTENER, listener.name)
                there = self.listeners[listener.name] = Listener(listener.name, stats, self._stats)
                added.append(there)
            states += self._configure_listener(there, listener, draft, used_logs)
            await pause.between()
        gone = [name for name in self.listeners if ("listener", name) not in draft.sections]
        for name in gone:
            states += self.listeners.pop(name).states.values()
        self.logs.commit(used_logs)
        if self._python is not None:
            self._python.commit()
        if self._protocols is not None and draft.protocols is not None:
            self._protocols.commit(draft.protocols)
        if ("overload", "") in draft.changed:
            overload = draft.sections.get(("overload", ""), plan.Overload())
            assert isinstance(overload, plan.Overload)
            self._context.overload.configure(overload.target, overload.interval)
        await self._clusters.settle(draft.clusters, pause.between)
        self._keep_buckets(draft.buckets)
        self._buckets = draft.buckets
        await pause.between()
        former = self._former(draft)
        await pause.between()
        self._routes = draft.routes
        self._server_tls = draft.server_tls
        self._sections = draft.sections
        while former:
            former.pop()
            await pause.between()
        self.version = draft.version
        return Swap(added, gone, states)

    def _former(self, draft: Draft) -> list[Any]:
        """What the draft replaces, to be let go of one by one, the last first: to free thousands takes its time too.
        Nothing else may hold them by then, so this is no part of `commit`, whose variables last until its end."""
        former: list[Any] = []
        for name, table in self._routes.items():
            if draft.routes.get(name) is not table:
                former += table.virtual_hosts
                section = self._sections["routes", name]
                assert isinstance(section, plan.Routes)
                former += section.virtual_hosts
        former += self._sections.values()
        return former

    def _configure_listener(
        self, there: Listener, listener: plan.Listener, draft: Draft, used_logs: set[str]
    ) -> list[ListenerState]:
        """Gives the states of its chains that are gone. Adds to `used_logs`."""
        keys = {id(chain): key for key, chain in keyed(listener)}

        def fill(state: ListenerState, chain: plan.FilterChain) -> None:
            if chain.http is not None:
                _configure_http(state, chain.http)
                state.routes = draft.routes[chain.http.routes]  # type: ignore[assignment]
            state.sheds = listener.sheds
            state.tcp = draft.tcp.get((listener.name, keys[id(chain)]))  # type: ignore[assignment]
            if (listener.name, keys[id(chain)]) in draft.filters:
                state.filters = draft.filters[listener.name, keys[id(chain)]]  # type: ignore[assignment]
            if state.rpc is not None:
                _configure_rpc(state)
            used_logs.update(log.path for log in _access_logs(chain))
            logs = draft.access_logs.get((listener.name, keys[id(chain)]))
            if logs is not None:
                state.access_logs = logs or None  # type: ignore[assignment]

        tls = draft.server_tls[listener.name]
        return there.configure(listener, self._context, tls, draft.protocols, fill)


def _check_secrets(who: str, settings: plan.DownstreamTls | plan.UpstreamTls | None, draft: Draft) -> None:
    for kind, name in tls.needs(settings):
        if (kind, name) not in draft.sections:
            raise PlanRefused(f"{who}: the {kind} {name!r} is not in the plan")


def _access_logs(chain: plan.FilterChain) -> list[plan.AccessLog]:
    return [*(chain.http.access_logs if chain.http is not None else ()), *(chain.tcp.access_logs if chain.tcp else ())]


def _tcp_route(tcp: plan.Tcp) -> TcpRoute:
    """Raises ValueError."""
    names, weights = [each.name for each in tcp.clusters], [each.weight for each in tcp.clusters]
    return TcpRoute(names, weights, tcp.idle_timeout, tcp.max_duration, tcp.max_connect_attempts)


def _configure_http(state: ListenerState, http: plan.Http) -> None:
    state.append_x_forwarded_for = http.append_x_forwarded_for
    state.generate_request_id = http.generate_request_id
    state.max_head_bytes = http.max_head_bytes
    state.max_headers = http.max_headers
    state.idle_timeout = http.idle_timeout
    state.head_timeout = http.head_timeout
    state.max_connection_duration = http.max_connection_duration
    state.max_requests_per_connection = http.max_requests_per_connection
    state.max_stream_duration = http.max_stream_duration
    state.delayed_close_timeout = http.delayed_close_timeout
    state.server_name = http.server_name.encode()
    state.upgrades = frozenset(name.encode() for name in http.upgrades)
    state.enable_trailers = http.enable_trailers
    state.http2 = http2.of_listener(http, state.http2)  # type: ignore[assignment]


def _configure_rpc(state: Any) -> None:
    """A frame whose headers are looked at, or that is changed, has to be there as a whole."""
    rpc = state.rpc
    rpc.whole = rpc.limit if state.routes.needs_headers or state.filters is not None else min(WHOLE, rpc.limit)


def _asks_for_protocols(listeners: Sequence[plan.Listener], clusters: Sequence[plan.Cluster]) -> bool:
    return any(cluster.x_protocol is not None for cluster in clusters) or any(
        listener.inspect_protocols
        or any(chain.http is not None and chain.http.x_protocol is not None for chain in listener.all_chains())
        for listener in listeners
    )


class _Slices:
    """Gives the loop a turn whenever `SLICE_US` have passed."""

    def __init__(self, clock: Callable[[], int] = monotonic_us) -> None:
        self._clock = clock
        self._since = clock()

    async def between(self) -> None:
        if self._clock() - self._since >= SLICE_US:
            await asyncio.sleep(0)
            self._since = self._clock()
