"""What a resource must hold beyond its fields' types. Pure: a resource in, findings out.

Source: Istio's pkg/config/validation, for the fields that Tage carries out. References from one resource to another
(a host that no service has, a subset that no rule defines) are not errors here: resources may come in any order.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import re2

from tage.config import names
from tage.config.document import Path
from tage.config.duration import parse_duration_ms
from tage.config.mesh import Mesh, MeshInstance
from tage.config.model import Metadata, Resource
from tage.config.networking import (
    Destination,
    DestinationRule,
    HTTPMatchRequest,
    HTTPRetry,
    HTTPRoute,
    HTTPRouteDestination,
    Spec,
    StringMatch,
    TrafficPolicy,
    VirtualService,
)

Finding = tuple[Path, str]
"""Where, and what is wrong there."""
Findings = Iterator[Finding]

RUNNABLE_PROTOCOLS = ("http",)
_PLANNED_PROTOCOLS = ("http2", "grpc", "tcp", "bolt", "dubbo")

SIMPLE_LB = ("UNSPECIFIED", "ROUND_ROBIN", "RANDOM", "LEAST_REQUEST", "LEAST_CONN")
"""LEAST_CONN is the older name of LEAST_REQUEST."""

RETRY_CONDITIONS = (
    "5xx", "gateway-error", "reset", "connect-failure", "refused-stream", "retriable-4xx", "retriable-status-codes",
    "cancelled", "deadline-exceeded", "internal", "resource-exhausted", "unavailable",
)  # fmt: skip
"""Source: Envoy's x-envoy-retry-on and x-envoy-retry-grpc-on."""
_PLANNED_RETRY_CONDITIONS = (
    "reset-before-request", "envoy-ratelimited", "retriable-headers", "http3-post-connect-failure"
)  # fmt: skip

MAX_REPLICAS = 64
_UINT32_MAX = 2**32 - 1
_INT32_MAX = 2**31 - 1


def validate(resource: Resource) -> list[Finding]:
    """All findings; paths begin at the resource (`metadata`, `spec`)."""
    findings = [_below("metadata", finding) for finding in _metadata(resource.metadata)]
    check = _CHECKS.get(type(resource.spec))
    if check is not None:
        findings += [_below("spec", finding) for finding in check(resource.spec)]
    return findings


def _below(step: str | int, finding: Finding) -> Finding:
    path, message = finding
    return (step, *path), message


def _nested(step: str | int, findings: Iterable[Finding]) -> Findings:
    for finding in findings:
        yield _below(step, finding)


def _named(path: Path, wrong: str) -> Findings:
    """One finding if `wrong`, the answer of a function of `tage.config.names`, says something."""
    if wrong:
        yield path, wrong


def _metadata(metadata: Metadata) -> Findings:
    yield from _named(("name",), names.dns_subdomain(metadata.name))
    yield from _named(("namespace",), names.dns_label(metadata.namespace))
    yield from _nested("labels", labels(metadata.labels))


def labels(values: Mapping[str, str]) -> Findings:
    """Kubernetes' rules for labels."""
    for key, value in values.items():
        yield from _named((key,), names.label_key(key) or names.label_value(value))


# -- VirtualService ----------------------------------------------------------------------------------------------------


def _virtual_service(spec: VirtualService) -> Findings:
    if not spec.hosts:
        yield ("hosts",), "must name at least one host"
    for index, host in enumerate(spec.hosts):
        yield from _named(("hosts", index), names.host(host, wildcard=True))
        if host in spec.hosts[:index]:
            yield ("hosts", index), f"'{host}' is named twice"
    if not spec.http:
        yield ("http",), "must hold at least one route"
    for index, route in enumerate(spec.http):
        yield from _nested("http", _nested(index, _http_route(route)))


def _http_route(route: HTTPRoute) -> Findings:
    for index, match in enumerate(route.match):
        yield from _nested("match", _nested(index, _match(match)))
    if not route.route:
        yield ("route",), "must hold at least one destination"
    yield from _nested("route", _destinations(route.route))
    yield from _duration("timeout", route.timeout)
    if route.retries is not None:
        yield from _nested("retries", _retries(route.retries))


def _match(match: HTTPMatchRequest) -> Findings:
    for field, value in (("uri", match.uri), ("method", match.method)):
        if value is not None:
            yield from _nested(field, _string_match(value, may_be_empty=False))
    for name, value in match.headers.items():
        yield from _named(("headers", name), names.header(name))
        yield from _nested("headers", _nested(name, _string_match(value, may_be_empty=True)))


def _string_match(match: StringMatch, may_be_empty: bool) -> Findings:
    given = [name for name in ("exact", "prefix", "regex") if getattr(match, name) is not None]
    if len(given) > 1:
        yield (), f"{' and '.join(given)} exclude one another; keep one"
    if not given and not may_be_empty:
        yield (), "needs one of exact, prefix, regex"
    if match.regex is not None:
        yield from _regex(match.regex)


def _regex(pattern: str) -> Findings:
    options = re2.Options()
    options.log_errors = False
    try:
        re2.compile(pattern, options)
    except re2.error as error:
        reason = error.args[0] if error.args else "invalid"
        reason = reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason)
        yield ("regex",), f"not a regular expression that RE2 takes: {reason}"


