"""Clusters and endpoints in words."""

from __future__ import annotations

from collections.abc import Sequence

from tage.sidecar import plan
from tage.sidecar.explain.findings import Line
from tage.sidecar.explain.policies import http2
from tage.sidecar.explain.policies.balancing import load_balancing
from tage.sidecar.explain.policies.health import health_check, outliers
from tage.sidecar.explain.policies.tls import parameters
from tage.sidecar.explain.words import Topic, clauses, count, duration, lines, listed, percent, quoted, size

UNLIMITED = 2**32 - 1
"""A circuit breaker's threshold that is none."""


def _threshold(name: str, value: int) -> str:
    return f"{name} {'unlimited' if value >= UNLIMITED else value}"


def _breakers(cluster: plan.Cluster) -> str:
    budget = cluster.retry_budget
    if budget is None:
        retries = _threshold("retries", cluster.max_retries)
    else:
        retries = f"retries {percent(budget.percent)} of requests, at least {budget.min_concurrency}"
    values = [
        _threshold("connections", cluster.max_connections),
        _threshold("pending", cluster.max_pending),
        _threshold("requests", cluster.max_requests),
        retries,
    ]
    return "none" if all(value.endswith("unlimited") for value in values) else ", ".join(values)


def _connections(cluster: plan.Cluster) -> str:
    keepalive = cluster.tcp_keepalive
    return clauses(
        f"opened within {duration(cluster.connect_timeout)}",
        f"closed when idle for {duration(cluster.idle_timeout)}" if cluster.idle_timeout else "kept when idle",
        f"not used again after {duration(cluster.max_connection_duration)}" if cluster.max_connection_duration else "",
        f"{count(cluster.max_requests_per_connection, 'request')} each" if cluster.max_requests_per_connection else "",
        f"keepalive: {_keepalive(keepalive)}" if keepalive is not None else "",
    )


def _keepalive(keepalive: plan.TcpKeepalive) -> str:
    parts = [
        f"{keepalive.probes} probes" if keepalive.probes else "",
        f"after {keepalive.time} s" if keepalive.time else "",
        f"every {keepalive.interval} s" if keepalive.interval else "",
    ]
    return ", ".join(part for part in parts if part) or "as the system has it"


def _preconnect(cluster: plan.Cluster) -> str:
    return clauses(
        f"{cluster.per_upstream_preconnect:g} connections for each request of a host"
        if cluster.per_upstream_preconnect > 1
        else "",
        f"{cluster.predictive_preconnect:g} for each request of the cluster"
        if cluster.predictive_preconnect > 1
        else "",
    )


def _upstream_tls(cluster: plan.Cluster) -> str:
    tls = cluster.tls
    if tls is None:
        return ""
    return clauses(
        f"asks for {quoted(tls.sni)}" if tls.sni else "asks for no server name",
        f"verified by {quoted(tls.trust)}" if tls.trust else "the server's certificate is not verified",
        f"shows {listed(map(quoted, tls.certificates))}" if tls.certificates else "",
        f"ALPN {', '.join(tls.alpn)}" if tls.alpn else "",
        parameters(tls.parameters),
    )


_MODES = {
    "": "connections shared as the protocol says",
    "multiplexed": "requests share connections",
    "ping_pong": "one request of a connection at a time",
    "ordered": "requests share connections, answered in order",
    "pinned": "each client has a connection of its own",
}


_VERSIONS = {
    "all": "HTTP/2",
    "alpn": "HTTP/2 or HTTP/1.1, as ALPN has it",
    "downstream": "HTTP/2 or HTTP/1.1, as the request came",
}


def _protocol(cluster: plan.Cluster) -> str:
    given = cluster.x_protocol
    if given is None:
        if cluster.http2 is None and cluster.http2_for == "all":
            return ""
        return clauses(_VERSIONS[cluster.http2_for], http2.settings(cluster.http2 or plan.Http2()))
    heartbeats = f"heartbeats after {duration(given.heartbeat_interval)} idle" if given.heartbeat_interval > 0 else ""
    return clauses(
        given.protocol,
        _MODES[given.mode],
        f"{count(given.max_requests, 'request')} of a connection at a time",
        heartbeats if given.heartbeat_interval else "no heartbeats",
        f"frames up to {size(given.max_frame_bytes)}",
    )


CLUSTER: Sequence[Topic] = (
    Topic("protocol", ("x_protocol", "http2", "http2_for"), _protocol),
    Topic(
        "circuit breakers",
        ("max_connections", "max_pending", "max_requests", "max_retries", "retry_budget"),
        _breakers,
    ),
    Topic("outliers", ("outlier_detection",), outliers),
    Topic("health checks", ("health_check",), health_check),
    Topic(
        "connections",
        ("connect_timeout", "idle_timeout", "max_connection_duration", "max_requests_per_connection", "tcp_keepalive"),
        _connections,
    ),
    Topic("opened ahead", ("per_upstream_preconnect", "predictive_preconnect"), _preconnect),
    Topic("TLS", ("tls",), _upstream_tls),
    Topic(
        "PROXY header",
        ("proxy_protocol",),
        lambda c: f"version {c.proxy_protocol}, on every connection" if c.proxy_protocol else "",
    ),
    Topic("trailers", ("enable_trailers",), lambda c: "forwarded" if c.enable_trailers else ""),
    Topic("DNS", ("logical",), lambda c: "one host, whose address may move" if c.logical else ""),
    Topic("statistics", ("alt_stat_name",), lambda c: c.alt_stat_name and f"as {c.alt_stat_name}"),
)
CLUSTER_ELSEWHERE = {"name", "endpoints", "labels", "lb"}


def cluster(section: plan.Cluster) -> list[Line]:
    return load_balancing(section.lb) + lines(section, CLUSTER, CLUSTER_ELSEWHERE)


def _checking(endpoint: plan.Endpoint) -> str:
    if not endpoint.checked:
        return "none"
    at = f"at port {endpoint.check_port}" if endpoint.check_port else ""
    name = f"with host {endpoint.check_hostname}" if endpoint.check_hostname else ""
    return " ".join(part for part in (at, name) if part)


ENDPOINT: Sequence[Topic] = (
    Topic("priority", ("priority",), lambda e: str(e.priority) if e.priority else ""),
    Topic("degraded", ("degraded",), lambda e: "gets requests when there are too few others" if e.degraded else ""),
    Topic("metadata", ("metadata",), lambda e: ", ".join(f"{name}={value}" for name, value in e.metadata.items())),
    Topic("health checks", ("checked", "check_port", "check_hostname"), _checking),
)
ENDPOINT_ELSEWHERE = {"address", "port", "weight", "healthy", "hostname", "locality"}


def endpoint(section: plan.Endpoint) -> list[Line]:
    return lines(section, ENDPOINT, ENDPOINT_ELSEWHERE)
