"""Rules that mean nothing for remote calls: what the author is told, since the rule itself is valid.

A VirtualService may be there before the service that says which protocol it is of, so this is not found on entry.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, cast

from tage.config.model import Resource
from tage.config.networking import (
    ConsistentHashLB,
    DestinationRule,
    HTTPMatchRequest,
    HTTPRoute,
    StringMatch,
    VirtualService,
)
from tage.config.protocols import HTTP, TCP, is_http

if TYPE_CHECKING:
    from tage.pilot.generate.snapshot import Snapshot

METHOD, SCHEME = "POST", "http"
"""What routing sees of every remote call."""


def warnings(
    snapshot: Snapshot, virtual_services: Iterable[Resource], destination_rules: Iterable[Resource]
) -> Iterator[str]:
    if not snapshot.protocols and not snapshot.tcp_services:
        return
    for resource in virtual_services:
        spec = cast(VirtualService, resource.spec)
        protocol = _protocol(snapshot, spec.hosts, resource.metadata.namespace)
        if protocol == TCP:
            yield f"{_title(resource)}: spec.http: never counts: connections of protocol tcp are not looked into"
            continue
        for index, http in enumerate(spec.http):
            here = f"{_title(resource)}: spec.http[{index}]"
            for path, message in _rule(http) if protocol else ():
                yield f"{here}.{path}: {message}, of protocol {protocol}"
            for path, message in _elsewhere(snapshot, http, protocol or HTTP, resource.metadata.namespace):
                yield f"{here}.{path}: {message}"
    for resource in destination_rules:
        rule = cast(DestinationRule, resource.spec)
        protocol = _protocol(snapshot, [rule.host], resource.metadata.namespace)
        for path, message in _policies(rule) if protocol not in ("", TCP) else ():
            yield f"{_title(resource)}: spec.{path}: {message}, of protocol {protocol}"


def _protocol(snapshot: Snapshot, hosts: Iterable[str], namespace: str) -> str:
    """Of the first of the hosts that is one of another protocol than HTTP; empty where none is."""
    for host in hosts:
        service = snapshot.service(snapshot.owner(host, namespace))
        if service is not None and not is_http(service.protocol):
            return service.protocol
    return ""


_Found = Iterator[tuple[str, str]]


def _rule(http: HTTPRoute) -> _Found:
    for index, match in enumerate(http.match):
        for path, message in _match(match):
            yield f"match[{index}].{path}", message
    if http.redirect is not None:
        yield "redirect", "no client of remote calls follows one; such requests fail"
    if http.cors_policy is not None:
        yield "corsPolicy", "has no effect on remote calls"
    if http.direct_response is not None and http.direct_response.status < 300:
        yield "directResponse", "the sidecar has no result to give: the caller of a remote call cannot read it"


def _elsewhere(snapshot: Snapshot, http: HTTPRoute, protocol: str, namespace: str) -> _Found:
    """Destinations that speak another protocol than the rule's hosts."""
    named = [(f"route[{index}].destination", each.destination) for index, each in enumerate(http.route)]
    named += [(f"mirrors[{index}].destination", each.destination) for index, each in enumerate(http.mirrors)]
    named += [("mirror", http.mirror)] if http.mirror is not None else []
    for path, destination in named:
        fqdn, service = snapshot.target(destination, namespace)
        if service is None or (is_http(service.protocol) and is_http(protocol)):
            continue  # between HTTP's versions there is no border
        if service.protocol != protocol:
            yield path, f"service {fqdn} is of protocol {service.protocol}, the rule of {protocol}; such calls get 503"


def _match(match: HTTPMatchRequest) -> _Found:
    for field, value, always in (("method", match.method, METHOD), ("scheme", match.scheme, SCHEME)):
        if value is not None and not _may_match(value, always):
            yield field, f"never matches: it is {always} for remote calls"
    if match.query_params:
        yield "queryParams", "never match: remote calls have none"
    if match.uri is not None and any(text is not None and not text.startswith("/") for text in _texts(match.uri)):
        yield "uri", "never matches: it is /SERVICE/METHOD for remote calls"


def _may_match(value: StringMatch, text: str) -> bool:
    if value.exact is not None:
        return value.exact == text
    return value.prefix is None or text.startswith(value.prefix)


def _texts(value: StringMatch) -> tuple[str | None, str | None]:
    return (value.exact, value.prefix or None)


def _policies(rule: DestinationRule) -> _Found:
    for path, policy in (
        ("trafficPolicy", rule.traffic_policy),
        *((f"subsets[{index}].trafficPolicy", subset.traffic_policy) for index, subset in enumerate(rule.subsets)),
    ):
        for load_balancer in policy.load_balancers() if policy is not None else ():
            for field in _hash(load_balancer.consistent_hash):
                yield f"{path}.loadBalancer.consistentHash.{field}", "remote calls have none, and are not hashed"
        http = policy.connection_pool.http if policy is not None and policy.connection_pool is not None else None
        if http is not None and http.use_client_protocol:
            yield f"{path}.connectionPool.http.useClientProtocol", "has no effect on remote calls"


def _hash(hash: ConsistentHashLB | None) -> Iterator[str]:
    if hash is not None and hash.http_cookie is not None:
        yield "httpCookie"
    if hash is not None and hash.http_query_parameter_name:
        yield "httpQueryParameterName"


def _title(resource: Resource) -> str:
    return f"{resource.kind} {resource.metadata.namespace}/{resource.metadata.name}"
