"""A VirtualService's conditions -> route matches."""

from __future__ import annotations

from envoy.config.route.v3 import route_components_pb2
from envoy.type.matcher.v3 import regex_pb2, string_pb2

from tage.config.networking import ANY, HTTPMatchRequest, StringMatch
from tage.pilot.generate.node import Caller

RouteMatch = route_components_pb2.RouteMatch


def applies(entry: HTTPMatchRequest, caller: Caller, port: int) -> bool:
    """Whether requests of `caller` for `port` can meet it at all. What is left is for the sidecar to look at."""
    return (
        entry.port in (0, port) and entry.source_namespace in ("", caller.namespace) and caller.has(entry.source_labels)
    )


def build(entry: HTTPMatchRequest) -> route_components_pb2.RouteMatch:
    match = RouteMatch()
    uri = entry.uri or StringMatch()
    if uri.exact is not None:
        match.path = uri.exact
    elif uri.regex is not None:
        match.safe_regex.CopyFrom(regex(uri.regex))
    else:
        match.prefix = uri.prefix or "/"
    if entry.ignore_uri_case and uri.regex is None:  # of exact and prefix only, as Istio says
        match.case_sensitive.value = False
    # Sorted: the order of a YAML map says nothing, but would change the bytes.
    match.headers.extend(header(name.lower(), value) for name, value in sorted(entry.headers.items()))
    match.headers.extend(_without(name.lower(), value) for name, value in sorted(entry.without_headers.items()))
    for name, value in ((":method", entry.method), (":authority", entry.authority), (":scheme", entry.scheme)):
        if value is not None:
            match.headers.append(header(name, value))
    match.query_parameters.extend(_parameter(name, value) for name, value in sorted(entry.query_params.items()))
    return match


def is_catch_all(match: route_components_pb2.RouteMatch) -> bool:
    """No request gets past it."""
    everything = match.prefix == "/" or match.safe_regex.regex == ".*"
    return everything and not match.headers and not match.query_parameters


def string(value: StringMatch) -> string_pb2.StringMatcher | None:
    """None: whatever there is."""
    if value.exact is not None:
        return string_pb2.StringMatcher(exact=value.exact)
    if value.prefix:
        return string_pb2.StringMatcher(prefix=value.prefix)
    if value.regex is not None and value.regex != ANY:
        return string_pb2.StringMatcher(safe_regex=regex(value.regex))
    return None


def regex(pattern: str) -> regex_pb2.RegexMatcher:
    """Without `google_re2`: RE2 is the only engine there is, and Envoy warns of the deprecated field."""
    return regex_pb2.RegexMatcher(regex=pattern)


def header(name: str, value: StringMatch) -> route_components_pb2.HeaderMatcher:
    """An empty `value` asks only that it is there."""
    matcher = string(value)
    if matcher is None:
        return route_components_pb2.HeaderMatcher(name=name, present_match=True)
    return route_components_pb2.HeaderMatcher(name=name, string_match=matcher)


def _without(name: str, value: StringMatch) -> route_components_pb2.HeaderMatcher:
    """A header that is not there does not match, hence meets this."""
    matcher = header(name, value)
    matcher.invert_match = True
    matcher.treat_missing_header_as_empty = not matcher.present_match
    return matcher


def _parameter(name: str, value: StringMatch) -> route_components_pb2.QueryParameterMatcher:
    matcher = string(value)
    if matcher is None:
        return route_components_pb2.QueryParameterMatcher(name=name, present_match=True)
    return route_components_pb2.QueryParameterMatcher(name=name, string_match=matcher)
