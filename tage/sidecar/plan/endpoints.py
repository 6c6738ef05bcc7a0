"""Endpoints of clusters."""

from __future__ import annotations

import msgspec

from tage.sidecar.plan.base import Section


class Endpoint(msgspec.Struct, frozen=True, omit_defaults=True):
    """One address that takes traffic. Source: envoy.config.endpoint.v3.LbEndpoint."""

    address: str
    port: int
    weight: int = 1
    healthy: bool = True
    hostname: str = ""
    """Shown by the admin API: Endpoint.hostname, else the name that was resolved."""
    checked: bool = True
    """By the cluster's active health check, if it has one. Source, of all three: Endpoint.HealthCheckConfig."""
    check_port: int = 0
    """0: `port`."""
    check_hostname: str = ""
    """The Host header of HTTP checks, in place of the check's own."""
    degraded: bool = False
    """Gets requests when there are too few others."""
    priority: int = 0
    locality: int = 0
    """Index into `Endpoints.localities`."""
    metadata: dict[str, str] = {}
    """Its filter_metadata "envoy.lb": subsets are chosen by it, and `hash_key` stands for its address in hashes."""


class Locality(msgspec.Struct, frozen=True, omit_defaults=True):
    """Source: LocalityLbEndpoints."""

    region: str = ""
    zone: str = ""
    sub_zone: str = ""
    weight: int = 0
    """0: none, no requests where localities are weighted."""


class Endpoints(Section, frozen=True):
    """A cluster's endpoints; `name` is what `Cluster.endpoints` says. Source: ClusterLoadAssignment."""

    endpoints: list[Endpoint] = []
    localities: list[Locality] = []
    overprovisioning: int = 140
    """Percent of the requests for a priority, or a locality, that its hosts are taken to be able to carry."""
