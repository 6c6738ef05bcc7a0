"""HTTP filters in words: settings of a listener's, and what a rule says for itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tage.sidecar import plan
from tage.sidecar.explain.findings import Line
from tage.sidecar.explain.policies.route import fraction, header_match, mutations, query_match, string_match
from tage.sidecar.explain.words import Topic, clauses, count, duration, limit, lines, listed, quoted

# -- faults ------------------------------------------------------------------------------------------------------------


def _delay(fault: plan.Fault) -> str:
    if fault.delay is None:
        return f"{duration(fault.delay_ms)}, of no request" if fault.delay_ms else ""
    how = duration(fault.delay_ms) if fault.delay_ms else "as long as its headers say"
    return f"{fraction(fault.delay)} of requests, {how}"


def _abort(fault: plan.Fault) -> str:
    how = "with what its headers say"
    if fault.grpc_status is not None:
        how = f"with gRPC status {fault.grpc_status}"
    elif fault.abort_status:
        how = f"with {fault.abort_status}"
    if fault.abort is None:
        return f"{how}, no request" if fault.abort_status or fault.grpc_status is not None else ""
    return f"{fraction(fault.abort)} of requests, {how}"


def _only(fault: plan.Fault) -> str:
    return clauses(
        f"requests with {listed(map(header_match, fault.headers))}" if fault.headers else "",
        f"from node {listed(fault.nodes, 'or')}" if fault.nodes else "",
        f"{fault.max_active} at a time in each worker" if fault.max_active >= 0 else "",
    )


_FAULT = (
    Topic("delay", ("delay", "delay_ms"), _delay),
    Topic("abort", ("abort", "abort_status", "grpc_status"), _abort),
    Topic("only", ("headers", "nodes", "max_active"), _only),
)

# -- CORS --------------------------------------------------------------------------------------------------------------


def _switch(label: str, field: str) -> Topic:
    def words(policy: plan.CorsPolicy) -> str:
        value = getattr(policy, field)
        return "" if value is None else "yes" if value else "no"

    return Topic(label, (field,), words)


_CORS = (
    Topic(
        "origins",
        ("origins",),
        lambda c: f"whose value {listed(map(string_match, c.origins), 'or')}" if c.origins else "",
    ),
    Topic("methods", ("methods",), lambda c: c.methods),
    Topic("headers", ("headers",), lambda c: c.headers),
    Topic("exposed", ("expose",), lambda c: c.expose),
    Topic("for", ("max_age",), lambda c: c.max_age and f"{c.max_age} s"),
    _switch("credentials", "credentials"),
    _switch("private network", "private_network"),
    _switch("others forwarded", "forward"),
    Topic(
        "enforced for", ("enabled",), lambda c: f"{fraction(c.enabled)} of requests" if c.enabled is not None else ""
    ),
    Topic("counted for", ("shadow",), lambda c: f"{fraction(c.shadow)} of requests" if c.shadow is not None else ""),
)

# -- rate limits -------------------------------------------------------------------------------------------------------


def _bucket(bucket: plan.TokenBucket | None) -> str:
    if bucket is None:
        return ""
    return f"{count(bucket.maximum, 'request')} at once, {bucket.per_fill} more every {duration(bucket.interval)}"


def _share(part: plan.Fraction | None) -> str:
    return "no request" if part is None else f"{fraction(part)} of requests"


def _descriptor(descriptor: plan.RateLimitDescriptor) -> str:
    entries = listed(f"{key}={value}" if value else f"each {key}" for key, value in descriptor.entries)
    return f"{entries}: {_bucket(descriptor.bucket)}"


_ACTIONS = {
    "generic_key": "{value}",
    "request_header": "header {name}",
    "query_parameter": "query parameter {name}",
    "remote_address": "the client's address",
    "headers_match": "{value} where {headers}",
    "query_match": "{value} where {query}",
}


def _action(action: plan.RateLimitAction) -> str:
    text = _ACTIONS[action.kind].format(
        value=quoted(action.value),
        name=action.name,
        headers=listed(map(header_match, action.headers)),
        query=listed(map(query_match, action.query)),
    )
    rest = [
        "" if "{value}" in _ACTIONS[action.kind] or not action.value else f"value {action.value}",
        "" if "{name}" in _ACTIONS[action.kind] or not action.name else f"of {action.name}",
        "" if action.kind == "headers_match" or not action.headers else f"{listed(map(header_match, action.headers))}",
        "" if action.kind == "query_match" or not action.query else f"{listed(map(query_match, action.query))}",
        "" if action.expect else "if that is not so",
        "left out where there is none" if action.optional else "",
    ]
    return f"{action.key} = {', '.join([text, *filter(None, rest)])}"


_RATE_LIMIT = (
    Topic("limit", ("bucket",), lambda r: _bucket(r.bucket) or "none but those of descriptors"),
    Topic("descriptors", ("descriptors",), lambda r: "; ".join(map(_descriptor, r.descriptors))),
    Topic(
        "described by",
        ("rules",),
        lambda r: "; or ".join(listed(_action(action) for action in rule) or "nothing" for rule in r.rules),
    ),
    Topic("general limit", ("always_default",), lambda r: "" if r.always_default else "only without a descriptor"),
    Topic(
        "applied",
        ("enabled", "enforced"),
        lambda r: f"counted for {_share(r.enabled)}, enforced for {_share(r.enforced)}",
    ),
    Topic(
        "refused with",
        ("status", "resource_exhausted"),
        lambda r: f"{r.status}, flag RL" + (", calls of gRPC with RESOURCE_EXHAUSTED" if r.resource_exhausted else ""),
    ),
    Topic("let through with", ("request_headers",), lambda r: mutations(r.request_headers)),
    Topic("response headers", ("response_headers",), lambda r: mutations(r.response_headers)),
    Topic("x-ratelimit", ("tell",), lambda r: "clients are told limit, remaining and reset" if r.tell else ""),
    Topic(
        "buckets",
        ("scope", "max_dynamic"),
        lambda r: f"of {r.scope}, shared by all workers; up to {r.max_dynamic} of a descriptor with any value",
    ),
    Topic("statistics", ("stat_prefix",), lambda r: f"as {r.stat_prefix}"),
)

# -- filters in Python -------------------------------------------------------------------------------------------------


def _code(given: plan.PythonFilter) -> str:
    where = listed(part for part in (given.file, given.module and f"module {given.module}") if part)
    return f"class {given.kind} of {where}" if where else f"class {given.kind}"


def _config(given: plan.PythonFilter | plan.PythonFilterRoute) -> str:
    return ", ".join(f"{name}: {value}" for name, value in given.config.items())


_PYTHON = (
    Topic("code", ("kind", "file", "module"), _code),
    Topic("config", ("config",), _config),
    Topic(
        "when it fails",
        ("fails_open",),
        lambda p: "the request goes on" if p.fails_open else "the request is answered 500",
    ),
    Topic("awaits", ("timeout",), lambda p: f"{limit(p.timeout)} at most"),
    Topic(
        "blocking", ("blocking_threshold",), lambda p: f"it is named when a call takes {limit(p.blocking_threshold)}"
    ),
)

# -- all ---------------------------------------------------------------------------------------------------------------

ELSEWHERE = {"name"}

KINDS: Mapping[type[plan.HttpFilter], Sequence[Topic]] = {
    plan.FilterDisabled: (),
    plan.Fault: _FAULT,
    plan.Cors: (),
    plan.CorsPolicy: _CORS,
    plan.LocalRateLimit: _RATE_LIMIT,
    plan.PythonFilter: _PYTHON,
    plan.PythonFilterRoute: (Topic("config", ("config",), _config),),
}
"""Of listeners and of rules."""


def describe(given: plan.HttpFilter) -> list[Line]:
    return lines(given, KINDS.get(type(given), ()), ELSEWHERE)
