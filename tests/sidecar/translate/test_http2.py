"""HTTP/2: which version is spoken, with whom, and its options."""

from __future__ import annotations

from typing import Any

import pytest

from tage.dataplane.protocols.http2.settings import Http2Settings
from tage.sidecar import plan

from .build import manager, problems, translate

NAME = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
AT = f'typed_extension_protocol_options["{NAME}"]'
MANAGER_AT = "filter_chains[0].filters[0].typed_config"
TLS = {
    "transport_socket": {
        "name": "tls",
        "typed_config": {"@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext"},
    }
}
EVERYTHING: dict[str, Any] = {
    "hpack_table_size": 0,
    "max_concurrent_streams": 2147483647,
    "initial_stream_window_size": 65535,
    "initial_connection_window_size": 1048576,
    "allow_connect": True,
    "connection_keepalive": {"interval": "30s", "timeout": "0.0005s", "interval_jitter": {"value": 15}},
    "override_stream_error_on_invalid_http_message": True,
    "max_outbound_frames": 10000,
    "max_outbound_control_frames": 1000,
    "max_consecutive_inbound_frames_with_empty_payload": 1,
    "max_inbound_priority_frames_per_stream": 100,
    "max_inbound_window_update_frames_per_data_frame_sent": 10,
    "use_oghttp2_codec": False,
}
FOUND = plan.Http2(0, 2147483647, 65_535, 1_048_576, 30_000, 1, True)


def cluster(**options: Any) -> dict[str, Any]:
    return {
        "name": "c",
        "typed_extension_protocol_options": {NAME: {"@type": f"type.googleapis.com/{NAME}", **options}},
    }


def test_the_defaults_are_those_of_the_data_plane() -> None:
    settings = Http2Settings()
    for field in plan.Http2.__struct_fields__:
        assert getattr(plan.Http2(), field) == getattr(settings, field), field


@pytest.mark.parametrize(
    ("fields", "codec"),
    [
        ({}, "auto"),
        ({"codec_type": "AUTO"}, "auto"),
        ({"codec_type": "HTTP1"}, "http1"),
        ({"codec_type": "HTTP2"}, "http2"),
    ],
)
def test_codec_of_clients(fields: dict[str, Any], codec: str) -> None:
    http = translate("listener", manager(**fields)).listener.chains[0].http
    assert (http.codec, http.http2) == (codec, plan.Http2())


def test_options_of_clients() -> None:
    http = translate("listener", manager(http2_protocol_options=EVERYTHING)).listener.chains[0].http
    assert http.http2 == FOUND


@pytest.mark.parametrize(
    ("content", "http2", "http2_for"),
    [
        ({"name": "c"}, None, "all"),
        (cluster(explicit_http_config={"http_protocol_options": {}}), None, "all"),
        (cluster(explicit_http_config={"http2_protocol_options": {}}), plan.Http2(), "all"),
        (cluster(explicit_http_config={"http2_protocol_options": EVERYTHING}), FOUND, "all"),
        ({"name": "c", "http2_protocol_options": {"max_concurrent_streams": 7}}, plan.Http2(4_096, 7), "all"),
        (cluster(use_downstream_protocol_config={"http_protocol_options": {}}), plan.Http2(), "downstream"),
        (cluster(use_downstream_protocol_config={"http2_protocol_options": EVERYTHING}), FOUND, "downstream"),
        (cluster(auto_config={}) | TLS, plan.Http2(), "alpn"),
        (cluster(auto_config={"http2_protocol_options": EVERYTHING}) | TLS, FOUND, "alpn"),
    ],
)
def test_version_of_a_cluster(content: dict[str, Any], http2: plan.Http2 | None, http2_for: str) -> None:
    found = translate("cluster", content).cluster
    assert (found.http2, found.http2_for) == (http2, http2_for)


@pytest.mark.parametrize(
    ("options", "field", "message"),
    [
        ({"hpack_table_size": 1048577}, "hpack_table_size", "1048577; must be from 0 to 1048576"),
        ({"max_concurrent_streams": 0}, "max_concurrent_streams", "0; must be from 1 to 2147483647"),
        ({"initial_stream_window_size": 65534}, "initial_stream_window_size", "must be from 65535"),
        ({"initial_connection_window_size": 2147483648}, "initial_connection_window_size", "must be from 65535"),
        ({"allow_metadata": True}, "allow_metadata", "true is not supported (only false)"),
        (
            {"override_stream_error_on_invalid_http_message": False},
            "override_stream_error_on_invalid_http_message",
            "false is not supported (only true)",
        ),
        (
            {"custom_settings_parameters": [{"identifier": 9, "value": 1}]},
            "custom_settings_parameters",
            "not supported",
        ),
        ({"connection_keepalive": {"interval": "1s"}}, "connection_keepalive.timeout", "is missing"),
        (
            {"connection_keepalive": {"interval": "0s", "timeout": "1s"}},
            "connection_keepalive.interval",
            "must be greater than zero",
        ),
        (
            {"connection_keepalive": {"timeout": "1s", "connection_idle_interval": "1s"}},
            "connection_keepalive.connection_idle_interval",
            "not supported",
        ),
    ],
)
def test_refused_on_both_sides(options: dict[str, Any], field: str, message: str) -> None:
    of_manager = problems("listener", manager(http2_protocol_options=options))
    assert [each.path for each in of_manager] == [f"{MANAGER_AT}.http2_protocol_options.{field}"]
    of_cluster = problems("cluster", cluster(explicit_http_config={"http2_protocol_options": options}))
    assert [each.path for each in of_cluster] == [f"{AT}.explicit_http_config.http2_protocol_options.{field}"]
    assert message in of_manager[0].message
    assert message in of_cluster[0].message


@pytest.mark.parametrize(
    ("content", "path", "message"),
    [
        (
            cluster(explicit_http_config={"http3_protocol_options": {}}),
            f"{AT}.explicit_http_config.http3_protocol_options",
            "not supported",
        ),
        (cluster(explicit_http_config={}), f"{AT}.explicit_http_config", "needs one of http_protocol_options and"),
        (cluster(), AT, "needs one of explicit_http_config, use_downstream_protocol_config and auto_config"),
        (cluster(auto_config={}), f"{AT}.auto_config", "needs a transport_socket with TLS"),
        (
            cluster(auto_config={"alternate_protocols_cache_options": {"name": "a"}}) | TLS,
            f"{AT}.auto_config.alternate_protocols_cache_options",
            "not supported",
        ),
        (
            cluster(explicit_http_config={"http_protocol_options": {}}) | {"http2_protocol_options": {}},
            AT,
            "cannot stand beside the cluster's own, deprecated HTTP options",
        ),
    ],
)
def test_refused_of_clusters(content: dict[str, Any], path: str, message: str) -> None:
    found = {each.path: each.message for each in problems("cluster", content)}
    assert message in found[path]
