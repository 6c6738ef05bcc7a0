"""What the configuration says of a host. `plan.Endpoint` has the same fields, and is what a worker's hosts have."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class Endpoint(NamedTuple):
    """`healthy` and `degraded` are EDS's word (LbEndpoint.health_status). `priority` 0 comes first; `locality` is an
    index into the localities of its `Assignment`. `metadata` is that for load balancing (envoy.lb)."""

    address: str
    port: int
    weight: int = 1
    healthy: bool = True
    degraded: bool = False
    hostname: str = ""
    priority: int = 0
    locality: int = 0
    metadata: Mapping[str, str] = {}


class Locality(NamedTuple):
    """`weight` 0: none."""

    weight: int = 0


class Assignment(NamedTuple):
    """All endpoints of a cluster. `overprovisioning` is in percent. Source: ClusterLoadAssignment."""

    endpoints: list[Endpoint] = []
    localities: list[Locality] = []
    overprovisioning: int = 140
