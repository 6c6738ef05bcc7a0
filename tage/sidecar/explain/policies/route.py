"""What rules ask for and say, and their virtual hosts and tables, in words."""

from __future__ import annotations

from collections.abc import Sequence

from tage.dataplane.routing.build import header_matcher, query_matcher
from tage.dataplane.routing.matcher import StringMatcher
from tage.dataplane.routing.route import Route
from tage.sidecar import plan
from tage.sidecar.explain.findings import Line
from tage.sidecar.explain.words import Topic, clauses, count, duration, limit, lines, listed, percent, quoted


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


def query_match(match: plan.QueryMatch) -> str:
    return query_matcher(match).describe()


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
        "at another endpoint, where there is one",
        f"back-off {retry.backoff_base} ms, doubling to {retry.backoff_max} ms, drawn at random below that",
    )


def _upgrades(route: plan.Route) -> str:
    on = [name for name, enabled in route.upgrades.items() if enabled]
    off = [name for name, enabled in route.upgrades.items() if not enabled]
    return clauses(f"allowed: {listed(on)}" if on else "", f"not allowed: {listed(off)}" if off else "")


def fraction(fraction: plan.Fraction) -> str:
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
        f"{fraction(mirror.fraction)} to {mirror.cluster}{', as host-shadow' if mirror.append_suffix else ''}"
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


def _grpc_timeout(route: plan.Route) -> str:
    if route.grpc_timeout_max is None:
        return ""
    most = f", up to {duration(route.grpc_timeout_max)}" if route.grpc_timeout_max else ""
    return f"counts in place of the timeout{most}"


ROUTE: Sequence[Topic] = (
    Topic("timeout", ("timeout",), lambda r: f"{limit(r.timeout)}{', to the end of the answer' if r.timeout else ''}"),
    Topic("retries", ("retry",), _retry),
    Topic("idle timeout", ("idle_timeout",), lambda r: limit(r.idle_timeout)),
    Topic(
        "duration",
        ("max_stream_duration",),
        lambda r: f"{limit(r.max_stream_duration)}, for all of it" if r.max_stream_duration >= 0 else "",
    ),
    Topic("grpc-timeout", ("grpc_timeout_max",), _grpc_timeout),
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
ROUTE_ELSEWHERE = {"name", "match", "clusters", "direct", "redirect", "filters"}
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
    Topic(
        "host",
        ("ignore_port", "exact"),
        lambda t: "compared with its case" if t.exact else "compared without its port" if t.ignore_port else "",
    ),
)
TABLE_ELSEWHERE = {"name", "virtual_hosts"}


def table(section: plan.Routes) -> list[Line]:
    """What a route configuration says for all its virtual hosts."""
    return [Line(f"table: {line.name}", line.text) for line in lines(section, TABLE, TABLE_ELSEWHERE)]
