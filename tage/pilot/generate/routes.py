"""Services and VirtualServices -> the route configuration of the outbound listener."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

from envoy.config.route.v3 import route_components_pb2, route_pb2
from envoy.extensions.retry.host.previous_hosts.v3 import previous_hosts_pb2
from envoy.type.matcher.v3 import regex_pb2, string_pb2
from google.protobuf.duration_pb2 import Duration
from google.protobuf.wrappers_pb2 import UInt32Value

from tage.config.model import Resource
from tage.config.networking import (
    HTTPMatchRequest,
    HTTPRetry,
    HTTPRoute,
    HTTPRouteDestination,
    StringMatch,
    VirtualService,
)
from tage.pilot.generate import names
from tage.pilot.generate.snapshot import Snapshot

DEFAULT_ROUTE = "default"
"""Name of a route that has none."""

# The retry policy of a route that says nothing about retries, Istio's.
RETRY_ON = ("connect-failure", "refused-stream", "unavailable", "cancelled", "retriable-status-codes")
RETRY_STATUSES = (503,)
RETRY_ATTEMPTS = 2
HOST_SELECTION_ATTEMPTS = 5
"""How often another host is looked for than those that failed."""

_STATUS_CODES = "retriable-status-codes"
_OTHER_HOST = route_components_pb2.RetryPolicy.RetryHostPredicate(name="envoy.retry_host_predicates.previous_hosts")
_OTHER_HOST.typed_config.Pack(previous_hosts_pb2.PreviousHostsPredicate())


def outbound(snapshot: Snapshot, namespace: str) -> route_pb2.RouteConfiguration:
    """A virtual host for each service and for each other host of a VirtualService, as a caller in `namespace` may name
    them. Envoy refuses a domain that stands twice: the first virtual host keeps it, services before other hosts."""
    config = route_pb2.RouteConfiguration(name=names.OUTBOUND_ROUTES)
    taken: set[str] = set()
    for host, port, routes in _hosts(snapshot):
        free = [domain for domain in names.domains(host, port, namespace) if domain.lower() not in taken]
        if free:
            taken.update(map(str.lower, free))
            config.virtual_hosts.add(name=f"{host}:{port}", domains=free, routes=routes)
    return config


def _hosts(snapshot: Snapshot) -> Iterator[tuple[str, int, list[route_components_pb2.Route]]]:
    for service in snapshot.services:
        resource = snapshot.routing(service.fqdn)
        routes = _routes(snapshot, resource) if resource is not None else []
        if not routes:
            routes = [_default_route(names.outbound_cluster(service.port, "", service.fqdn))]
        yield service.fqdn, service.port, routes
    for host, resource in snapshot.foreign_hosts():
        routes = _routes(snapshot, resource)
        if routes:
            yield host, names.DEFAULT_PORT, routes


def _routes(snapshot: Snapshot, resource: Resource) -> list[route_components_pb2.Route]:
    namespace = resource.metadata.namespace
    # A rule without destinations is refused on entry; here it would make Envoy refuse all the routes.
    return [
        route
        for http in cast(VirtualService, resource.spec).http
        if http.route
        for route in _expanded(http, _action(snapshot, http, namespace))
    ]


def _expanded(http: HTTPRoute, action: route_components_pb2.RouteAction) -> Iterator[route_components_pb2.Route]:
    """One Envoy route for each `match` entry: Envoy has no "or" inside a route."""
    name = http.name or DEFAULT_ROUTE
    if not http.match:
        yield route_components_pb2.Route(name=name, match=route_components_pb2.RouteMatch(prefix="/"), route=action)
    for entry in http.match:
        full = f"{name}.{entry.name}" if entry.name else name
        yield route_components_pb2.Route(name=full, match=_match(entry), route=action)


def _default_route(cluster: str) -> route_components_pb2.Route:
    return route_components_pb2.Route(
        name=DEFAULT_ROUTE,
        match=route_components_pb2.RouteMatch(prefix="/"),
        route=route_components_pb2.RouteAction(cluster=cluster, timeout=Duration(), retry_policy=_retry(None)),
    )


def _match(entry: HTTPMatchRequest) -> route_components_pb2.RouteMatch:
    match = route_components_pb2.RouteMatch()
    uri = entry.uri or StringMatch()
    if uri.exact is not None:
        match.path = uri.exact
    elif uri.regex is not None:
        match.safe_regex.CopyFrom(_regex(uri.regex))
    else:
        match.prefix = uri.prefix or "/"
    # Sorted: the order of a YAML map says nothing, but would change the bytes.
    for name, value in sorted(entry.headers.items()):
        match.headers.append(_header(name.lower(), value))
    if entry.method is not None:
        match.headers.append(_header(":method", entry.method))
    return match


def _header(name: str, value: StringMatch) -> route_components_pb2.HeaderMatcher:
    header = route_components_pb2.HeaderMatcher(name=name)
    if value.exact is not None:
        header.string_match.CopyFrom(string_pb2.StringMatcher(exact=value.exact))
    elif value.prefix:
        header.string_match.CopyFrom(string_pb2.StringMatcher(prefix=value.prefix))
    elif value.regex is not None:
        header.string_match.CopyFrom(string_pb2.StringMatcher(safe_regex=_regex(value.regex)))
    else:
        header.present_match = True
    return header


def _regex(pattern: str) -> regex_pb2.RegexMatcher:
    """Without `google_re2`: RE2 is the only engine there is, and Envoy warns of the deprecated field."""
    return regex_pb2.RegexMatcher(regex=pattern)


def _action(snapshot: Snapshot, http: HTTPRoute, namespace: str) -> route_components_pb2.RouteAction:
    action = route_components_pb2.RouteAction(
        timeout=names.duration(http.timeout) if http.timeout else Duration(), retry_policy=_retry(http.retries)
    )
    shares = _shares(http.route)
    if len(shares) == 1:
        action.cluster = snapshot.destination(shares[0][0].destination, namespace)
    else:
        for destination, weight in shares:
            action.weighted_clusters.clusters.add(
                name=snapshot.destination(destination.destination, namespace), weight=UInt32Value(value=weight)
            )
    return action


def _shares(route: list[HTTPRouteDestination]) -> list[tuple[HTTPRouteDestination, int]]:
    """Destinations that take traffic. If none has a weight (a single one usually has not) they share it equally;
    Envoy refuses a sum of 0."""
    weighted = [(destination, destination.weight) for destination in route if destination.weight > 0]
    return weighted or [(destination, 1) for destination in route]


def _retry(retries: HTTPRetry | None) -> route_components_pb2.RetryPolicy | None:
    """None: no retries. `retryOn` may name status codes, which Envoy takes in a field of their own."""
    if retries is not None and retries.attempts <= 0:
        return None
    on: list[str] = list(RETRY_ON)
    statuses: list[int] = list(RETRY_STATUSES)
    if retries is not None and retries.retry_on:
        terms = [term for part in retries.retry_on.split(",") if (term := part.strip())]
        statuses = [int(term) for term in terms if term.isdigit()]
        on = [term for term in terms if not term.isdigit()]
        if statuses and _STATUS_CODES not in on:
            on.append(_STATUS_CODES)
    policy = route_components_pb2.RetryPolicy(
        retry_on=",".join(on),
        num_retries=UInt32Value(value=retries.attempts if retries is not None else RETRY_ATTEMPTS),
        retriable_status_codes=statuses,
        host_selection_retry_max_attempts=HOST_SELECTION_ATTEMPTS,
        retry_host_predicate=[_OTHER_HOST],
    )
    if retries is not None and retries.per_try_timeout:
        policy.per_try_timeout.CopyFrom(names.duration(retries.per_try_timeout))
    return policy
