"""What a cluster says of HTTP with its hosts -> fields of `plan.Cluster`.

It stands in typed_extension_protocol_options or, the old way, in the cluster itself; not in both. Of
HttpProtocolOptions' three kinds the first means one version of HTTP for all requests (explicit_http_config), the second
that in which a request came (use_downstream_protocol_config), the third what the host agrees to (auto_config).
"""

from __future__ import annotations

from typing import Any

from envoy.config.cluster.v3 import cluster_pb2
from envoy.config.core.v3 import protocol_pb2
from envoy.extensions.transport_sockets.tls.v3 import tls_pb2
from envoy.extensions.upstreams.http.v3 import http_protocol_options_pb2

from tage.sidecar import plan
from tage.sidecar.translate import http2, x_protocol
from tage.sidecar.translate.problem import Problems
from tage.sidecar.translate.shape import Shape, leaf, type_name, unpack
from tage.sidecar.translate.values import milliseconds

NAME = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
"""Of the message, and its key in typed_extension_protocol_options."""

_HTTP1 = Shape("envoy.config.core.v3.Http1ProtocolOptions", ("enable_trailers",))
_COMMON = Shape(
    "envoy.config.core.v3.HttpProtocolOptions",
    ("idle_timeout", "max_connection_duration", "max_requests_per_connection"),
)
_BOTH = {"http_protocol_options": _HTTP1, "http2_protocol_options": http2.OPTIONS}
_TLS = tls_pb2.UpstreamTlsContext.DESCRIPTOR.full_name
OPTIONS = Shape(
    NAME,
    {
        "common_http_protocol_options": _COMMON,
        "explicit_http_config": Shape(f"{NAME}.ExplicitHttpConfig", _BOTH),
        "use_downstream_protocol_config": Shape(f"{NAME}.UseDownstreamHttpConfig", _BOTH),
        "auto_config": Shape(f"{NAME}.AutoHttpConfig", _BOTH),
    },
)
EXTENSION = (http_protocol_options_pb2.HttpProtocolOptions, OPTIONS)
"""For an `AnyOf`."""
_OLD = (
    "common_http_protocol_options",
    "http_protocol_options",
    "http2_protocol_options",
    "max_requests_per_connection",
)
FIELDS = {
    "common_http_protocol_options": _COMMON,
    "http_protocol_options": _HTTP1,
    "http2_protocol_options": http2.OPTIONS,
    "max_requests_per_connection": leaf,
}
"""Of envoy.config.cluster.v3.Cluster, all of them deprecated."""


def fields(message: cluster_pb2.Cluster, dot: str, problems: Problems) -> dict[str, Any]:
    """Keyword arguments of `plan.Cluster`."""
    found: dict[str, Any] = {}
    if message.HasField("max_requests_per_connection"):
        found["max_requests_per_connection"] = message.max_requests_per_connection.value
    found |= _common(message.common_http_protocol_options, f"{dot}common_http_protocol_options", problems)
    found |= _versions(message, dot, problems)
    for key, value in message.typed_extension_protocol_options.items():
        if key == x_protocol.OPTIONS:
            continue
        path = f'{dot}typed_extension_protocol_options["{key}"]'
        if key != NAME:
            problems.add(path, "not supported")
            continue
        if any(message.HasField(old) for old in _OLD):
            problems.add(path, "cannot stand beside the cluster's own, deprecated HTTP options")
        options = unpack(value, http_protocol_options_pb2.HttpProtocolOptions, path, problems)
        if options is not None:
            found |= _common(
                options.common_http_protocol_options, f"{path}.common_http_protocol_options", problems
            ) | _kind(options, message, path, problems)
    return found


def _common(message: protocol_pb2.HttpProtocolOptions, path: str, problems: Problems) -> dict[str, Any]:
    """Of pooled connections: idle timeout, longest life, how many requests each may carry."""
    found = {}
    if message.HasField("max_requests_per_connection"):
        found["max_requests_per_connection"] = message.max_requests_per_connection.value
    if message.HasField("idle_timeout"):
        found["idle_timeout"] = milliseconds(message.idle_timeout, f"{path}.idle_timeout", problems)
    if message.HasField("max_connection_duration"):
        at = f"{path}.max_connection_duration"
        found["max_connection_duration"] = milliseconds(message.max_connection_duration, at, problems, zero=False)
    return found


def _versions(message: Any, dot: str, problems: Problems) -> dict[str, Any]:
    """What of a message that has options of both versions is said of each."""
    found: dict[str, Any] = {}
    if message.http_protocol_options.enable_trailers:
        found["enable_trailers"] = True
    if message.HasField("http2_protocol_options"):
        at = f"{dot}http2_protocol_options"
        found["http2"] = http2.translate(message.http2_protocol_options, at, problems)
    return found


def _kind(
    options: http_protocol_options_pb2.HttpProtocolOptions, message: cluster_pb2.Cluster, path: str, problems: Problems
) -> dict[str, Any]:
    kind = options.WhichOneof("upstream_protocol_options")
    if kind is None:
        problems.add(path, "needs one of explicit_http_config, use_downstream_protocol_config and auto_config")
        return {}
    at, config = f"{path}.{kind}", getattr(options, kind)
    if kind == "explicit_http_config" and config.WhichOneof("protocol_config") is None:
        problems.add(at, "needs one of http_protocol_options and http2_protocol_options")
    found = _versions(config, f"{at}.", problems)
    if kind == "use_downstream_protocol_config":
        found.setdefault("http2", plan.Http2())  # as in Envoy, it is spoken whether it has options or not
        found["http2_for"] = "downstream"
    elif kind == "auto_config":
        found.setdefault("http2", plan.Http2())
        found["http2_for"] = "alpn"
        if type_name(message.transport_socket.typed_config) != _TLS:
            problems.add(at, "needs a transport_socket with TLS, whose ALPN agrees to a version of HTTP")
    return found
