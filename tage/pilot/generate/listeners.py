"""The listeners of a sidecar: `http_proxy`, which applications send to, and `virtualInbound`, which callers reach.

Where the mesh has protocols of remote calls, `http_proxy` takes those as well that a connection's first bytes tell; and
each has a listener of its own, on its named port. An Envoy beside an instance has neither; what reaches its instance by
such a protocol it hands on unread. Each service of protocol tcp or grpc has a listener, which leads to it whatever
comes; of the latter, by its rules.

Which one a listener is stands in `traffic_direction`; nothing may depend on its name.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from envoy.config.core.v3 import base_pb2, config_source_pb2
from envoy.config.listener.v3 import listener_components_pb2, listener_pb2
from envoy.config.route.v3 import route_components_pb2, route_pb2
from envoy.extensions.filters.http.router.v3 import router_pb2
from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2 as hcm_pb2
from envoy.extensions.filters.network.tcp_proxy.v3 import tcp_proxy_pb2
from google.protobuf.any_pb2 import Any
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.protobuf.wrappers_pb2 import BoolValue

from tage.config import protocols
from tage.config.model import Resource
from tage.config.protocols import HTTP, TCP, has_port, is_http
from tage.pilot.generate import action, filters, names, python_filters, rate_limits, rpc
from tage.pilot.generate.clusters import socket_address
from tage.pilot.generate.node import Node


def listeners(
    node: Node,
    asked: Iterable[str] = (),
    python: Sequence[Resource] = (),
    limits: Iterable[Resource] = (),
    calls: Sequence[rpc.Outbound] = (),
    protocol: str = HTTP,
) -> Iterator[listener_pb2.Listener]:
    """`asked`: the HTTP filters that the outbound routes ask something of (`filters.asked`); `python`: the
    PythonFilters that the node is to have (`python_filters.selected`); `limits`: the inbound RateLimits of its
    service; `calls`: the mesh's protocols of remote calls, and its services of protocol tcp and grpc; `protocol`: the
    application's own."""
    services = [each for each in calls if has_port(each.protocol)]
    calls = [each for each in calls if not has_port(each.protocol)]
    told = calls[: rpc.MAX_INSPECTED]
    chains = [_rpc_chain(each, python) for each in told]
    for each, chain in zip(told, chains, strict=True):
        chain.filter_chain_match.application_protocols.append(rpc.application_protocol(each.protocol))
    http = _outbound_chain("http_proxy", names.OUTBOUND_ROUTES, asked, python)
    shared = _listener(node, names.OUTBOUND_LISTENER, node.outbound_port, [*chains, http])
    if told:
        shared.listener_filters.append(rpc.inspector(each.protocol for each in told))
        # A client of HTTP may connect long before it asks for anything.
        shared.continue_on_listener_filters_timeout = True
    yield shared
    ports = protocols.named_ports((each.protocol for each in calls), node.outbound_port)
    for each in calls:
        yield _listener(node, names.rpc_proxy(each.protocol), ports[each.protocol], [_rpc_chain(each, python)])
    ports = protocols.service_ports((each.service for each in services), node.outbound_port)
    for each in services:
        if each.protocol == TCP:
            chain = _tcp_chain(f"outbound_{each.service}", each.cluster)
        else:
            chain = _outbound_chain(each.service, each.routes, each.asked, python)
        yield _listener(node, each.cluster or each.routes, ports[each.service], [chain])
    if node.has_inbound:
        chain = _inbound_chain(node, python, limits, protocol)
        yield _listener(node, names.INBOUND_LISTENER, node.inbound_port, [chain], base_pb2.INBOUND)


def _inbound_chain(
    node: Node, python: Sequence[Resource], limits: Iterable[Resource], protocol: str
) -> listener_components_pb2.FilterChain:
    if protocol == TCP or (not is_http(protocol) and not node.is_tage):
        return _tcp_chain(f"inbound_{node.inbound_port}", names.inbound_cluster(node.app_port))
    manager = hcm_pb2.HttpConnectionManager(
        stat_prefix=f"inbound_{node.inbound_port}",
        route_config=_inbound_routes(node.app_port, protocol),
        http_filters=[*rate_limits.inbound(limits), *python_filters.chain(python, "inbound")],
    )
    if not is_http(protocol):
        return _chain(rpc.codec(protocol), _routed(manager))
    manager.use_remote_address.value = False
    return _http_chain(manager)


