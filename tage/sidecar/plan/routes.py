"""Route configurations."""

from __future__ import annotations

from typing import Literal

import msgspec

from tage.sidecar.plan.base import Fraction, HeaderMatch, HeaderMutations, QueryMatch, Section, StringMatch
from tage.sidecar.plan.filters import AnyFilterSettings


class RouteMatch(msgspec.Struct, frozen=True, omit_defaults=True):
    """`path` is matched without the query string; prefix "/" matches all.
    A CONNECT request meets only rules with `connect`, for which the path does not count, and no other request does."""

    path: StringMatch
    headers: list[HeaderMatch] = []
    connect: bool = False
    query: list[QueryMatch] = []
    fraction: Fraction | None = None


class RegexRewrite(msgspec.Struct, frozen=True, omit_defaults=True):
    """Source: envoy.type.matcher.v3.RegexMatchAndSubstitute."""

    pattern: str
    substitution: str = ""


class WeightedCluster(msgspec.Struct, frozen=True, omit_defaults=True):
    """Source: envoy.config.route.v3.WeightedCluster.ClusterWeight."""

    name: str
    weight: int = 1
    request_headers: HeaderMutations | None = None
    response_headers: HeaderMutations | None = None
    host_rewrite: str = ""
    metadata_match: dict[str, str] = {}


class RetryPolicy(msgspec.Struct, frozen=True, omit_defaults=True):
    """`on` holds Envoy's retry conditions: 5xx, gateway-error, reset, reset-before-request, connect-failure,
    refused-stream, retriable-status-codes (with `statuses`), retriable-headers (with `headers`), retriable-4xx,
    envoy-ratelimited, and gRPC's cancelled, unavailable, ..."""

    on: list[str]
    attempts: int = 1
    """Retries after the first try."""
    per_try_timeout: int = 0
    statuses: list[int] = []
    backoff_base: int = 25
    backoff_max: int = 250
    headers: list[HeaderMatch] = []
    """Of answers."""
    request_headers: list[HeaderMatch] = []
    """Of requests that may be tried again: one has to match, where there are any."""
    per_try_idle_timeout: int = 0


class DirectResponse(msgspec.Struct, frozen=True, omit_defaults=True):
    status: int
    body: str = ""


class Redirect(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is empty stays as the client asked for it. At most one of `path`, `prefix` and `regex`.
    Source: envoy.config.route.v3.RedirectAction."""

    status: int = 301
    scheme: str = ""
    host: str = ""
    port: int = 0
    path: str = ""
    prefix: str = ""
    """In place of what the match covers."""
    regex: RegexRewrite | None = None
    strip_query: bool = False


class Mirror(msgspec.Struct, frozen=True, omit_defaults=True):
    """Source: RouteAction.RequestMirrorPolicy."""

    cluster: str
    fraction: Fraction = Fraction(100)
    append_suffix: bool = True
    """-shadow, to the authority."""


class HashPolicy(msgspec.Struct, frozen=True, omit_defaults=True):
    """Source: RouteAction.HashPolicy."""

    kind: Literal["header", "cookie", "source_ip", "query_parameter"]
    name: str = ""
    terminal: bool = False
    rewrite: RegexRewrite | None = None
    """Of a header's value."""
    ttl: int = -1
    """Seconds that a cookie lives which is made where there is none; 0: as long as the browser, -1: none is made."""
    path: str = ""
    attributes: list[tuple[str, str]] = []


class Route(msgspec.Struct, frozen=True, omit_defaults=True):
    """One rule. Exactly one of `clusters`, `cluster_header`, `direct` and `redirect` says where it leads."""

    match: RouteMatch
    name: str = ""
    clusters: list[WeightedCluster] = []
    direct: DirectResponse | None = None
    timeout: int = 15_000
    """From the request's end to the response's end."""
    idle_timeout: int = 300_000
    """Of the stream: no byte in either direction."""
    retry: RetryPolicy | None = None
    prefix_rewrite: str = ""
    upgrades: dict[str, bool] = {}
    """By protocol (Upgrade's word, or `connect`), in lower case: whether a request may switch to it, whatever the
    listener says. Source: RouteAction.upgrade_configs."""
    filters: dict[str, AnyFilterSettings] = {}
    """Settings of its own for filters, by their names; virtual host's and table's included, the route's own first."""
    connect_terminates: bool = False
    """CONNECT ends here and the cluster gets the tunnel's bytes; otherwise it gets the CONNECT request."""
    redirect: Redirect | None = None
    cluster_header: str = ""
    """The request's header that names the cluster, lower case."""
    regex_rewrite: RegexRewrite | None = None
    """Of the path. At most one of it and `prefix_rewrite`."""
    host_rewrite: str = ""
    """At most one of it, `host_rewrite_header` and `host_rewrite_path`."""
    host_rewrite_header: str = ""
    host_rewrite_path: RegexRewrite | None = None
    append_forwarded_host: bool = False
    request_headers: HeaderMutations | None = None
    response_headers: HeaderMutations | None = None
    mirrors: list[Mirror] = []
    hash_policies: list[HashPolicy] = []
    metadata_match: dict[str, str] = {}
    """What the endpoints' metadata has to have: the subset of the cluster."""
    max_stream_duration: int = -1
    """From a request's head to the end of its answer; 0: no limit, -1: the listener's."""
    grpc_timeout_max: int | None = None
    """Of a gRPC request: the most of its grpc-timeout that counts, in place of `timeout`; 0: all of it, None: none.
    Source: RouteAction.MaxStreamDuration.grpc_timeout_header_max."""


class VirtualHost(msgspec.Struct, frozen=True, omit_defaults=True):
    """`domains` in Envoy's forms: exact, `*.suffix`, `prefix.*`, `*`; compared without case."""

    name: str
    domains: list[str]
    routes: list[Route] = []
    request_headers: HeaderMutations | None = None
    response_headers: HeaderMutations | None = None
    require_tls: bool = False
    """Requests that did not come over TLS are sent to https. Source: VirtualHost.require_tls."""


class Routes(Section, frozen=True):
    """Source: envoy.config.route.v3.RouteConfiguration."""

    virtual_hosts: list[VirtualHost] = []
    request_headers: HeaderMutations | None = None
    response_headers: HeaderMutations | None = None
    most_specific_wins: bool = False
    """Header mutations are applied from the table to the route; otherwise from the route to the table."""
    ignore_port: bool = False
    """The port of an authority does not count when its virtual host is looked for."""
    exact: bool = False
    """Authorities are services of an RPC protocol: their case counts, and they have no port. Given by the filter chain
    (`Http.x_protocol`), not by the resource."""


class RoutesInParts(Routes, frozen=True):
    """The same, its virtual hosts not decoded yet: a thousand at once would keep a worker from its traffic."""

    virtual_hosts: list[msgspec.Raw] = []  # type: ignore[assignment]
