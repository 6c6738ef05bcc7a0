"""Drafts -> the sections of a closed plan, and what is missing until it is closed.

Pure. Records keep a resource beside its encoded section, so that composing anew after an endpoint changed costs
comparing references, not encoding everything again.

A cluster has its own endpoints section, by its own name: two clusters may ask for the same EDS resource, and one of
another kind may have that resource's name. Route configurations keep their name; where two listeners bring different
ones by one name, or use one with different idle timeouts, or one of them for RPC, the later listener's is called
``<name>@<listener>``; so for two filter chains of one listener.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

import msgspec

from tage.sidecar import plan
from tage.sidecar.translate.draft import (
    ClusterDraft,
    Dns,
    FileSection,
    ListenerDraft,
    Source,
    clusters_of,
    resolve_idle_timeout,
)


class EndpointsRecord:
    """Endpoints, from EDS, DNS or the cluster itself."""

    __slots__ = ("_blob", "_localities", "_name", "_overprovisioning", "endpoints")

    def __init__(
        self, endpoints: list[plan.Endpoint], localities: list[plan.Locality] | None = None, overprovisioning: int = 140
    ) -> None:
        self.endpoints = endpoints
        self._localities = localities or []
        self._overprovisioning = overprovisioning
        self._name = ""
        self._blob = b""

    @classmethod
    def of(cls, section: plan.Endpoints) -> EndpointsRecord:
        return cls(section.endpoints, section.localities, section.overprovisioning)

    def placed(self, dns: Dns | None) -> EndpointsRecord:
        """These addresses in the localities of the cluster they are for."""
        if dns is None or (dns.localities, dns.overprovisioning) == (self._localities, self._overprovisioning):
            return self
        return EndpointsRecord(self.endpoints, dns.localities, dns.overprovisioning)

    def blob(self, cluster: str) -> bytes:
        if self._name != cluster:  # more than one cluster asks for it: the last one's is kept
            section = plan.Endpoints(cluster, self.endpoints, self._localities, self._overprovisioning)
            self._name, self._blob = cluster, plan.encode(section)
        return self._blob


class RoutesRecord:
    __slots__ = ("_blob", "_key", "clusters", "routes")

    def __init__(self, routes: plan.Routes) -> None:
        self.routes = routes
        self.clusters = clusters_of(routes)
        self._key: tuple[str, int, bool] | None = None
        self._blob = b""

    def blob(self, name: str, stream_idle_timeout: int, exact: bool) -> bytes:
        key = (name, stream_idle_timeout, exact)
        if self._key != key:
            routes = resolve_idle_timeout(self.routes, stream_idle_timeout)
            routes = msgspec.structs.replace(routes, name=name, exact=exact)
            self._key, self._blob = key, plan.encode(routes)
        return self._blob


class SecretRecord:
    """A certificate, what is trusted, or code of a filter or of protocols."""

    __slots__ = ("blob", "key")

    def __init__(self, section: FileSection) -> None:
        self.key: plan.SectionKey = (plan.kind_of(section), section.name)
        self.blob = plan.encode(section)


class ListenerRecord:
    __slots__ = ("_blob", "_names", "chains", "draft", "routes", "secrets")

    def __init__(self, draft: ListenerDraft) -> None:
        self.draft = draft
        self.chains = draft.listener.all_chains()
        self.routes = [RoutesRecord(chain.routes) if chain.routes is not None else None for chain in draft.chains]
        """By chain, where they are inline."""
        self.secrets = [SecretRecord(secret.section) for secret in draft.secrets]
        self._names: list[str] = []
        self._blob = b""

    def blob(self, names: list[str]) -> bytes:
        """With the routes by these names, one for each chain."""
        if not self._blob or self._names != names:
            chains = [_with_routes(chain, name) for chain, name in zip(self.chains, names, strict=True)]
            listener = self.draft.listener
            count = len(listener.chains)
            default = chains[count] if len(chains) > count else None
            self._blob = plan.encode(msgspec.structs.replace(listener, chains=chains[:count], default_chain=default))
            self._names = names
        return self._blob


def _with_routes(chain: plan.FilterChain, name: str) -> plan.FilterChain:
    if chain.http is None or chain.http.routes == name:
        return chain
    return msgspec.structs.replace(chain, http=msgspec.structs.replace(chain.http, routes=name))


class ClusterRecord:
    __slots__ = ("blob", "draft", "endpoints", "secrets")

    def __init__(self, draft: ClusterDraft) -> None:
        self.draft = draft
        self.blob = plan.encode(draft.cluster)
        self.endpoints = EndpointsRecord.of(draft.endpoints) if draft.endpoints is not None else None
        self.secrets = [SecretRecord(secret.section) for secret in draft.secrets]


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
    replacing: bool = False
    """A former agent's plan is in force: a name that need not be waited for has addresses there, so it is."""
    renewed: Mapping[plan.SectionKey, SecretRecord] = field(default_factory=dict)
    """Those whose files have changed since listener or cluster came."""
    overload: plan.Overload | None = None
    protocols: Iterable[SecretRecord] = ()


