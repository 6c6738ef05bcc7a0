"""RouteMatch, HeaderMatcher and QueryParameterMatcher -> `plan.RouteMatch`, `plan.HeaderMatch`, `plan.QueryMatch`."""

from __future__ import annotations

from collections.abc import Iterable

from envoy.config.route.v3 import route_components_pb2
from envoy.type.matcher.v3 import string_pb2

from tage.sidecar import plan
from tage.sidecar.translate.problem import Problems
from tage.sidecar.translate.shape import Shape, leaf
from tage.sidecar.translate.values import FRACTION, REGEX, fraction, pattern

STRING = Shape(
    "envoy.type.matcher.v3.StringMatcher",
    {
        "exact": leaf,
        "prefix": leaf,
        "suffix": leaf,
        "contains": leaf,
        "safe_regex": REGEX,
        "ignore_case": leaf,
    },
)
HEADER = Shape(
    "envoy.config.route.v3.HeaderMatcher",
    {
        "name": leaf,
        "string_match": STRING,
        "present_match": leaf,
        "invert_match": leaf,
        "treat_missing_header_as_empty": leaf,
        "range_match": Shape("envoy.type.v3.Int64Range", ("start", "end")),
        # The forms before string_match, which Envoy still takes.
        "exact_match": leaf,
        "prefix_match": leaf,
        "suffix_match": leaf,
        "contains_match": leaf,
        "safe_regex_match": REGEX,
    },
)
QUERY = Shape(
    "envoy.config.route.v3.QueryParameterMatcher", {"name": leaf, "string_match": STRING, "present_match": leaf}
)
ROUTE_MATCH = Shape(
    "envoy.config.route.v3.RouteMatch",
    {
        "prefix": leaf,
        "path": leaf,
        "safe_regex": REGEX,
        "path_separated_prefix": leaf,
        "connect_matcher": Shape("envoy.config.route.v3.RouteMatch.ConnectMatcher"),
        "case_sensitive": leaf,
        "headers": HEADER,
        "query_parameters": QUERY,
        "runtime_fraction": FRACTION,
    },
)


def translate(route: route_components_pb2.Route, path: str, problems: Problems) -> plan.RouteMatch:
    """Of the route at `path`."""
    if not route.HasField("match"):
        problems.add(f"{path}.match", "is missing")
        return plan.RouteMatch(plan.StringMatch("prefix", "/"))
    message, at = route.match, f"{path}.match"
    connect = message.WhichOneof("path_specifier") == "connect_matcher"
    return plan.RouteMatch(
        plan.StringMatch("prefix", "") if connect else _path(message, at, problems),
        headers(message.headers, f"{at}.headers", problems),
        connect,
        query(message.query_parameters, f"{at}.query_parameters", problems),
        fraction(message.runtime_fraction.default_value) if message.HasField("runtime_fraction") else None,
    )


def headers(
    messages: Iterable[route_components_pb2.HeaderMatcher], path: str, problems: Problems
) -> list[plan.HeaderMatch]:
    """`path` is that of the list."""
    return [_header(message, f"{path}[{i}]", problems) for i, message in enumerate(messages)]


def query(
    messages: Iterable[route_components_pb2.QueryParameterMatcher], path: str, problems: Problems
) -> list[plan.QueryMatch]:
    """`path` is that of the list."""
    return [_query(message, f"{path}[{i}]", problems) for i, message in enumerate(messages)]


def _path(message: route_components_pb2.RouteMatch, path: str, problems: Problems) -> plan.StringMatch:
    ignore_case = message.HasField("case_sensitive") and not message.case_sensitive.value
    kind = message.WhichOneof("path_specifier")
    if kind == "prefix":
        return plan.StringMatch("prefix", message.prefix, ignore_case)
    if kind == "path":
        return plan.StringMatch("exact", message.path, ignore_case)
    if kind == "safe_regex":  # case_sensitive says nothing about patterns, as in Envoy
        return plan.StringMatch("regex", pattern(message.safe_regex, f"{path}.safe_regex", problems))
    if kind == "path_separated_prefix":
        return _separated_prefix(message.path_separated_prefix, ignore_case, path, problems)
    if kind is None:
        problems.add(path, "needs one of prefix, path, safe_regex, path_separated_prefix and connect_matcher")
    return plan.StringMatch("prefix", "/")


def _separated_prefix(prefix: str, ignore_case: bool, path: str, problems: Problems) -> plan.StringMatch:
    if not prefix.startswith("/") or prefix.endswith("/") or any(c in prefix for c in "?#"):
        problems.add(f"{path}.path_separated_prefix", "must begin with / and neither end with / nor contain ? or #")
    return plan.StringMatch("separated_prefix", prefix, ignore_case)


def _header(message: route_components_pb2.HeaderMatcher, path: str, problems: Problems) -> plan.HeaderMatch:
    name = message.name.lower()
    if not name:
        problems.add(f"{path}.name", "is missing")
    kind = message.WhichOneof("header_match_specifier")
    invert = message.invert_match
    value = between = None
    if kind == "present_match":
        invert ^= not message.present_match
    elif kind == "string_match":
        value = string(message.string_match, f"{path}.string_match", problems)
    elif kind == "exact_match":
        value = plan.StringMatch("exact", message.exact_match)
    elif kind == "prefix_match":
        value = plan.StringMatch("prefix", message.prefix_match)
    elif kind == "suffix_match":
        value = plan.StringMatch("suffix", message.suffix_match)
    elif kind == "contains_match":
        value = plan.StringMatch("contains", message.contains_match)
    elif kind == "safe_regex_match":
        value = plan.StringMatch("regex", pattern(message.safe_regex_match, f"{path}.safe_regex_match", problems))
    elif kind == "range_match":
        between = (message.range_match.start, message.range_match.end)
    return plan.HeaderMatch(name, value, invert, message.treat_missing_header_as_empty, between)


def _query(message: route_components_pb2.QueryParameterMatcher, path: str, problems: Problems) -> plan.QueryMatch:
    if not message.name:
        problems.add(f"{path}.name", "is missing")
    kind = message.WhichOneof("query_parameter_match_specifier")
    if kind == "string_match":
        return plan.QueryMatch(message.name, string(message.string_match, f"{path}.string_match", problems))
    return plan.QueryMatch(message.name, None, kind == "present_match" and not message.present_match)


def string(message: string_pb2.StringMatcher, path: str, problems: Problems) -> plan.StringMatch:
    kind = message.WhichOneof("match_pattern")
    if kind == "safe_regex":  # ignore_case says nothing about patterns, as in Envoy
        return plan.StringMatch("regex", pattern(message.safe_regex, f"{path}.safe_regex", problems))
    if kind in ("exact", "prefix", "suffix", "contains"):
        text = getattr(message, kind)
        if not text and kind != "exact":
            problems.add(f"{path}.{kind}", "is empty")
        return plan.StringMatch(kind, text, message.ignore_case)
    if kind is None:
        problems.add(path, "needs one of exact, prefix, suffix, contains and safe_regex")
    return plan.StringMatch("exact", "")
