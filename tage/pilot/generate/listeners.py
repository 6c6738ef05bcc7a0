"""The two listeners of a sidecar: `http_proxy`, which applications send to, and `virtualInbound`, which callers reach.

Which one a listener is stands in `traffic_direction`; nothing may depend on its name.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from envoy.config.core.v3 import base_pb2, config_source_pb2
from envoy.config.listener.v3 import listener_components_pb2, listener_pb2
from envoy.config.route.v3 import route_components_pb2, route_pb2
from envoy.extensions.filters.http.router.v3 import router_pb2
from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2 as hcm_pb2
from google.protobuf.any_pb2 import Any
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.protobuf.wrappers_pb2 import BoolValue

from tage.config.model import Resource
from tage.pilot.generate import filters, names, python_filters, rate_limits
from tage.pilot.generate.clusters import socket_address
from tage.pilot.generate.node import Node


def listeners(
    node: Node,
    asked: Iterable[str] = (),
    python: Sequence[Resource] = (),
    limits: Iterable[Resource] = (),
) -> Iterator[listener_pb2.Listener]:
    """`asked`: the HTTP filters that the outbound routes ask something of (`filters.asked`); `python`: the
    PythonFilters that the node is to have (`python_filters.selected`); `limits`: the inbound RateLimits of its
    service."""
    yield _listener(
        names.OUTBOUND_LISTENER,
        node.address,
        node.outbound_port,
        base_pb2.OUTBOUND,
        hcm_pb2.HttpConnectionManager(
            stat_prefix="outbound_http_proxy",
            rds=hcm_pb2.Rds(
                config_source=config_source_pb2.ConfigSource(
                    ads=config_source_pb2.AggregatedConfigSource(), resource_api_version=config_source_pb2.V3
                ),
                route_config_name=names.OUTBOUND_ROUTES,
            ),
            use_remote_address=BoolValue(value=True),
            http_filters=[*filters.chain(asked), *python_filters.chain(python, "outbound")],
        ),
    )
    if node.has_inbound:
        yield _listener(
            names.INBOUND_LISTENER,
            node.address,
            node.inbound_port,
            base_pb2.INBOUND,
            hcm_pb2.HttpConnectionManager(
                stat_prefix=f"inbound_{node.inbound_port}",
                route_config=_inbound_routes(node.app_port),
                use_remote_address=BoolValue(value=False),
                http_filters=[*rate_limits.inbound(limits), *python_filters.chain(python, "inbound")],
            ),
        )


def _inbound_routes(port: int) -> route_pb2.RouteConfiguration:
    """Everything goes to the application. The caller's sidecar has set timeout and retries; here are none."""
    cluster = names.inbound_cluster(port)
    route = route_components_pb2.Route(
        name="default",
        match=route_components_pb2.RouteMatch(prefix="/"),
        route=route_components_pb2.RouteAction(cluster=cluster, timeout=Duration()),
    )
    host = route_components_pb2.VirtualHost(name=f"inbound|http|{port}", domains=["*"], routes=[route])
    return route_pb2.RouteConfiguration(name=cluster, virtual_hosts=[host])


def _listener(
    name: str,
    address: str,
    port: int,
    direction: base_pb2.TrafficDirection.ValueType,
    manager: hcm_pb2.HttpConnectionManager,
) -> listener_pb2.Listener:
    manager.upgrade_configs.add(upgrade_type="websocket")
    manager.http_filters.add(name="envoy.filters.http.router", typed_config=_packed(router_pb2.Router()))
    chain = listener_components_pb2.FilterChain(
        filters=[
            listener_components_pb2.Filter(
                name="envoy.filters.network.http_connection_manager", typed_config=_packed(manager)
            )
        ]
    )
    return listener_pb2.Listener(
        name=name, address=socket_address(address, port), traffic_direction=direction, filter_chains=[chain]
    )


def _packed(message: Message) -> Any:
    packed = Any()
    packed.Pack(message, deterministic=True)
    return packed
