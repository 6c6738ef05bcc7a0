"""Listener -> `draft.ListenerDraft`: its filter chains, and what is looked at before one is chosen."""

from __future__ import annotations

import ipaddress
from typing import Any, Literal

import msgspec
from envoy.config.core.v3 import base_pb2
from envoy.config.listener.v3 import listener_components_pb2, listener_pb2
from envoy.extensions.filters.listener.http_inspector.v3 import http_inspector_pb2
from envoy.extensions.filters.listener.proxy_protocol.v3 import proxy_protocol_pb2
from envoy.extensions.filters.listener.tls_inspector.v3 import tls_inspector_pb2
from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2
from envoy.extensions.filters.network.tcp_proxy.v3 import tcp_proxy_pb2
from google.protobuf.message import Message

from tage.sidecar import plan
from tage.sidecar.translate import http, tcp_proxy, tls, typed_struct, x_protocol
from tage.sidecar.translate.draft import ChainDraft, ListenerDraft, SecretDraft
from tage.sidecar.translate.filters import python
from tage.sidecar.translate.problem import Problems
from tage.sidecar.translate.shape import Extension, Only, Shape, leaf, type_name, unpack
from tage.sidecar.translate.values import ADDRESS, milliseconds, socket_address

_PREFIX = Shape("envoy.config.core.v3.CidrRange", ("address_prefix", "prefix_len"))
_MATCH = Shape(
    "envoy.config.listener.v3.FilterChainMatch",
    {
        "destination_port": leaf,
        "prefix_ranges": _PREFIX,
        "server_names": leaf,
        "transport_protocol": Only("tls", "raw_buffer"),
        "application_protocols": leaf,
        "direct_source_prefix_ranges": _PREFIX,
        "source_type": Only("ANY", "SAME_IP_OR_LOOPBACK", "EXTERNAL"),
        "source_prefix_ranges": _PREFIX,
        "source_ports": leaf,
    },
)
_FILTER = Extension(
    "filter",
    Shape("envoy.config.listener.v3.Filter", ("name", "typed_config")),
    (http_connection_manager_pb2.HttpConnectionManager, http.CONNECTION_MANAGER),
    (tcp_proxy_pb2.TcpProxy, tcp_proxy.TCP_PROXY),
    *((kind, typed_struct.shape(kind)) for kind in typed_struct.KINDS),
)
_FILTERS: dict[str, type[Message]] = {
    kind.DESCRIPTOR.full_name: kind
    for kind in (http_connection_manager_pb2.HttpConnectionManager, tcp_proxy_pb2.TcpProxy, *typed_struct.KINDS)
}
_FILTER_CHAIN = Shape(
    "envoy.config.listener.v3.FilterChain",
    {
        "name": leaf,
        "filter_chain_match": _MATCH,
        "filters": _FILTER,
        "use_proxy_proto": Only(False),
        "transport_socket": tls.DOWNSTREAM_SOCKET,
        "transport_socket_connect_timeout": leaf,
    },
    harmless={"metadata": "read by filters and access log operators that ask for it; those are refused"},
)
_INSPECTORS: dict[str, type[Message]] = {
    kind.DESCRIPTOR.full_name: kind
    for kind in (tls_inspector_pb2.TlsInspector, http_inspector_pb2.HttpInspector, proxy_protocol_pb2.ProxyProtocol)
} | typed_struct.NAMES
_LISTENER_FILTER = Extension(
    "listener filter",
    Shape("envoy.config.listener.v3.ListenerFilter", ("name", "typed_config")),
    (
        tls_inspector_pb2.TlsInspector,
        Shape(
            "envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector",
            {"enable_ja3_fingerprinting": Only(False)},
            harmless={"initial_read_buffer_size": "Tage waits for as many bytes as the hello says it has"},
        ),
    ),
    (http_inspector_pb2.HttpInspector, Shape("envoy.extensions.filters.listener.http_inspector.v3.HttpInspector")),
    (
        proxy_protocol_pb2.ProxyProtocol,
        Shape(
            "envoy.extensions.filters.listener.proxy_protocol.v3.ProxyProtocol",
            ("allow_requests_without_proxy_protocol",),
            harmless={"stat_prefix": "names statistics; Tage counts each listener under its own name"},
        ),
    ),
    *((kind, typed_struct.shape(kind)) for kind in typed_struct.KINDS),
)
LISTENER = Shape(
    "envoy.config.listener.v3.Listener",
    {
        "name": leaf,
        "address": ADDRESS,
        "filter_chains": _FILTER_CHAIN,
        "default_filter_chain": _FILTER_CHAIN,
        "use_original_dst": Only(False),
        "transparent": Only(False),
        "freebind": Only(False),
        "traffic_direction": Only("INBOUND", "OUTBOUND"),
        "enable_reuse_port": Only(True),
        "bind_to_port": Only(True),
        "listener_filters": _LISTENER_FILTER,
        "listener_filters_timeout": leaf,
        "continue_on_listener_filters_timeout": leaf,
        "bypass_overload_manager": leaf,
    },
    harmless={
        "metadata": "read by filters and access log operators that ask for it; those are refused",
        "stat_prefix": "names statistics; Tage counts each listener under its own name",
    },
)

