"""Cluster.health_checks -> `plan.HealthCheck`."""

from __future__ import annotations

import re
from typing import Any

from envoy.config.cluster.v3 import cluster_pb2
from envoy.config.core.v3 import base_pb2, health_check_pb2
from envoy.type.v3 import http_pb2

from tage.sidecar import plan
from tage.sidecar.translate.problem import Problems
from tage.sidecar.translate.shape import Only, Shape, leaf
from tage.sidecar.translate.values import HEADER_VALUE, milliseconds

_MESSAGE = "envoy.config.core.v3.HealthCheck"
_PAYLOAD = Shape(f"{_MESSAGE}.Payload", ("text", "binary"))
_STATUSES = Shape("envoy.type.v3.Int64Range", ("start", "end"))
_HEADER = Shape(
    "envoy.config.core.v3.HeaderValueOption",
    {
        "header": Shape("envoy.config.core.v3.HeaderValue", ("key", "value")),
        "append": leaf,
        "append_action": Only("APPEND_IF_EXISTS_OR_ADD", "OVERWRITE_IF_EXISTS_OR_ADD"),
    },
)
_HTTP = Shape(
    f"{_MESSAGE}.HttpHealthCheck",
    {
        **dict.fromkeys(("host", "path", "method"), leaf),
        "request_headers_to_add": _HEADER,
        "expected_statuses": _STATUSES,
        "retriable_statuses": _STATUSES,
        "codec_client_type": Only("HTTP1", "HTTP2"),
    },
)
_GRPC = Shape(
    f"{_MESSAGE}.GrpcHealthCheck", {**dict.fromkeys(("service_name", "authority"), leaf), "initial_metadata": _HEADER}
)
_TCP = Shape(f"{_MESSAGE}.TcpHealthCheck", {"send": _PAYLOAD, "receive": _PAYLOAD})
_INTERVALS = (
    "no_traffic_interval",
    "no_traffic_healthy_interval",
    "unhealthy_interval",
    "unhealthy_edge_interval",
    "healthy_edge_interval",
)
_JITTERS = ("initial_jitter", "interval_jitter")
HEALTH_CHECK = Shape(
    _MESSAGE,
    {
        **dict.fromkeys((*_INTERVALS, *_JITTERS), leaf),
        **dict.fromkeys(("timeout", "interval", "unhealthy_threshold", "healthy_threshold"), leaf),
        **dict.fromkeys(("interval_jitter_percent", "reuse_connection"), leaf),
        **dict.fromkeys(("always_log_health_check_failures", "always_log_health_check_success"), leaf),
        "http_health_check": _HTTP,
        "grpc_health_check": _GRPC,
        "tcp_health_check": _TCP,
    },
)
FIELDS = {"health_checks": HEALTH_CHECK}
"""Of envoy.config.cluster.v3.Cluster."""

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_TARGET = re.compile(r"[!-~\x80-\xff]+")
_FRAMING = frozenset({"content-length", "transfer-encoding", "connection", "upgrade", "te", "trailer", "keep-alive"})
_CALL = frozenset({"content-type", "host", "grpc-encoding"})


def translate(message: cluster_pb2.Cluster, path: str, problems: Problems) -> plan.HealthCheck | None:
    """`path` is that of the list."""
    if not message.health_checks:
        return None
    if len(message.health_checks) > 1:
        problems.add(f"{path}[1]", "a cluster can have one health check only, as in Envoy")
    return _check(message.health_checks[0], f"{path}[0]", problems)


def _check(message: health_check_pb2.HealthCheck, path: str, problems: Problems) -> plan.HealthCheck | None:
    kind = message.WhichOneof("health_checker")
    if kind is None:
        problems.add(path, "needs http_health_check, grpc_health_check or tcp_health_check")
    for name in ("timeout", "interval", "unhealthy_threshold", "healthy_threshold"):
        if not message.HasField(name):  # type: ignore[arg-type]
            problems.add(f"{path}.{name}", "is missing")
    if kind == "http_health_check":
        check: plan.HttpCheck | plan.GrpcCheck | plan.TcpCheck = _http(
            message.http_health_check, f"{path}.{kind}", problems
        )
    elif kind == "grpc_health_check":
        check = _grpc(message.grpc_health_check, f"{path}.{kind}", problems)
    elif kind == "tcp_health_check":
        check = _tcp(message.tcp_health_check, f"{path}.{kind}", problems)
    else:
        return None  # the walker has said why, or it is missing
    fields: dict[str, Any] = {
        name: milliseconds(getattr(message, name), f"{path}.{name}", problems, zero=name in _JITTERS)
        for name in (*_INTERVALS, *_JITTERS)
        if message.HasField(name)  # type: ignore[arg-type]
    }
    interval = milliseconds(message.interval, f"{path}.interval", problems, zero=not message.HasField("interval"))
    fields.setdefault("unhealthy_interval", interval)
    fields.setdefault("unhealthy_edge_interval", fields["unhealthy_interval"])
    fields.setdefault("healthy_edge_interval", interval)
    if "no_traffic_interval" in fields:
        fields.setdefault("no_traffic_healthy_interval", fields["no_traffic_interval"])
    return plan.HealthCheck(
        check=check,
        timeout=milliseconds(message.timeout, f"{path}.timeout", problems, zero=not message.HasField("timeout")),
        interval=interval,
        unhealthy_threshold=message.unhealthy_threshold.value,
        healthy_threshold=message.healthy_threshold.value,
        interval_jitter_percent=message.interval_jitter_percent,
        reuse_connection=not message.HasField("reuse_connection") or message.reuse_connection.value,
        always_log_failures=message.always_log_health_check_failures,
        always_log_success=message.always_log_health_check_success,
        **fields,
    )


