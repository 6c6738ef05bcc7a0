"""What a DestinationRule says of the connections to a service, of a subset, or of a port."""

from __future__ import annotations

from tage.config import names
from tage.config.networking import (
    ClientTLSSettings,
    ConnectionPoolSettings,
    HTTPSettings,
    OutlierDetection,
    PortTrafficPolicy,
    ProxyProtocol,
    RetryBudget,
    TcpKeepalive,
    TCPSettings,
    TrafficPolicy,
)
from tage.config.validate.finding import UINT32_MAX, Findings, each, named, not_carried, optional
from tage.config.validate.load_balancer import load_balancer
from tage.config.validate.values import duration, within

H2_UPGRADE = ("DEFAULT", "DO_NOT_UPGRADE", "UPGRADE")
TLS_MODES = ("DISABLE", "SIMPLE", "MUTUAL", "ISTIO_MUTUAL")
PROXY_PROTOCOLS = ("V1", "V2")


def traffic_policy(policy: TrafficPolicy) -> Findings:
    yield from _shared(policy)
    yield from each("portLevelSettings", policy.port_level_settings, _port_policy)
    seen: set[int] = set()
    for index, setting in enumerate(policy.port_level_settings):
        if setting.port is not None and setting.port.number in seen:
            yield ("portLevelSettings", index, "port"), f"port {setting.port.number} is there twice"
        seen.add(setting.port.number if setting.port is not None else 0)
    yield from optional("proxyProtocol", policy.proxy_protocol, _proxy_protocol)
    yield from optional("retryBudget", policy.retry_budget, _retry_budget)


def _port_policy(policy: PortTrafficPolicy) -> Findings:
    if policy.port is None:
        yield ("port",), "is missing"
    else:
        yield from named(("port", "number"), names.port(policy.port.number))
    if policy == PortTrafficPolicy(policy.port):
        yield (), "needs loadBalancer, connectionPool, outlierDetection or tls"
    yield from _shared(policy)


def _shared(policy: TrafficPolicy | PortTrafficPolicy) -> Findings:
    yield from optional("loadBalancer", policy.load_balancer, load_balancer)
    yield from optional("connectionPool", policy.connection_pool, _connection_pool)
    yield from optional("outlierDetection", policy.outlier_detection, _outlier_detection)
    yield from optional("tls", policy.tls, _tls)


def _connection_pool(pool: ConnectionPoolSettings) -> Findings:
    if pool.tcp is None and pool.http is None:
        yield (), "needs tcp or http"
    yield from optional("tcp", pool.tcp, _tcp)
    yield from optional("http", pool.http, _http)


def _tcp(tcp: TCPSettings) -> Findings:
    yield from within("maxConnections", tcp.max_connections, 0)
    yield from duration("connectTimeout", tcp.connect_timeout, shortest=1)
    yield from optional("tcpKeepalive", tcp.tcp_keepalive, _keepalive)
    yield from duration("maxConnectionDuration", tcp.max_connection_duration, shortest=1)
    yield from duration("idleTimeout", tcp.idle_timeout)


def _keepalive(keepalive: TcpKeepalive) -> Findings:
    yield from within("probes", keepalive.probes, 0, UINT32_MAX)
    yield from duration("time", keepalive.time, shortest=1000)
    yield from duration("interval", keepalive.interval, shortest=1000)


def _http(http: HTTPSettings) -> Findings:
    for field, value in (
        ("http1MaxPendingRequests", http.http1_max_pending_requests), ("http2MaxRequests", http.http2_max_requests),
        ("maxRequestsPerConnection", http.max_requests_per_connection), ("maxRetries", http.max_retries),
        ("maxConcurrentStreams", http.max_concurrent_streams),
    ):  # fmt: skip
        yield from within(field, value, 0)
    yield from duration("idleTimeout", http.idle_timeout)
    if http.h2_upgrade_policy not in H2_UPGRADE:
        yield ("h2UpgradePolicy",), f"'{http.h2_upgrade_policy}' is not one of {', '.join(H2_UPGRADE)}"


def _outlier_detection(outlier: OutlierDetection) -> Findings:
    for field, value in (
        ("consecutiveLocalOriginFailures", outlier.consecutive_local_origin_failures),
        ("consecutiveGatewayErrors", outlier.consecutive_gateway_errors),
        ("consecutive5xxErrors", outlier.consecutive_5xx_errors),
    ):
        yield from within(field, value, 0, UINT32_MAX)
    if outlier.consecutive_local_origin_failures and not outlier.split_external_local_origin_errors:
        yield ("consecutiveLocalOriginFailures",), "counts only with splitExternalLocalOriginErrors: true"
    yield from duration("interval", outlier.interval, shortest=1)
    yield from duration("baseEjectionTime", outlier.base_ejection_time, shortest=1)
    yield from within("maxEjectionPercent", outlier.max_ejection_percent, 0, 100)
    yield from within("minHealthPercent", outlier.min_health_percent, 0, 100)


def _tls(tls: ClientTLSSettings) -> Findings:
    if tls.mode not in TLS_MODES:
        yield ("mode",), f"'{tls.mode}' is not one of {', '.join(TLS_MODES)}"
    elif tls.mode != "DISABLE":
        yield from not_carried(("mode",), f"'{tls.mode}'")


def _proxy_protocol(protocol: ProxyProtocol) -> Findings:
    if protocol.version not in PROXY_PROTOCOLS:
        yield ("version",), f"'{protocol.version}' is not one of {', '.join(PROXY_PROTOCOLS)}"


def _retry_budget(budget: RetryBudget) -> Findings:
    yield from within("percent", budget.percent, 0, 100)
    yield from within("minRetryConcurrency", budget.min_retry_concurrency, 0, UINT32_MAX)
