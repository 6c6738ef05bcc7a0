"""The plan: what the agent hands to the workers, by way of the supervisor.

A plan is a set of *sections*. A section is one resource (a listener, a route configuration, a cluster, the endpoints of
a cluster, a certificate) encoded on its own, so that an endpoint change travels as one small section. The supervisor
keeps the encoded sections without looking into them, except for listeners, whose sockets it owns. Keys are part of a
plan, so that a worker that starts while the agent is dead has everything: sections stay in memory, and no key is ever
printed.

An update is applied in two phases: every worker *prepares* it (builds new tables beside the live ones), and only when
all have, all *commit*. One refusal aborts it everywhere, and the reason goes back to the agent, which NACKs.

A plan is *closed*: a route's clusters, a cluster's endpoints, certificates are sections of the same plan. The exception
is a route that names a cluster that the control plane never sent: such requests get 503 with flag NC, as in Envoy.

Units: milliseconds unless a name says otherwise; 0 means "no limit" for timeouts.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

SectionKey = tuple[str, str]
"""(kind, name); kind is one of `KINDS`."""


class Section(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    name: str


# -- endpoints ---------------------------------------------------------------------------------------------------------


class Endpoint(msgspec.Struct, frozen=True, omit_defaults=True):
    """One address that takes traffic. Source: envoy.config.endpoint.v3.LbEndpoint."""

    address: str
    port: int
    weight: int = 1
    healthy: bool = True
    hostname: str = ""
    """Shown by the admin API: Endpoint.hostname, else the name that was resolved."""
    checked: bool = True
    """By the cluster's active health check, if it has one. Source, of all three: Endpoint.HealthCheckConfig."""
    check_port: int = 0
    """0: `port`."""
    check_hostname: str = ""
    """The Host header of HTTP checks, in place of the check's own."""
    degraded: bool = False
    """Gets requests when there are too few others."""
    priority: int = 0
    locality: int = 0
    """Index into `Endpoints.localities`."""
    metadata: dict[str, str] = {}
    """Its filter_metadata "envoy.lb": subsets are chosen by it, and `hash_key` stands for its address in hashes."""


class Locality(msgspec.Struct, frozen=True, omit_defaults=True):
    """Source: LocalityLbEndpoints."""

    region: str = ""
    zone: str = ""
    sub_zone: str = ""
    weight: int = 0
    """0: none, no requests where localities are weighted."""


class Endpoints(Section, frozen=True):
    """A cluster's endpoints; `name` is what `Cluster.endpoints` says. Source: ClusterLoadAssignment."""

    endpoints: list[Endpoint] = []
    localities: list[Locality] = []
    overprovisioning: int = 140
    """Percent of the requests for a priority, or a locality, that its hosts are taken to be able to carry."""


# -- TLS ---------------------------------------------------------------------------------------------------------------


class Certificate(Section, frozen=True, tag=True):
    """A certificate and its key, PEM. Source: envoy.extensions.transport_sockets.tls.v3.TlsCertificate."""

    chain: bytes
    key: bytes
    password: bytes = b""

    def __repr__(self) -> str:
        return f"Certificate({self.name!r})"  # a plan is logged, a key never


class StringMatch(msgspec.Struct, frozen=True, omit_defaults=True):
    """Source: envoy.type.matcher.v3.StringMatcher; regex is RE2, matched against the whole value. Of paths only:
    separated_prefix, a path or what is below it."""

    kind: Literal["exact", "prefix", "suffix", "contains", "regex", "separated_prefix"]
    value: str
    ignore_case: bool = False


class SanMatch(msgspec.Struct, frozen=True, omit_defaults=True):
    """One subject alternative name that will do. Source: SubjectAltNameMatcher."""

    type: Literal["dns", "uri", "email", "ip", "any"]
    value: StringMatch


