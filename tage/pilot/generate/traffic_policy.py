"""A DestinationRule's traffic policy: which one holds for a cluster, and what it does to it. Defaults are Istio's."""

from __future__ import annotations

from typing import Any

import msgspec
from envoy.config.cluster.v3 import circuit_breaker_pb2, cluster_pb2, outlier_detection_pb2
from envoy.config.core.v3 import address_pb2, base_pb2, protocol_pb2, proxy_protocol_pb2
from envoy.extensions.transport_sockets.proxy_protocol.v3 import upstream_proxy_protocol_pb2
from envoy.extensions.transport_sockets.raw_buffer.v3 import raw_buffer_pb2
from envoy.extensions.upstreams.http.v3 import http_protocol_options_pb2
from envoy.type.v3 import percent_pb2
from google.protobuf.wrappers_pb2 import UInt32Value

from tage.config.networking import (
    ConnectionPoolSettings,
    HTTPSettings,
    OutlierDetection,
    ProxyProtocol,
    RetryBudget,
    Subset,
    TcpKeepalive,
    TCPSettings,
    TrafficPolicy,
)
from tage.config.protocols import HTTP, HTTP2, is_http, is_http2
from tage.pilot.generate import load_balancing, names

Cluster = cluster_pb2.Cluster

HTTP_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"

_UNLIMITED = UInt32Value(value=2**32 - 1)
_OF_PORT = ("load_balancer", "connection_pool", "outlier_detection", "tls")
_OF_SUBSET = (*_OF_PORT, "proxy_protocol", "retry_budget")


def effective(policy: TrafficPolicy | None, subset: Subset | None, port: int) -> TrafficPolicy | None:
    """What holds for a subset of a service on `port`: what the subset's policy says, field by field, else what the
    rule's says; each with its settings for that port in the place of four of its fields."""
    general = _at_port(policy, port)
    own = _at_port(subset.traffic_policy, port) if subset is not None else None
    if general is None or own is None:
        return own or general
    given = {field: value for field in _OF_SUBSET if (value := getattr(own, field)) is not None}
    return msgspec.structs.replace(general, **given)


def _at_port(policy: TrafficPolicy | None, port: int) -> TrafficPolicy | None:
    if policy is None:
        return None
    for setting in policy.port_level_settings:
        if setting.port is not None and setting.port.number == port:
            of_port = {field: getattr(setting, field) for field in _OF_PORT}
            return msgspec.structs.replace(policy, port_level_settings=[], **of_port)
    return policy


def apply(policy: TrafficPolicy | None, cluster: cluster_pb2.Cluster, protocol: str = HTTP) -> None:
    """`protocol`: the service's."""
    policy = policy or TrafficPolicy()
    load_balancing.apply(policy, cluster)
    thresholds = unlimited()
    _connection_pool(policy.connection_pool or ConnectionPoolSettings(), cluster, thresholds, protocol)
    if policy.retry_budget is not None:
        _retry_budget(policy.retry_budget, thresholds)
    cluster.circuit_breakers.thresholds.append(thresholds)
    if policy.outlier_detection is not None:
        _outlier_detection(policy.outlier_detection, cluster)
    if policy.proxy_protocol is not None:
        _proxy_protocol(policy.proxy_protocol, cluster)


def unlimited() -> circuit_breaker_pb2.CircuitBreakers.Thresholds:
    """Istio sets no limit unless asked to; Envoy's own defaults (1024) would surprise its users."""
    return circuit_breaker_pb2.CircuitBreakers.Thresholds(
        max_connections=_UNLIMITED,
        max_pending_requests=_UNLIMITED,
        max_requests=_UNLIMITED,
        max_retries=_UNLIMITED,
    )


def _connection_pool(
    pool: ConnectionPoolSettings,
    cluster: cluster_pb2.Cluster,
    thresholds: circuit_breaker_pb2.CircuitBreakers.Thresholds,
    protocol: str,
) -> None:
    tcp, http = pool.tcp or TCPSettings(), pool.http or HTTPSettings()
    for limit, value in (
        ("max_connections", tcp.max_connections),
        ("max_pending_requests", http.http1_max_pending_requests),
        ("max_requests", http.http2_max_requests),
        ("max_retries", http.max_retries),
    ):
        if value:
            getattr(thresholds, limit).value = value
    if tcp.connect_timeout:
        cluster.connect_timeout.CopyFrom(names.duration(tcp.connect_timeout))
    if tcp.tcp_keepalive is not None:
        _keepalive(tcp.tcp_keepalive, cluster)
    common = protocol_pb2.HttpProtocolOptions()
    idle_timeout = http.idle_timeout or tcp.idle_timeout
    if idle_timeout:
        common.idle_timeout.CopyFrom(names.duration(idle_timeout))
    if tcp.max_connection_duration:
        common.max_connection_duration.CopyFrom(names.duration(tcp.max_connection_duration))
    if http.max_requests_per_connection:
        common.max_requests_per_connection.value = http.max_requests_per_connection
    _http_options(http, protocol, common, cluster)


