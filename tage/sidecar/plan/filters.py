"""HTTP filters of listeners, and what routes say for them."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from tage.sidecar.plan.base import Fraction, HeaderMatch, HeaderMutations, QueryMatch, Section, StringMatch


class HttpFilter(msgspec.Struct, frozen=True, omit_defaults=True, tag=True):
    """One filter of a listener's chain, or a route's settings for the filter of that name. Its kinds are the classes in
    `AnyFilter`; what a route may say is in `AnyFilterSettings`.
    Source: envoy...http_connection_manager.v3.HttpFilter, typed_per_filter_config."""

    name: str


class FilterDisabled(HttpFilter, frozen=True):
    """Of a route: not for it. Source: envoy.config.route.v3.FilterConfig.disabled."""


class Fault(HttpFilter, frozen=True):
    """Of a listener or a route; nothing where both shares are None. Source: envoy.extensions.filters.http.fault.v3."""

    delay: Fraction | None = None
    """Of requests; None: none."""
    delay_ms: int = 0
    """0: the request's headers say it."""
    abort: Fraction | None = None
    abort_status: int = 0
    """0: the request's headers say it."""
    headers: list[HeaderMatch] = []
    nodes: list[str] = []
    """Of x-envoy-downstream-service-node; empty: any."""
    max_active: int = -1
    """At a time, per worker; -1: no limit."""
    grpc_status: int | None = None
    """In place of `abort_status`, where it is one of gRPC's. Source: FaultAbort.grpc_status."""


class Cors(HttpFilter, frozen=True):
    """Of a listener: routes have the policies. Source: envoy.extensions.filters.http.cors.v3.Cors."""


class CorsPolicy(HttpFilter, frozen=True):
    """Of a route; what is None or empty in it comes from the virtual host's, then from the table's, but for `enabled`
    and `shadow`. Source: envoy.extensions.filters.http.cors.v3.CorsPolicy."""

    origins: list[StringMatch] = []
    methods: str = ""
    headers: str = ""
    expose: str = ""
    max_age: str = ""
    credentials: bool | None = None
    private_network: bool | None = None
    forward: bool | None = None
    enabled: Fraction | None = None
    """None: all requests."""
    shadow: Fraction | None = None
    """None: none."""


class TokenBucket(msgspec.Struct, frozen=True, omit_defaults=True):
    """Source: envoy.type.v3.TokenBucket; `interval` in ms."""

    maximum: int
    per_fill: int = 1
    interval: int = 1_000


class RateLimitAction(msgspec.Struct, frozen=True, omit_defaults=True):
    """An entry of a descriptor. Source: envoy.config.route.v3.RateLimit.Action."""

    kind: Literal["generic_key", "request_header", "query_parameter", "remote_address", "headers_match", "query_match"]
    key: str
    value: str = ""
    name: str = ""
    """Of the header (lower case) or parameter."""
    optional: bool = False
    """Left out where there is none; otherwise there is no descriptor."""
    expect: bool = True
    headers: list[HeaderMatch] = []
    query: list[QueryMatch] = []


class RateLimitDescriptor(msgspec.Struct, frozen=True, omit_defaults=True):
    """Source: envoy.extensions.common.ratelimit.v3.LocalRateLimitDescriptor."""

    entries: list[tuple[str, str]]
    """Keys and values; a value that is empty is any, and each has a bucket."""
    bucket: TokenBucket


class LocalRateLimit(HttpFilter, frozen=True):
    """Of a listener or a route. Its buckets are the sidecar's: all workers together.
    Source: envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit."""

    scope: str
    """Whose it is: what names its buckets, beside the filter."""
    stat_prefix: str
    bucket: TokenBucket | None = None
    enabled: Fraction | None = None
    """None: no request, as in `enforced`."""
    enforced: Fraction | None = None
    status: int = 429
    request_headers: HeaderMutations | None = None
    """Of those that are over the limit and go on."""
    response_headers: HeaderMutations | None = None
    descriptors: list[RateLimitDescriptor] = []
    rules: list[list[RateLimitAction]] = []
    always_default: bool = True
    tell: bool = False
    max_dynamic: int = 20
    """Buckets of a descriptor with empty values."""
    resource_exhausted: bool = False
    """The status of calls of gRPC that are over the limit; else UNAVAILABLE."""


class FilterCode(Section, frozen=True, tag=True):
    """A file with filters in Python; `name` is its path."""

    source: bytes


class PythonFilter(HttpFilter, frozen=True):
    """A filter that a user has written: the class `kind`, of the `FilterCode` section `file` or of an installed
    package's `module`."""

    kind: str
    file: str = ""
    module: str = ""
    config: dict[str, Any] = {}
    fails_open: bool = False
    """What becomes of a request whose filter fails: it goes on, or is answered 500."""
    timeout: int = 5_000
    """Of what the filter awaits."""
    blocking_threshold: int = 10
    """A call that holds the worker for longer is told of."""


class PythonFilterRoute(HttpFilter, frozen=True):
    """Of a route: the same class with another configuration."""

    config: dict[str, Any] = {}


AnyFilter = FilterDisabled | Fault | Cors | LocalRateLimit | PythonFilter
"""Kinds of filters that a listener may have."""
AnyFilterSettings = FilterDisabled | Fault | CorsPolicy | LocalRateLimit | PythonFilterRoute
