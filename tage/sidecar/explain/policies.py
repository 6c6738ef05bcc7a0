"""Listeners, virtual hosts, routes, clusters and endpoints in words.

Each table has a topic for every field that can be set; `ELSEWHERE` says which fields are shown in another place.
"""

from __future__ import annotations

from collections.abc import Sequence

from tage.dataplane.routing.build import header_matcher
from tage.dataplane.routing.matcher import StringMatcher
from tage.dataplane.routing.route import Route
from tage.sidecar import plan
from tage.sidecar.explain.findings import Line
from tage.sidecar.explain.words import Topic, clauses, count, duration, limit, lines, listed, percent, quoted, size

UNLIMITED = 2**32 - 1
"""A circuit breaker's threshold that is none."""


# -- what a rule asks for ----------------------------------------------------------------------------------------------


def matched(rule: plan.Route, route: Route) -> str:
    """What a rule that matches had asked for, in its matchers' words."""
    if route.connect:
        conditions = ["CONNECT"]
    elif rule.match.path == plan.StringMatch("prefix", "/"):
        conditions = [] if route.headers or route.query else ["every path"]
    else:
        conditions = [f"path {route.path.describe()}"]
    conditions += [matcher.describe() for matcher in (*route.headers, *route.query)]
    return listed(conditions)


def string_match(match: plan.StringMatch) -> str:
    return StringMatcher(match.kind, match.value.encode(), match.ignore_case).describe()


def header_match(match: plan.HeaderMatch) -> str:
    return header_matcher(match).describe()


# -- routes ------------------------------------------------------------------------------------------------------------


def _retry(route: plan.Route) -> str:
    retry = route.retry
    if retry is None:
        return "none"
    on = [each for each in retry.on if not (retry.statuses and each == "retriable-status-codes")]
    if retry.statuses:
        on.append(f"status {listed(map(str, retry.statuses), 'or')}")
    if retry.headers:
        on = [each for each in on if each != "retriable-headers"]
        on.append(f"an answer whose {listed(map(header_match, retry.headers), 'or')}")
    return clauses(
        f"{count(retry.attempts, 'more try', 'more tries')} on {listed(on, 'or')}",
        f"only requests whose {listed(map(header_match, retry.request_headers), 'or')}"
        if retry.request_headers
        else "",
        f"each try within {duration(retry.per_try_timeout)}" if retry.per_try_timeout else "",
        f"given up without a byte for {duration(retry.per_try_idle_timeout)}" if retry.per_try_idle_timeout else "",
        _other_hosts(retry),
        f"back-off {retry.backoff_base} ms, doubling to {retry.backoff_max} ms, drawn at random below that",
    )


def _other_hosts(retry: plan.RetryPolicy) -> str:
    if retry.other_hosts:
        return f"at another endpoint, which is looked for {count(retry.host_attempts, 'time')}"
    return f"an endpoint is picked up to {retry.host_attempts} times" if retry.host_attempts != 1 else ""


def _upgrades(route: plan.Route) -> str:
    on = [name for name, enabled in route.upgrades.items() if enabled]
    off = [name for name, enabled in route.upgrades.items() if not enabled]
    return clauses(f"allowed: {listed(on)}" if on else "", f"not allowed: {listed(off)}" if off else "")


def _fraction(fraction: plan.Fraction) -> str:
    return percent(100 * fraction.numerator / fraction.denominator)


def _expression(rewrite: plan.RegexRewrite) -> str:
    return f"what matches {quoted(rewrite.pattern)} to {quoted(rewrite.substitution)}"


def _path_rewrite(route: plan.Route) -> str:
    if route.prefix_rewrite:
        return f"the path as far as it matched to {route.prefix_rewrite}"
    return f"of the path, {_expression(route.regex_rewrite)}" if route.regex_rewrite is not None else ""


def _host_rewrite(route: plan.Route) -> str:
    return clauses(
        f"to {route.host_rewrite}" if route.host_rewrite else "",
        f"to what the header {route.host_rewrite_header} says" if route.host_rewrite_header else "",
        f"to the path, of it {_expression(route.host_rewrite_path)}" if route.host_rewrite_path is not None else "",
        "the former one goes into x-forwarded-host" if route.append_forwarded_host else "",
    )


_ACTIONS = {
    "append": "add {}",
    "add_if_absent": "add {} where there is none",
    "overwrite": "replace by {} where there is one",
    "overwrite_or_add": "set {}",
}


