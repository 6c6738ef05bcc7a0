"""Listener -> `draft.ListenerDraft`: one filter chain, one filter, the HTTP connection manager."""

from __future__ import annotations

from typing import Any, Literal

from envoy.config.core.v3 import base_pb2
from envoy.config.listener.v3 import listener_pb2
from envoy.extensions.filters.http.router.v3 import router_pb2
from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2
from envoy.extensions.transport_sockets.raw_buffer.v3 import raw_buffer_pb2

from tage.sidecar import plan
from tage.sidecar.translate import access_log, route
from tage.sidecar.translate.draft import ListenerDraft
from tage.sidecar.translate.problem import Problems
from tage.sidecar.translate.shape import Extension, Only, Shape, leaf, type_name, unpack
from tage.sidecar.translate.values import ADDRESS, ADS, ads_source, milliseconds, socket_address

_HCM = "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
_MAX_HEAD_KB = 8192
"""Envoy's upper bound for max_request_headers_kb."""

_ROUTER = Shape(
    "envoy.extensions.filters.http.router.v3.Router",
    {"dynamic_stats": Only(True)},
    harmless={"suppress_envoy_headers": "Tage adds none of the x-envoy-* headers that it suppresses"},
)
_HTTP_FILTER = Extension(
    "filter",
    Shape(
        f"{_HCM.rpartition('.')[0]}.HttpFilter",
        ("name", "typed_config"),
        harmless={"is_optional": "speaks of filters that are not supported; this one is"},
    ),
    (router_pb2.Router, _ROUTER),
)
CONNECTION_MANAGER = Shape(
    _HCM,
    {
        "codec_type": Only("HTTP1"),
        "stat_prefix": leaf,
        "rds": Shape(f"{_HCM.rpartition('.')[0]}.Rds", {"config_source": ADS, "route_config_name": leaf}),
        "route_config": route.ROUTES,
        "http_filters": _HTTP_FILTER,
        "access_log": access_log.ACCESS_LOG,
        "add_user_agent": Only(False),
        "common_http_protocol_options": Shape(
            "envoy.config.core.v3.HttpProtocolOptions", ("idle_timeout", "max_headers_count")
        ),
        "http_protocol_options": Shape("envoy.config.core.v3.Http1ProtocolOptions", {"allow_absolute_url": Only(True)}),
        "server_name": leaf,
        "server_header_transformation": Only("PASS_THROUGH"),
        "max_request_headers_kb": leaf,
        "stream_idle_timeout": leaf,
        "request_timeout": Only(0),
        "request_headers_timeout": leaf,
        "use_remote_address": leaf,
        "skip_xff_append": leaf,
        "generate_request_id": leaf,
        "normalize_path": Only(False),
        "path_with_escaped_slashes_action": Only("KEEP_UNCHANGED"),
        "stream_error_on_invalid_http_message": Only(False),
    },
    harmless={
        "drain_timeout": "the time between two GOAWAY frames of HTTP/2; listeners take HTTP/1.1 only",
        "http2_protocol_options": "of HTTP/2 connections; listeners take HTTP/1.1 only",
        "internal_address_config": "decides about x-envoy-internal and the like, of which Tage sends and trusts none",
        "preserve_external_request_id": "Tage always keeps a request id that the client sent",
    },
)
_FILTER = Extension(
    "filter",
    Shape("envoy.config.listener.v3.Filter", ("name", "typed_config")),
    (http_connection_manager_pb2.HttpConnectionManager, CONNECTION_MANAGER),
)
_FILTER_CHAIN = Shape(
    "envoy.config.listener.v3.FilterChain",
    {
        "filter_chain_match": Shape("envoy.config.listener.v3.FilterChainMatch"),  # empty: every connection
        "filters": _FILTER,
        "use_proxy_proto": Only(False),
        "transport_socket": Extension(
            "transport socket",
            Shape("envoy.config.core.v3.TransportSocket", ("name", "typed_config")),
            (raw_buffer_pb2.RawBuffer, Shape("envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer")),
        ),
    },
    harmless={
        "metadata": "read by filters and access log operators that ask for it; those are refused",
        "name": "names the chain among several; there is one",
    },
)
LISTENER = Shape(
    "envoy.config.listener.v3.Listener",
    {
        "name": leaf,
        "address": ADDRESS,
        "filter_chains": _FILTER_CHAIN,
        "use_original_dst": Only(False),
        "transparent": Only(False),
        "freebind": Only(False),
        "traffic_direction": Only("INBOUND", "OUTBOUND"),
        "enable_reuse_port": Only(True),
        "bind_to_port": Only(True),
    },
    harmless={
        "metadata": "read by filters and access log operators that ask for it; those are refused",
        "stat_prefix": "names statistics; Tage counts each listener under its own name",
        "listener_filters_timeout": "of listener filters; those are refused",
        "continue_on_listener_filters_timeout": "of listener filters; those are refused",
    },
)

Direction = Literal["inbound", "outbound", "none"]
_DIRECTIONS: dict[int, Direction] = {base_pb2.INBOUND: "inbound", base_pb2.OUTBOUND: "outbound"}


