"""Cors and CorsPolicy -> `plan.Cors` and `plan.CorsPolicy`."""

from __future__ import annotations

from typing import Any

import msgspec
from envoy.extensions.filters.http.cors.v3 import cors_pb2

from tage.sidecar import plan
from tage.sidecar.translate import match
from tage.sidecar.translate.filters.kind import FilterKind, Place
from tage.sidecar.translate.problem import Problems
from tage.sidecar.translate.shape import Shape, leaf
from tage.sidecar.translate.values import FRACTION, fraction, header_value

_CORS = "envoy.extensions.filters.http.cors.v3"
CORS = Shape(f"{_CORS}.Cors")
POLICY = Shape(
    f"{_CORS}.CorsPolicy",
    {
        "allow_origin_string_match": match.STRING,
        "allow_methods": leaf,
        "allow_headers": leaf,
        "expose_headers": leaf,
        "max_age": leaf,
        "allow_credentials": leaf,
        "filter_enabled": FRACTION,
        "shadow_enabled": FRACTION,
        "allow_private_network_access": leaf,
        "forward_not_matching_preflights": leaf,
    },
)


def translate(message: cors_pb2.Cors, place: Place, path: str, problems: Problems) -> plan.Cors:
    return plan.Cors(place.name)


def policy(message: cors_pb2.CorsPolicy, place: Place, path: str, problems: Problems) -> plan.CorsPolicy:
    origins = [
        match.string(each, f"{path}.allow_origin_string_match[{i}]", problems)
        for i, each in enumerate(message.allow_origin_string_match)
    ]
    methods, headers, expose, max_age = (
        header_value(getattr(message, field), f"{path}.{field}", problems)
        for field in ("allow_methods", "allow_headers", "expose_headers", "max_age")
    )
    return plan.CorsPolicy(
        place.name,
        origins,
        methods,
        headers,
        expose,
        max_age,
        _bool(message, "allow_credentials"),
        _bool(message, "allow_private_network_access"),
        _bool(message, "forward_not_matching_preflights"),
        _share(message, "filter_enabled", path, problems),
        _share(message, "shadow_enabled", path, problems),
    )


def _bool(message: Any, field: str) -> bool | None:
    return getattr(message, field).value if message.HasField(field) else None


def _share(message: Any, field: str, path: str, problems: Problems) -> plan.Fraction | None:
    if not message.HasField(field):
        return None
    if not getattr(message, field).HasField("default_value"):
        problems.add(f"{path}.{field}.default_value", "is missing")
    return fraction(getattr(message, field).default_value)


_INHERITED = ("origins", "methods", "headers", "expose", "max_age", "credentials", "private_network", "forward")


def before(policy: plan.CorsPolicy, outer: plan.CorsPolicy) -> plan.CorsPolicy:
    """`policy` with what it leaves open from `outer`."""
    taken = {field: getattr(outer, field) for field in _INHERITED if getattr(policy, field) in (None, "", [])}
    return msgspec.structs.replace(policy, **taken)


KIND = FilterKind(cors_pb2.Cors, CORS, translate, cors_pb2.CorsPolicy, POLICY, policy)
