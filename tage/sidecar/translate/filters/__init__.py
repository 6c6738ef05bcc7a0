"""HTTP filters -> `plan.AnyFilter`, one module a kind, and the settings that routes have for them.

A kind is a `kind.FilterKind`: what stands in a connection manager's http_filters, what may stand in a
typed_per_filter_config, and how each becomes a part of the plan. `KINDS` are all that Tage has.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any as Anything

from envoy.config.route.v3 import route_components_pb2
from google.protobuf import any_pb2
from google.protobuf.message import Message

from tage.sidecar import plan
from tage.sidecar.translate.filters import cors, fault, local_rate_limit, python
from tage.sidecar.translate.filters.kind import FilterKind, Place
from tage.sidecar.translate.problem import Problems
from tage.sidecar.translate.shape import AnyOf, Shape, leaf, type_name, unpack

KINDS: tuple[FilterKind, ...] = (fault.KIND, cors.KIND, local_rate_limit.KIND, *python.KINDS)

_FILTER_CONFIG = "envoy.config.route.v3.FilterConfig"


def listener_kinds() -> list[tuple[type[Message], Shape]]:
    """For an `Extension`."""
    return [(kind.message, kind.shape) for kind in KINDS]


def translate(filters: Iterable[Anything], scope: str, path: str, problems: Problems) -> list[plan.AnyFilter]:
    """http_filters without the router. What is of no kind the walker has refused. `scope` names the filter chain."""
    found: dict[str, plan.AnyFilter] = {}
    for i, each in enumerate(filters):
        at = f"{path}[{i}]"
        kind = _of(type_name(each.typed_config), "message")
        if kind is None:
            continue
        if each.name in found:
            problems.add(f"{at}.name", f"'{each.name}' is the name of another filter here")
        message = unpack(each.typed_config, kind.message, f"{at}.typed_config", problems)
        if message is not None:
            found[each.name] = kind.translate(message, Place(each.name, scope), f"{at}.typed_config", problems)
    return list(found.values())


Settings = dict[str, plan.AnyFilterSettings]


def settings(configs: Mapping[str, any_pb2.Any], scope: str, path: str, problems: Problems) -> Settings:
    """A typed_per_filter_config. The walk is the caller's. `scope` names what it stands in."""
    found: Settings = {}
    for name, value in sorted(configs.items()):
        made = _settings(Place(name, scope), value, f'{path}["{name}"]', problems)
        if made is not None:
            found[name] = made
    return found


def merged(outer: Settings, own: Settings) -> Settings:
    """The more specific settings count; of CORS policies each field."""
    result = outer | own
    for name, settings in own.items():
        behind = outer.get(name)
        if isinstance(settings, plan.CorsPolicy) and isinstance(behind, plan.CorsPolicy):
            result[name] = cors.before(settings, behind)
    return result


def _settings(place: Place, value: any_pb2.Any, path: str, problems: Problems) -> Anything:
    if type_name(value) == _FILTER_CONFIG:
        config = unpack(value, route_components_pb2.FilterConfig, path, problems)
        if config is None:
            return None
        if config.disabled:
            return plan.FilterDisabled(place.name)
        if not config.HasField("config"):
            problems.add(f"{path}.config", "is missing")
            return None
        return _settings(place, config.config, f"{path}.config", problems)
    kind = _of(type_name(value), "route_message")
    message = unpack(value, kind.route_message, path, problems) if kind is not None else None
    if kind is None or message is None:
        return None
    return kind.translate_route(message, place, path, problems)


def _of(message: str, field: str) -> FilterKind | None:
    for kind in KINDS:
        if getattr(kind, field).DESCRIPTOR.full_name == message:
            return kind
    return None


def per_route() -> AnyOf:
    """The rule for typed_per_filter_config."""
    inner = [(kind.route_message, kind.route_shape) for kind in KINDS]
    config = Shape(_FILTER_CONFIG, {"disabled": leaf, "config": AnyOf(*inner)}, harmless={"is_optional": _OPTIONAL})
    return AnyOf((route_components_pb2.FilterConfig, config), *inner)


_OPTIONAL = "speaks of filters that are not supported; this one is"
