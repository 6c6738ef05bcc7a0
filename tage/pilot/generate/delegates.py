"""Delegation: a VirtualService's rule that names another VirtualService becomes that one's rules, merged with it.

As Istio's MergeHTTPRoutes. A delegate has no hosts and is one level deep. Of each of its rules the conditions must be
narrower than the naming rule's, or the rule does not count; what the delegate's rule leaves unset it takes from the
naming one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import cast

import msgspec

from tage.config.model import Resource
from tage.config.networking import Destination, HTTPMatchRequest, HTTPRoute, StringMatch, VirtualService

Resolve = Callable[[str, str], str]
"""(host, namespace of the resource that names it) -> full name."""

_INHERITED = (
    "rewrite", "timeout", "retries", "fault", "mirror", "mirror_percent", "mirror_percentage", "cors_policy", "mirrors",
    "headers",
)  # fmt: skip
_STRINGS = ("uri", "scheme", "method", "authority")
_MAPS = ("headers", "without_headers", "query_params")


def is_delegate(resource: Resource) -> bool:
    return not cast(VirtualService, resource.spec).hosts


def is_visible(export_to: Sequence[str], own: str, namespace: str) -> bool:
    """Whether a resource of namespace `own` counts in `namespace`."""
    return not export_to or "*" in export_to or namespace in export_to or ("." in export_to and own == namespace)


def merged(resources: Sequence[Resource], resolve: Resolve, warnings: list[str]) -> Iterator[Resource]:
    """The resources that have hosts, each with its delegates' rules in place of the rules that name them."""
    delegates = {(r.metadata.namespace, r.metadata.name): r for r in resources if is_delegate(r)}
    for resource in resources:
        spec = cast(VirtualService, resource.spec)
        if spec.hosts and any(http.delegate for http in spec.http):
            rules = [
                rule
                for index in range(len(spec.http))
                for rule in _rules(resource, index, delegates, resolve, warnings)
            ]
            yield msgspec.structs.replace(resource, spec=msgspec.structs.replace(spec, http=rules))
        elif spec.hosts:
            yield resource


def _rules(
    resource: Resource,
    index: int,
    delegates: Mapping[tuple[str, str], Resource],
    resolve: Resolve,
    warnings: list[str],
) -> Iterator[HTTPRoute]:
    own = resource.metadata.namespace
    root = _resolved(cast(VirtualService, resource.spec).http[index], own, resolve)
    if root.delegate is None:
        yield root
        return
    where = f"VirtualService {own}/{resource.metadata.name}: spec.http[{index}].delegate"
    namespace, name = root.delegate.namespace or own, root.delegate.name
    delegate = delegates.get((namespace, name))
    if delegate is None:
        warnings.append(f"{where}: no VirtualService {namespace}/{name} without hosts; the rule has no effect")
        return
    spec = cast(VirtualService, delegate.spec)
    if not is_visible(spec.export_to, namespace, own):
        warnings.append(f"{where}: {namespace}/{name} is not exported to namespace {own}; the rule has no effect")
        return
    for number, http in enumerate(spec.http):
        rule, conflict = _merged(root, _resolved(http, namespace, resolve))
        if rule is None:
            warnings.append(f"{where}: {namespace}/{name}, spec.http[{number}] is left out: {conflict}")
        else:
            yield rule


def _resolved(http: HTTPRoute, namespace: str, resolve: Resolve) -> HTTPRoute:
    """With full names: the rule is about to leave the namespace in which its short ones mean something."""

    def full(destination: Destination) -> Destination:
        return msgspec.structs.replace(destination, host=resolve(destination.host, namespace))

    return msgspec.structs.replace(
        http,
        route=[msgspec.structs.replace(each, destination=full(each.destination)) for each in http.route],
        mirrors=[msgspec.structs.replace(each, destination=full(each.destination)) for each in http.mirrors],
        mirror=full(http.mirror) if http.mirror is not None else None,
    )


def _merged(root: HTTPRoute, leaf: HTTPRoute) -> tuple[HTTPRoute | None, str]:
    """Or None and the reason."""
    match, conflict = _matches(root.match, leaf.match)
    if conflict:
        return None, conflict
    changes = {field: getattr(root, field) for field in _INHERITED if not getattr(leaf, field)}
    return msgspec.structs.replace(leaf, name=_joined(root.name, leaf.name), match=match, **changes), ""


def _joined(root: str, leaf: str) -> str:
    return f"{root}-{leaf}" if root and leaf else root or leaf


def _matches(roots: list[HTTPMatchRequest], leaves: list[HTTPMatchRequest]) -> tuple[list[HTTPMatchRequest], str]:
    """Every pair that can be true together. Each of `leaves` needs one."""
    if not roots or not leaves:
        return leaves or roots, ""
    found: list[HTTPMatchRequest] = []
    for number, leaf in enumerate(leaves):
        conflicts = [_conflict(root, leaf) for root in roots]
        found += [_match(root, leaf) for root, conflict in zip(roots, conflicts, strict=True) if not conflict]
        if all(conflicts):
            return [], f"its match[{number}] lies outside the naming rule's: {conflicts[0]}"
    return found, ""


def _match(root: HTTPMatchRequest, leaf: HTTPMatchRequest) -> HTTPMatchRequest:
    changes: dict[str, object] = {"name": _joined(root.name, leaf.name)}
    changes |= {field: getattr(leaf, field) or getattr(root, field) for field in (
        *_STRINGS, "port", "source_namespace", "gateways", "stat_prefix")}  # fmt: skip
    changes |= {field: getattr(root, field) | getattr(leaf, field) for field in (*_MAPS, "source_labels")}
    return msgspec.structs.replace(leaf, **changes)


def _conflict(root: HTTPMatchRequest, leaf: HTTPMatchRequest) -> str:
    """The field in which `leaf` is not narrower than `root`, or empty."""
    for field in _STRINGS:
        if _differ(getattr(root, field), getattr(leaf, field)):
            return field
    for field in _MAPS:
        known = getattr(root, field)
        for name, value in getattr(leaf, field).items():
            if _differ(known.get(name), value):
                return f"{field} {name}"
    if root.ignore_uri_case != leaf.ignore_uri_case:
        return "ignoreUriCase"
    if root.port and leaf.port and root.port != leaf.port:
        return "port"
    if root.source_namespace and leaf.source_namespace != root.source_namespace:
        return "sourceNamespace"
    for name, value in leaf.source_labels.items():
        if root.source_labels.get(name, value) != value:
            return f"sourceLabels {name}"
    return ""


def _differ(root: StringMatch | None, leaf: StringMatch | None) -> bool:
    """Source: Istio's stringMatchConflict. Of a regex nobody can tell what is narrower."""
    if root is None or leaf is None:
        return False
    if root.regex or leaf.regex:
        return True
    if root.exact:
        return leaf.exact != root.exact
    if root.prefix:
        return not (leaf.prefix or leaf.exact or "").startswith(root.prefix)
    return True
