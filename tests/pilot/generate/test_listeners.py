from __future__ import annotations

import dataclasses

from envoy.config.core.v3 import base_pb2
from envoy.config.listener.v3.listener_pb2 import Listener
from envoy.extensions.filters.network.http_connection_manager.v3.http_connection_manager_pb2 import (
    HttpConnectionManager,
)

from tage.pilot.generate import listeners
from tests.pilot.samples import NODE


def manager(listener: Listener) -> HttpConnectionManager:
    ((network_filter,),) = (chain.filters for chain in listener.filter_chains)
    unpacked = HttpConnectionManager()
    assert network_filter.typed_config.Unpack(unpacked)
    return unpacked


def test_outbound():
    outbound, _ = listeners.listeners(NODE)
    assert (outbound.name, outbound.traffic_direction) == ("http_proxy", base_pb2.OUTBOUND)
    address = outbound.address.socket_address
    assert (address.address, address.port_value) == ("127.1.0.1", 15001)
    http = manager(outbound)
    assert http.rds.route_config_name == "http_proxy"
    assert http.rds.config_source.HasField("ads")
    assert http.use_remote_address.value
    assert http.stat_prefix == "outbound_http_proxy"
    assert [f.name for f in http.http_filters] == ["envoy.filters.http.router"]


def test_inbound():
    _, inbound = listeners.listeners(NODE)
    assert (inbound.name, inbound.traffic_direction) == ("virtualInbound", base_pb2.INBOUND)
    assert inbound.address.socket_address.port_value == 15006
    http = manager(inbound)
    assert not http.use_remote_address.value
    assert http.stat_prefix == "inbound_15006"
    assert http.route_config.name == "inbound|8080||"
    ((route,),) = (host.routes for host in http.route_config.virtual_hosts)
    assert route.route.cluster == "inbound|8080||"
    assert route.route.HasField("timeout")
    assert route.route.timeout.ToMilliseconds() == 0


def test_websocket_is_enabled_on_both():
    for listener in listeners.listeners(NODE):
        (upgrade,) = manager(listener).upgrade_configs
        assert upgrade.upgrade_type == "websocket"
        assert not upgrade.HasField("enabled")


def test_no_inbound_without_an_application():
    assert [listener.name for listener in listeners.listeners(dataclasses.replace(NODE, service=""))] == ["http_proxy"]
