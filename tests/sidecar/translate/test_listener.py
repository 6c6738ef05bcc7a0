from __future__ import annotations

from typing import Any

import pytest

from tage.sidecar.plan import FilterChain, Http, Listener, Routes
from tage.sidecar.translate import listener as module
from tage.sidecar.translate.draft import ChainDraft, ListenerDraft, Source
from tage.sidecar.translate.problem import Problems

from .build import ADS, ROUTER, address, manager, message, problems, routes, translate

LUA = {
    "name": "envoy.filters.http.lua",
    "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua"},
}
M = "filter_chains[0].filters[0].typed_config"


def test_defaults() -> None:
    chain = FilterChain(http=Http("r", "s", append_x_forwarded_for=False))
    assert translate("listener", manager()) == ListenerDraft(
        Listener("l", "127.0.0.1", 8080, chains=[chain]), [ChainDraft(rds=Source("r"))]
    )


def test_settings() -> None:
    content = manager(
        rds={"route_config_name": "x", "config_source": {**ADS, "initial_fetch_timeout": "2s"}},
        codec_type="HTTP1",
        use_remote_address=True,
        generate_request_id=False,
        max_request_headers_kb=96,
        stream_idle_timeout="0s",
        request_headers_timeout="10s",
        server_name="front",
        common_http_protocol_options={"idle_timeout": "30s", "max_headers_count": 50},
        http_protocol_options={"allow_absolute_url": True},
        drain_timeout="5s",
        normalize_path=False,
    )
    content["traffic_direction"] = "OUTBOUND"
    http = Http("x", "s", True, False, 98_304, 50, 30_000, 10_000, "front", codec="http1")
    assert translate("listener", content) == ListenerDraft(
        Listener("l", "127.0.0.1", 8080, "outbound", [FilterChain(http=http)]),
        [ChainDraft(rds=Source("x", 2000), stream_idle_timeout=0)],
    )


def test_skip_xff_append() -> None:
    draft = translate("listener", manager(use_remote_address=True, skip_xff_append=True))
    assert not draft.listener.chains[0].http.append_x_forwarded_for


def test_how_long_connections_and_requests_may_last() -> None:
    common = {"max_connection_duration": "600s", "max_requests_per_connection": 1000, "max_stream_duration": "60s"}
    content = manager(common_http_protocol_options=common, delayed_close_timeout="0.5s")
    http = translate("listener", content).listener.chains[0].http
    assert (http.max_connection_duration, http.max_requests_per_connection) == (600_000, 1000)
    assert (http.max_stream_duration, http.delayed_close_timeout) == (60_000, 500)
    content = manager(
        common_http_protocol_options={"max_connection_duration": "0s", "max_stream_duration": "0s"},
        delayed_close_timeout="0s",
    )
    http = translate("listener", content).listener.chains[0].http
    assert (http.max_connection_duration, http.max_stream_duration, http.delayed_close_timeout) == (0, 0, 0)


def test_upgrades() -> None:
    configs = [{"upgrade_type": "WebSocket"}, {"upgrade_type": "a/1", "enabled": False}, {"upgrade_type": "CONNECT"}]
    draft = translate("listener", manager(upgrade_configs=configs))
    assert draft.listener.chains[0].http.upgrades == ["websocket", "connect"]


@pytest.mark.parametrize("enabled", [False, True])
def test_trailers(enabled: bool) -> None:
    draft = translate("listener", manager(http_protocol_options={"enable_trailers": enabled}))
    assert draft.listener.chains[0].http.enable_trailers is enabled


def test_inline_routes() -> None:
    draft = translate("listener", manager(route_config=routes()))
    assert draft.chains[0].rds is None
    assert draft.chains[0].routes.name == draft.listener.chains[0].http.routes == "r"
    assert not draft.chains[0].validate_clusters


def test_a_static_listener_may_go_without_a_name_and_its_routes_are_checked() -> None:
    content = manager(route_config={"virtual_hosts": []})
    del content["name"]
    found = Problems()
    draft = module.translate(message("listener", content), "", found, static=True)
    assert not found
    assert draft.listener.name == "127.0.0.1:8080"
    assert draft.chains[0].routes == Routes("127.0.0.1:8080")
    assert draft.chains[0].validate_clusters


def chain(**fields: Any) -> dict[str, Any]:
    content = manager()
    content["filter_chains"][0].update(fields)
    return content


