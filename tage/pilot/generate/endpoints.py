"""Instances and subsets -> load assignments."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from envoy.config.endpoint.v3 import endpoint_components_pb2, endpoint_pb2
from google.protobuf.wrappers_pb2 import UInt32Value

from tage.pilot.generate import localities, names, traffic_policy
from tage.pilot.generate.clusters import socket_address
from tage.pilot.generate.localities import Group
from tage.pilot.generate.node import Caller
from tage.pilot.generate.rules import Rule
from tage.registry.model import Service


def assignments(service: Service, rule: Rule, caller: Caller) -> Iterator[endpoint_pb2.ClusterLoadAssignment]:
    """One for each cluster of `clusters.outbound`, in the same order. Instances that are not ready, or whose weight is
    0, are left out: Envoy has no weight 0."""
    usable = sorted((i for i in service.instances if i.ready and i.weight > 0), key=lambda i: (i.address, i.port))
    for subset in (None, *rule.subsets):
        policy = traffic_policy.effective(rule.policy, subset, service.port)
        chosen = [i for i in usable if _selects(subset.labels, i.labels)] if subset is not None else usable
        name = names.outbound_cluster(service.port, subset.name if subset is not None else "", service.fqdn)
        yield _assignment(name, localities.groups(chosen, policy, caller))


def _selects(selector: Mapping[str, str], labels: Mapping[str, str]) -> bool:
    return all(labels.get(key) == value for key, value in selector.items())


def _assignment(name: str, groups: Iterable[Group]) -> endpoint_pb2.ClusterLoadAssignment:
    assignment = endpoint_pb2.ClusterLoadAssignment(cluster_name=name)
    for group in groups:
        endpoints = assignment.endpoints.add(priority=group.priority)
        if group.locality:
            endpoints.locality.CopyFrom(names.locality(group.locality))
        endpoints.load_balancing_weight.value = group.weight
        endpoints.lb_endpoints.extend(
            endpoint_components_pb2.LbEndpoint(
                endpoint=endpoint_components_pb2.Endpoint(address=socket_address(instance.address, instance.port)),
                load_balancing_weight=UInt32Value(value=instance.weight),
            )
            for instance in group.instances
        )
    return assignment
