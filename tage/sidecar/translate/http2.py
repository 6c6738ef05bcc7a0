"""Http2ProtocolOptions, of connection managers and of clusters -> `plan.Http2`."""

from __future__ import annotations

from typing import Any

from envoy.config.core.v3 import protocol_pb2

from tage.sidecar import plan
from tage.sidecar.translate.problem import Problems
from tage.sidecar.translate.shape import Only, Shape, leaf
from tage.sidecar.translate.values import milliseconds

_FLOODS = "frames that only keep a peer busy are bounded by limits of Tage's own, which no setting lifts"
OPTIONS = Shape(
    "envoy.config.core.v3.Http2ProtocolOptions",
    {
        "hpack_table_size": leaf,
        "max_concurrent_streams": leaf,
        "initial_stream_window_size": leaf,
        "initial_connection_window_size": leaf,
        "allow_connect": leaf,
        "allow_metadata": Only(False),
        # Of HTTP/2 a stream that is malformed is the stream's own matter (RFC 9113, 8.1.1).
        "stream_error_on_invalid_http_messaging": Only(True),
        "override_stream_error_on_invalid_http_message": Only(True),
        "connection_keepalive": Shape(
            "envoy.config.core.v3.KeepaliveSettings",
            ("interval", "timeout"),
            harmless={"interval_jitter": "Tage asks a connection on which nothing came, whose silence began at random"},
        ),
    },
    harmless={
        "max_outbound_frames": _FLOODS,
        "max_outbound_control_frames": _FLOODS,
        "max_consecutive_inbound_frames_with_empty_payload": _FLOODS,
        "max_inbound_priority_frames_per_stream": _FLOODS,
        "max_inbound_window_update_frames_per_data_frame_sent": _FLOODS,
        "max_metadata_size": "of METADATA frames, which allow_metadata would allow; it is refused",
        "use_oghttp2_codec": "chooses between two libraries of Envoy's",
    },
)

MAX_TABLE_SIZE = 1_048_576
"""Bytes: what a peer fills of a connection's memory, whatever else it does."""
_LARGEST = 2**31 - 1
_NUMBERS = (
    ("hpack_table_size", "header_table_size", 0, MAX_TABLE_SIZE),
    ("max_concurrent_streams", "max_concurrent_streams", 1, _LARGEST),
    ("initial_stream_window_size", "initial_stream_window", 65_535, _LARGEST),
    ("initial_connection_window_size", "initial_connection_window", 65_535, _LARGEST),
)
"""Field, the plan's name for it, and the bounds, which are Envoy's but for that of the table."""


def translate(message: protocol_pb2.Http2ProtocolOptions, path: str, problems: Problems) -> plan.Http2:
    fields: dict[str, Any] = {"allow_connect": message.allow_connect}
    for theirs, ours, least, most in _NUMBERS:
        if message.HasField(theirs):  # type: ignore[arg-type]
            value = fields[ours] = getattr(message, theirs).value
            if not least <= value <= most:
                problems.add(f"{path}.{theirs}", f"{value}; must be from {least} to {most}")
    if message.HasField("connection_keepalive"):
        fields |= _keepalive(message.connection_keepalive, f"{path}.connection_keepalive", problems)
    return plan.Http2(**fields)


def _keepalive(message: protocol_pb2.KeepaliveSettings, path: str, problems: Problems) -> dict[str, int]:
    found = {}
    if message.HasField("interval"):
        found["keepalive_interval"] = milliseconds(message.interval, f"{path}.interval", problems, zero=False)
    if not message.HasField("timeout"):
        problems.add(f"{path}.timeout", "is missing")
    else:
        found["keepalive_timeout"] = milliseconds(message.timeout, f"{path}.timeout", problems, zero=False)
    return found
