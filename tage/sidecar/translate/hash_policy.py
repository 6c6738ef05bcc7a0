"""RouteAction.HashPolicy -> `plan.HashPolicy`."""

from __future__ import annotations

from typing import Any

from tage.dataplane.routing.hash_policy import cookie_attributes
from tage.sidecar import plan
from tage.sidecar.translate.problem import Problems
from tage.sidecar.translate.shape import Shape, leaf
from tage.sidecar.translate.values import REWRITE, milliseconds, rewrite

_NAME = "envoy.config.route.v3.RouteAction.HashPolicy"
HASH_POLICY = Shape(
    _NAME,
    {
        "header": Shape(f"{_NAME}.Header", {"header_name": leaf, "regex_rewrite": REWRITE}),
        "cookie": Shape(
            f"{_NAME}.Cookie",
            {
                "name": leaf,
                "ttl": leaf,
                "path": leaf,
                "attributes": Shape(f"{_NAME}.CookieAttribute", ("name", "value")),
            },
        ),
        "connection_properties": Shape(f"{_NAME}.ConnectionProperties", ("source_ip",)),
        "query_parameter": Shape(f"{_NAME}.QueryParameter", ("name",)),
        "terminal": leaf,
    },
)
_COOKIE_NAME = frozenset("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")


def translate(messages: Any, path: str, problems: Problems) -> list[plan.HashPolicy]:
    """`path` is that of the list."""
    found = [_policy(message, f"{path}[{i}]", problems) for i, message in enumerate(messages)]
    return [policy for policy in found if policy is not None]


def _policy(message: Any, path: str, problems: Problems) -> plan.HashPolicy | None:
    kind = message.WhichOneof("policy_specifier")
    if kind == "header":
        header, at = message.header, f"{path}.header"
        if not header.header_name:
            problems.add(f"{at}.header_name", "is missing")
        regex = None
        if header.HasField("regex_rewrite"):
            regex = rewrite(header.regex_rewrite, f"{at}.regex_rewrite", problems)
        return plan.HashPolicy("header", header.header_name.lower(), message.terminal, regex)
    if kind == "cookie":
        return _cookie(message, f"{path}.cookie", problems)
    if kind == "query_parameter":
        if not message.query_parameter.name:
            problems.add(f"{path}.query_parameter.name", "is missing")
        return plan.HashPolicy("query_parameter", message.query_parameter.name, message.terminal)
    if kind == "connection_properties":
        if message.connection_properties.source_ip:
            return plan.HashPolicy("source_ip", "", message.terminal)
        return None  # says nothing, as in Envoy
    if kind is None:
        problems.add(path, "needs one of header, cookie, connection_properties and query_parameter")
    return None


def _cookie(message: Any, path: str, problems: Problems) -> plan.HashPolicy:
    cookie = message.cookie
    if not cookie.name or not _COOKIE_NAME.issuperset(cookie.name):
        problems.add(f"{path}.name", f"'{cookie.name}' is not a cookie's name" if cookie.name else "is missing")
    ttl = -1
    if cookie.HasField("ttl"):
        ttl = milliseconds(cookie.ttl, f"{path}.ttl", problems) // 1000  # Envoy, too, drops the fraction of a second
    attributes = [(each.name, each.value) for each in cookie.attributes]
    try:
        cookie_attributes(max(ttl, 0), cookie.path, attributes)
    except ValueError as error:
        problems.add(path, str(error))
    return plan.HashPolicy("cookie", cookie.name, message.terminal, None, ttl, cookie.path, attributes)