class Trust(Section, frozen=True, tag=True):
    """Whose certificates are believed, and which names of theirs. Source: CertificateValidationContext."""

    ca: bytes = b""
    """PEM."""
    crl: bytes = b""
    names: list[SanMatch] = []
    """Empty: any name will do."""
    hashes: list[str] = []
    """SHA-256 of the certificate (DER), lower-case hexadecimal. Empty: any."""


class TlsParameters(msgspec.Struct, frozen=True, omit_defaults=True):
    """Source: TlsParameters. `ciphers` are those up to TLS 1.2, OpenSSL's names; TLS 1.3 has its own, all of them."""

    minimum: Literal["1.2", "1.3"] = "1.2"
    maximum: Literal["1.2", "1.3"] = "1.3"
    ciphers: list[str] = []


class DownstreamTls(msgspec.Struct, frozen=True, omit_defaults=True):
    """Source: DownstreamTlsContext. `certificates` and `trust` name sections."""

    certificates: list[str]
    """Several: the one that has the server name that the client asks for, else the first."""
    trust: str = ""
    """Empty: clients are not asked for a certificate."""
    require_client_certificate: bool = False
    alpn: list[str] = []
    parameters: TlsParameters = TlsParameters()


class UpstreamTls(msgspec.Struct, frozen=True, omit_defaults=True):
    """Source: UpstreamTlsContext. `certificates` and `trust` name sections."""

    certificates: list[str] = []
    trust: str = ""
    """Empty: the server's certificate is not verified, as in Envoy."""
    sni: str = ""
    alpn: list[str] = []
    parameters: TlsParameters = TlsParameters()


# -- clusters ----------------------------------------------------------------------------------------------------------


class RetryBudget(msgspec.Struct, frozen=True, omit_defaults=True):
    """How many requests may be in retry: so many percent of those under way, or `min_concurrency` if that is more."""

    percent: float = 20.0
    min_concurrency: int = 3


class TcpKeepalive(msgspec.Struct, frozen=True, omit_defaults=True):
    """SO_KEEPALIVE, see tcp(7). 0: as the system has it."""

    probes: int = 0
    time: int = 0
    """In seconds, as `interval`."""
    interval: int = 0


class OutlierDetection(msgspec.Struct, frozen=True, omit_defaults=True):
    """Source: envoy.config.cluster.v3.OutlierDetection; names and defaults are its. Times in ms."""

    consecutive_5xx: int = 5
    interval: int = 10_000
    base_ejection_time: int = 30_000
    max_ejection_time: int = 300_000
    max_ejection_time_jitter: int = 0
    max_ejection_percent: int = 10
    always_eject_one_host: bool = False
    consecutive_gateway_failure: int = 5
    split_external_local_origin_errors: bool = False
    consecutive_local_origin_failure: int = 5
    success_rate_minimum_hosts: int = 5
    success_rate_request_volume: int = 100
    success_rate_stdev_factor: int = 1_900
    failure_percentage_threshold: int = 85
    failure_percentage_minimum_hosts: int = 5
    failure_percentage_request_volume: int = 50
    enforcing_consecutive_5xx: int = 100
    enforcing_consecutive_gateway_failure: int = 0
    enforcing_consecutive_local_origin_failure: int = 100
    enforcing_success_rate: int = 100
    enforcing_local_origin_success_rate: int = 100
    enforcing_failure_percentage: int = 0
    enforcing_failure_percentage_local_origin: int = 0
    successful_active_health_check_uneject_host: bool = True


class HttpCheck(msgspec.Struct, frozen=True, omit_defaults=True, tag="http"):
    """One request over HTTP/1.1. Source: envoy.config.core.v3.HealthCheck.HttpHealthCheck."""

    path: str
    host: str = ""
    """Empty: the cluster's name. An endpoint may have a name of its own."""
    method: str = "GET"
    headers: list[tuple[str, str]] = []
    expected: list[tuple[int, int]] = []
    """Statuses of a healthy host, from the first up to, not including, the second. Empty: 200 alone."""
    retriable: list[tuple[int, int]] = []
    """Others count towards `unhealthy_threshold` only if they are here; else the host is unhealthy at once."""


