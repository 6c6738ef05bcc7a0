"""A rule of a VirtualService: what becomes of the requests that it matches."""

from __future__ import annotations

import base64
import binascii
import enum
import re

from tage.config import grpc, names
from tage.config.networking import (
    AUTHORITY,
    Abort,
    CorsPolicy,
    Delay,
    Delegate,
    HeaderOperations,
    Headers,
    HTTPBody,
    HTTPDirectResponse,
    HTTPFaultInjection,
    HTTPMirrorPolicy,
    HTTPRedirect,
    HTTPRetry,
    HTTPRewrite,
    HTTPRoute,
    HTTPRouteDestination,
    RegexRewrite,
    StringMatch,
)
from tage.config.validate.finding import (
    INT32_MAX,
    UINT32_MAX,
    Findings,
    at_most_one,
    each,
    named,
    not_carried,
    optional,
)
from tage.config.validate.http_match import http_match
from tage.config.validate.values import (
    destination,
    duration,
    header_value,
    pattern,
    percent,
    status,
    string_match,
    within,
)

RETRY_CONDITIONS = (
    "5xx", "gateway-error", "reset", "reset-before-request", "connect-failure", "refused-stream", "retriable-4xx",
    "retriable-status-codes", "cancelled", "deadline-exceeded", "internal", "resource-exhausted", "unavailable",
    "envoy-ratelimited",
)  # fmt: skip
"""Source: Envoy's x-envoy-retry-on and x-envoy-retry-grpc-on."""
_PLANNED_RETRY_CONDITIONS = ("retriable-headers", "http3-post-connect-failure")

REDIRECT_CODES = (301, 302, 303, 307, 308)
DERIVE_PORT = ("FROM_PROTOCOL_DEFAULT", "FROM_REQUEST_PORT")
UNMATCHED_PREFLIGHTS = ("UNSPECIFIED", "FORWARD", "IGNORE")
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "CONNECT", "OPTIONS", "TRACE", "*")
MAX_BODY = 1024 * 1024
"""Bytes of a direct response, Istio's limit."""


class Role(enum.Enum):
    """What kind of a rule it is. A root hands the requests that it matches to a delegate's rules."""

    INDEPENDENT = enum.auto()
    ROOT = enum.auto()
    DELEGATE = enum.auto()


def http_route(route: HTTPRoute, role: Role) -> Findings:
    yield from each("match", route.match, http_match)
    yield from _one_action(route, role)
    yield from each("route", route.route, _route_destination)
    yield from _weights(route.route)
    yield from optional("redirect", route.redirect, lambda redirect: _redirect(redirect, route))
    yield from optional("directResponse", route.direct_response, _direct_response)
    yield from optional("delegate", route.delegate, _delegate)
    yield from optional("rewrite", route.rewrite, _rewrite)
    yield from duration("timeout", route.timeout)
    yield from optional("retries", route.retries, _retries)
    yield from optional("fault", route.fault, _fault)
    yield from _mirrors(route)
    yield from optional("corsPolicy", route.cors_policy, _cors)
    yield from optional("headers", route.headers, _headers)
    yield from _one_authority(route)


def _one_action(route: HTTPRoute, role: Role) -> Findings:
    given = [
        name
        for name, there in (
            ("route", route.route), ("redirect", route.redirect), ("directResponse", route.direct_response),
            ("delegate", route.delegate),
        ) if there
    ]  # fmt: skip
    if role is Role.DELEGATE and route.delegate is not None:
        yield ("delegate",), "a VirtualService without hosts is a delegate itself and cannot have one"
    elif not given:
        yield ("route",), "must hold at least one destination, if there is no redirect, directResponse or delegate"
    yield from at_most_one((), given)
    if route.redirect is None and route.direct_response is None:
        return
    for name, there in (("fault", route.fault), ("rewrite", route.rewrite), ("mirror", route.mirror or route.mirrors)):
        if there:
            yield (name,), f"has no meaning beside {given[-1]}: nothing is sent on; take one of them out"


# -- destinations ------------------------------------------------------------------------------------------------------


def _route_destination(route: HTTPRouteDestination) -> Findings:
    yield from optional("destination", route.destination, destination)
    if route.weight < 0:
        yield ("weight",), f"{route.weight} is negative"
    yield from optional("headers", route.headers, _headers)


def _weights(routes: list[HTTPRouteDestination]) -> Findings:
    total = sum(route.weight for route in routes)
    if len(routes) > 1 and total <= 0:
        yield ("route",), "the weights add up to 0; give at least one destination a positive weight"
    if total > UINT32_MAX:
        yield ("route",), f"the weights add up to {total}; at most {UINT32_MAX} is possible"