def mutations(given: plan.HeaderMutations | None) -> str:
    if given is None:
        return ""
    return clauses(
        f"remove {', '.join(given.remove)}" if given.remove else "",
        *(
            _ACTIONS[each.action].format(f"{each.name}: {each.value}") + (", empty or not" if each.keep_empty else "")
            for each in given.add
        ),
    )


def _mirrors(route: plan.Route) -> str:
    return listed(
        f"{_fraction(mirror.fraction)} to {mirror.cluster}{', as host-shadow' if mirror.append_suffix else ''}"
        for mirror in route.mirrors
    )


_HASHED = {
    "header": "header {}",
    "cookie": "cookie {}",
    "source_ip": "the client's address",
    "query_parameter": "query parameter {}",
}


def _hash_policies(route: plan.Route) -> str:
    return "; ".join(_hash_policy(policy) for policy in route.hash_policies)


def _hash_policy(policy: plan.HashPolicy) -> str:
    parts = [_HASHED[policy.kind].format(policy.name)]
    if policy.rewrite is not None:
        parts.append(f"of it {_expression(policy.rewrite)}")
    if policy.ttl >= 0:
        lives = f"for {policy.ttl} s" if policy.ttl else "until the browser ends"
        attributes = "".join(f"; {name}={value}" for name, value in policy.attributes)
        path = f"; Path={policy.path}" if policy.path else ""
        parts.append(f"made where there is none, {lives}{path}{attributes}")
    elif policy.path or policy.attributes:
        parts.append("never made")
    if policy.terminal:
        parts.append("the rest counts only without it")
    return ", ".join(parts)


def subset(criteria: dict[str, str]) -> str:
    return listed(f"{name}={value}" for name, value in criteria.items())


ROUTE: Sequence[Topic] = (
    Topic("timeout", ("timeout",), lambda r: f"{limit(r.timeout)}{', to the end of the answer' if r.timeout else ''}"),
    Topic("retries", ("retry",), _retry),
    Topic("idle timeout", ("idle_timeout",), lambda r: limit(r.idle_timeout)),
    Topic(
        "duration",
        ("max_stream_duration",),
        lambda r: f"{limit(r.max_stream_duration)}, for all of it" if r.max_stream_duration >= 0 else "",
    ),
    Topic("path rewrite", ("prefix_rewrite", "regex_rewrite"), _path_rewrite),
    Topic(
        "host rewrite",
        ("host_rewrite", "host_rewrite_header", "host_rewrite_path", "append_forwarded_host"),
        _host_rewrite,
    ),
    Topic("request headers", ("request_headers",), lambda r: mutations(r.request_headers)),
    Topic("response headers", ("response_headers",), lambda r: mutations(r.response_headers)),
    Topic("mirrored", ("mirrors",), _mirrors),
    Topic("hashed", ("hash_policies",), _hash_policies),
    Topic("subset", ("metadata_match",), lambda r: subset(r.metadata_match)),
    Topic(
        "cluster by",
        ("cluster_header",),
        lambda r: f"what the header {r.cluster_header} says" if r.cluster_header else "",
    ),
    Topic("upgrades", ("upgrades",), _upgrades),
    Topic(
        "CONNECT",
        ("connect_terminates",),
        lambda r: "ends here, the cluster gets the tunnel's bytes" if r.connect_terminates else "",
    ),
)
ROUTE_ELSEWHERE = {"name", "match", "clusters", "direct", "redirect"}
ANSWERS = {"timeout", "retries", "idle timeout"}
"""What of a rule does not count where the sidecar answers itself."""


def route(rule: plan.Route) -> list[Line]:
    found = lines(rule, ROUTE, ROUTE_ELSEWHERE)
    if rule.direct is not None or rule.redirect is not None:
        return [line for line in found if line.name not in ANSWERS]
    return found


SHARE: Sequence[Topic] = (
    Topic("request headers", ("request_headers",), lambda c: mutations(c.request_headers)),
    Topic("response headers", ("response_headers",), lambda c: mutations(c.response_headers)),
    Topic("host rewrite", ("host_rewrite",), lambda c: c.host_rewrite and f"to {c.host_rewrite}"),
    Topic("subset", ("metadata_match",), lambda c: subset(c.metadata_match)),
)
SHARE_ELSEWHERE = {"name", "weight"}


def share(cluster: plan.WeightedCluster) -> list[Line]:
    return lines(cluster, SHARE, SHARE_ELSEWHERE)


VIRTUAL_HOST: Sequence[Topic] = (
    Topic("request headers", ("request_headers",), lambda h: mutations(h.request_headers)),
    Topic("response headers", ("response_headers",), lambda h: mutations(h.response_headers)),
    Topic(
        "TLS",
        ("require_tls",),
        lambda h: "required: a request that did not come over it is sent to https" if h.require_tls else "",
    ),
)
VIRTUAL_HOST_ELSEWHERE = {"name", "domains", "routes"}


