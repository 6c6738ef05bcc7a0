"""ClusterLoadAssignment -> `plan.Endpoints`, or the names of a DNS cluster."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from envoy.config.core.v3 import health_check_pb2
from envoy.config.endpoint.v3 import endpoint_components_pb2, endpoint_pb2

from tage.sidecar import plan
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
        "health_status": Only("HEALTHY", "UNHEALTHY", "DRAINING", "TIMEOUT", "DEGRADED"),
        "load_balancing_weight": leaf,
        "metadata": leaf,  # that of envoy.lb; transport socket matches, which read others, are refused
    },
)
_LOCALITY = Shape(
    "envoy.config.endpoint.v3.LocalityLbEndpoints",
    {"lb_endpoints": _LB_ENDPOINT, "locality": leaf, "load_balancing_weight": leaf, "priority": leaf},
    harmless={"metadata": "of a locality: read by transport socket matches only, which are refused"},
)
LOAD_ASSIGNMENT = Shape(
    "envoy.config.endpoint.v3.ClusterLoadAssignment",
    {
        "cluster_name": leaf,
        "endpoints": _LOCALITY,
        "policy": Shape("envoy.config.endpoint.v3.ClusterLoadAssignment.Policy", ("overprovisioning_factor",)),
    },
)

MAX_PRIORITY = 128
_LB = "envoy.lb"
_UNHEALTHY = (health_check_pb2.UNHEALTHY, health_check_pb2.DRAINING, health_check_pb2.TIMEOUT)


class Localities:
    """Those of an assignment. Two of the same name and priority are one, with the later one's weight, as in Envoy."""

    def __init__(self, message: endpoint_pb2.ClusterLoadAssignment, path: str, problems: Problems) -> None:
        self.found: list[plan.Locality] = []
        self.overprovisioning = 140
        self._priorities: list[int] = []
        self._of: list[int] = []
        prefix = f"{path}." if path else ""
        factor = message.policy.overprovisioning_factor
        if message.policy.HasField("overprovisioning_factor"):
            self.overprovisioning = factor.value
            if not factor.value:
                problems.add(f"{prefix}policy.overprovisioning_factor", "must be greater than 0")
        known: dict[tuple[str, str, str, int], int] = {}
        for at, group in enumerate(message.endpoints):
            if group.priority > MAX_PRIORITY:
                problems.add(f"{prefix}endpoints[{at}].priority", f"must not be more than {MAX_PRIORITY}")
            names = group.locality.region, group.locality.zone, group.locality.sub_zone
            index = known.setdefault((*names, group.priority), len(self.found))
            locality = plan.Locality(*names, group.load_balancing_weight.value)
            self.found[index : index + 1] = [locality]
            self._of.append(index)
            self._priorities.append(min(group.priority, MAX_PRIORITY))
        if self.found == [plan.Locality()]:
            self.found = []

    def place(self, at: int, endpoint: endpoint_components_pb2.LbEndpoint) -> dict[str, Any]:
        """Of an endpoint of the locality with this index in the message: whether it is degraded, its priority, its
        locality, its metadata, of which only text counts: routes ask for nothing else."""
        metadata = {}
        if endpoint.HasField("metadata") and _LB in endpoint.metadata.filter_metadata:
            fields = endpoint.metadata.filter_metadata[_LB].fields
            metadata = {k: v.string_value for k, v in fields.items() if v.WhichOneof("kind") == "string_value"}
        degraded = endpoint.health_status == health_check_pb2.DEGRADED
        return {
            "degraded": degraded,
            "priority": self._priorities[at],
            "locality": self._of[at],
            "metadata": metadata,
        }


def translate(message: endpoint_pb2.ClusterLoadAssignment, path: str, problems: Problems) -> plan.Endpoints:
    """An EDS resource."""
    LOAD_ASSIGNMENT.check(message, path, problems)
    if not message.cluster_name:
        problems.add(f"{path}.cluster_name" if path else "cluster_name", "is missing")
    return build(message, message.cluster_name, path, problems)


def build(
    message: endpoint_pb2.ClusterLoadAssignment, name: str, path: str, problems: Problems, *, names: bool = False
) -> plan.Endpoints:
    """The section `name`; the walk is the caller's. Addresses are IPs, or host names too where `names` says so."""
    endpoints = []
    localities = Localities(message, path, problems)
    for where, index, endpoint in _each(message, path):
        host, port = socket_address(endpoint.endpoint.address, f"{where}.endpoint.address", problems, names=names)
        weight, hostname = _weight(endpoint, where, problems), endpoint.endpoint.hostname
        check = _check(endpoint, where, problems)
        place = localities.place(index, endpoint)
        endpoints.append(plan.Endpoint(host, port, weight, _healthy(endpoint), hostname, *check, **place))
    return plan.Endpoints(name, endpoints, localities.found, localities.overprovisioning)


def _each(
    message: endpoint_pb2.ClusterLoadAssignment, path: str
) -> Iterator[tuple[str, int, endpoint_components_pb2.LbEndpoint]]:
    """Path, the index of its locality, endpoint."""
    prefix = f"{path}." if path else ""
    for i, locality in enumerate(message.endpoints):
        for j, endpoint in enumerate(locality.lb_endpoints):
            yield f"{prefix}endpoints[{i}].lb_endpoints[{j}]", i, endpoint


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