def _mirrors(route: HTTPRoute) -> Findings:
    given = [name for name, there in (("mirror", route.mirror), ("mirrors", route.mirrors)) if there]
    yield from at_most_one(("mirror",), given)
    yield from optional("mirror", route.mirror, destination)
    yield from each("mirrors", route.mirrors, _mirror)
    yield from optional("mirrorPercentage", route.mirror_percentage, percent)
    yield from within("mirrorPercent", route.mirror_percent, 0, 100)
    if route.mirror is None:
        for name, value in (("mirrorPercentage", route.mirror_percentage), ("mirrorPercent", route.mirror_percent)):
            if value is not None and not route.delegate:
                yield (name,), "is of mirror, which is not there"


def _mirror(mirror: HTTPMirrorPolicy) -> Findings:
    yield from optional("destination", mirror.destination, destination)
    yield from optional("percentage", mirror.percentage, percent)


def _retries(retries: HTTPRetry) -> Findings:
    if not 0 <= retries.attempts <= INT32_MAX:
        yield ("attempts",), f"{retries.attempts} is not possible; 0 switches retries off"
    elif retries.attempts == 0:
        more = [
            name
            for name, there in (
                ("perTryTimeout", retries.per_try_timeout), ("retryOn", retries.retry_on),
                ("retryRemoteLocalities", retries.retry_remote_localities is not None),
                ("retryIgnorePreviousHosts", retries.retry_ignore_previous_hosts is not None),
                ("backoff", retries.backoff),
            ) if there
        ]  # fmt: skip
        if more:
            yield ("attempts",), f"0 switches retries off; take out {' and '.join(more)}, or allow attempts"
    if retries.retry_remote_localities:
        yield from not_carried(("retryRemoteLocalities",), "true")
    yield from duration("perTryTimeout", retries.per_try_timeout)
    yield from duration("backoff", retries.backoff, shortest=1)
    for condition in (part.strip() for part in retries.retry_on.split(",") if retries.retry_on):
        if condition in _PLANNED_RETRY_CONDITIONS:
            yield ("retryOn",), f"'{condition}' is not carried out by Tage yet; take it out"
        elif condition not in RETRY_CONDITIONS and not re.fullmatch("[3-5][0-9][0-9]", condition):
            known = ", ".join(RETRY_CONDITIONS)
            yield ("retryOn",), f"'{condition}' is neither a status code (300-599) nor one of {known}"


# -- answers without a destination -------------------------------------------------------------------------------------


def _redirect(redirect: HTTPRedirect, route: HTTPRoute) -> Findings:
    yield from at_most_one((), [name for name, there in (
        ("uri", redirect.uri), ("prefixRewrite", redirect.prefix_rewrite)) if there])  # fmt: skip
    yield from at_most_one((), [name for name, there in (
        ("port", redirect.port is not None), ("derivePort", redirect.derive_port)) if there])  # fmt: skip
    if redirect == HTTPRedirect(redirect_code=redirect.redirect_code):
        yield (
            (),
            "needs uri, prefixRewrite, authority, port, derivePort or scheme: it would lead back to the same place",
        )
    for name, path in (("uri", redirect.uri), ("prefixRewrite", redirect.prefix_rewrite)):
        if path and not path.startswith("/"):
            yield (name,), f"'{path}' must begin with '/'"
    if redirect.prefix_rewrite and any(match.uri is None or match.uri.prefix is None for match in route.match):
        yield ("prefixRewrite",), "asks that each match has a uri with a prefix, which it takes the place of"
    if redirect.authority:
        yield from _authority("authority", redirect.authority)
    if redirect.port is not None:
        yield from named(("port",), names.port(redirect.port))
    if redirect.derive_port and redirect.derive_port not in DERIVE_PORT:
        yield ("derivePort",), f"'{redirect.derive_port}' is not one of {', '.join(DERIVE_PORT)}"
    if redirect.scheme not in ("", "http", "https"):
        yield ("scheme",), f"'{redirect.scheme}' is neither http nor https"
    if redirect.redirect_code and redirect.redirect_code not in REDIRECT_CODES:
        yield ("redirectCode",), f"{redirect.redirect_code} is not one of {', '.join(map(str, REDIRECT_CODES))}"


def _direct_response(response: HTTPDirectResponse) -> Findings:
    yield from status("status", response.status)
    yield from optional("body", response.body, _body)


def _body(body: HTTPBody) -> Findings:
    given = [name for name, there in (("string", body.string), ("bytes", body.data)) if there is not None]
    yield from at_most_one((), given)
    size = len((body.string or "").encode())
    if body.data is not None:
        try:
            size = len(base64.b64decode(body.data, validate=True))
        except (ValueError, binascii.Error):
            yield ("bytes",), "is not base64"
    if size > MAX_BODY:
        yield (), f"has {size} bytes; at most {MAX_BODY} are possible"