Direction = Literal["inbound", "outbound", "none"]
_DIRECTIONS: dict[int, Direction] = {base_pb2.INBOUND: "inbound", base_pb2.OUTBOUND: "outbound"}
SourceType = Literal["any", "same_ip_or_loopback", "external"]
_SOURCE_TYPES: dict[int, SourceType] = {
    listener_components_pb2.FilterChainMatch.SAME_IP_OR_LOOPBACK: "same_ip_or_loopback",
    listener_components_pb2.FilterChainMatch.EXTERNAL: "external",
}


def translate(message: listener_pb2.Listener, path: str, problems: Problems, *, static: bool = False) -> ListenerDraft:
    """`static`: from a bootstrap, where inline routes may name known clusters only unless validate_clusters is false,
    and where a listener without a name gets its address as one."""
    LISTENER.check(message, path, problems)
    dot = f"{path}." if path else ""
    host, port = socket_address(message.address, f"{dot}address", problems)
    name = message.name or (f"{host}:{port}" if static else "")
    if not name:
        problems.add(f"{dot}name", "is missing")
    messages = [(each, f"{dot}filter_chains[{i}]") for i, each in enumerate(message.filter_chains)]
    if message.HasField("default_filter_chain"):
        messages.append((message.default_filter_chain, f"{dot}default_filter_chain"))
    elif not messages:
        problems.add(f"{dot}filter_chains", "there must be at least one, or a default_filter_chain")
    secrets: dict[plan.SectionKey, SecretDraft] = {}
    built = [_chain(each, name, at, problems, secrets, static=static) for each, at in messages]
    chains = [chain for chain, _ in built]
    count = len(message.filter_chains)
    _check_names(chains, dot, problems)
    listener = plan.Listener(
        name,
        host,
        port,
        _DIRECTIONS.get(message.traffic_direction, "none"),
        chains[:count],
        chains[count] if len(chains) > count else None,
        sheds=not message.bypass_overload_manager,
        **_inspection(message, chains, dot, problems),
    )
    return ListenerDraft(listener, [draft for _, draft in built], [*secrets.values(), *python.code(listener)])


def _check_names(chains: list[plan.FilterChain], dot: str, problems: Problems) -> None:
    """Names are unique where there are any, and so are matches: Envoy refuses two chains that are for the same."""
    names: set[str] = set()
    matches: list[plan.ChainMatch | None] = []
    for i, chain in enumerate(chains):
        if chain.name and chain.name in names:
            problems.add(f"{dot}filter_chains[{i}].name", f"'{chain.name}' stands twice")
        names.add(chain.name)
        if chain.match in matches:
            problems.add(f"{dot}filter_chains[{i}].filter_chain_match", "another filter chain has the same match")
        matches.append(chain.match)


def _inspection(
    message: listener_pb2.Listener, chains: list[plan.FilterChain], dot: str, problems: Problems
) -> dict[str, Any]:
    """What is looked for in the first bytes. As in Envoy, a match that needs the TLS inspector brings it along."""
    given = {}
    protocols: list[str] | None = None
    for i, each in enumerate(message.listener_filters):
        kind = _INSPECTORS.get(type_name(each.typed_config))
        at = f"{dot}listener_filters[{i}]"
        if kind is None:
            continue
        config = unpack(each.typed_config, kind, f"{at}.typed_config", problems)
        if kind not in typed_struct.KINDS:
            given[kind] = config
        elif protocols is not None:
            problems.add(at, "another listener filter looks for protocols already; name them all in one")
        elif config is not None:
            protocols = x_protocol.inspected(config, f"{at}.typed_config", problems)
    proxy = given.get(proxy_protocol_pb2.ProxyProtocol)
    matches = [chain.match for chain in chains if chain.match is not None]
    needs_tls = any(each.server_names or each.transport_protocol or each.application_protocols for each in matches)
    asks = any(each.application_protocols for each in matches)
    timeout = 15_000
    if message.HasField("listener_filters_timeout"):
        timeout = milliseconds(message.listener_filters_timeout, f"{dot}listener_filters_timeout", problems)
    return {
        "proxy_protocol": plan.ProxyProtocol(proxy.allow_requests_without_proxy_protocol) if proxy else None,
        "inspect_tls": needs_tls or tls_inspector_pb2.TlsInspector in given,
        "inspect_http": asks and http_inspector_pb2.HttpInspector in given,
        "inspect_protocols": protocols if asks and protocols else [],
        "inspect_timeout": timeout,
        "continue_on_timeout": message.continue_on_listener_filters_timeout,
    }


