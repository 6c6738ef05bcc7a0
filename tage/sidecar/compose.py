"""Drafts -> the sections of a closed plan, and what is missing until it is closed.

Pure. Records keep a resource beside its encoded section, so that composing anew after an endpoint changed costs
comparing references, not encoding everything again.

A cluster has its own endpoints section, by its own name: two clusters may ask for the same EDS resource, and one of
another kind may have that resource's name. Route configurations keep their name; where two listeners bring different
ones by one name, or use one with different idle timeouts, the later listener's is called ``<name>@<listener>``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

import msgspec

from tage.sidecar import plan
from tage.sidecar.translate.draft import ClusterDraft, ListenerDraft, Source, clusters_of, resolve_idle_timeout


class EndpointsRecord:
    """Endpoints, from EDS, DNS or the cluster itself."""

    __slots__ = ("_blob", "_name", "endpoints")

    def __init__(self, endpoints: list[plan.Endpoint]) -> None:
        self.endpoints = endpoints
        self._name = ""
        self._blob = b""

    def blob(self, cluster: str) -> bytes:
        if self._name != cluster:  # more than one cluster asks for it: the last one's is kept
            self._name, self._blob = cluster, plan.encode(plan.Endpoints(cluster, self.endpoints))
        return self._blob


class RoutesRecord:
    __slots__ = ("_blob", "_key", "clusters", "routes")

    def __init__(self, routes: plan.Routes) -> None:
        self.routes = routes
        self.clusters = clusters_of(routes)
        self._key: tuple[str, int] | None = None
        self._blob = b""

    def blob(self, name: str, stream_idle_timeout: int) -> bytes:
        key = (name, stream_idle_timeout)
        if self._key != key:
            routes = msgspec.structs.replace(resolve_idle_timeout(self.routes, stream_idle_timeout), name=name)
            self._key, self._blob = key, plan.encode(routes)
        return self._blob


class ListenerRecord:
    __slots__ = ("_blob", "_routes", "draft", "routes")

    def __init__(self, draft: ListenerDraft) -> None:
        self.draft = draft
        self.routes = RoutesRecord(draft.routes) if draft.routes is not None else None
        self._routes = ""
        self._blob = b""

    @property
    def routes_name(self) -> str:
        http = self.draft.listener.http
        return http.routes if http is not None else ""

    def blob(self, routes: str) -> bytes:
        """With the routes by that name."""
        listener = self.draft.listener
        if not self._blob or self._routes != routes:
            if listener.http is not None and listener.http.routes != routes:
                listener = msgspec.structs.replace(listener, http=msgspec.structs.replace(listener.http, routes=routes))
            self._routes, self._blob = routes, plan.encode(listener)
        return self._blob


class ClusterRecord:
    __slots__ = ("blob", "draft", "endpoints")

    def __init__(self, draft: ClusterDraft) -> None:
        self.draft = draft
        self.blob = plan.encode(draft.cluster)
        self.endpoints = EndpointsRecord(draft.endpoints.endpoints) if draft.endpoints is not None else None


Record = ListenerRecord | ClusterRecord | RoutesRecord | EndpointsRecord

EMPTY_ENDPOINTS = EndpointsRecord([])


class Need(msgspec.Struct, frozen=True):
    """A resource that has to come before a plan is closed. `fetch_timeout` in ms, 0: wait for ever."""

    kind: Literal["endpoints", "routes", "dns"]
    name: str
    fetch_timeout: int = 0


@dataclass
class Resources:
    """What a plan is made of."""

    listeners: Mapping[str, ListenerRecord]
    clusters: Mapping[str, ClusterRecord]
    routes: Mapping[str, RoutesRecord]
    """By the name of the RDS resource."""
    endpoints: Mapping[str, EndpointsRecord]
    """By the name of the EDS resource."""
    resolved: Mapping[str, EndpointsRecord]
    """By the name of the DNS cluster."""
    in_force: Mapping[str, ClusterRecord]
    """Clusters of the plan in force: one that is no longer in `clusters` stays while a route names it."""
    given_up: frozenset[tuple[str, str]] = frozenset()
    """(kind, name) of what did not come in time: it counts as empty."""


@dataclass
class Composition:
    sections: dict[plan.SectionKey, bytes] = field(default_factory=dict)
    clusters: dict[str, ClusterRecord] = field(default_factory=dict)
    """Those in the plan, kept ones included."""
    missing: set[Need] = field(default_factory=set)
    """Empty: the plan is closed."""


def compose(resources: Resources) -> Composition:
    result = Composition(clusters=dict(resources.clusters))
    named = _add_listeners(resources, result)
    for name in named:
        if name not in result.clusters and name in resources.in_force:
            result.clusters[name] = resources.in_force[name]
    for name, cluster in result.clusters.items():
        result.sections["cluster", name] = cluster.blob
        endpoints = _endpoints(name, cluster, resources, result)
        if endpoints is not None:
            result.sections["endpoints", name] = endpoints.blob(name)
    return result


def _add_listeners(resources: Resources, result: Composition) -> set[str]:
    """The clusters that the listeners' routes name."""
    named: set[str] = set()
    taken: dict[str, tuple[int, int]] = {}
    for name, listener in resources.listeners.items():
        routes = listener.routes or _rds(listener.draft.rds, resources, result)
        if routes is None:
            continue
        idle_timeout = listener.draft.stream_idle_timeout
        key = (id(routes), idle_timeout)
        routes_name = listener.routes_name
        if taken.setdefault(routes_name, key) != key:
            routes_name = f"{routes_name}@{name}"
        named |= routes.clusters
        result.sections["routes", routes_name] = routes.blob(routes_name, idle_timeout)
        result.sections["listener", name] = listener.blob(routes_name)
    return named


def _rds(source: Source | None, resources: Resources, result: Composition) -> RoutesRecord | None:
    if source is None:
        return None
    found = resources.routes.get(source.name)
    if found is not None:
        return found
    if ("routes", source.name) in resources.given_up:
        return RoutesRecord(plan.Routes(source.name))
    result.missing.add(Need("routes", source.name, source.fetch_timeout))
    return None


def _endpoints(name: str, cluster: ClusterRecord, resources: Resources, result: Composition) -> EndpointsRecord | None:
    if cluster.endpoints is not None:
        return cluster.endpoints
    source = cluster.draft.eds
    if source is None:
        found = resources.resolved.get(name)
        if found is None and cluster.draft.dns is not None and not cluster.draft.dns.wait:
            return EMPTY_ENDPOINTS
        if found is None:
            result.missing.add(Need("dns", name))
        return found
    found = resources.endpoints.get(source.name)
    if found is None and ("endpoints", source.name) in resources.given_up:
        return EMPTY_ENDPOINTS
    if found is None:
        result.missing.add(Need("endpoints", source.name, source.fetch_timeout))
    return found


def difference(
    old: Mapping[plan.SectionKey, bytes], new: Mapping[plan.SectionKey, bytes]
) -> tuple[list[tuple[str, str, bytes]], list[plan.SectionKey]]:
    """`plan.Update.upserts` and `removed`."""
    upserts = [(kind, name, blob) for (kind, name), blob in new.items() if old.get((kind, name)) != blob]
    return upserts, [key for key in old if key not in new]


def eds_names(clusters: Iterable[ClusterRecord]) -> set[str]:
    return {cluster.draft.eds.name for cluster in clusters if cluster.draft.eds is not None}


def rds_names(listeners: Iterable[ListenerRecord]) -> set[str]:
    return {listener.draft.rds.name for listener in listeners if listener.draft.rds is not None}
