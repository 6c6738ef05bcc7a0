"""Listeners, filter chains and what they do with connections, in words."""

from __future__ import annotations

from collections.abc import Sequence

from tage.sidecar import plan
from tage.sidecar.explain.findings import Line
from tage.sidecar.explain.policies import http2
from tage.sidecar.explain.policies.tls import parameters
from tage.sidecar.explain.words import Topic, clauses, count, duration, limit, lines, listed, quoted, size


def _inspection(listener: plan.Listener) -> str:
    looks = [name for name, on in (("TLS", listener.inspect_tls), ("HTTP", listener.inspect_http)) if on]
    looks += listener.inspect_protocols
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
    Topic("overload", ("sheds",), lambda li: "" if li.sheds else "requests are never refused for it"),
    Topic(
        "first bytes",
        ("inspect_tls", "inspect_http", "inspect_protocols", "inspect_timeout", "continue_on_timeout"),
        _inspection,
    ),
)
LISTENER_ELSEWHERE = {"name", "address", "port", "direction", "chains", "default_chain"}


OVERLOAD: Sequence[Topic] = (
    Topic(
        "overload",
        ("target", "interval"),
        lambda o: (
            f"refused in part while what is readable has waited {duration(o.target)} or more for {duration(o.interval)}"
            if o.target
            else "requests are never refused for it"
        ),
    ),
)
OVERLOAD_ELSEWHERE = {"name"}


def overload(section: plan.Overload) -> list[Line]:
    """Of a worker; for listeners that shed."""
    return lines(section, OVERLOAD, OVERLOAD_ELSEWHERE)


def _downstream_tls(chain: plan.FilterChain) -> str:
    tls = chain.tls
    if tls is None:
        return ""
    handshake = chain.handshake_timeout or 60_000
    return clauses(
        f"with {listed(map(quoted, tls.certificates), 'or')}",
        f"clients {'need a' if tls.require_client_certificate else 'are asked for a'} certificate"
        if tls.require_client_certificate or tls.trust
        else "clients need no certificate",
        f"which {quoted(tls.trust)} verifies" if tls.trust else "",
        f"ALPN {', '.join(tls.alpn)}" if tls.alpn else "",
        parameters(tls.parameters),
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


_CODECS = {"auto": "", "http1": "HTTP/1.1 only", "http2": "HTTP/2 only"}
"""auto: what clients begin with."""


def _protocol(http: plan.Http) -> str:
    given = http.x_protocol
    if given is None:
        return clauses(_CODECS[http.codec], http2.settings(http.http2))
    return clauses(
        given.protocol,
        "service and method are not read" if given.depth == "frame" else "",
        f"frames up to {size(given.max_frame_bytes)}",
        f"{count(given.max_requests, 'request')} of a connection at a time",
    )


HTTP: Sequence[Topic] = (
    Topic("protocol", ("x_protocol", "codec", "http2"), _protocol),
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
HTTP_ELSEWHERE = {"routes", "filters"}

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
