"""Listeners, virtual hosts, routes, clusters and endpoints in words.

Each table has a topic for every field that can be set; `ELSEWHERE` says which fields are shown in another place.
"""

from __future__ import annotations

from collections.abc import Sequence

from tage.sidecar import plan
from tage.sidecar.explain.findings import Line
from tage.sidecar.explain.words import Topic, clauses, count, duration, limit, lines, listed, percent, quoted, size

UNLIMITED = 2**32 - 1
"""A circuit breaker's threshold that is none."""

_KINDS = {"exact": "", "prefix": "prefix ", "suffix": "suffix ", "contains": "a part ", "regex": "regex "}
_PSEUDO = {":method": "method", ":authority": "host", ":path": "path with query", ":scheme": "scheme"}


# -- what a rule asks for ----------------------------------------------------------------------------------------------


def string_match(match: plan.StringMatch) -> str:
    case = ", in any case" if match.ignore_case else ""
    return f"{_KINDS[match.kind]}{quoted(match.value)}{case}"


def header_name(name: str) -> str:
    return _PSEUDO.get(name, f"header {name}")


def header_wish(match: plan.HeaderMatch) -> str:
    if match.value is None:
        return "none" if match.invert else "one"
    return f"other than {string_match(match.value)}" if match.invert else string_match(match.value)


def matched(rule: plan.Route) -> str:
    """What a rule that matches had asked for."""
    if rule.match.connect:
        conditions = ["CONNECT"]
    elif rule.match.path == plan.StringMatch("prefix", "/"):
        conditions = [] if rule.match.headers else ["every path"]
    else:
        conditions = [f"path {string_match(rule.match.path)}"]
    conditions += [_condition(header) for header in rule.match.headers]
    return listed(conditions)


def _condition(match: plan.HeaderMatch) -> str:
    name = header_name(match.name)
    if match.value is None:
        return f"no {name}" if match.invert else f"{name} there"
    return f"{name} {header_wish(match)}"


# -- routes ------------------------------------------------------------------------------------------------------------


def _retry(route: plan.Route) -> str:
    retry = route.retry
    if retry is None:
        return "none"
    on = [each for each in retry.on if not (retry.statuses and each == "retriable-status-codes")]
    if retry.statuses:
        on.append(f"status {listed(map(str, retry.statuses), 'or')}")
    return clauses(
        f"{count(retry.attempts, 'more try', 'more tries')} on {listed(on, 'or')}",
        f"each try within {duration(retry.per_try_timeout)}" if retry.per_try_timeout else "",
        f"back-off {retry.backoff_base} ms, doubling to {retry.backoff_max} ms, drawn at random below that",
    )


def _upgrades(route: plan.Route) -> str:
    on = [name for name, enabled in route.upgrades.items() if enabled]
    off = [name for name, enabled in route.upgrades.items() if not enabled]
    return clauses(f"allowed: {listed(on)}" if on else "", f"not allowed: {listed(off)}" if off else "")


ROUTE: Sequence[Topic] = (
    Topic("timeout", ("timeout",), lambda r: f"{limit(r.timeout)}{', to the end of the answer' if r.timeout else ''}"),
    Topic("retries", ("retry",), _retry),
    Topic("idle timeout", ("idle_timeout",), lambda r: limit(r.idle_timeout)),
    Topic("rewrite", ("prefix_rewrite",), lambda r: r.prefix_rewrite and f"the matched path to {r.prefix_rewrite}"),
    Topic("upgrades", ("upgrades",), _upgrades),
    Topic(
        "CONNECT",
        ("connect_terminates",),
        lambda r: "ends here, the cluster gets the tunnel's bytes" if r.connect_terminates else "",
    ),
)
ROUTE_ELSEWHERE = {"name", "match", "clusters", "direct"}


def route(rule: plan.Route) -> list[Line]:
    """Of a rule that forwards; an answer of the sidecar's own has neither timeout nor retries."""
    return lines(rule, ROUTE, ROUTE_ELSEWHERE)


def virtual_host(host: plan.VirtualHost) -> list[Line]:
    return lines(host, (), {"name", "domains", "routes"})


# -- clusters ----------------------------------------------------------------------------------------------------------

_LB = {
    "round_robin": "round robin",
    "random": "random",
    "least_request": "least request: of two drawn at random, the one with fewer requests under way",
}


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
        _parameters(tls.parameters),
    )


def _parameters(parameters: plan.TlsParameters) -> str:
    return f"TLS {parameters.minimum} to {parameters.maximum}" + (
        f" with {', '.join(parameters.ciphers)}" if parameters.ciphers else ""
    )


