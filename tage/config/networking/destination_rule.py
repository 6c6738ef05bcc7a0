"""networking.istio.io/v1 DestinationRule (istio.io/docs/reference/config/networking/destination-rule)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import msgspec

from tage.config.networking.spec import PortSelector, Spec

TOPOLOGY = ("topology.kubernetes.io/region", "topology.kubernetes.io/zone", "topology.istio.io/subzone")
"""Labels that a locality stands for."""


class CookieAttribute(Spec, frozen=True):
    name: str
    value: str = ""


class HTTPCookie(Spec, frozen=True):
    """With a `ttl` ("0s": until the browser ends) a caller without the cookie is given one."""

    name: str
    path: str = ""
    ttl: str = ""
    attributes: list[CookieAttribute] = []


class RingHash(Spec, frozen=True):
    minimum_ring_size: int = 0
    """Points on the ring; 0: Envoy's default, 1024."""


class MagLev(Spec, frozen=True):
    table_size: int = 0
    """A prime number; 0: Envoy's default, 65537."""


class ConsistentHashLB(Spec, frozen=True):
    """One key, and at most one algorithm; a ring unless said otherwise."""

    http_header_name: str = ""
    http_cookie: HTTPCookie | None = None
    use_source_ip: bool | None = None
    http_query_parameter_name: str = ""
    ring_hash: RingHash | None = None
    maglev: MagLev | None = None
    minimum_ring_size: int = 0
    """Istio's older form of `ring_hash.minimum_ring_size`."""


class Distribute(Spec, frozen=True):
    """Of requests from `source`, what per cent goes where. Localities are region/zone/subzone; `*` may end one."""

    source: str = msgspec.field(default="", name="from")
    to: dict[str, int] = {}


class Failover(Spec, frozen=True):
    """Regions."""

    source: str = msgspec.field(default="", name="from")
    to: str = ""


class LocalityLoadBalancerSetting(Spec, frozen=True):
    distribute: list[Distribute] = []
    failover: list[Failover] = []
    failover_priority: list[str] = []
    """Labels, `name` or `name=value`: an instance is the nearer the more of them, from the first on, are its caller's
    (or that value)."""
    enabled: bool | None = None


class WarmupConfiguration(Spec, frozen=True):
    duration: str = ""
    minimum_percent: float | None = None
    aggression: float | None = None


class LoadBalancerSettings(Spec, frozen=True):
    simple: str = "UNSPECIFIED"
    """UNSPECIFIED, ROUND_ROBIN, RANDOM, LEAST_REQUEST (UNSPECIFIED is LEAST_REQUEST, as in Istio)."""
    consistent_hash: ConsistentHashLB | None = None
    locality_lb_setting: LocalityLoadBalancerSetting | None = None
    warmup: WarmupConfiguration | None = None
    warmup_duration_secs: str = ""
    """Istio's older form of `warmup.duration`."""


class TcpKeepalive(Spec, frozen=True):
    probes: int = 0
    time: str = ""
    interval: str = ""


class TCPSettings(Spec, frozen=True):
    """0 (and unset): no limit."""

    max_connections: int = 0
    connect_timeout: str = ""
    tcp_keepalive: TcpKeepalive | None = None
    max_connection_duration: str = ""
    idle_timeout: str = ""


class HTTPSettings(Spec, frozen=True):
    """0 (and unset): no limit."""

    http1_max_pending_requests: int = 0
    http2_max_requests: int = 0
    """Requests at a time, over HTTP/1.1 too."""
    max_requests_per_connection: int = 0
    max_retries: int = 0
    idle_timeout: str = ""
    h2_upgrade_policy: str = "DEFAULT"
    """UPGRADE: requests go over HTTP/2. Nothing changes for services of protocol http2 and grpc, whose requests do."""
    use_client_protocol: bool = False
    """Requests go on as they came, over HTTP/1.1 or HTTP/2, whatever else says."""
    max_concurrent_streams: int = 0
    """Of a connection of HTTP/2, at a time."""


class ConnectionPoolSettings(Spec, frozen=True):
    tcp: TCPSettings | None = None
    http: HTTPSettings | None = None


class OutlierDetection(Spec, frozen=True):
    split_external_local_origin_errors: bool = False
    consecutive_local_origin_failures: int | None = None
    consecutive_gateway_errors: int | None = None
    """0 switches it off; unset: Envoy's default, off."""
    consecutive_5xx_errors: int | None = msgspec.field(default=None, name="consecutive5xxErrors")
    """0 switches it off; unset: 5."""
    interval: str = ""
    base_ejection_time: str = ""
    max_ejection_percent: int = 0
    min_health_percent: int = 0
    """With fewer healthy instances than this, requests go to all of them."""


class ClientTLSSettings(Spec, frozen=True):
    mode: str = "DISABLE"


class ProxyProtocol(Spec, frozen=True):
    version: str = "V1"


class RetryBudget(Spec, frozen=True):
    """Retries at a time, in per cent of the requests at that time."""

    percent: float | None = None
    """Unset: 20."""
    min_retry_concurrency: int = 0
    """0 (and unset): 3."""


class PortTrafficPolicy(Spec, frozen=True):
    """In the place of the policy's own four for this port; what is not given here then has its default."""

    port: PortSelector | None = None
    load_balancer: LoadBalancerSettings | None = None
    connection_pool: ConnectionPoolSettings | None = None
    outlier_detection: OutlierDetection | None = None
    tls: ClientTLSSettings | None = None


class TrafficPolicy(Spec, frozen=True):
    load_balancer: LoadBalancerSettings | None = None
    connection_pool: ConnectionPoolSettings | None = None
    outlier_detection: OutlierDetection | None = None
    tls: ClientTLSSettings | None = None
    port_level_settings: list[PortTrafficPolicy] = []
    proxy_protocol: ProxyProtocol | None = None
    retry_budget: RetryBudget | None = None

    def load_balancers(self) -> Iterator[LoadBalancerSettings]:
        """Its own and those of its ports."""
        parts: tuple[TrafficPolicy | PortTrafficPolicy, ...] = (self, *self.port_level_settings)
        yield from (part.load_balancer for part in parts if part.load_balancer is not None)


class Subset(Spec, frozen=True):
    name: str
    labels: dict[str, str] = {}
    traffic_policy: TrafficPolicy | None = None
    """What it says takes the place of the rule's, field by field."""


class WorkloadSelector(Spec, frozen=True):
    match_labels: dict[str, str] = {}


class DestinationRule(Spec, frozen=True):
    host: str
    traffic_policy: TrafficPolicy | None = None
    subsets: list[Subset] = []
    export_to: list[str] = []
    """Namespaces whose callers it counts for; `.` is its own, `*` (and nothing) all."""
    workload_selector: WorkloadSelector | None = None
    """Only for callers of its own namespace with these labels."""


UNSUPPORTED: Mapping[type[Spec], Sequence[str]] = {
    LoadBalancerSettings: ("zoneAwareLbSetting",),
    HTTPSettings: ("http2KeepAlive",),
    OutlierDetection: ("consecutiveErrors", "outlierDetectionHttpErrorCodes"),
    ClientTLSSettings: (
        "clientCertificate", "privateKey", "caCertificates", "credentialName", "subjectAltNames", "sni",
        "insecureSkipVerify", "caCrl",
    ),
    RetryBudget: ("budgetInterval",),
    TrafficPolicy: ("tunnel",),
}  # fmt: skip
