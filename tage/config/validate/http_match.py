"""The conditions of a VirtualService's rule."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from tage.config import names
from tage.config.networking import HTTPMatchRequest, StringMatch
from tage.config.validate.finding import Findings, named, nested, not_carried, optional
from tage.config.validate.values import labels, string_match

MESH = "mesh"
"""Istio's name for all sidecars."""


def http_match(match: HTTPMatchRequest) -> Findings:
    yield from optional("uri", match.uri, lambda uri: string_match(uri, of_uri=True))
    for field, value in (("scheme", match.scheme), ("method", match.method), ("authority", match.authority)):
        yield from optional(field, value, string_match)
    yield from _by_name("headers", match.headers, names.header)
    yield from _by_name("withoutHeaders", match.without_headers, names.header)
    yield from _by_name("queryParams", match.query_params, _not_empty)
    if match.port:
        yield from named(("port",), names.port(match.port))
    yield from nested("sourceLabels", labels(match.source_labels))
    if match.source_namespace:
        yield from named(("sourceNamespace",), names.dns_label(match.source_namespace))
    yield from mesh_only(match.gateways)


def mesh_only(gateways: Sequence[str]) -> Findings:
    for index, gateway in enumerate(gateways):
        if gateway != MESH:
            yield from not_carried(("gateways", index), f"gateway '{gateway}'")


def _by_name(field: str, conditions: Mapping[str, StringMatch], wrong: Callable[[str], str]) -> Findings:
    for name, value in conditions.items():
        yield from named((field, name), wrong(name))
        yield from nested(field, nested(name, string_match(value, may_be_empty=True)))


def _not_empty(name: str) -> str:
    return "" if name else "must not be empty"