CLUSTER: Sequence[Topic] = (
    Topic("balancing", ("lb",), lambda c: _LB[c.lb]),
    Topic(
        "circuit breakers",
        ("max_connections", "max_pending", "max_requests", "max_retries", "retry_budget"),
        _breakers,
    ),
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
CLUSTER_ELSEWHERE = {"name", "endpoints", "labels"}


def cluster(section: plan.Cluster) -> list[Line]:
    return lines(section, CLUSTER, CLUSTER_ELSEWHERE)


ENDPOINT_ELSEWHERE = {"address", "port", "weight", "healthy", "hostname"}


def endpoint(section: plan.Endpoint) -> list[Line]:
    return lines(section, (), ENDPOINT_ELSEWHERE)


# -- listeners ---------------------------------------------------------------------------------------------------------


def _inspection(listener: plan.Listener) -> str:
    looks = [name for name, on in (("TLS", listener.inspect_tls), ("HTTP", listener.inspect_http)) if on]
    if not looks and listener.inspect_timeout == 15_000 and not listener.continue_on_timeout:
        return ""
    otherwise = "taken as it is" if listener.continue_on_timeout else "closed"
    return clauses(
        f"looks for {listed(looks)}" if looks else "",
        f"a connection that sends nothing for {limit(listener.inspect_timeout)} is {otherwise}",
    )


def _proxy_protocol(listener: plan.Listener) -> str:
    if listener.proxy_protocol is None:
        return ""
    return "may come first" if listener.proxy_protocol.allow_without else "has to come first"


LISTENER: Sequence[Topic] = (
    Topic("PROXY header", ("proxy_protocol",), _proxy_protocol),
    Topic("first bytes", ("inspect_tls", "inspect_http", "inspect_timeout", "continue_on_timeout"), _inspection),
)
LISTENER_ELSEWHERE = {"name", "address", "port", "direction", "chains", "default_chain"}


def _downstream_tls(chain: plan.FilterChain) -> str:
    tls = chain.tls
    if tls is None:
        return ""
    handshake = chain.handshake_timeout or 60_000
    client = "required" if tls.require_client_certificate else "asked for"
    return clauses(
        f"with {listed(map(quoted, tls.certificates), 'or')}",
        f"a client's certificate is {client}, by {quoted(tls.trust)}" if tls.trust else "clients need no certificate",
        f"ALPN {', '.join(tls.alpn)}" if tls.alpn else "",
        _parameters(tls.parameters),
        f"handshake within {duration(handshake)}",
    )


CHAIN: Sequence[Topic] = (Topic("TLS", ("tls", "handshake_timeout"), _downstream_tls),)
CHAIN_ELSEWHERE = {"name", "match", "http", "tcp"}


def _client_limits(http: plan.Http) -> str:
    return clauses(
        f"head up to {size(http.max_head_bytes)} and {http.max_headers} headers within {limit(http.head_timeout)}",
        f"a request within {duration(http.max_stream_duration)}" if http.max_stream_duration else "",
        f"idle connections {limit(http.idle_timeout)}",
        f"connections drained after {duration(http.max_connection_duration)}" if http.max_connection_duration else "",
        f"{count(http.max_requests_per_connection, 'request')} a connection"
        if http.max_requests_per_connection
        else "",
        f"heard out for {limit(http.delayed_close_timeout, 'no time')} after the last answer",
    )


def _forwarding(http: plan.Http) -> str:
    return clauses(
        "the client's address is appended to x-forwarded-for" if http.append_x_forwarded_for else "",
        "x-request-id is made where there is none" if http.generate_request_id else "x-request-id is not made",
    )


def _logs(logs: Sequence[plan.AccessLog]) -> str:
    return listed(_log(log) for log in logs)


def _log(log: plan.AccessLog) -> str:
    form = f"text {quoted(log.text.rstrip())}" if log.text else "JSON" if log.json is not None else "Envoy's format"
    fields = f" with {', '.join(log.json)}" if log.json else ""
    return f"{log.path} ({form}{fields}{', without what is empty' if log.omit_empty else ''})"


HTTP: Sequence[Topic] = (
    Topic("forwarding", ("append_x_forwarded_for", "generate_request_id"), _forwarding),
    Topic("upgrades", ("upgrades",), lambda h: listed(h.upgrades)),
    Topic(
        "clients",
        (
            "max_head_bytes",
            "max_headers",
            "head_timeout",
            "max_stream_duration",
            "idle_timeout",
            "max_connection_duration",
            "max_requests_per_connection",
            "delayed_close_timeout",
        ),
        _client_limits,
    ),
    Topic("trailers", ("enable_trailers",), lambda h: "forwarded" if h.enable_trailers else ""),
    Topic("server", ("server_name",), lambda h: f"answers of its own say {h.server_name}"),
    Topic("access log", ("access_logs",), lambda h: _logs(h.access_logs)),
    Topic("statistics", ("stat_prefix",), lambda h: h.stat_prefix and f"as {h.stat_prefix}"),
)
HTTP_ELSEWHERE = {"routes"}

TCP: Sequence[Topic] = (
    Topic("idle timeout", ("idle_timeout",), lambda t: limit(t.idle_timeout)),
    Topic("duration", ("max_duration",), lambda t: duration(t.max_duration) if t.max_duration else ""),
    Topic(
        "connecting",
        ("max_connect_attempts",),
        lambda t: f"{t.max_connect_attempts} attempts" if t.max_connect_attempts != 1 else "",
    ),
    Topic("access log", ("access_logs",), lambda t: _logs(t.access_logs)),
    Topic("statistics", ("stat_prefix",), lambda t: t.stat_prefix and f"as {t.stat_prefix}"),
)
TCP_ELSEWHERE = {"clusters"}


def listener(section: plan.Listener, chain: plan.FilterChain | None) -> list[Line]:
    found = lines(section, LISTENER, LISTENER_ELSEWHERE)
    if chain is not None:
        found += lines(chain, CHAIN, CHAIN_ELSEWHERE)
        if chain.http is not None:
            found += lines(chain.http, HTTP, HTTP_ELSEWHERE)
        if chain.tcp is not None:
            found += lines(chain.tcp, TCP, TCP_ELSEWHERE)
    return found
