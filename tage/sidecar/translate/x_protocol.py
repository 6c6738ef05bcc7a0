"""RPC protocols -> `plan.XProtocol`, `plan.XProtocolUpstream`. Envoy has no messages for them, so they come as
TypedStructs: a network filter in front of the connection manager, a cluster's protocol options, a listener filter::

    type_url: type.googleapis.com/tage.network.v1alpha1.XProtocol
    value: {protocol: bolt, depth: NAMES, max_frame_bytes: 16777216, max_concurrent_requests: 1024}

    type_url: type.googleapis.com/tage.upstreams.v1alpha1.XProtocol
    value: {protocol: bolt, mode: MULTIPLEXED, max_concurrent_requests: 1024, heartbeat_interval: 15s}

    type_url: type.googleapis.com/tage.listener.v1alpha1.XProtocolInspector
    value: {protocols: [bolt, dubbo]}

They name protocols and bring no code. Which there are is known in the workers, which refuse others.
"""

from __future__ import annotations

import re
from typing import Any

from tage.sidecar import plan
from tage.sidecar.translate import typed_struct
from tage.sidecar.translate.problem import Problems

DOWNSTREAM = "type.googleapis.com/tage.network.v1alpha1.XProtocol"
UPSTREAM = "type.googleapis.com/tage.upstreams.v1alpha1.XProtocol"
INSPECTOR = "type.googleapis.com/tage.listener.v1alpha1.XProtocolInspector"
OPTIONS = "tage.upstreams.x_protocol"
"""Among a cluster's typed_extension_protocol_options."""

MIN_FRAME, MAX_FRAME = 4096, 256 << 20
MAX_REQUESTS = 65_536
MAX_HEARTBEAT = 3_600_000
"""ms"""
MAX_INSPECTED = 16
"""Protocols of a listener that are told from one another."""

_NAME = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
_DOWNSTREAM_FIELDS = ("protocol", "depth", "max_frame_bytes", "max_concurrent_requests")
_UPSTREAM_FIELDS = ("protocol", "mode", "max_frame_bytes", "max_concurrent_requests", "heartbeat_interval")
_NO_MEANING = "has no meaning for an RPC protocol (the filter in front is an x_protocol)"


def downstream(message: Any, path: str, problems: Problems) -> plan.XProtocol:
    value = typed_struct.fields(message, DOWNSTREAM, _DOWNSTREAM_FIELDS, path, problems)
    at = f"{path}.value"
    default = plan.XProtocol("")
    return plan.XProtocol(
        _protocol(value, at, problems),
        typed_struct.choice(value, "depth", "NAMES", ("FRAME", "NAMES"), at, problems),  # type: ignore[arg-type]
        _frame_bytes(value, default.max_frame_bytes, at, problems),
        _requests(value, default.max_requests, at, problems),
    )


def upstream(message: Any, path: str, problems: Problems) -> plan.XProtocolUpstream:
    value = typed_struct.fields(message, UPSTREAM, _UPSTREAM_FIELDS, path, problems)
    at = f"{path}.value"
    default = plan.XProtocolUpstream("")
    mode = default.mode
    if "mode" in value:
        modes = ("MULTIPLEXED", "PING_PONG", "ORDERED", "PINNED")
        mode = typed_struct.choice(value, "mode", modes[0], modes, at, problems)  # type: ignore[assignment]
    return plan.XProtocolUpstream(
        _protocol(value, at, problems),
        mode,
        _requests(value, default.max_requests, at, problems),
        typed_struct.duration(
            value, "heartbeat_interval", default.heartbeat_interval, MAX_HEARTBEAT, at, problems, zero=True
        ),
        _frame_bytes(value, default.max_frame_bytes, at, problems),
    )


def inspected(message: Any, path: str, problems: Problems) -> list[str]:
    """The protocols that an inspector looks for."""
    value = typed_struct.fields(message, INSPECTOR, ("protocols",), path, problems)
    at = f"{path}.value.protocols"
    names = value.get("protocols")
    if not isinstance(names, list) or not names:
        problems.add(at, "has to be a list of protocols, in the order in which they are tried")
        return []
    if len(names) > MAX_INSPECTED:
        problems.add(at, f"{len(names)} of them; at most {MAX_INSPECTED}")
    found: list[str] = []
    for i, name in enumerate(names):
        plain = _plain_name(name, f"{at}[{i}]", problems)
        if plain and plain in found:
            problems.add(f"{at}[{i}]", f"{name!r} stands twice")
        found.append(plain)
    return found


def check_manager(manager: Any, path: str, problems: Problems) -> None:
    """Refuses what a connection manager behind an x_protocol says about HTTP alone."""
    if manager.upgrade_configs:
        problems.add(f"{path}.upgrade_configs", _NO_MEANING)
    for field in ("http_protocol_options", "http2_protocol_options"):
        if manager.HasField(field):
            problems.add(f"{path}.{field}", _NO_MEANING)
    if manager.HasField("route_config"):
        _check_routes(manager.route_config, f"{path}.route_config", problems)


def _check_routes(routes: Any, path: str, problems: Problems) -> None:
    """The same of inline routes. Those that come over RDS may serve HTTP as well; there it is never met."""
    for i, host in enumerate(routes.virtual_hosts):
        at = f"{path}.virtual_hosts[{i}]"
        if host.require_tls:
            problems.add(f"{at}.require_tls", _NO_MEANING)
        for j, route in enumerate(host.routes):
            where = f"{at}.routes[{j}]"
            if route.match.HasField("connect_matcher"):
                problems.add(f"{where}.match.connect_matcher", _NO_MEANING)
            if route.HasField("redirect"):
                problems.add(f"{where}.redirect", _NO_MEANING)
            if route.route.upgrade_configs:
                problems.add(f"{where}.route.upgrade_configs", _NO_MEANING)


def _protocol(value: dict[str, Any], at: str, problems: Problems) -> str:
    if "protocol" not in value:
        problems.add(f"{at}.protocol", "is missing: name one, as bolt or dubbo")
        return ""
    return _plain_name(value["protocol"], f"{at}.protocol", problems)


def _plain_name(name: Any, at: str, problems: Problems) -> str:
    """Service ports and meshes call one that is not built in x-NAME."""
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        problems.add(at, f"{name!r} is not the name of a protocol: give lower-case letters, digits and hyphens")
        return ""
    return name.removeprefix("x-")


def _frame_bytes(value: dict[str, Any], default: int, at: str, problems: Problems) -> int:
    return typed_struct.number(value, "max_frame_bytes", default, MIN_FRAME, MAX_FRAME, at, problems)


def _requests(value: dict[str, Any], default: int, at: str, problems: Problems) -> int:
    return typed_struct.number(value, "max_concurrent_requests", default, 1, MAX_REQUESTS, at, problems)
