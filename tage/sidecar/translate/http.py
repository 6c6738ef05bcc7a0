"""HTTP connection manager -> `plan.Http`, and where its routes come from."""

from __future__ import annotations

from typing import Any, Literal

from envoy.extensions.filters.http.router.v3 import router_pb2
from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2 as hcm_pb2

from tage.sidecar import plan
from tage.sidecar.translate import access_log, filters, http2, route, upgrade
from tage.sidecar.translate.draft import ChainDraft
from tage.sidecar.translate.problem import Problems
from tage.sidecar.translate.shape import Extension, Only, Shape, leaf, type_name
from tage.sidecar.translate.values import ADS, ads_source, milliseconds

HCM = "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
_MAX_HEAD_KB = 8192
"""Envoy's upper bound for max_request_headers_kb."""

Codec = Literal["auto", "http1", "http2"]
_CODECS: dict[int, Codec] = {hcm_pb2.HttpConnectionManager.HTTP1: "http1", hcm_pb2.HttpConnectionManager.HTTP2: "http2"}

_ROUTER = Shape(
    "envoy.extensions.filters.http.router.v3.Router",
    {"dynamic_stats": Only(True)},
    harmless={"suppress_envoy_headers": "Tage adds none of the x-envoy-* headers that it suppresses"},
)
_HTTP_FILTER = Extension(
    "filter",
    Shape(
        f"{HCM.rpartition('.')[0]}.HttpFilter",
        ("name", "typed_config"),
        harmless={"is_optional": "speaks of filters that are not supported; this one is"},
    ),
    (router_pb2.Router, _ROUTER),
    *filters.listener_kinds(),
)
CONNECTION_MANAGER = Shape(
    HCM,
    {
        "codec_type": Only("AUTO", "HTTP1", "HTTP2"),
        "stat_prefix": leaf,
        "rds": Shape(f"{HCM.rpartition('.')[0]}.Rds", {"config_source": ADS, "route_config_name": leaf}),
        "route_config": route.ROUTES,
        "http_filters": _HTTP_FILTER,
        "access_log": access_log.ACCESS_LOG,
        "add_user_agent": Only(False),
        "common_http_protocol_options": Shape(
            "envoy.config.core.v3.HttpProtocolOptions",
            (
                "idle_timeout",
                "max_connection_duration",
                "max_headers_count",
                "max_requests_per_connection",
                "max_stream_duration",
            ),
        ),
        "http_protocol_options": Shape(
            "envoy.config.core.v3.Http1ProtocolOptions", {"allow_absolute_url": Only(True), "enable_trailers": leaf}
        ),
        "http2_protocol_options": http2.OPTIONS,
        "server_name": leaf,
        "server_header_transformation": Only("PASS_THROUGH"),
        "max_request_headers_kb": leaf,
        "stream_idle_timeout": leaf,
        "request_timeout": Only(0),
        "request_headers_timeout": leaf,
        "delayed_close_timeout": leaf,
        "use_remote_address": leaf,
        "skip_xff_append": leaf,
        "generate_request_id": leaf,
        "normalize_path": Only(False),
        "path_with_escaped_slashes_action": Only("KEEP_UNCHANGED"),
        "stream_error_on_invalid_http_message": Only(False),
        "upgrade_configs": upgrade.OF_MANAGER,
        "forward_client_cert_details": Only("SANITIZE"),
    },
    harmless={
        "drain_timeout": "how long before its last GOAWAY a connection is told of its end; Tage has a time of its own",
        "internal_address_config": "decides about x-envoy-internal and the like, of which Tage sends and trusts none",
        "preserve_external_request_id": "Tage always keeps a request id that the client sent",
    },
)


def translate(
    manager: Any, listener: str, path: str, problems: Problems, *, static: bool, exact: bool = False
) -> tuple[plan.Http, ChainDraft]:
    """`static`: from a bootstrap, where inline routes may name known clusters only unless validate_clusters is false.
    Routes without a name get that of the listener. `exact`: their domains are services of an RPC protocol."""
    if not manager.http_filters or type_name(manager.http_filters[-1].typed_config) != _ROUTER.message:
        problems.add(f"{path}.http_filters", "the last one must be envoy.filters.http.router")
    elif sum(type_name(each.typed_config) == _ROUTER.message for each in manager.http_filters) > 1:
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
        routes = route.build(config, config.name or listener, at, problems, exact=exact)
        validate = static and (not config.HasField("validate_clusters") or config.validate_clusters.value)
        if not static and config.validate_clusters.value:
            problems.add(f"{at}.validate_clusters", "true is not supported for routes that come over xDS (only false)")
    elif kind is None:
        problems.add(path, "needs one of rds and route_config")
    scope = f"{listener}/{path[path.find('filter_chain') :]}"
    http = _http(manager, rds.name if rds else routes.name if routes else "", scope, path, problems)
    return http, ChainDraft(routes, rds, stream_idle_timeout, validate)


def _http(manager: Any, routes: str, scope: str, path: str, problems: Problems) -> plan.Http:
    default = plan.Http(routes)
    common, at = manager.common_http_protocol_options, f"{path}.common_http_protocol_options"
    head_kb = manager.max_request_headers_kb.value if manager.HasField("max_request_headers_kb") else 60
    if not 0 < head_kb <= _MAX_HEAD_KB:
        problems.add(f"{path}.max_request_headers_kb", f"must be from 1 to {_MAX_HEAD_KB}")
    headers = common.max_headers_count.value if common.HasField("max_headers_count") else default.max_headers
    if headers < 1:
        problems.add(f"{at}.max_headers_count", "must be at least 1")
    upgrades = upgrade.translate(manager.upgrade_configs, f"{path}.upgrade_configs", problems)
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
        upgrades=[name for name, enabled in upgrades.items() if enabled],
        filters=filters.translate(manager.http_filters, scope, f"{path}.http_filters", problems),
        enable_trailers=manager.http_protocol_options.enable_trailers,
        max_connection_duration=_timeout(common, "max_connection_duration", 0, at, problems),
        max_requests_per_connection=common.max_requests_per_connection.value,
        max_stream_duration=_timeout(common, "max_stream_duration", 0, at, problems),
        delayed_close_timeout=_timeout(manager, "delayed_close_timeout", default.delayed_close_timeout, path, problems),
        codec=_CODECS.get(manager.codec_type, "auto"),
        http2=http2.translate(manager.http2_protocol_options, f"{path}.http2_protocol_options", problems),
    )


def _timeout(message: Any, field: str, default: int, path: str, problems: Problems) -> int:
    if not message.HasField(field):
        return default
    return milliseconds(getattr(message, field), f"{path}.{field}", problems)
