"""Routes that are answered here: RedirectAction and DirectResponseAction -> `plan.Redirect`, `plan.DirectResponse`."""

from __future__ import annotations

from envoy.config.core.v3 import base_pb2
from envoy.config.route.v3 import route_components_pb2

from tage.sidecar import plan
from tage.sidecar.translate.problem import Problems
from tage.sidecar.translate.shape import Shape, leaf
from tage.sidecar.translate.values import REWRITE, header_value, rewrite

DIRECT = Shape(
    "envoy.config.route.v3.DirectResponseAction",
    {
        "status": leaf,
        "body": Shape("envoy.config.core.v3.DataSource", ("inline_string", "inline_bytes")),
    },
)
REDIRECT = Shape(
    "envoy.config.route.v3.RedirectAction",
    {
        "https_redirect": leaf,
        "scheme_redirect": leaf,
        "host_redirect": leaf,
        "port_redirect": leaf,
        "path_redirect": leaf,
        "prefix_rewrite": leaf,
        "regex_rewrite": REWRITE,
        "response_code": leaf,
        "strip_query": leaf,
    },
)
_STATUSES = {
    route_components_pb2.RedirectAction.MOVED_PERMANENTLY: 301,
    route_components_pb2.RedirectAction.FOUND: 302,
    route_components_pb2.RedirectAction.SEE_OTHER: 303,
    route_components_pb2.RedirectAction.TEMPORARY_REDIRECT: 307,
    route_components_pb2.RedirectAction.PERMANENT_REDIRECT: 308,
}


def direct(
    message: route_components_pb2.DirectResponseAction, limit: int, path: str, problems: Problems
) -> plan.DirectResponse:
    """`limit`: bytes of the body."""
    if not 200 <= message.status <= 599:
        problems.add(f"{path}.status", f"{message.status} is not an HTTP status from 200 to 599")
    return plan.DirectResponse(message.status, _body(message.body, limit, f"{path}.body", problems))


def _body(body: base_pb2.DataSource, limit: int, path: str, problems: Problems) -> str:
    data = body.inline_bytes or body.inline_string.encode()
    if len(data) > limit:
        problems.add(path, f"{len(data)} bytes: at most {limit} (max_direct_response_body_size_bytes)")
    try:
        return data.decode()
    except UnicodeDecodeError:
        problems.add(path, "is not UTF-8 text")
        return ""


def redirect(message: route_components_pb2.RedirectAction, path: str, problems: Problems) -> plan.Redirect:
    for field in ("scheme_redirect", "host_redirect", "path_redirect", "prefix_rewrite"):
        header_value(getattr(message, field), f"{path}.{field}", problems)
    if message.response_code not in _STATUSES:
        problems.add(f"{path}.response_code", f"{message.response_code} is not one that Envoy knows")
    if message.port_redirect > 65_535:
        problems.add(f"{path}.port_redirect", "must be a port from 1 to 65535")
    regex = message.HasField("regex_rewrite")
    return plan.Redirect(
        _STATUSES.get(message.response_code, 301),
        "https" if message.https_redirect else message.scheme_redirect.lower(),
        message.host_redirect,
        message.port_redirect,
        message.path_redirect,
        message.prefix_rewrite,
        rewrite(message.regex_rewrite, f"{path}.regex_rewrite", problems) if regex else None,
        message.strip_query,
    )
