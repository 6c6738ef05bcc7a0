"""What becomes of the requests that a rule matches -> the action of its routes."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import dataclass

from envoy.config.route.v3 import route_components_pb2
from envoy.type.v3 import percent_pb2
from google.protobuf.duration_pb2 import Duration
from google.protobuf.wrappers_pb2 import UInt32Value

from tage.config.networking import (
    ConsistentHashLB,
    Destination,
    HTTPDirectResponse,
    HTTPMirrorPolicy,
    HTTPRedirect,
    HTTPRewrite,
    HTTPRoute,
    HTTPRouteDestination,
    Percent,
)
from tage.config.protocols import GRPC, HTTP, is_http
from tage.pilot.generate import filters, hashing, headers, match, names, retry
from tage.pilot.generate.node import Caller
from tage.pilot.generate.snapshot import Snapshot

Route = route_components_pb2.Route
RouteAction = route_components_pb2.RouteAction
RedirectAction = route_components_pb2.RedirectAction

_REDIRECT_CODES = {
    0: RedirectAction.MOVED_PERMANENTLY,
    301: RedirectAction.MOVED_PERMANENTLY,
    302: RedirectAction.FOUND,
    303: RedirectAction.SEE_OTHER,
    307: RedirectAction.TEMPORARY_REDIRECT,
    308: RedirectAction.PERMANENT_REDIRECT,
}
_DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True)
class Place:
    """Where a rule stands: who calls, on which port, and which namespace its short names are of."""

    snapshot: Snapshot
    caller: Caller
    port: int
    namespace: str
    protocol: str = HTTP
    """Of the requests."""

    @property
    def rpc(self) -> bool:
        """Remote calls, not HTTP."""
        return not is_http(self.protocol)

    def cluster(self, destination: Destination) -> str:
        return self.snapshot.cluster(destination, self.namespace, self.port)

    def hash(self, destination: Destination) -> ConsistentHashLB | None:
        return hashing.of(self.snapshot, self.caller, destination, self.namespace)


def apply(http: HTTPRoute, route: route_components_pb2.Route, place: Place) -> None:
    """The rule's action, and what goes with it, into `route`."""
    authority = headers.apply(http.headers, route)
    if http.redirect is not None:
        _redirect(http.redirect, route.redirect, place.port)
    elif http.direct_response is not None:
        _direct_response(http.direct_response, route.direct_response)
    else:
        _forward(http, route, authority, place)
    filters.apply(http, route, place.rpc)


def forward_to(cluster: str, hash: ConsistentHashLB | None, protocol: str = HTTP) -> route_components_pb2.RouteAction:
    """The action for a service of which no rule says anything."""
    rpc = not is_http(protocol)
    action = RouteAction(cluster=cluster, retry_policy=retry.policy(None, hash is not None, rpc))
    limit(action, Duration(), protocol)
    if hash is not None:
        action.hash_policy.append(hashing.policy(hash))
    return action


def limit(action: route_components_pb2.RouteAction, timeout: Duration, protocol: str) -> None:
    """How long an answer may take; 0: as long as it takes, but no longer than the grpc-timeout of a request of gRPC.
    That counts beside a rule's own limit too where the service is one of gRPC; Envoy then knows one limit, which holds
    for all of a stream."""
    action.timeout.CopyFrom(timeout)
    limited = bool(timeout.seconds or timeout.nanos)
    if is_http(protocol) and (not limited or protocol == GRPC):
        action.max_stream_duration.max_stream_duration.CopyFrom(timeout)
        action.max_stream_duration.grpc_timeout_header_max.CopyFrom(timeout)