class TcpCheck(msgspec.Struct, frozen=True, omit_defaults=True, tag="tcp"):
    """A connection; then `send`, and all of `receive` has to come, in this order. Source: TcpHealthCheck."""

    send: bytes = b""
    receive: list[bytes] = []


class HealthCheck(msgspec.Struct, frozen=True, omit_defaults=True):
    """Source: envoy.config.core.v3.HealthCheck; names and defaults are its. Times in ms."""

    check: HttpCheck | TcpCheck
    timeout: int
    interval: int
    unhealthy_threshold: int
    healthy_threshold: int
    unhealthy_interval: int
    unhealthy_edge_interval: int
    healthy_edge_interval: int
    no_traffic_interval: int = 60_000
    """As long as the cluster has had no connection, in place of the others."""
    no_traffic_healthy_interval: int = 60_000
    initial_jitter: int = 0
    interval_jitter: int = 0
    interval_jitter_percent: int = 0
    reuse_connection: bool = True
    always_log_failures: bool = False
    always_log_success: bool = False


class SlowStart(msgspec.Struct, frozen=True, omit_defaults=True):
    """A host that has just come gets less at first. Source: Cluster.SlowStartConfig."""

    window: int
    aggression: float = 1.0
    minimum: float = 0.1
    """The part of its weight that a host has at least."""


class SubsetSelector(msgspec.Struct, frozen=True, omit_defaults=True):
    """Source: LbSubsetConfig.LbSubsetSelector."""

    keys: list[str]
    fallback: Literal["", "none", "any", "default", "keys"] = ""
    """Where there is no such subset; empty: `Subsets.fallback`. keys: `fallback_keys` are looked for instead."""
    fallback_keys: list[str] = []


class Subsets(msgspec.Struct, frozen=True, omit_defaults=True):
    """Source: Cluster.LbSubsetConfig."""

    selectors: list[SubsetSelector] = []
    fallback: Literal["none", "any", "default"] = "none"
    default: dict[str, str] = {}
    locality_weight_aware: bool = False
    panic_any: bool = False
    """panic_mode_any: any host, where the fallback has none."""


class LoadBalancing(msgspec.Struct, frozen=True, omit_defaults=True):
    """Source: Cluster's lb_policy, the *_lb_config of it, common_lb_config, lb_subset_config, load_balancing_policy."""

    policy: Literal["round_robin", "random", "least_request", "ring_hash", "maglev"] = "round_robin"
    choice_count: int = 2
    """Hosts that least_request compares."""
    active_request_bias: float = 1.0
    slow_start: SlowStart | None = None
    min_ring_size: int = 1024
    max_ring_size: int = 8 * 1024 * 1024
    table_size: int = 65_537
    hash_hostname: bool = False
    balance_factor: int = 0
    """hash_balance_factor, percent; 0: loads of hashes are not bounded."""
    panic_threshold: int = 50
    """Percent of hosts that are healthy; with fewer all are used. 0: never."""
    fail_on_panic: bool = False
    """None is used instead."""
    locality_weighted: bool = False
    subsets: Subsets | None = None


