"""`consistentHash`: what of a request names its host -> hash policies of routes. The ring is the cluster's."""

from __future__ import annotations

from envoy.config.route.v3 import route_components_pb2

from tage.config.networking import ConsistentHashLB, Destination
from tage.pilot.generate import names, traffic_policy
from tage.pilot.generate.node import Caller
from tage.pilot.generate.snapshot import Snapshot
from tage.registry.model import Service

HashPolicy = route_components_pb2.RouteAction.HashPolicy


def of(snapshot: Snapshot, caller: Caller, destination: Destination, namespace: str) -> ConsistentHashLB | None:
    """None: requests for `destination` are not hashed."""
    if not snapshot.route_rules:
        return None
    _, service = snapshot.target(destination, namespace)
    return of_service(snapshot, caller, service, destination.subset) if service is not None else None


def of_service(snapshot: Snapshot, caller: Caller, service: Service, subset: str = "") -> ConsistentHashLB | None:
    if not snapshot.route_rules:
        return None
    rule = snapshot.rule(service, caller)
    policy = traffic_policy.effective(rule.policy, rule.subset(subset), service.port)
    return policy.load_balancer.consistent_hash if policy is not None and policy.load_balancer is not None else None


def policy(hash: ConsistentHashLB) -> route_components_pb2.RouteAction.HashPolicy:
    made = HashPolicy()
    if hash.http_cookie is not None:
        made.cookie.name = hash.http_cookie.name
        made.cookie.path = hash.http_cookie.path
        if hash.http_cookie.ttl:
            made.cookie.ttl.CopyFrom(names.duration(hash.http_cookie.ttl))
        for attribute in hash.http_cookie.attributes:
            made.cookie.attributes.add(name=attribute.name, value=attribute.value)
    elif hash.http_header_name:
        made.header.header_name = hash.http_header_name
    elif hash.http_query_parameter_name:
        made.query_parameter.name = hash.http_query_parameter_name
    else:
        made.connection_properties.source_ip = True
    return made
