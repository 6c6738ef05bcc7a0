"""What a translation gives: plan sections, plus what they still wait for before a plan can be closed.

These are plain structs without protobuf: they also travel from the translating child process to the agent.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from tage.sidecar import plan

INHERIT = -1
"""`plan.Route.idle_timeout` of a route that takes the listener's stream_idle_timeout; `resolve_idle_timeout` puts it
in. It is the listener that knows, and one RDS resource may come before its listener does."""

FETCH_TIMEOUT = 15_000
"""Envoy's default for ConfigSource.initial_fetch_timeout."""


class Source(msgspec.Struct, frozen=True):
    """A resource that ADS has to deliver: its name, and for how long to wait for it (ms, 0: for ever)."""

    name: str
    fetch_timeout: int = FETCH_TIMEOUT


class DataSource(msgspec.Struct, frozen=True):
    """Where a part of a section comes from: a file, or the configuration itself (`file` empty).
    Source: envoy.config.core.v3.DataSource."""

    file: str = ""
    inline: bytes = b""


FileSection = plan.Certificate | plan.Trust | plan.FilterCode | plan.ProtocolCode
"""What files hold."""


class SecretDraft(msgspec.Struct, frozen=True):
    """A certificate, what is trusted, or a filter's code, as it was read, and where its parts came from: a file that
    changes is read again. The section's name tells where it comes from, not what it holds."""

    section: FileSection
    sources: dict[str, DataSource] = {}
    """By the section's field."""


class ChainDraft(msgspec.Struct, frozen=True):
    """What belongs to one filter chain: `routes` when they are inline, else `rds`; neither without HTTP."""

    routes: plan.Routes | None = None
    rds: Source | None = None
    stream_idle_timeout: int = 300_000
    validate_clusters: bool = False
    """Refuse inline routes that name an unknown cluster, as Envoy does for routes in a bootstrap."""


class ListenerDraft(msgspec.Struct, frozen=True):
    """`chains` are in the order of `listener.all_chains()`."""

    listener: plan.Listener
    chains: list[ChainDraft] = []
    secrets: list[SecretDraft] = []


class DnsServers(msgspec.Struct, frozen=True):
    """Where names are asked. Source: envoy.extensions.network.dns_resolver.cares.v3.CaresDnsResolverConfig."""

    addresses: tuple[str, ...] = ()
    """IP:port; none: those of /etc/resolv.conf."""
    fallback: bool = False
    """`addresses` count only where the system names no server (use_resolvers_as_fallback)."""
    tcp: bool = False
    """use_tcp_for_dns_lookups"""
    no_search: bool = False
    """no_default_search_domain"""


class DnsPolicy(msgspec.Struct, frozen=True):
    """How names are resolved. Times in ms. Source: the fields that start with dns_ in Cluster, or DnsCluster."""

    family: Literal["auto", "v4_only", "v6_only", "v4_preferred", "all"] = "auto"
    refresh: int = 5_000
    respect_ttl: bool = False
    failure_base: int = 0
    """0: a failure changes nothing, the next try comes after `refresh`."""
    failure_max: int = 0
    jitter: int = 0
    """A refresh comes later by a random time below this."""
    servers: DnsServers = DnsServers()
    logical: bool = False
    """LOGICAL_DNS: one name, whose first address is the endpoint; an empty answer is a failure."""


class Dns(msgspec.Struct, frozen=True):
    """Where a DNS cluster's endpoints come from."""

    names: list[plan.Endpoint]
    """Whose addresses are host names, or IP addresses already."""
    policy: DnsPolicy = DnsPolicy()
    wait: bool = True
    """The plan waits for the first answer, good or not (Cluster.wait_for_warm_on_init)."""
    localities: list[plan.Locality] = []
    overprovisioning: int = 140


class ClusterDraft(msgspec.Struct, frozen=True):
    """Exactly one of `endpoints`, `eds` and `dns` says where the endpoints come from."""

    cluster: plan.Cluster
    endpoints: plan.Endpoints | None = None
    eds: Source | None = None
    dns: Dns | None = None
    secrets: list[SecretDraft] = []


def resolve_idle_timeout(routes: plan.Routes, stream_idle_timeout: int) -> plan.Routes:
    """`routes` with the listener's timeout where a route has none of its own."""
    return msgspec.structs.replace(
        routes,
        virtual_hosts=[
            msgspec.structs.replace(
                host,
                routes=[
                    msgspec.structs.replace(route, idle_timeout=stream_idle_timeout)
                    if route.idle_timeout == INHERIT
                    else route
                    for route in host.routes
                ],
            )
            for host in routes.virtual_hosts
        ],
    )


def clusters_of(routes: plan.Routes) -> frozenset[str]:
    """The clusters that these routes name, those that get copies included."""
    return frozenset(
        name
        for host in routes.virtual_hosts
        for route in host.routes
        for name in (*(each.name for each in route.clusters), *(each.cluster for each in route.mirrors))
    )