class Cluster(Section, frozen=True):
    """Source: envoy.config.cluster.v3.Cluster."""

    endpoints: str
    lb: LoadBalancing = LoadBalancing()
    connect_timeout: int = 5_000
    idle_timeout: int = 3_600_000
    """Of a pooled upstream connection."""
    max_connection_duration: int = 0
    """After it a pooled connection is not used again; a request that it carries is completed."""
    max_connections: int = 1024
    """Circuit breakers are the sidecar's: all workers together."""
    max_pending: int = 1024
    max_requests: int = 1024
    max_retries: int = 3
    retry_budget: RetryBudget | None = None
    """Counts in place of `max_retries`."""
    per_upstream_preconnect: float = 1.0
    """So many connections for each request that a host has, opened ahead. Both ratios: from 1 (none ahead) to 3."""
    predictive_preconnect: float = 1.0
    """The same over all hosts, to those that are picked next."""
    tcp_keepalive: TcpKeepalive | None = None
    max_requests_per_connection: int = 0
    enable_trailers: bool = False
    """Those of requests are sent, those of answers kept. Source: Http1ProtocolOptions."""
    logical: bool = False
    """LOGICAL_DNS: one host whose address moves. New connections go to the new address, open ones stay."""
    tls: UpstreamTls | None = None
    outlier_detection: OutlierDetection | None = None
    health_check: HealthCheck | None = None
    proxy_protocol: Literal[0, 1, 2] = 0
    """The version of the PROXY protocol with whose header each connection begins; 0: with none.
    Source: envoy.extensions.transport_sockets.proxy_protocol.v3."""
    alt_stat_name: str = ""
    labels: dict[str, str] = {}
    """Istio's standard metric labels: destination_service, destination_service_name, destination_version, ..."""


# -- HTTP filters ------------------------------------------------------------------------------------------------------


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


# -- routes ------------------------------------------------------------------------------------------------------------


class HeaderMatch(msgspec.Struct, frozen=True, omit_defaults=True):
    """Source: envoy.config.route.v3.HeaderMatcher. `value` None asks only for presence.
    Names are lower case; `:method`, `:authority`, `:path` and `:scheme` are the pseudo-headers."""

    name: str
    value: StringMatch | None = None
    invert: bool = False
    missing_is_empty: bool = False
    """An absent header counts as one without a value (treat_missing_header_as_empty); otherwise it matches nothing,
    inverted or not."""
    range: tuple[int, int] | None = None
    """In place of `value`: a whole number from the first up to, not including, the second."""


class QueryMatch(msgspec.Struct, frozen=True, omit_defaults=True):
    """Source: envoy.config.route.v3.QueryParameterMatcher, which see. `value` None asks only for presence."""

    name: str
    value: StringMatch | None = None
    absent: bool = False


class Fraction(msgspec.Struct, frozen=True, omit_defaults=True):
    """So many of so many. Source: envoy.type.v3.FractionalPercent."""

    numerator: int
    denominator: int = 100


class RouteMatch(msgspec.Struct, frozen=True, omit_defaults=True):
    """`path` is matched without the query string; prefix "/" matches all.
    A CONNECT request meets only rules with `connect`, for which the path does not count, and no other request does."""

    path: StringMatch
    headers: list[HeaderMatch] = []
    connect: bool = False
    query: list[QueryMatch] = []
    fraction: Fraction | None = None


class HeaderMutation(msgspec.Struct, frozen=True, omit_defaults=True):
    """A header that is added or replaced. `value` may have the operators of access logs.
    Source: envoy.config.core.v3.HeaderValueOption."""

    name: str
    value: str = ""
    action: Literal["append", "add_if_absent", "overwrite", "overwrite_or_add"] = "append"
    keep_empty: bool = False


