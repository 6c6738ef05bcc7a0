"""Services of protocol http2 and grpc: HTTP for all rules; HTTP/2 with their instances; a listener for each of gRPC."""

from __future__ import annotations

import dataclasses
from typing import Any

import msgspec
import pytest
from envoy.config.core.v3 import base_pb2

from tage.config import protocols
from tage.pilot.generate import CLUSTER, LISTENER, ROUTE, Caller, Node, generate, routes
from tage.registry.model import Service
from tests.pilot.generate.test_listeners import manager
from tests.pilot.samples import NODE, REVIEWS, SUBSETS, instance, plain, routing, snapshot

OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
GREETER = Service("greeter", port=50051, protocol="grpc", instances=(instance(7),))
FEED = Service("feed", protocol="http2", instances=(instance(8),))
BOLT = Service("stock", protocol="bolt", instances=(instance(9),))
OWN = f"{GREETER.fqdn}:50051"


def of(node: Node, kind: str, *texts: str, services: tuple[Service, ...] = (REVIEWS, GREETER, FEED)) -> dict[str, Any]:
    return {found.name: found for found in generate(snapshot(*texts, services=services), node)[kind]}  # type: ignore[attr-defined]


def spoken(cluster: Any) -> list[str]:
    options = plain(cluster).get("typed_extension_protocol_options", {}).get(OPTIONS, {})
    return list(options.get("explicit_http_config", {}))


def test_their_hosts_stand_beside_those_of_http() -> None:
    mesh = snapshot(services=(REVIEWS, GREETER, FEED))
    hosts = {host.name: host for host in routes.outbound(mesh, Caller()).virtual_hosts}
    assert set(hosts) == {f"{FEED.fqdn}:80", OWN, f"{REVIEWS.fqdn}:80"}
    assert {"greeter", "greeter:50051", GREETER.fqdn} <= set(hosts[OWN].domains)


def test_http2_is_spoken_with_their_instances() -> None:
    clusters = of(NODE, CLUSTER)
    assert spoken(clusters[f"outbound|50051||{GREETER.fqdn}"]) == ["http2_protocol_options"]
    assert spoken(clusters[f"outbound|80||{FEED.fqdn}"]) == ["http2_protocol_options"]
    assert spoken(clusters[f"outbound|80||{REVIEWS.fqdn}"]) == []


@pytest.mark.parametrize("generator", ["tage", "envoy"])
@pytest.mark.parametrize(
    ("service", "expected"),
    [("greeter", ["http2_protocol_options"]), ("feed", ["http2_protocol_options"]), ("reviews", [])],
)
def test_and_with_the_application(generator: str, service: str, expected: list[str]) -> None:
    node = dataclasses.replace(NODE, service=service, generator=generator)
    assert spoken(of(node, CLUSTER)["inbound|8080||"]) == expected
    inbound = manager(of(node, LISTENER)["virtualInbound"])
    assert inbound.codec_type == inbound.AUTO
    ((route,),) = (host.routes for host in inbound.route_config.virtual_hosts)
    assert plain(route.route)["max_stream_duration"] == {"max_stream_duration": "0s", "grpc_timeout_header_max": "0s"}


@pytest.mark.parametrize("generator", ["tage", "envoy"])
def test_each_service_of_grpc_has_a_listener(generator: str) -> None:
    node = dataclasses.replace(NODE, generator=generator)
    found = of(node, LISTENER)
    assert set(found) == {"http_proxy", OWN, "virtualInbound"}
    assert found[OWN].traffic_direction == base_pb2.OUTBOUND
    ports = protocols.service_ports([GREETER.fqdn], 15001)
    assert found[OWN].address.socket_address.port_value == ports[GREETER.fqdn]
    http = manager(found[OWN])
    assert (http.rds.route_config_name, http.stat_prefix) == (OWN, f"outbound_{GREETER.fqdn}")
    (host,) = of(node, ROUTE)[OWN].virtual_hosts
    assert list(host.domains) == ["*"]
    assert [route.route.cluster for route in host.routes] == [f"outbound|50051||{GREETER.fqdn}"]


def test_its_rules_are_the_services() -> None:
    to = "route: [{destination: {host: greeter}}]"
    fault = "fault: {abort: {grpcStatus: UNAVAILABLE, percentage: {value: 1}}}"
    rules = f"[{{match: [{{uri: {{prefix: /shop.Greeter/}}}}], {fault}, {to}}}, {{timeout: 2s, {to}}}]"
    texts = routing(rules, name="greeter", hosts="[greeter]")
    made = of(NODE, ROUTE, texts)
    (own,) = made[OWN].virtual_hosts
    (shared,) = (host for host in made["http_proxy"].virtual_hosts if host.name == OWN)
    assert own.routes == shared.routes
    assert [route.match.prefix for route in own.routes] == ["/shop.Greeter/", "/"]
    filters = [each.name for each in manager(of(NODE, LISTENER, texts)[OWN]).http_filters]
    assert filters == ["envoy.filters.http.fault", "envoy.filters.http.router"]


def test_between_versions_of_http_there_is_no_border() -> None:
    """A rule may lead from one to the other; to remote calls it may not."""
    services = (REVIEWS, GREETER, BOLT)
    texts = routing("[{redirect: {uri: /a}}, {route: [{destination: {host: greeter}}]}]")
    assert snapshot(texts, services=services).warnings == ()
    texts = routing("[{route: [{destination: {host: stock}}]}]", name="greeter", hosts="[greeter]")
    assert snapshot(texts, services=services).warnings == (
        "VirtualService default/greeter: spec.http[0].route[0].destination: service stock.default.svc.cluster.local is "
        "of protocol bolt, the rule of http; such calls get 503",
    )


def test_a_service_that_takes_to_grpc() -> None:
    assert set(of(NODE, LISTENER, SUBSETS, services=(REVIEWS,))) == {"http_proxy", "virtualInbound"}
    own = f"{REVIEWS.fqdn}:80"
    services = (msgspec.structs.replace(REVIEWS, protocol="grpc"),)
    assert set(of(NODE, LISTENER, SUBSETS, services=services)) == {"http_proxy", own, "virtualInbound"}
    assert [spoken(each) for each in of(NODE, CLUSTER, SUBSETS, services=services).values()] == [
        ["http2_protocol_options"]
    ] * 4