def translate(message: listener_pb2.Listener, path: str, problems: Problems, *, static: bool = False) -> ListenerDraft:
    """`static`: from a bootstrap, where inline routes may name known clusters only unless validate_clusters is false,
    and where a listener without a name gets its address as one."""
    LISTENER.check(message, path, problems)
    dot = f"{path}." if path else ""
    host, port = socket_address(message.address, f"{dot}address", problems)
    name = message.name or (f"{host}:{port}" if static else "")
    if not name:
        problems.add(f"{dot}name", "is missing")
    listener = plan.Listener(name, host, port, _DIRECTIONS.get(message.traffic_direction, "none"))
    found = _connection_manager(message, dot, problems)
    if found is None:
        return ListenerDraft(listener)
    manager, at = found
    return _with_http(listener, manager, at, problems, static=static)


def _connection_manager(message: listener_pb2.Listener, dot: str, problems: Problems) -> tuple[Any, str] | None:
    """The message and its path; None where there is none, a problem added."""
    if len(message.filter_chains) != 1:
        problems.add(f"{dot}filter_chains", f"{len(message.filter_chains)} of them; exactly one is supported")
        return None
    chain, path = message.filter_chains[0], f"{dot}filter_chains[0].filters"
    if len(chain.filters) != 1:
        problems.add(path, f"{len(chain.filters)} of them; exactly one, an HTTP connection manager, is supported")
    if not chain.filters or type_name(chain.filters[0].typed_config) != _HCM:
        return None
    at = f"{path}[0].typed_config"
    manager = unpack(chain.filters[0].typed_config, http_connection_manager_pb2.HttpConnectionManager, at, problems)
    return None if manager is None else (manager, at)


def _with_http(listener: plan.Listener, manager: Any, path: str, problems: Problems, *, static: bool) -> ListenerDraft:
    if not manager.http_filters or type_name(manager.http_filters[-1].typed_config) != _ROUTER.message:
        problems.add(f"{path}.http_filters", "the last one must be envoy.filters.http.router")
    elif len(manager.http_filters) > 1 and all(
        type_name(each.typed_config) == _ROUTER.message for each in manager.http_filters
    ):
        problems.add(f"{path}.http_filters", "the router may stand there once")
    stream_idle_timeout = _timeout(manager, "stream_idle_timeout", 300_000, path, problems)
    routes = rds = None
    validate = False
    kind = manager.WhichOneof("route_specifier")
    if kind == "rds":
        at = f"{path}.rds"
        if not manager.rds.route_config_name:
            problems.add(f"{at}.route_config_name", "is missing")
        rds = ads_source(manager.rds.config_source, manager.rds.route_config_name, f"{at}.config_source", problems)
    elif kind == "route_config":
        at, config = f"{path}.route_config", manager.route_config
        routes = route.build(config, config.name or listener.name, at, problems)
        validate = static and (not config.HasField("validate_clusters") or config.validate_clusters.value)
        if not static and config.validate_clusters.value:
            problems.add(f"{at}.validate_clusters", "true is not supported for routes that come over xDS (only false)")
    elif kind is None:
        problems.add(path, "needs one of rds and route_config")
    http = _http(manager, rds.name if rds else routes.name if routes else "", path, problems)
    return ListenerDraft(
        plan.Listener(listener.name, listener.address, listener.port, listener.direction, http),
        routes,
        rds,
        stream_idle_timeout,
        validate,
    )


def _http(manager: Any, routes: str, path: str, problems: Problems) -> plan.Http:
    default = plan.Http(routes)
    common, at = manager.common_http_protocol_options, f"{path}.common_http_protocol_options"
    head_kb = manager.max_request_headers_kb.value if manager.HasField("max_request_headers_kb") else 60
    if not 0 < head_kb <= _MAX_HEAD_KB:
        problems.add(f"{path}.max_request_headers_kb", f"must be from 1 to {_MAX_HEAD_KB}")
    headers = common.max_headers_count.value if common.HasField("max_headers_count") else default.max_headers
    if headers < 1:
        problems.add(f"{at}.max_headers_count", "must be at least 1")
    return plan.Http(
        routes=routes,
        stat_prefix=manager.stat_prefix,
        append_x_forwarded_for=manager.use_remote_address.value and not manager.skip_xff_append,
        generate_request_id=not manager.HasField("generate_request_id") or manager.generate_request_id.value,
        max_head_bytes=head_kb * 1024,
        max_headers=headers,
        idle_timeout=_timeout(common, "idle_timeout", default.idle_timeout, at, problems),
        head_timeout=_timeout(manager, "request_headers_timeout", default.head_timeout, path, problems),
        server_name=manager.server_name or default.server_name,
        access_logs=access_log.translate(manager.access_log, f"{path}.access_log", problems),
    )


def _timeout(message: Any, field: str, default: int, path: str, problems: Problems) -> int:
    if not message.HasField(field):
        return default
    return milliseconds(getattr(message, field), f"{path}.{field}", problems)