def _forward(http: HTTPRoute, route: route_components_pb2.Route, authority: str, place: Place) -> None:
    action = route.route
    limit(action, names.duration(http.timeout) if http.timeout else Duration(), place.protocol)
    if http.rewrite is not None:
        _rewrite(http.rewrite, action)
        authority = http.rewrite.authority or authority
    for cluster, percentage in _mirrors(http, place):
        mirror = action.request_mirror_policies.add(cluster=cluster)
        mirror.runtime_fraction.default_value.CopyFrom(percentage)
    shares = _shares(http.route)
    _hash(shares, action, place)
    if len(shares) == 1:
        action.cluster = place.cluster(shares[0][0].destination)
        own = headers.apply(shares[0][0].headers, route)
        authority = authority or own
    else:
        for share, weight in shares:
            weighted = action.weighted_clusters.clusters.add(
                name=place.cluster(share.destination), weight=UInt32Value(value=weight)
            )
            own = headers.apply(share.headers, weighted)
            if own:
                weighted.host_rewrite_literal = own
    if authority:
        action.host_rewrite_literal = authority
    policy = retry.policy(http.retries, hashed=len(shares) == 1 and bool(action.hash_policy), rpc=place.rpc)
    if policy is not None:
        action.retry_policy.CopyFrom(policy)


def _hash(
    shares: list[tuple[HTTPRouteDestination, int]], action: route_components_pb2.RouteAction, place: Place
) -> None:
    """Destinations that hash by the same key give one policy."""
    for share, _ in shares:
        hash = place.hash(share.destination)
        if hash is not None and (made := hashing.policy(hash)) not in action.hash_policy:
            action.hash_policy.append(made)


def _shares(route: list[HTTPRouteDestination]) -> list[tuple[HTTPRouteDestination, int]]:
    """Destinations that take traffic. If none has a weight (a single one usually has not) they share it equally;
    Envoy refuses a sum of 0."""
    weighted = [(destination, destination.weight) for destination in route if destination.weight > 0]
    return weighted or [(destination, 1) for destination in route]


def _mirrors(http: HTTPRoute, place: Place) -> Iterator[tuple[str, percent_pb2.FractionalPercent]]:
    """Cluster and share of each mirror that gets any."""
    mirrors = list(http.mirrors)
    if http.mirror is not None:
        percentage = http.mirror_percentage
        if percentage is None and http.mirror_percent is not None:
            percentage = Percent(http.mirror_percent)
        mirrors.insert(0, HTTPMirrorPolicy(http.mirror, percentage))
    for mirror in mirrors:
        if mirror.percentage is None or mirror.percentage.value > 0:
            yield place.cluster(mirror.destination), filters.fraction(mirror.percentage, 100)


def _rewrite(rewrite: HTTPRewrite, action: route_components_pb2.RouteAction) -> None:
    if rewrite.uri_regex_rewrite is not None:
        action.regex_rewrite.pattern.CopyFrom(match.regex(rewrite.uri_regex_rewrite.match))
        action.regex_rewrite.substitution = rewrite.uri_regex_rewrite.rewrite
    elif rewrite.uri:
        action.prefix_rewrite = rewrite.uri


def _redirect(redirect: HTTPRedirect, action: route_components_pb2.RedirectAction, port: int) -> None:
    action.SetInParent()
    action.host_redirect = redirect.authority
    action.response_code = _REDIRECT_CODES[redirect.redirect_code]
    if redirect.prefix_rewrite:
        action.prefix_rewrite = redirect.prefix_rewrite
    elif redirect.uri:
        action.path_redirect = redirect.uri
    if redirect.scheme:
        action.scheme_redirect = redirect.scheme
    # Envoy cannot take the port from the request, but a virtual host is of one port.
    number = port if redirect.derive_port == "FROM_REQUEST_PORT" else redirect.port or 0
    if number != _DEFAULT_PORTS[redirect.scheme or "http"]:
        action.port_redirect = number


def _direct_response(response: HTTPDirectResponse, action: route_components_pb2.DirectResponseAction) -> None:
    action.status = response.status
    if response.body is not None and response.body.string is not None:
        action.body.inline_string = response.body.string
    elif response.body is not None and response.body.data is not None:
        action.body.inline_bytes = base64.b64decode(response.body.data)