class HeaderMutations(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is removed goes first. Names are lower case."""

    add: list[HeaderMutation] = []
    remove: list[str] = []


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


# -- listeners ---------------------------------------------------------------------------------------------------------


class AccessLog(msgspec.Struct, frozen=True, omit_defaults=True):
    """Source: envoy.extensions.access_loggers.file.v3.FileAccessLog; the formats are Envoy's.
    Without `text` and `json` it is Envoy's default format."""

    path: str
    """/dev/stdout and /dev/stderr are the sidecar's own."""
    text: str = ""
    json: dict[str, Any] | None = None
    """Objects, lists and text as they stand in the configuration; text may have operators."""
    omit_empty: bool = False


class Http(msgspec.Struct, frozen=True, omit_defaults=True):
    """Source: envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager."""

    routes: str
    """Name of the `Routes` section."""
    stat_prefix: str = ""
    append_x_forwarded_for: bool = True
    """HttpConnectionManager.use_remote_address: the peer is the client, its address is appended, and a request id that
    it sent is kept."""
    generate_request_id: bool = True
    max_head_bytes: int = 61_440
    """Envoy's max_request_headers_kb, 60."""
    max_headers: int = 100
    idle_timeout: int = 3_600_000
    """Of a downstream connection without a request."""
    head_timeout: int = 60_000
    """From a request's first byte to the end of its head (request_headers_timeout)."""
    server_name: str = "tage"
    """`server` of answers that the sidecar makes itself."""
    access_logs: list[AccessLog] = []
    filters: list[AnyFilter] = []
    """In the order in which requests meet them; the router, which is last, is not among them."""
    upgrades: list[str] = []
    """Protocols to which requests may switch, in lower case; `connect` is the method. Source: upgrade_configs."""
    enable_trailers: bool = False
    """Those of requests are kept, those of answers sent. Source: Http1ProtocolOptions."""
    max_connection_duration: int = 0
    """After it a downstream connection is drained."""
    max_requests_per_connection: int = 0
    """The answer to the last one says `connection: close`. 0: no limit."""
    max_stream_duration: int = 0
    """From a request's head to the end of its answer, tunnels included."""
    delayed_close_timeout: int = 1_000
    """How long a client that may still be sending is heard out after its last answer; 0: not at all."""


class Tcp(msgspec.Struct, frozen=True, omit_defaults=True):
    """Bytes relayed as they are. Source: envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy."""

    clusters: list[WeightedCluster]
    stat_prefix: str = ""
    idle_timeout: int = 3_600_000
    """Without a byte in either direction."""
    max_duration: int = 0
    """Of a connection, whatever it does (max_downstream_connection_duration)."""
    max_connect_attempts: int = 1
    access_logs: list[AccessLog] = []


class ChainMatch(msgspec.Struct, frozen=True, omit_defaults=True):
    """Which connections a filter chain is for; what is not given matches all. Source: FilterChainMatch, whose fields
    are compared in this order, each time the most specific ones stay in the race."""

    destination_port: int = 0
    destination_prefixes: list[str] = []
    server_names: list[str] = []
    """Lower case; `*.example.com` for every name below it."""
    transport_protocol: Literal["", "tls", "raw_buffer"] = ""
    application_protocols: list[str] = []
    direct_source_prefixes: list[str] = []
    source_type: Literal["any", "same_ip_or_loopback", "external"] = "any"
    source_prefixes: list[str] = []
    source_ports: list[int] = []


class FilterChain(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is done with the connections that match. One of `http` and `tcp` is there.
    Source: envoy.config.listener.v3.FilterChain."""

    name: str = ""
    match: ChainMatch | None = None
    tls: DownstreamTls | None = None
    handshake_timeout: int = 0
    """transport_socket_connect_timeout: for the TLS handshake; 0: a minute."""
    http: Http | None = None
    tcp: Tcp | None = None


class ProxyProtocol(msgspec.Struct, frozen=True, omit_defaults=True):
    """A header in front of every connection. Source: envoy.extensions.filters.listener.proxy_protocol.v3."""

    allow_without: bool = False
    """Connections that do not begin with one are taken as they are."""


class Listener(Section, frozen=True):
    """A listening address. Source: envoy.config.listener.v3.Listener."""

    address: str
    port: int
    direction: Literal["inbound", "outbound", "none"] = "none"
    chains: list[FilterChain] = []
    default_chain: FilterChain | None = None
    """For connections that none of `chains` matches; without it they are closed."""
    proxy_protocol: ProxyProtocol | None = None
    inspect_tls: bool = False
    """Look for a ClientHello, its server name and protocols (the tls_inspector listener filter)."""
    inspect_http: bool = False
    """Look for HTTP in plain connections (http_inspector)."""
    inspect_timeout: int = 15_000
    """listener_filters_timeout: for a connection's first bytes."""
    sheds: bool = True
    """Its requests may be refused when the worker is overloaded (not bypass_overload_manager)."""
    continue_on_timeout: bool = False
    """Take a connection whose first bytes did not come for one without any. Else it is closed."""

    def all_chains(self) -> list[FilterChain]:
        return [*self.chains, self.default_chain] if self.default_chain is not None else list(self.chains)


# -- the worker itself -------------------------------------------------------------------------------------------------


class Overload(Section, frozen=True):
    """When a worker counts as overloaded and refuses a share of new requests: what is readable waits longer than
    `target` ms at least, for `interval` ms. Its name is empty; without it the defaults count. Target 0: never.
    Source: the runtime keys tage.overload.* (layered_runtime)."""

    name: str = ""
    target: int = 250
    interval: int = 1_000


KINDS: dict[str, type[Section]] = {
    "overload": Overload,
    "certificate": Certificate,
    "trust": Trust,
    "filter_code": FilterCode,
    "endpoints": Endpoints,
    "cluster": Cluster,
    "routes": Routes,
    "listener": Listener,
}
"""In the order in which a worker builds them: what is named comes before what names it."""

_encoder = msgspec.msgpack.Encoder()
_kinds = {cls: kind for kind, cls in KINDS.items()}
_decoders = {kind: msgspec.msgpack.Decoder(cls) for kind, cls in KINDS.items()}


def encode(section: Section) -> bytes:
    return _encoder.encode(section)


def kind_of(section: Section) -> str:
    return _kinds[type(section)]


def decode(kind: str, blob: bytes) -> Section:
    """Raises `msgspec.ValidationError` naming the field, `KeyError` for an unknown kind."""
    return _decoders[kind].decode(blob)


# -- messages on the channels agent <-> supervisor <-> worker ----------------------------------------------------------


class Message(msgspec.Struct, tag=True, array_like=True, frozen=True):
    """One frame on a channel."""


class Hello(Message, frozen=True):
    """Supervisor -> agent, first. `version` is that of the plan in force (0: none); the agent's next is higher.
    `workers` is how many there are. `endpoints` are the sections of that kind, encoded: names that a former agent could
    resolve may not be resolvable now."""

    version: int
    workers: int
    endpoints: list[bytes] = []


class Update(Message, frozen=True):
    """Agent -> supervisor: make this the plan. `full`: what is not named goes away."""

    version: int
    full: bool
    upserts: list[tuple[str, str, bytes]]
    """(kind, name, encoded section)"""
    removed: list[tuple[str, str]] = []


class Prepare(Message, frozen=True):
    """Supervisor -> worker: an `Update`, with the sockets of its new listeners.
    One descriptor of the frame for each name in `sockets`, in order."""

    version: int
    full: bool
    upserts: list[tuple[str, str, bytes]]
    removed: list[tuple[str, str]] = []
    sockets: list[str] = []


class Prepared(Message, frozen=True):
    """Worker -> supervisor. `error` empty: ready to commit."""

    version: int
    error: str = ""


class Commit(Message, frozen=True):
    """Supervisor -> worker: swap."""

    version: int


class Abort(Message, frozen=True):
    """Supervisor -> worker: throw the prepared tables away."""

    version: int


class Result(Message, frozen=True):
    """Supervisor -> agent: what became of an `Update`. `error` empty: in force in all live workers."""

    version: int
    error: str = ""


class WorkerState(Message, frozen=True):
    """Supervisor -> agent, whenever it changes: how many workers are live with the plan in force."""

    live: int
    version: int


class Drain(Message, frozen=True):
    """Supervisor -> worker, before it ends: stop accepting, answer what is under way, close; exit within `seconds`."""

    seconds: float


AnyMessage = Hello | Update | Prepare | Prepared | Commit | Abort | Result | WorkerState | Drain
