"""Clusters: how hosts are picked, kept, watched and connected to."""

from __future__ import annotations

from typing import Literal

import msgspec

from tage.sidecar.plan.base import Http2, Section
from tage.sidecar.plan.tls import UpstreamTls


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
    """One request. Source: envoy.config.core.v3.HealthCheck.HttpHealthCheck."""

    path: str
    host: str = ""
    """Empty: the cluster's name. An endpoint may have a name of its own."""
    method: str = "GET"
    headers: list[tuple[str, str]] = []
    expected: list[tuple[int, int]] = []
    """Statuses of a healthy host, from the first up to, not including, the second. Empty: 200 alone."""
    retriable: list[tuple[int, int]] = []
    """Others count towards `unhealthy_threshold` only if they are here; else the host is unhealthy at once."""
    http2: bool = False
    """Over HTTP/2, else HTTP/1.1."""


class GrpcCheck(msgspec.Struct, frozen=True, omit_defaults=True, tag="grpc"):
    """A call of grpc.health.v1.Health/Check. Source: envoy.config.core.v3.HealthCheck.GrpcHealthCheck."""

    service: str = ""
    """Empty: the whole server is asked for."""
    authority: str = ""
    """Empty: the cluster's name. An endpoint may have a name of its own."""
    metadata: list[tuple[str, str]] = []


class TcpCheck(msgspec.Struct, frozen=True, omit_defaults=True, tag="tcp"):
    """A connection; then `send`, and all of `receive` has to come, in this order. Source: TcpHealthCheck."""

    send: bytes = b""
    receive: list[bytes] = []


class HealthCheck(msgspec.Struct, frozen=True, omit_defaults=True):
    """Source: envoy.config.core.v3.HealthCheck; names and defaults are its. Times in ms."""

    check: HttpCheck | GrpcCheck | TcpCheck
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


class XProtocolUpstream(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is spoken with the hosts. Source: tage.upstreams.v1alpha1.XProtocol, docs/x-protocol.md."""

    protocol: str
    """Its name, see `XProtocol.protocol`."""
    mode: Literal["", "multiplexed", "ping_pong", "ordered", "pinned"] = ""
    """How requests share connections; empty: as the protocol says."""
    max_requests: int = 1024
    """Of a connection, under way at a time."""
    heartbeat_interval: int = -1
    """Of an idle connection; 0: none are sent, -1: as the protocol says."""
    max_frame_bytes: int = 16 * 1024 * 1024


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
    x_protocol: XProtocolUpstream | None = None
    """None: HTTP, or the bytes of a TCP proxy."""
    http2: Http2 | None = None
    """None: HTTP/1.1. Source: envoy.extensions.upstreams.http.v3.HttpProtocolOptions."""
    http2_for: Literal["all", "alpn", "downstream"] = "all"
    """What HTTP/2 is for, where there is any: all connections; those whose TLS has agreed to it (auto_config); requests
    that came by it (use_downstream_protocol_config). The others are HTTP/1.1."""
    alt_stat_name: str = ""
    labels: dict[str, str] = {}
    """Istio's standard metric labels: destination_service, destination_service_name, destination_version, ..."""