def _outbound_chain(
    name: str, routes: str, asked: Iterable[str], python: Sequence[Resource]
) -> listener_components_pb2.FilterChain:
    """Of HTTP, in whichever version clients begin with (codec_type AUTO, Envoy's default)."""
    manager = hcm_pb2.HttpConnectionManager(
        stat_prefix=f"outbound_{name}",
        rds=_rds(routes),
        use_remote_address=BoolValue(value=True),
        http_filters=[*filters.chain(asked), *python_filters.chain(python, "outbound")],
    )
    return _http_chain(manager)


def _rpc_chain(call: rpc.Outbound, python: Sequence[Resource]) -> listener_components_pb2.FilterChain:
    name = names.rpc_proxy(call.protocol)
    manager = hcm_pb2.HttpConnectionManager(
        stat_prefix=f"outbound_{name}",
        rds=_rds(name),
        http_filters=[*filters.chain(call.asked), *python_filters.chain(python, "outbound")],
    )
    return _chain(rpc.codec(call.protocol), _routed(manager))


def _tcp_chain(stat_prefix: str, cluster: str) -> listener_components_pb2.FilterChain:
    proxy = tcp_proxy_pb2.TcpProxy(stat_prefix=stat_prefix, cluster=cluster)
    return _chain(_filter("envoy.filters.network.tcp_proxy", proxy))


def _http_chain(manager: hcm_pb2.HttpConnectionManager) -> listener_components_pb2.FilterChain:
    manager.upgrade_configs.add(upgrade_type="websocket")
    return _chain(_routed(manager))


def _routed(manager: hcm_pb2.HttpConnectionManager) -> listener_components_pb2.Filter:
    """With the last of its HTTP filters."""
    manager.http_filters.add(name="envoy.filters.http.router", typed_config=_packed(router_pb2.Router()))
    return _filter("envoy.filters.network.http_connection_manager", manager)


def _rds(name: str) -> hcm_pb2.Rds:
    return hcm_pb2.Rds(
        config_source=config_source_pb2.ConfigSource(
            ads=config_source_pb2.AggregatedConfigSource(), resource_api_version=config_source_pb2.V3
        ),
        route_config_name=name,
    )


def _inbound_routes(port: int, protocol: str) -> route_pb2.RouteConfiguration:
    """Everything goes to the application. The caller's sidecar has set timeout and retries; here are none."""
    cluster = names.inbound_cluster(port)
    route = route_components_pb2.Route(
        name="default",
        match=route_components_pb2.RouteMatch(prefix="/"),
        route=route_components_pb2.RouteAction(cluster=cluster),
    )
    action.limit(route.route, Duration(), protocol)
    host = route_components_pb2.VirtualHost(name=f"inbound|{protocol}|{port}", domains=["*"], routes=[route])
    return route_pb2.RouteConfiguration(name=cluster, virtual_hosts=[host])


def _listener(
    node: Node,
    name: str,
    port: int,
    chains: Iterable[listener_components_pb2.FilterChain],
    direction: base_pb2.TrafficDirection.ValueType = base_pb2.OUTBOUND,
) -> listener_pb2.Listener:
    return listener_pb2.Listener(
        name=name, address=socket_address(node.address, port), traffic_direction=direction, filter_chains=chains
    )


def _chain(*network_filters: listener_components_pb2.Filter) -> listener_components_pb2.FilterChain:
    return listener_components_pb2.FilterChain(filters=network_filters)


def _filter(name: str, config: Message) -> listener_components_pb2.Filter:
    return listener_components_pb2.Filter(name=name, typed_config=_packed(config))


def _packed(message: Message) -> Any:
    packed = Any()
    packed.Pack(message, deterministic=True)
    return packed