def _destinations(routes: list[HTTPRouteDestination]) -> Findings:
    for index, route in enumerate(routes):
        yield from _nested(index, _nested("destination", _destination(route.destination)))
        if route.weight < 0:
            yield (index, "weight"), f"{route.weight} is negative"
    total = sum(route.weight for route in routes)
    if len(routes) > 1 and total <= 0:
        yield (), "the weights add up to 0; give at least one destination a positive weight"
    if total > _UINT32_MAX:
        yield (), f"the weights add up to {total}; at most {_UINT32_MAX} is possible"


def _destination(destination: Destination) -> Findings:
    yield from _named(("host",), names.host(destination.host))
    if destination.subset:
        yield from _named(("subset",), names.dns_label(destination.subset))
    if destination.port is not None:
        yield from _named(("port", "number"), names.port(destination.port.number))


def _duration(field: str, text: str) -> Findings:
    if not text:
        return
    try:
        parse_duration_ms(text)
    except ValueError as error:
        yield (field,), str(error)


def _retries(retries: HTTPRetry) -> Findings:
    if not 0 <= retries.attempts <= _INT32_MAX:
        yield ("attempts",), f"{retries.attempts} is not possible; 0 switches retries off"
    elif retries.attempts == 0 and (retries.per_try_timeout or retries.retry_on):
        yield ("attempts",), "0 switches retries off; take out perTryTimeout and retryOn, or allow attempts"
    yield from _duration("perTryTimeout", retries.per_try_timeout)
    for condition in (part.strip() for part in retries.retry_on.split(",") if retries.retry_on):
        if condition in _PLANNED_RETRY_CONDITIONS:
            yield ("retryOn",), f"'{condition}' is not carried out by Tage yet; take it out"
        elif condition not in RETRY_CONDITIONS and not re.fullmatch("[3-5][0-9][0-9]", condition):
            known = ", ".join(RETRY_CONDITIONS)
            yield ("retryOn",), f"'{condition}' is neither a status code (300-599) nor one of {known}"


# -- DestinationRule ---------------------------------------------------------------------------------------------------


def _destination_rule(spec: DestinationRule) -> Findings:
    yield from _named(("host",), names.host(spec.host, wildcard=True))
    yield from _nested("trafficPolicy", _traffic_policy(spec.traffic_policy))
    seen: set[str] = set()
    for index, subset in enumerate(spec.subsets):
        here = ("subsets", index)
        yield from _named((*here, "name"), names.dns_label(subset.name))
        if subset.name in seen:
            yield (*here, "name"), f"'{subset.name}' is defined twice"
        seen.add(subset.name)
        yield from _nested("subsets", _nested(index, _nested("labels", labels(subset.labels))))
        yield from _nested("subsets", _nested(index, _nested("trafficPolicy", _traffic_policy(subset.traffic_policy))))


def _traffic_policy(policy: TrafficPolicy | None) -> Findings:
    if policy is None or policy.load_balancer is None:
        return
    if policy.load_balancer.simple not in SIMPLE_LB:
        yield (
            ("loadBalancer", "simple"),
            f"'{policy.load_balancer.simple}' is not one of {', '.join(SIMPLE_LB)}",
        )


# -- Mesh --------------------------------------------------------------------------------------------------------------


def protocol(name: str) -> str:
    """What is wrong with a service's protocol, in the manner of `tage.config.names`."""
    if name in RUNNABLE_PROTOCOLS:
        return ""
    runnable = ", ".join(RUNNABLE_PROTOCOLS)
    if name in _PLANNED_PROTOCOLS or re.fullmatch("x-[a-z0-9-]+", name):
        return f"protocol '{name}' is not carried yet; use {runnable}"
    return f"protocol '{name}' is not known; use {runnable}"


def _mesh(spec: Mesh) -> Findings:
    if not spec.services:
        yield ("services",), "must name at least one service"
    seen: set[str] = set()
    for index, service in enumerate(spec.services):
        here = ("services", index)
        yield from _named((*here, "name"), names.dns_label(service.name))
        if service.name in seen:
            yield (*here, "name"), f"service '{service.name}' is defined twice"
        seen.add(service.name)
        yield from _named((*here, "port"), names.port(service.port))
        yield from _named((*here, "protocol"), protocol(service.protocol))
        for number, instance in enumerate(service.instances):
            yield from _nested("services", _nested(index, _nested("instances", _nested(number, _instance(instance)))))


def _instance(instance: MeshInstance) -> Findings:
    if not instance.command.strip():
        yield ("command",), "must not be empty"
    elif "\0" in instance.command:
        yield ("command",), "must not hold a NUL character"
    if not 1 <= instance.replicas <= MAX_REPLICAS:
        yield ("replicas",), f"{instance.replicas} is not possible; it must be between 1 and {MAX_REPLICAS}"
    yield from _named(("version",), names.label_value(instance.version))
    for name, value in instance.env.items():
        yield from _named(("env", name), names.variable(name))
        if "\0" in value:
            yield ("env", name), "must not hold a NUL character"
    yield from _nested("labels", labels(instance.labels))
    if instance.labels.get("version", instance.version) != instance.version:
        yield ("labels", "version"), "differs from the field version; keep one of them"


_CHECKS: Mapping[type[Spec], Callable[[Any], Findings]] = {
    VirtualService: _virtual_service,
    DestinationRule: _destination_rule,
    Mesh: _mesh,
}