@dataclass
class Composition:
    sections: dict[plan.SectionKey, bytes] = field(default_factory=dict)
    clusters: dict[str, ClusterRecord] = field(default_factory=dict)
    """Those in the plan, kept ones included."""
    missing: set[Need] = field(default_factory=set)
    """Empty: the plan is closed."""


def compose(resources: Resources) -> Composition:
    result = Composition(clusters=dict(resources.clusters))
    if resources.overload is not None:
        result.sections["overload", resources.overload.name] = plan.encode(resources.overload)
    for protocol in resources.protocols:
        result.sections[protocol.key] = protocol.blob
    named = _add_listeners(resources, result)
    for name in named:
        if name not in result.clusters and name in resources.in_force:
            result.clusters[name] = resources.in_force[name]
    for name, cluster in result.clusters.items():
        result.sections["cluster", name] = cluster.blob
        _add_secrets(cluster.secrets, resources, result)
        endpoints = _endpoints(name, cluster, resources, result)
        if endpoints is not None:
            result.sections["endpoints", name] = endpoints.blob(name)
    return result


def _add_listeners(resources: Resources, result: Composition) -> set[str]:
    """The clusters that the listeners lead to."""
    named: set[str] = set()
    taken: dict[str, tuple[int, int, bool]] = {}
    for name, listener in resources.listeners.items():
        chains = [
            (chain, inline or _rds(draft.rds, resources, result), draft.stream_idle_timeout)
            for chain, draft, inline in zip(listener.chains, listener.draft.chains, listener.routes, strict=True)
        ]
        if any(chain.http is not None and routes is None for chain, routes, _ in chains):
            continue  # they are missing
        names = []
        for chain, routes, idle_timeout in chains:
            names.append("")
            if chain.tcp is not None:
                named.update(cluster.name for cluster in chain.tcp.clusters)
            if chain.http is not None and routes is not None:
                exact = chain.http.x_protocol is not None
                names[-1] = _routes_name(chain.http.routes, name, (id(routes), idle_timeout, exact), taken)
                named |= routes.clusters
                result.sections["routes", names[-1]] = routes.blob(names[-1], idle_timeout, exact)
        result.sections["listener", name] = listener.blob(names)
        _add_secrets(listener.secrets, resources, result)
    return named


def _routes_name(
    wanted: str, listener: str, key: tuple[int, int, bool], taken: dict[str, tuple[int, int, bool]]
) -> str:
    name, more = wanted, 1
    while taken.setdefault(name, key) != key:
        name = f"{wanted}@{listener}" if more == 1 else f"{wanted}@{listener}#{more}"
        more += 1
    return name


def _add_secrets(secrets: Iterable[SecretRecord], resources: Resources, result: Composition) -> None:
    for secret in secrets:
        result.sections[secret.key] = resources.renewed.get(secret.key, secret).blob


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
        if found is None and cluster.draft.dns is not None and not cluster.draft.dns.wait and not resources.replacing:
            return EMPTY_ENDPOINTS
        if found is None:
            result.missing.add(Need("dns", name))
            return None
        return found.placed(cluster.draft.dns)
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
    return {chain.rds.name for listener in listeners for chain in listener.draft.chains if chain.rds is not None}