def _http(message: health_check_pb2.HealthCheck.HttpHealthCheck, path: str, problems: Problems) -> plan.HttpCheck:
    if not _TARGET.fullmatch(message.path):
        problems.add(f"{path}.path", "must be a request target without blanks" if message.path else "is missing")
    if not HEADER_VALUE.fullmatch(message.host):
        problems.add(f"{path}.host", "must not have control characters")
    method = base_pb2.RequestMethod.Name(message.method) if message.method else "GET"
    if method == "CONNECT":
        problems.add(f"{path}.method", "CONNECT cannot check anything")
    headers = [
        _header(each, f"{path}.request_headers_to_add[{index}]", problems)
        for index, each in enumerate(message.request_headers_to_add)
    ]
    fields: dict[str, Any] = {}
    if message.expected_statuses:
        fields["expected"] = _ranges(message.expected_statuses, f"{path}.expected_statuses", problems)
    if message.retriable_statuses:
        fields["retriable"] = _ranges(message.retriable_statuses, f"{path}.retriable_statuses", problems)
    if message.codec_client_type == http_pb2.HTTP2:
        fields["http2"] = True
    return plan.HttpCheck(path=message.path, host=message.host, method=method, headers=headers, **fields)


def _grpc(message: health_check_pb2.HealthCheck.GrpcHealthCheck, path: str, problems: Problems) -> plan.GrpcCheck:
    for name in ("service_name", "authority"):
        if not HEADER_VALUE.fullmatch(getattr(message, name)):
            problems.add(f"{path}.{name}", "must not have control characters")
    metadata = []
    for index, each in enumerate(message.initial_metadata):
        name, value = _header(each, f"{path}.initial_metadata[{index}]", problems)
        if name.lower() in _CALL:
            problems.add(
                f"{path}.initial_metadata[{index}].header.key", f"'{name}' is the call's own; it cannot be set"
            )
        metadata.append((name, value))
    return plan.GrpcCheck(message.service_name, message.authority, metadata)


def _header(message: base_pb2.HeaderValueOption, path: str, problems: Problems) -> tuple[str, str]:
    name, value = message.header.key, message.header.value
    if not _TOKEN.fullmatch(name):
        problems.add(f"{path}.header.key", "must be a header's name")
    elif name.lower() in _FRAMING:
        problems.add(f"{path}.header.key", f"'{name}' says how the request is sent; it cannot be set")
    if not HEADER_VALUE.fullmatch(value):
        problems.add(f"{path}.header.value", "must not have control characters")
    if "%" in value.replace("%%", ""):
        problems.add(f"{path}.header.value", "operators (%...%) are not supported in health checks")
    return name, value.replace("%%", "%")


def _ranges(found: Any, path: str, problems: Problems) -> list[tuple[int, int]]:
    ranges = []
    for index, each in enumerate(found):
        if not 100 <= each.start < each.end <= 600:
            problems.add(f"{path}[{index}]", "must be from a start of 100 or more up to an end of 600 or less")
        ranges.append((each.start, each.end))
    return ranges


def _tcp(message: health_check_pb2.HealthCheck.TcpHealthCheck, path: str, problems: Problems) -> plan.TcpCheck:
    send = _payload(message.send, f"{path}.send", problems) if message.HasField("send") else b""
    return plan.TcpCheck(
        send, [_payload(each, f"{path}.receive[{index}]", problems) for index, each in enumerate(message.receive)]
    )


def _payload(message: health_check_pb2.HealthCheck.Payload, path: str, problems: Problems) -> bytes:
    if message.WhichOneof("payload") == "binary":
        return message.binary
    try:
        payload = bytes.fromhex(message.text)
    except ValueError:
        problems.add(f"{path}.text", "must be hexadecimal digits, two a byte")
        return b""
    if not payload:
        problems.add(f"{path}.text", "is missing")
    return payload
