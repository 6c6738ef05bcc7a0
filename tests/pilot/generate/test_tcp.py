"""Services of protocol tcp: a listener for each, for Envoys too."""

from __future__ import annotations

import dataclasses

import pytest
from envoy.config.core.v3 import base_pb2
from envoy.config.listener.v3.listener_pb2 import Listener
from envoy.extensions.filters.network.tcp_proxy.v3.tcp_proxy_pb2 import TcpProxy

from tage.config import protocols
from tage.pilot.generate import CLUSTER, LISTENER, ROUTE, Node, generate
from tage.registry.model import Service
from tests.pilot.generate.test_rpc import hosts
from tests.pilot.samples import NODE, REVIEWS, instance, routing, snapshot

DB = Service("db", port=5432, protocol="tcp", instances=(instance(7),))
CACHE = Service("cache", namespace="other", protocol="tcp")
SERVICES = (REVIEWS, DB, CACHE)


def listeners(node: Node) -> dict[str, Listener]:
    return {found.name: found for found in generate(snapshot(services=SERVICES), node)[LISTENER]}  # type: ignore[attr-defined, misc]


def proxy(listener: Listener) -> TcpProxy:
    ((network_filter,),) = (chain.filters for chain in listener.filter_chains)
    made = TcpProxy()
    assert network_filter.typed_config.Unpack(made)
    return made


@pytest.mark.parametrize("generator", ["tage", "envoy"])
def test_each_service_has_a_listener(generator: str) -> None:
    found = listeners(dataclasses.replace(NODE, generator=generator))
    db, cache = f"outbound|5432||{DB.fqdn}", f"outbound|80||{CACHE.fqdn}"
    assert set(found) == {"http_proxy", db, cache, "virtualInbound"}
    assert proxy(found[db]).cluster == db
    assert proxy(found[db]).stat_prefix == f"outbound_{DB.fqdn}"
    assert found[db].traffic_direction == base_pb2.OUTBOUND
    ports = protocols.service_ports([DB.fqdn, CACHE.fqdn], 15001)
    assert {name: found[name].address.socket_address.port_value for name in (db, cache)} == {
        db: ports[DB.fqdn], cache: ports[CACHE.fqdn],
    }  # fmt: skip
    assert not found["http_proxy"].listener_filters


def test_inbound() -> None:
    assert proxy(listeners(dataclasses.replace(NODE, service="db"))["virtualInbound"]).cluster == "inbound|8080||"


def test_nothing_else_knows_of_them() -> None:
    made = generate(snapshot(services=SERVICES), NODE)
    assert [config.name for config in made[ROUTE]] == ["http_proxy"]  # type: ignore[attr-defined]
    assert list(hosts(snapshot(services=SERVICES), "http")) == [f"{REVIEWS.fqdn}:80"]
    assert f"outbound|5432||{DB.fqdn}" in {cluster.name for cluster in made[CLUSTER]}  # type: ignore[attr-defined]


def test_rules_of_http_never_count() -> None:
    made = snapshot(routing("[{route: [{destination: {host: db}}]}]", hosts="[db]"), services=SERVICES)
    assert made.warnings == (
        "VirtualService default/reviews: spec.http: never counts: connections of protocol tcp are not looked into",
    )
