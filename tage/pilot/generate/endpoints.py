"""Instances and subsets -> load assignments."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from envoy.config.endpoint.v3 import endpoint_components_pb2, endpoint_pb2
from google.protobuf.wrappers_pb2 import UInt32Value

from tage.pilot.generate import names
from tage.pilot.generate.clusters import socket_address
from tage.pilot.generate.snapshot import Rule
from tage.registry.model import Instance, Service


def assignments(service: Service, rule: Rule) -> Iterator[endpoint_pb2.ClusterLoadAssignment]:
    """One for each cluster of `clusters.outbound`, in the same order. Instances that are not ready, or whose weight is
    0, are left out: Envoy has no weight 0."""
    usable = sorted((i for i in service.instances if i.ready and i.weight > 0), key=lambda i: (i.address, i.port))
    yield _assignment(names.outbound_cluster(service.port, "", service.fqdn), usable)
    for subset in rule.subsets:
        chosen = [instance for instance in usable if _selects(subset.labels, instance.labels)]
        yield _assignment(names.outbound_cluster(service.port, subset.name, service.fqdn), chosen)


def _selects(selector: Mapping[str, str], labels: Mapping[str, str]) -> bool:
    return all(labels.get(key) == value for key, value in selector.items())


def _assignment(name: str, instances: Sequence[Instance]) -> endpoint_pb2.ClusterLoadAssignment:
    assignment = endpoint_pb2.ClusterLoadAssignment(cluster_name=name)
    if instances:
        locality = assignment.endpoints.add()
        locality.load_balancing_weight.value = sum(instance.weight for instance in instances)
        locality.lb_endpoints.extend(
            endpoint_components_pb2.LbEndpoint(
                endpoint=endpoint_components_pb2.Endpoint(address=socket_address(instance.address, instance.port)),
                load_balancing_weight=UInt32Value(value=instance.weight),
            )
            for instance in instances
        )
    return assignment