def _chain(
    message: listener_components_pb2.FilterChain,
    listener: str,
    path: str,
    problems: Problems,
    secrets: dict[plan.SectionKey, SecretDraft],
    *,
    static: bool,
) -> tuple[plan.FilterChain, ChainDraft]:
    """A chain, and what it still waits for; adds to `secrets`."""
    handshake_timeout = 0
    if message.HasField("transport_socket_connect_timeout"):
        at = f"{path}.transport_socket_connect_timeout"
        handshake_timeout = milliseconds(message.transport_socket_connect_timeout, at, problems)
    chain = plan.FilterChain(
        name=message.name,
        match=_match(message.filter_chain_match, f"{path}.filter_chain_match", problems),
        tls=tls.downstream(message.transport_socket, f"{path}.transport_socket", problems, secrets),
        handshake_timeout=handshake_timeout,
    )
    found, draft = _filters(message, listener, f"{path}.filters", problems, static=static)
    return msgspec.structs.replace(chain, **found), draft


def _filters(
    message: listener_components_pb2.FilterChain, listener: str, path: str, problems: Problems, *, static: bool
) -> tuple[dict[str, Any], ChainDraft]:
    """What is done with a connection: `http` or `tcp` of a chain."""
    codec = None
    filters = list(enumerate(message.filters))
    if filters and type_name(filters[0][1].typed_config) in typed_struct.NAMES:
        _, first = filters.pop(0)
        at = f"{path}[0].typed_config"
        config = unpack(first.typed_config, _FILTERS[type_name(first.typed_config)], at, problems)
        codec = x_protocol.downstream(config, at, problems) if config is not None else None
        if len(filters) != 1 or type_name(filters[0][1].typed_config) != http.HCM:
            problems.add(path, "behind an x_protocol stands exactly one filter, an HTTP connection manager")
            return {}, ChainDraft()
    elif len(filters) != 1:
        what = "exactly one, an HTTP connection manager or a TCP proxy, is supported"
        problems.add(path, f"{len(filters)} of them; {what}")
    kind = _FILTERS.get(type_name(filters[0][1].typed_config)) if filters else None
    if kind is None or kind in typed_struct.KINDS:
        return {}, ChainDraft()
    index, last = filters[0]
    at = f"{path}[{index}].typed_config"
    config = unpack(last.typed_config, kind, at, problems)
    if config is None:
        return {}, ChainDraft()
    if kind is tcp_proxy_pb2.TcpProxy:
        return {"tcp": tcp_proxy.translate(config, at, problems)}, ChainDraft()
    found, draft = http.translate(config, listener, at, problems, static=static, exact=codec is not None)
    if codec is not None:
        x_protocol.check_manager(config, at, problems)
        found = msgspec.structs.replace(found, x_protocol=codec)
    return {"http": found}, draft


def _match(message: listener_components_pb2.FilterChainMatch, path: str, problems: Problems) -> plan.ChainMatch | None:
    """None for an empty one: every connection."""
    names = []
    for i, name in enumerate(message.server_names):
        plain = name[2:] if name.startswith("*.") else name
        if not plain or "*" in plain:
            problems.add(f"{path}.server_names[{i}]", f"'{name}' is neither a name nor '*.' and a name")
        names.append(name.lower())
    for i, port in enumerate(message.source_ports):
        if not 0 < port < 65_536:
            problems.add(f"{path}.source_ports[{i}]", "must be a port from 1 to 65535")
    if message.HasField("destination_port") and not 0 < message.destination_port.value < 65_536:
        problems.add(f"{path}.destination_port", "must be a port from 1 to 65535")
    match = plan.ChainMatch(
        message.destination_port.value,
        _prefixes(message.prefix_ranges, f"{path}.prefix_ranges", problems),
        names,
        message.transport_protocol if message.transport_protocol in ("tls", "raw_buffer") else "",  # type: ignore[arg-type]
        list(message.application_protocols),
        _prefixes(message.direct_source_prefix_ranges, f"{path}.direct_source_prefix_ranges", problems),
        _SOURCE_TYPES.get(message.source_type, "any"),
        _prefixes(message.source_prefix_ranges, f"{path}.source_prefix_ranges", problems),
        list(message.source_ports),
    )
    return None if match == plan.ChainMatch() else match


def _prefixes(ranges: Any, path: str, problems: Problems) -> list[str]:
    found = []
    for i, each in enumerate(ranges):
        try:
            # Bits behind the prefix count for nothing, as in Envoy; without a length it is 0.
            network = ipaddress.ip_network(f"{each.address_prefix}/{each.prefix_len.value}", strict=False)
        except ValueError as error:
            problems.add(f"{path}[{i}]", str(error))
            continue
        found.append(str(network))
    return found
