"""ClusterLoadAssignment -> `plan.Endpoints`, or the names of a DNS cluster."""

from __future__ import annotations

from collections.abc import Iterator

from envoy.config.core.v3 import health_check_pb2
from envoy.config.endpoint.v3 import endpoint_components_pb2, endpoint_pb2

from tage.sidecar import plan
from tage.sidecar.translate.draft import DnsName
from tage.sidecar.translate.problem import Problems
from tage.sidecar.translate.shape import Only, Shape, leaf
from tage.sidecar.translate.values import ADDRESS, HEADER_VALUE, socket_address

_ENDPOINT = Shape(
    "envoy.config.endpoint.v3.Endpoint",
    {
        "address": ADDRESS,
        "hostname": leaf,
        "health_check_config": Shape(
            "envoy.config.endpoint.v3.Endpoint.HealthCheckConfig",
            ("port_value", "hostname", "disable_active_health_check"),
        ),
    },
)
_LB_ENDPOINT = Shape(
    "envoy.config.endpoint.v3.LbEndpoint",
    {
        "endpoint": _ENDPOINT,
        "health_status": Only("HEALTHY", "UNHEALTHY", "DRAINING", "TIMEOUT"),
        "load_balancing_weight": leaf,
    },
    harmless={"metadata": "read by subset load balancing and transport socket matches only; both are refused"},
)
_LOCALITY = Shape(
    "envoy.config.endpoint.v3.LocalityLbEndpoints",
    {"lb_endpoints": _LB_ENDPOINT},
    harmless={
        "locality": "read by zone-aware and locality-weighted load balancing only; both are refused",
        "load_balancing_weight": "of the locality: read by locality-weighted load balancing only, which is refused",
        "metadata": "read by subset load balancing and transport socket matches only; both are refused",
    },
)
LOAD_ASSIGNMENT = Shape(
    "envoy.config.endpoint.v3.ClusterLoadAssignment",
    {
        "cluster_name": leaf,
        "endpoints": _LOCALITY,
        "policy": Shape(
            "envoy.config.endpoint.v3.ClusterLoadAssignment.Policy",
            harmless={"overprovisioning_factor": "weighs priorities against each other; others than 0 are refused"},
        ),
    },
)

_UNHEALTHY = (health_check_pb2.UNHEALTHY, health_check_pb2.DRAINING, health_check_pb2.TIMEOUT)


def translate(message: endpoint_pb2.ClusterLoadAssignment, path: str, problems: Problems) -> plan.Endpoints:
    """An EDS resource."""
    LOAD_ASSIGNMENT.check(message, path, problems)
    if not message.cluster_name:
        problems.add(f"{path}.cluster_name" if path else "cluster_name", "is missing")
    return build(message, message.cluster_name, path, problems)


def build(message: endpoint_pb2.ClusterLoadAssignment, name: str, path: str, problems: Problems) -> plan.Endpoints:
    """The section `name`; the walk is the caller's. Addresses are IPs."""
    endpoints = []
    for where, endpoint in _each(message, path):
        host, port = socket_address(endpoint.endpoint.address, f"{where}.endpoint.address", problems)
        weight, hostname = _weight(endpoint, where, problems), endpoint.endpoint.hostname
        check = _check(endpoint, where, problems)
        endpoints.append(plan.Endpoint(host, port, weight, _healthy(endpoint), hostname, *check))
    return plan.Endpoints(name, endpoints)


def names(message: endpoint_pb2.ClusterLoadAssignment, path: str, problems: Problems) -> list[DnsName]:
    """As `build`, for host names."""
    found = []
    for where, endpoint in _each(message, path):
        host, port = socket_address(endpoint.endpoint.address, f"{where}.endpoint.address", problems, names=True)
        weight, hostname = _weight(endpoint, where, problems), endpoint.endpoint.hostname
        check = _check(endpoint, where, problems)
        found.append(DnsName(host, port, weight, _healthy(endpoint), hostname, *check))
    return found


def _each(
    message: endpoint_pb2.ClusterLoadAssignment, path: str
) -> Iterator[tuple[str, endpoint_components_pb2.LbEndpoint]]:
    prefix = f"{path}." if path else ""
    for i, locality in enumerate(message.endpoints):
        for j, endpoint in enumerate(locality.lb_endpoints):
            yield f"{prefix}endpoints[{i}].lb_endpoints[{j}]", endpoint


def _weight(endpoint: endpoint_components_pb2.LbEndpoint, path: str, problems: Problems) -> int:
    if not endpoint.HasField("load_balancing_weight"):
        return 1
    if endpoint.load_balancing_weight.value == 0:
        problems.add(f"{path}.load_balancing_weight", "must be at least 1")
    return endpoint.load_balancing_weight.value


def _check(endpoint: endpoint_components_pb2.LbEndpoint, path: str, problems: Problems) -> tuple[bool, int, str]:
    """How the endpoint is checked: whether at all, the port (0: its own), the Host header (empty: the check's)."""
    found, where = endpoint.endpoint.health_check_config, f"{path}.endpoint.health_check_config"
    if found.port_value > 65_535:
        problems.add(f"{where}.port_value", "must be a port from 1 to 65535")
    if not HEADER_VALUE.fullmatch(found.hostname):
        problems.add(f"{where}.hostname", "must not have control characters")
    return not found.disable_active_health_check, found.port_value, found.hostname


def _healthy(endpoint: endpoint_components_pb2.LbEndpoint) -> bool:
    return endpoint.health_status not in _UNHEALTHY