def _delegate(delegate: Delegate) -> Findings:
    yield from named(("name",), names.dns_subdomain(delegate.name))
    if delegate.namespace:
        yield from named(("namespace",), names.dns_label(delegate.namespace))


# -- changes on the way ------------------------------------------------------------------------------------------------


def _rewrite(rewrite: HTTPRewrite) -> Findings:
    given = [name for name, there in (("uri", rewrite.uri), ("uriRegexRewrite", rewrite.uri_regex_rewrite)) if there]
    yield from at_most_one((), given)
    if not given and not rewrite.authority:
        yield (), "needs uri, uriRegexRewrite or authority"
    if rewrite.authority:
        yield from _authority("authority", rewrite.authority)
    yield from optional("uriRegexRewrite", rewrite.uri_regex_rewrite, _regex_rewrite)


def _regex_rewrite(rewrite: RegexRewrite) -> Findings:
    for name, text in (("match", rewrite.match), ("rewrite", rewrite.rewrite)):
        if not text:
            yield (name,), "must not be empty"
    if rewrite.match:
        yield from pattern(("match",), rewrite.match)


def _authority(field: str, text: str) -> Findings:
    """A host, with or without a port."""
    host, colon, port = text.rpartition(":")
    if colon and port.isdecimal() and (not host.startswith("[") or host.endswith("]")):
        yield from named((field,), names.port(int(port)))
        text = host
    yield from named((field,), names.host(text.removeprefix("[").removesuffix("]")))


def _headers(headers: Headers) -> Findings:
    yield from optional("request", headers.request, lambda operations: _operations(operations, of_request=True))
    yield from optional("response", headers.response, lambda operations: _operations(operations, of_request=False))


def _operations(operations: HeaderOperations, of_request: bool) -> Findings:
    for kind, values in (("set", operations.set), ("add", operations.add)):
        for name, value in values.items():
            if not (of_request and name.lower() in AUTHORITY):
                yield from named((kind, name), names.editable_header(name))
            yield from header_value((kind, name), value)
    for index, name in enumerate(operations.remove):
        yield from named(("remove", index), names.editable_header(name))


def _one_authority(route: HTTPRoute) -> Findings:
    """The host that is sent on may be said in one place only."""
    said = ["rewrite.authority"] if route.rewrite is not None and route.rewrite.authority else []
    request = route.headers.request if route.headers is not None else None
    if request is not None:
        for kind, values in (("set", request.set), ("add", request.add)):
            said += [f"headers.request.{kind}.{name}" for name in values if name.lower() in AUTHORITY]
    yield from at_most_one((), said)


def _fault(fault: HTTPFaultInjection) -> Findings:
    if fault.delay is None and fault.abort is None:
        yield (), "needs delay or abort"
    yield from optional("delay", fault.delay, _delay)
    yield from optional("abort", fault.abort, _abort)


def _delay(delay: Delay) -> Findings:
    if not delay.fixed_delay:
        yield ("fixedDelay",), "is missing"
    yield from duration("fixedDelay", delay.fixed_delay, shortest=1)
    yield from optional("percentage", delay.percentage, percent)
    yield from within("percent", delay.percent, 0, 100)


def _abort(abort: Abort) -> Findings:
    if abort.grpc_status:
        yield from at_most_one((), ["httpStatus", "grpcStatus"] if abort.http_status else [])
        if abort.grpc_status not in grpc.STATUSES:
            yield ("grpcStatus",), f"'{abort.grpc_status}' is not one of {', '.join(grpc.STATUSES)}"
    elif abort.http_status:
        yield from status("httpStatus", abort.http_status)
    else:
        yield (), "needs httpStatus or grpcStatus"
    yield from optional("percentage", abort.percentage, percent)


def _cors(policy: CorsPolicy) -> Findings:
    yield from each("allowOrigins", policy.allow_origins, _origin)
    for index, method in enumerate(policy.allow_methods):
        if method not in METHODS:
            yield ("allowMethods", index), f"'{method}' is not one of {', '.join(METHODS)}"
    for field, values in (("allowHeaders", policy.allow_headers), ("exposeHeaders", policy.expose_headers)):
        for index, name in enumerate(values):
            if name != "*":
                yield from named((field, index), names.token(name))
    yield from duration("maxAge", policy.max_age)
    if policy.unmatched_preflights and policy.unmatched_preflights not in UNMATCHED_PREFLIGHTS:
        known = ", ".join(UNMATCHED_PREFLIGHTS)
        yield ("unmatchedPreflights",), f"'{policy.unmatched_preflights}' is not one of {known}"


def _origin(origin: StringMatch) -> Findings:
    yield from string_match(origin)
    if not (origin.exact or origin.prefix or origin.regex):
        yield (), "must not be empty"
