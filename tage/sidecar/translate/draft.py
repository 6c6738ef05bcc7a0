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


class ListenerDraft(msgspec.Struct, frozen=True):
    """`routes` when they are inline, else `rds`."""

    listener: plan.Listener
    routes: plan.Routes | None = None
    rds: Source | None = None
    stream_idle_timeout: int = 300_000
    validate_clusters: bool = False
    """Refuse inline routes that name an unknown cluster, as Envoy does for routes in a bootstrap."""


class DnsName(msgspec.Struct, frozen=True):
    host: str
    port: int
    weight: int = 1
    healthy: bool = True


class Dns(msgspec.Struct, frozen=True):
    """The names of a STRICT_DNS cluster. `refresh` in ms. Source: Cluster.dns_lookup_family, dns_refresh_rate."""

    names: list[DnsName]
    family: Literal["auto", "v4_only", "v6_only", "v4_preferred", "all"] = "auto"
    refresh: int = 5_000


class ClusterDraft(msgspec.Struct, frozen=True):
    """Exactly one of `endpoints`, `eds` and `dns` says where the endpoints come from."""

    cluster: plan.Cluster
    endpoints: plan.Endpoints | None = None
    eds: Source | None = None
    dns: Dns | None = None


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
    """The clusters that these routes name."""
    return frozenset(
        cluster.name for host in routes.virtual_hosts for route in host.routes for cluster in route.clusters
    )