def http2(cluster: cluster_pb2.Cluster) -> None:
    """HTTP/2 is spoken with the cluster's hosts, and nothing else is said of them."""
    _http_options(HTTPSettings(), HTTP2, protocol_pb2.HttpProtocolOptions(), cluster)


def _http_options(
    http: HTTPSettings, protocol: str, common: protocol_pb2.HttpProtocolOptions, cluster: cluster_pb2.Cluster
) -> None:
    """What the client spoke, if that is asked for; else HTTP/2 with a service that is said to speak it, or is to."""
    upgraded = protocol == HTTP and http.h2_upgrade_policy == "UPGRADE"
    speaks_http2 = is_http2(protocol) or upgraded
    as_client = http.use_client_protocol and is_http(protocol)
    if not (common.ByteSize() or as_client or speaks_http2):
        return
    options = http_protocol_options_pb2.HttpProtocolOptions()
    if common.ByteSize():
        options.common_http_protocol_options.CopyFrom(common)
    of_http2 = protocol_pb2.Http2ProtocolOptions()
    if http.max_concurrent_streams:
        of_http2.max_concurrent_streams.value = http.max_concurrent_streams
    if as_client:
        options.use_downstream_protocol_config.http_protocol_options.SetInParent()
        options.use_downstream_protocol_config.http2_protocol_options.CopyFrom(of_http2)
    elif speaks_http2:
        options.explicit_http_config.http2_protocol_options.CopyFrom(of_http2)
    else:
        options.explicit_http_config.http_protocol_options.SetInParent()
    cluster.typed_extension_protocol_options[HTTP_OPTIONS].Pack(options, deterministic=True)


def _keepalive(keepalive: TcpKeepalive, cluster: cluster_pb2.Cluster) -> None:
    """Envoy counts in whole seconds."""
    options = address_pb2.TcpKeepalive()
    if keepalive.probes:
        options.keepalive_probes.value = keepalive.probes
    if keepalive.time:
        options.keepalive_time.value = names.duration(keepalive.time).seconds
    if keepalive.interval:
        options.keepalive_interval.value = names.duration(keepalive.interval).seconds
    cluster.upstream_connection_options.tcp_keepalive.CopyFrom(options)


def _retry_budget(budget: RetryBudget, thresholds: circuit_breaker_pb2.CircuitBreakers.Thresholds) -> None:
    thresholds.retry_budget.budget_percent.value = 20.0 if budget.percent is None else budget.percent
    thresholds.retry_budget.min_retry_concurrency.value = budget.min_retry_concurrency or 3


def _outlier_detection(outlier: OutlierDetection, cluster: cluster_pb2.Cluster) -> None:
    """Ejection by success rate, on by default in Envoy, is off; so is the panic threshold unless asked for."""
    detection = outlier_detection_pb2.OutlierDetection()
    detection.enforcing_success_rate.value = 0
    for value, count, enforcing in (
        (outlier.consecutive_5xx_errors, detection.consecutive_5xx, detection.enforcing_consecutive_5xx),
        (
            outlier.consecutive_gateway_errors,
            detection.consecutive_gateway_failure,
            detection.enforcing_consecutive_gateway_failure,
        ),
    ):
        if value is not None:
            count.value = value
            enforcing.value = 100 if value else 0
    if outlier.split_external_local_origin_errors:
        detection.split_external_local_origin_errors = True
        if outlier.consecutive_local_origin_failures:
            detection.consecutive_local_origin_failure.value = outlier.consecutive_local_origin_failures
            detection.enforcing_consecutive_local_origin_failure.value = 100
        detection.enforcing_local_origin_success_rate.value = 0
    if outlier.interval:
        detection.interval.CopyFrom(names.duration(outlier.interval))
    if outlier.base_ejection_time:
        detection.base_ejection_time.CopyFrom(names.duration(outlier.base_ejection_time))
    if outlier.max_ejection_percent:
        detection.max_ejection_percent.value = outlier.max_ejection_percent
    cluster.outlier_detection.CopyFrom(detection)
    cluster.common_lb_config.healthy_panic_threshold.CopyFrom(percent_pb2.Percent(value=outlier.min_health_percent))


def _proxy_protocol(protocol: ProxyProtocol, cluster: cluster_pb2.Cluster) -> None:
    socket = upstream_proxy_protocol_pb2.ProxyProtocolUpstreamTransport(
        config=proxy_protocol_pb2.ProxyProtocolConfig(
            version=proxy_protocol_pb2.ProxyProtocolConfig.Version.Value(protocol.version)
        ),
        transport_socket=_socket("envoy.transport_sockets.raw_buffer", raw_buffer_pb2.RawBuffer()),
    )
    cluster.transport_socket.CopyFrom(_socket("envoy.transport_sockets.upstream_proxy_protocol", socket))


def _socket(name: str, config: Any) -> base_pb2.TransportSocket:
    socket = base_pb2.TransportSocket(name=name)
    socket.typed_config.Pack(config, deterministic=True)
    return socket
