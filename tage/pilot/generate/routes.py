"""Services and VirtualServices -> the route configurations of the outbound listeners: HTTP's, one of each protocol of
remote calls, and one of each service of gRPC.

``match``     a rule's conditions              ``retry``     its retries
``action``    what becomes of the requests     ``hashing``   what of a request names its host
``headers``   header mutations                 ``filters``   faults and CORS
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import cast

from envoy.config.route.v3 import route_components_pb2, route_pb2

from tage.config.model import Resource
from tage.config.networking import HTTPRoute, VirtualService
from tage.config.protocols import HTTP, is_http
from tage.pilot.generate import action, hashing, match, names, rate_limits
from tage.pilot.generate.action import Place
from tage.pilot.generate.node import Caller
from tage.pilot.generate.snapshot import Snapshot
from tage.registry.model import Service

DEFAULT_ROUTE = "default"
"""Name of a route that has none."""

_DIRECT_BODY = 4096
"""Bytes of a direct response that Envoy takes unless it is told of more."""


_Hosts = Iterator[tuple[str, int, list[str], list[route_components_pb2.Route]]]
"""Host, port, domains and routes of each virtual host."""


def protocols(snapshot: Snapshot, caller: Caller) -> tuple[str, ...]:
    """Those that `caller` has routes of, HTTP first."""
    return (HTTP, *(snapshot.protocols if caller.rpc else ()))


def outbound(snapshot: Snapshot, caller: Caller, protocol: str = HTTP) -> route_pb2.RouteConfiguration:
    """A virtual host for each service of the protocol, as `caller` may name it. HTTP has one for each other host of a
    VirtualService too; remote calls, for each interface that a VirtualService names. Their names are compared as they
    are written, and have no port."""
    if protocol == HTTP:
        return _configuration(names.OUTBOUND_ROUTES, _hosts(snapshot, caller), snapshot, str.lower)
    return _configuration(names.rpc_proxy(protocol), _rpc_hosts(snapshot, caller, protocol), snapshot, str)


def of_service(snapshot: Snapshot, caller: Caller, service: Service) -> route_pb2.RouteConfiguration:
    """Of the listener that one service of HTTP has: its routes, whatever clients call it."""
    hosts = [(service.fqdn, service.port, ["*"], _of_service(snapshot, service, caller))]
    return _configuration(names.service_proxy(service.port, service.fqdn), iter(hosts), snapshot, str.lower)


def _configuration(
    name: str, hosts: _Hosts, snapshot: Snapshot, fold: Callable[[str], str]
) -> route_pb2.RouteConfiguration:
    """A domain that stands twice is refused: the first virtual host keeps it, services before other hosts. `fold`: what
    is the same domain."""
    config = route_pb2.RouteConfiguration(name=name)
    taken: set[str] = set()
    for host, port, domains, routes in hosts:
        free = [domain for domain in domains if fold(domain) not in taken]
        if free:
            taken.update(map(fold, free))
            added = config.virtual_hosts.add(name=f"{host}:{port}", domains=free, routes=routes)
            rate_limits.apply(snapshot.limits(snapshot.owner(host, ""), "outbound"), added)
    largest = max((_body_size(route) for host in config.virtual_hosts for route in host.routes), default=0)
    if largest > _DIRECT_BODY:
        config.max_direct_response_body_size_bytes.value = largest
    return config


def _hosts(snapshot: Snapshot, caller: Caller) -> _Hosts:
    for service in snapshot.services:
        if is_http(service.protocol):
            domains = names.domains(service.fqdn, service.port, caller.namespace)
            yield service.fqdn, service.port, domains, _of_service(snapshot, service, caller)
    for host, resource in snapshot.foreign_hosts(caller.namespace):
        for port in _ports(resource):
            routes = _routes(snapshot, resource, caller, port)
            domains = names.domains(host, port, caller.namespace)
            if port != names.DEFAULT_PORT:
                domains = [domain for domain in domains if domain.endswith(f":{port}")]
            if routes:
                yield host, port, domains, routes


def _rpc_hosts(snapshot: Snapshot, caller: Caller, protocol: str) -> _Hosts:
    services = [service for service in snapshot.services if service.protocol == protocol]
    own: set[str] = set()
    for service in services:
        for interface in service.interfaces:
            resource = snapshot.routing_of(interface, caller.namespace)
            routes = _routes(snapshot, resource, caller, service) if resource is not None else []
            if routes:
                own.add(interface)
                yield interface, service.port, [interface], routes
    for service in services:
        domains = [interface for interface in service.interfaces if interface not in own]
        domains += names.host_names(service.fqdn, caller.namespace)
        yield service.fqdn, service.port, domains, _of_service(snapshot, service, caller)


def _of_service(snapshot: Snapshot, service: Service, caller: Caller) -> list[route_components_pb2.Route]:
    """What its VirtualService says, else all to it."""
    resource = snapshot.routing(service.fqdn, caller.namespace)
    routes = _routes(snapshot, resource, caller, service) if resource is not None else []
    if routes:
        return routes
    hash = hashing.of_service(snapshot, caller, service)
    cluster = names.outbound_cluster(service.port, "", service.fqdn)
    return [
        route_components_pb2.Route(
            name=DEFAULT_ROUTE,
            match=route_components_pb2.RouteMatch(prefix="/"),
            route=action.forward_to(cluster, hash, service.protocol),
        )
    ]


def _ports(resource: Resource) -> list[int]:
    """Of a host that is no service: the usual one, and those that its rules name."""
    asked = {m.port for http in cast(VirtualService, resource.spec).http for m in http.match if m.port}
    return [names.DEFAULT_PORT, *sorted(asked - {names.DEFAULT_PORT})]


def _routes(
    snapshot: Snapshot, resource: Resource, caller: Caller, of: Service | int
) -> list[route_components_pb2.Route]:
    """Of what `caller` may meet, up to a route that takes every request. `of`: the service, or the port of a host that
    is none."""
    port, protocol = (of, HTTP) if isinstance(of, int) else (of.port, of.protocol)
    place = Place(snapshot, caller, port, resource.metadata.namespace, protocol)
    made: list[route_components_pb2.Route] = []
    for http in cast(VirtualService, resource.spec).http:
        # A rule without an action is refused on entry; here it would make Envoy refuse all the routes.
        if not (http.route or http.redirect or http.direct_response):
            continue
        for route in _expanded(http, place):
            made.append(route)
            if match.is_catch_all(route.match):
                return made
    return made


def _expanded(http: HTTPRoute, place: Place) -> Iterator[route_components_pb2.Route]:
    """One Envoy route for each `match` entry: Envoy has no "or" inside a route."""
    common = route_components_pb2.Route(name=http.name or DEFAULT_ROUTE)
    action.apply(http, common, place)
    if not http.match:
        common.match.prefix = "/"
        yield common
    for entry in http.match:
        if not match.applies(entry, place.caller, place.port):
            continue
        route = route_components_pb2.Route()
        route.CopyFrom(common)
        route.match.CopyFrom(match.build(entry))
        route.stat_prefix = entry.stat_prefix
        if entry.name:
            route.name = f"{common.name}.{entry.name}"
        yield route


def _body_size(route: route_components_pb2.Route) -> int:
    body = route.direct_response.body
    return max(len(body.inline_bytes), len(body.inline_string.encode()))