def virtual_host(host: plan.VirtualHost) -> list[Line]:
    return lines(host, VIRTUAL_HOST, VIRTUAL_HOST_ELSEWHERE)


TABLE: Sequence[Topic] = (
    Topic("request headers", ("request_headers",), lambda t: mutations(t.request_headers)),
    Topic("response headers", ("response_headers",), lambda t: mutations(t.response_headers)),
    Topic(
        "header order",
        ("most_specific_wins",),
        lambda t: "from the table to the rule, which has the last word" if t.most_specific_wins else "",
    ),
    Topic("host", ("ignore_port",), lambda t: "compared without its port" if t.ignore_port else ""),
)
TABLE_ELSEWHERE = {"name", "virtual_hosts"}


def table(section: plan.Routes) -> list[Line]:
    """What a route configuration says for all its virtual hosts."""
    return [Line(f"table: {line.name}", line.text) for line in lines(section, TABLE, TABLE_ELSEWHERE)]


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


def _outliers(cluster: plan.Cluster) -> str:
    """Those criteria that eject."""
    found = cluster.outlier_detection
    if found is None:
        return ""
    split = found.split_external_local_origin_errors
    criteria = [
        (found.enforcing_consecutive_5xx, f"{found.consecutive_5xx} times 5xx in a row"),
        (
            found.enforcing_consecutive_gateway_failure,
            f"{found.consecutive_gateway_failure} gateway failures in a row",
        ),
        (
            found.enforcing_consecutive_local_origin_failure if split else 0,
            f"{found.consecutive_local_origin_failure} failures to connect in a row",
        ),
        (found.enforcing_success_rate, _success_rate(found)),
        (
            found.enforcing_local_origin_success_rate if split else 0,
            f"the same of connecting: {_success_rate(found)}",
        ),
        (found.enforcing_failure_percentage, _failures(found)),
        (
            found.enforcing_failure_percentage_local_origin if split else 0,
            f"the same of connecting: {_failures(found)}",
        ),
    ]
    return clauses(
        *(text + (f" ({enforced} % of the time)" if enforced < 100 else "") for enforced, text in criteria if enforced),
        f"looked at every {duration(found.interval)}",
        _ejection(found),
        "failures to connect are counted apart" if split else "",
    )


def _success_rate(found: plan.OutlierDetection) -> str:
    return (
        f"a success rate {found.success_rate_stdev_factor / 1000:g} deviations below the mean of at least "
        f"{found.success_rate_minimum_hosts} endpoints with {found.success_rate_request_volume} requests"
    )


def _failures(found: plan.OutlierDetection) -> str:
    return (
        f"{found.failure_percentage_threshold} % of {found.failure_percentage_request_volume} or more requests failing "
        f"of {found.failure_percentage_minimum_hosts} endpoints or more"
    )


def _ejection(found: plan.OutlierDetection) -> str:
    jitter = f" and up to {duration(found.max_ejection_time_jitter)} more" if found.max_ejection_time_jitter else ""
    one = ", but one at least" if found.always_eject_one_host else ""
    back = "" if found.successful_active_health_check_uneject_host else "; a good health check does not bring it back"
    return (
        f"ejected for {duration(found.base_ejection_time)} a time it was, {duration(found.max_ejection_time)} at most"
        f"{jitter}; {found.max_ejection_percent} % of the endpoints at most{one}{back}"
    )


CLUSTER: Sequence[Topic] = (
    Topic("balancing", ("lb",), lambda c: _LB[c.lb]),
    Topic(
        "circuit breakers",
        ("max_connections", "max_pending", "max_requests", "max_retries", "retry_budget"),
        _breakers,
    ),
    Topic("outliers", ("outlier_detection",), _outliers),
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


ENDPOINT: Sequence[Topic] = ()
ENDPOINT_ELSEWHERE = {"address", "port", "weight", "healthy", "hostname"}


def endpoint(section: plan.Endpoint) -> list[Line]:
    return lines(section, ENDPOINT, ENDPOINT_ELSEWHERE)


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
    Topic("overload", ("sheds",), lambda li: "" if li.sheds else "requests are never refused for it"),
    Topic("first bytes", ("inspect_tls", "inspect_http", "inspect_timeout", "continue_on_timeout"), _inspection),
)
LISTENER_ELSEWHERE = {"name", "address", "port", "direction", "chains", "default_chain"}


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
