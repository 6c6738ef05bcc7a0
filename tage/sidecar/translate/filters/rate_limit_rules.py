"""RateLimit and its actions -> lists of `plan.RateLimitAction`."""

from __future__ import annotations

from typing import Any

from envoy.config.route.v3 import route_components_pb2

from tage.sidecar import plan
from tage.sidecar.translate import match
from tage.sidecar.translate.problem import Problems
from tage.sidecar.translate.shape import Shape, leaf

_RATE_LIMIT = "envoy.config.route.v3.RateLimit"
_ACTION = f"{_RATE_LIMIT}.Action"
RULE = Shape(
    _RATE_LIMIT,
    {
        "actions": Shape(
            _ACTION,
            {
                "request_headers": Shape(
                    f"{_ACTION}.RequestHeaders", ("header_name", "descriptor_key", "skip_if_absent")
                ),
                "query_parameters": Shape(
                    f"{_ACTION}.QueryParameters", ("query_parameter_name", "descriptor_key", "skip_if_absent")
                ),
                "remote_address": Shape(f"{_ACTION}.RemoteAddress"),
                "generic_key": Shape(f"{_ACTION}.GenericKey", ("descriptor_value", "descriptor_key")),
                "header_value_match": Shape(
                    f"{_ACTION}.HeaderValueMatch",
                    {"descriptor_key": leaf, "descriptor_value": leaf, "expect_match": leaf, "headers": match.HEADER},
                ),
                "query_parameter_value_match": Shape(
                    f"{_ACTION}.QueryParameterValueMatch",
                    {
                        "descriptor_key": leaf,
                        "descriptor_value": leaf,
                        "expect_match": leaf,
                        "query_parameters": match.QUERY,
                    },
                ),
            },
        )
    },
    harmless={"stage": "picks from the rate_limits of routes; those of the filter itself have no stages"},
)


def translate(message: route_components_pb2.RateLimit, path: str, problems: Problems) -> list[plan.RateLimitAction]:
    if not message.actions:
        problems.add(f"{path}.actions", "is missing")
    found = [_action(each, f"{path}.actions[{i}]", problems) for i, each in enumerate(message.actions)]
    return [each for each in found if each is not None]


def _action(message: Any, path: str, problems: Problems) -> plan.RateLimitAction | None:
    kind = message.WhichOneof("action_specifier")
    config: Any = getattr(message, kind) if kind else None
    at = f"{path}.{kind}"
    if kind == "generic_key":
        _needs(config, "descriptor_value", at, problems)
        return plan.RateLimitAction("generic_key", config.descriptor_key or "generic_key", config.descriptor_value)
    if kind == "request_headers":
        _needs(config, "header_name", at, problems)
        _needs(config, "descriptor_key", at, problems)
        return plan.RateLimitAction(
            "request_header",
            config.descriptor_key,
            name=config.header_name.lower(),
            optional=config.skip_if_absent,
        )
    if kind == "query_parameters":
        _needs(config, "query_parameter_name", at, problems)
        _needs(config, "descriptor_key", at, problems)
        return plan.RateLimitAction(
            "query_parameter",
            config.descriptor_key,
            name=config.query_parameter_name,
            optional=config.skip_if_absent,
        )
    if kind == "remote_address":
        return plan.RateLimitAction("remote_address", "remote_address")
    if kind == "header_value_match":
        headers = match.headers(config.headers, f"{at}.headers", problems)
        return _match(config, "headers_match", "header_match", at, problems, headers=headers)
    if kind == "query_parameter_value_match":
        query = match.query(config.query_parameters, f"{at}.query_parameters", problems)
        return _match(config, "query_match", "query_match", at, problems, query=query)
    if kind is None:
        problems.add(path, "needs an action; see docs/rate-limits.md for those that are supported")
    return None


def _match(
    config: Any, kind: Any, default_key: str, path: str, problems: Problems, **matchers: Any
) -> plan.RateLimitAction:
    _needs(config, "descriptor_value", path, problems)
    if not any(matchers.values()):
        problems.add(path, "has nothing to match")
    expect = not config.HasField("expect_match") or config.expect_match.value
    return plan.RateLimitAction(
        kind, config.descriptor_key or default_key, config.descriptor_value, expect=expect, **matchers
    )


def _needs(config: Any, field: str, path: str, problems: Problems) -> None:
    if not getattr(config, field):
        problems.add(f"{path}.{field}", "is missing")