@pytest.mark.parametrize(
    ("content", "path", "message"),
    [
        (
            manager(http_filters=[LUA, ROUTER]),
            f"{M}.http_filters[0]",
            "filter 'envoy.filters.http.lua' is not supported",
        ),
        (manager(http_filters=[ROUTER, ROUTER]), f"{M}.http_filters", "once"),
        (manager(http_filters=[]), f"{M}.http_filters", "the last one must be envoy.filters.http.router"),
        (manager(http_filters=[{**ROUTER, "disabled": True}]), f"{M}.http_filters[0].disabled", "not supported"),
        (manager(access_log=[{"name": "x"}]), f"{M}.access_log[0]", "has no typed_config"),
        (manager(tracing={}), f"{M}.tracing", "not supported"),
        (
            manager(forward_client_cert_details="APPEND_FORWARD"),
            f"{M}.forward_client_cert_details",
            "APPEND_FORWARD is not supported (only SANITIZE)",
        ),
        (manager(upgrade_configs=[{"upgrade_type": "h2c"}]), f"{M}.upgrade_configs[0].upgrade_type", "not supported"),
        (manager(upgrade_configs=[{}]), f"{M}.upgrade_configs[0].upgrade_type", "is missing"),
        (manager(upgrade_configs=[{"upgrade_type": "a b"}]), f"{M}.upgrade_configs[0].upgrade_type", "not a protocol"),
        (
            manager(upgrade_configs=[{"upgrade_type": "a"}, {"upgrade_type": "A", "enabled": False}]),
            f"{M}.upgrade_configs[1].upgrade_type",
            "twice",
        ),
        (
            manager(upgrade_configs=[{"upgrade_type": "a", "filters": [ROUTER]}]),
            f"{M}.upgrade_configs[0].filters",
            "not supported",
        ),
        (manager(codec_type="HTTP3"), f"{M}.codec_type", "HTTP3 is not supported (only AUTO or HTTP1 or HTTP2)"),
        (manager(request_timeout="1s"), f"{M}.request_timeout", "only 0"),
        (manager(normalize_path=True), f"{M}.normalize_path", "true is not supported (only false)"),
        (manager(merge_slashes=True), f"{M}.merge_slashes", "not supported"),
        (manager(xff_num_trusted_hops=1), f"{M}.xff_num_trusted_hops", "not supported"),
        (manager(max_request_headers_kb=9000), f"{M}.max_request_headers_kb", "from 1 to 8192"),
        (
            manager(http_protocol_options={"accept_http_10": True}),
            f"{M}.http_protocol_options.accept_http_10",
            "not supp",
        ),
        (
            manager(common_http_protocol_options={"headers_with_underscores_action": "REJECT_REQUEST"}),
            f"{M}.common_http_protocol_options.headers_with_underscores_action",
            "not supported",
        ),
        (manager(rds={"config_source": ADS}), f"{M}.rds.route_config_name", "is missing"),
        (manager(rds={"route_config_name": "r"}), f"{M}.rds.config_source", "must be {ads: {}"),
        (
            manager(route_config=routes({"match": {"prefix": "/"}, "non_forwarding_action": {}})),
            f"{M}.route_config.virtual_hosts[0].routes[0].non_forwarding_action",
            "not supported",
        ),
        (
            chain(filter_chain_match={"server_names": ["a.*"]}),
            "filter_chains[0].filter_chain_match.server_names[0]",
            "'a.*' is neither a name nor '*.' and a name",
        ),
        (
            chain(filter_chain_match={"prefix_ranges": [{"address_prefix": "10.0.0.0", "prefix_len": 40}]}),
            "filter_chains[0].filter_chain_match.prefix_ranges[0]",
            "not",
        ),
        (
            chain(filter_chain_match={"source_ports": [0]}),
            "filter_chains[0].filter_chain_match.source_ports[0]",
            "1 to",
        ),
        (
            chain(filter_chain_match={"transport_protocol": "quic"}),
            "filter_chains[0].filter_chain_match.transport_protocol",
            "quic is not supported (only tls or raw_buffer)",
        ),
        (
            {**manager(), "filter_chains": manager()["filter_chains"] * 2},
            "filter_chains[1].filter_chain_match",
            "another filter chain has the same match",
        ),
        (
            chain(
                filters=[
                    {
                        "name": "echo",
                        "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.network.echo.v3.Echo"},
                    }
                ]
            ),
            "filter_chains[0].filters[0]",
            "filter 'echo' is not supported",
        ),
        ({"name": "l", "address": address()}, "filter_chains", "at least one"),
        ({**manager(), "listener_filters": [{"name": "x"}]}, "listener_filters[0]", "'x' has no typed_config"),
        ({**manager(), "per_connection_buffer_limit_bytes": 1}, "per_connection_buffer_limit_bytes", "not supported"),
        ({**manager(), "enable_reuse_port": False}, "enable_reuse_port", "only true"),
        ({**manager(), "name": ""}, "name", "is missing"),
        ({**manager(), "address": address("localhost")}, "address.socket_address.address", "not an IP address"),
    ],
)
def test_refused(content: dict[str, Any], path: str, message: str) -> None:
    [problem] = problems("listener", content)
    assert problem.path == path
    assert message in problem.message
