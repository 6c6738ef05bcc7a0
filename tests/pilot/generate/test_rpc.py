"""Protocols of remote calls: routes, clusters and listeners of a mesh that has some."""

from __future__ import annotations

import dataclasses
from typing import Any

from envoy.config.cluster.v3.cluster_pb2 import Cluster
from envoy.config.core.v3 import base_pb2
from envoy.config.listener.v3.listener_components_pb2 import FilterChain
from envoy.config.listener.v3.listener_pb2 import Listener
from envoy.extensions.filters.network.http_connection_manager.v3.http_connection_manager_pb2 import (
    HttpConnectionManager,
)
from envoy.extensions.filters.network.tcp_proxy.v3.tcp_proxy_pb2 import TcpProxy
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from xds.type.v3.typed_struct_pb2 import TypedStruct

from tage.pilot.generate import CLUSTER, LISTENER, ROUTE, Caller, Node, Snapshot, generate, retry, routes
from tage.registry.model import Service
from tests.pilot.samples import NODE, REVIEWS, destination_rule, instance, routing, snapshot

STOCK = Service(
    "stock",
    protocol="bolt",
    interfaces=("com.tage.Stock", "com.tage.Audit:1.0"),
    instances=(instance(4, "v1"), instance(5, "v2")),
)
PRICES = Service("prices", namespace="other", protocol="dubbo", interfaces=("com.tage.Prices",))
LEDGER = Service("ledger", protocol="x-ledger")
SERVICES = (REVIEWS, STOCK, PRICES, LEDGER)
CALLER = Caller(rpc=True)

SUBSETS = destination_rule(
    "{host: com.tage.Stock, subsets: [{name: v1, labels: {version: v1}}, {name: v2, labels: {version: v2}}]}", "stock"
)
CANARY = (
    "[{match: [{uri: {prefix: /com.tage.Stock/}, headers: {version: {exact: '2.0'}}}],"
    " route: [{destination: {host: stock, subset: v2}}], timeout: 2s},"
    " {route: [{destination: {host: com.tage.Stock, subset: v1}, weight: 90},"
    " {destination: {host: stock, subset: v2}, weight: 10}]}]"
)


def mesh(*texts: str) -> Snapshot:
    return snapshot(*texts, services=SERVICES)


def plain(message: Message) -> dict[str, Any]:
    return MessageToDict(message, preserving_proto_field_name=True)


def hosts(made: Snapshot, protocol: str = "bolt", caller: Caller = CALLER) -> dict[str, dict[str, Any]]:
    return {host.name: plain(host) for host in routes.outbound(made, caller, protocol).virtual_hosts}


def value(packed: Any) -> tuple[str, dict[str, Any]]:
    struct = TypedStruct()
    assert packed.Unpack(struct)
    return struct.type_url.removeprefix("type.googleapis.com/"), MessageToDict(struct.value)


def test_domains_are_interfaces_and_names_without_ports() -> None:
    (host,) = hosts(mesh()).values()
    assert host["name"] == f"{STOCK.fqdn}:80"
    assert host["domains"] == [
        "com.tage.Stock", "com.tage.Audit:1.0",
        STOCK.fqdn, "stock.default.svc", "stock.default", "stock",
    ]  # fmt: skip
    (host,) = hosts(mesh(), "dubbo").values()
    assert "prices" not in host["domains"], "of another namespace"
    (host,) = hosts(mesh(), "x-ledger").values()
    assert host["domains"][-1] == "ledger"


def test_http_has_none_of_it() -> None:
    assert list(hosts(mesh(routing(CANARY, hosts="[com.tage.Stock]")), "http")) == [f"{REVIEWS.fqdn}:80"]


def test_a_service_without_rules_is_retried_only_where_nothing_was_carried_out() -> None:
    ((route,),) = (host["routes"] for host in hosts(mesh()).values())
    assert route["route"]["cluster"] == f"outbound|80||{STOCK.fqdn}"
    assert route["route"]["timeout"] == "0s", "the frame's own counts"
    policy = route["route"]["retry_policy"]
    assert policy["retry_on"] == "connect-failure,refused-stream,unavailable"
    assert "retriable_status_codes" not in policy
    assert policy["num_retries"] == retry.ATTEMPTS


def test_retries_that_a_rule_asks_for() -> None:
    def policy(retries: str) -> dict[str, Any]:
        rule = f"[{{route: [{{destination: {{host: stock}}}}], retries: {retries}}}]"
        ((route,),) = (host["routes"] for host in hosts(mesh(routing(rule, hosts="[stock]"))).values())
        return route["route"]["retry_policy"]  # type: ignore[no-any-return]

    assert policy("{attempts: 3}")["retry_on"] == "connect-failure,refused-stream,unavailable"
    asked = policy("{attempts: 3, retryOn: '5xx,503'}")
    assert asked["retry_on"] == "5xx,retriable-status-codes"
    assert asked["retriable_status_codes"] == [503]


def test_rules_of_the_service_hold_for_its_interfaces() -> None:
    (host,) = hosts(mesh(SUBSETS, routing(CANARY, hosts="[stock]"))).values()
    assert host["domains"][0] == "com.tage.Stock"
    tested, rest = host["routes"]
    assert tested["match"]["prefix"] == "/com.tage.Stock/"
    assert tested["match"]["headers"] == [{"name": "version", "string_match": {"exact": "2.0"}}]
    assert tested["route"]["cluster"] == f"outbound|80|v2|{STOCK.fqdn}"
    assert tested["route"]["timeout"] == "2s"
    assert [(each["name"], each["weight"]) for each in rest["route"]["weighted_clusters"]["clusters"]] == [
        (f"outbound|80|v1|{STOCK.fqdn}", 90), (f"outbound|80|v2|{STOCK.fqdn}", 10),
    ]  # fmt: skip


def test_an_interface_may_have_rules_of_its_own() -> None:
    of_interface = routing(CANARY, "one", hosts="[com.tage.Stock]")
    of_service = routing("[{route: [{destination: {host: stock}}], timeout: 5s}]", "two", hosts="[stock]")
    made = mesh(SUBSETS, of_interface, of_service)
    assert made.warnings == ()
    own, rest = hosts(made).values()
    assert (own["name"], own["domains"]) == ("com.tage.Stock:80", ["com.tage.Stock"])
    assert len(own["routes"]) == 2
    assert rest["domains"][:2] == ["com.tage.Audit:1.0", STOCK.fqdn]
    assert rest["routes"][0]["route"]["timeout"] == "5s"


def test_rate_limits_of_the_service_hold_for_its_interfaces() -> None:
    limit = "apiVersion: tage.dev/v1alpha1\nkind: RateLimit\nmetadata: {name: x}\n"
    limit += "spec: {host: com.tage.Audit, direction: outbound, requests: 5, per: 1s}\n"
    made = mesh(limit.replace("com.tage.Audit", "com.tage.Stock"), routing(CANARY, hosts="[com.tage.Stock]"), SUBSETS)
    assert all(list(host["typed_per_filter_config"]) == ["tage.ratelimit.default.x"] for host in hosts(made).values())


def test_cors_is_left_out_and_said() -> None:
    rules = "[{route: [{destination: {host: stock}}], corsPolicy: {allowOrigins: [{exact: 'http://a'}]}}]"
    made = mesh(routing(rules, hosts="[stock]"))
    ((route,),) = (host["routes"] for host in hosts(made).values())
    assert "typed_per_filter_config" not in route
    assert made.warnings == (
        "VirtualService default/reviews: spec.http[0].corsPolicy: has no effect on remote calls, of protocol bolt",
    )


def resources(node: Node, made: Snapshot | None = None) -> dict[str, dict[str, Message]]:
    return {
        type_url: {getattr(message, "name", ""): message for message in messages}
        for type_url, messages in generate(made or mesh(), node).items()
    }


def test_clusters_say_what_their_hosts_speak() -> None:
    stock = dataclasses.replace(NODE, service="stock")
    clusters = resources(stock, mesh(SUBSETS))[CLUSTER]
    for name, protocol in (
        (f"outbound|80||{STOCK.fqdn}", "bolt"),
        (f"outbound|80|v2|{STOCK.fqdn}", "bolt"),
        (f"outbound|80||{LEDGER.fqdn}", "x-ledger"),
        ("inbound|8080||", "bolt"),
    ):
        cluster = clusters[name]
        assert isinstance(cluster, Cluster)
        assert list(cluster.typed_extension_protocol_options) == ["tage.upstreams.x_protocol"]
        options = value(cluster.typed_extension_protocol_options["tage.upstreams.x_protocol"])
        assert options == ("tage.upstreams.v1alpha1.XProtocol", {"protocol": protocol})
    http = clusters[f"outbound|80||{REVIEWS.fqdn}"]
    assert isinstance(http, Cluster)
    assert not http.typed_extension_protocol_options


def parts(chain: FilterChain) -> tuple[str, HttpConnectionManager]:
    """The protocol of its codec, and what routes."""
    codec, routed = chain.filters
    assert codec.name == "tage.filters.network.x_protocol"
    kind, settings = value(codec.typed_config)
    assert kind == "tage.network.v1alpha1.XProtocol"
    manager = HttpConnectionManager()
    assert routed.typed_config.Unpack(manager)
    return settings["protocol"], manager


def listener(found: Message) -> Listener:
    assert isinstance(found, Listener)
    return found


def test_each_protocol_has_a_port_of_its_own() -> None:
    found = resources(NODE)[LISTENER]
    assert list(found) == ["http_proxy", "bolt_proxy", "dubbo_proxy", "x-ledger_proxy", "virtualInbound"]
    for protocol, port in (("bolt", 15101), ("dubbo", 15102), ("x-ledger", None)):
        made = listener(found[f"{protocol}_proxy"])
        assert made.traffic_direction == base_pb2.OUTBOUND
        assert port in (None, made.address.socket_address.port_value)
        (chain,) = made.filter_chains
        spoken, manager = parts(chain)
        assert spoken == protocol
        assert manager.rds.route_config_name == f"{protocol}_proxy"
        assert manager.stat_prefix == f"outbound_{protocol}_proxy"
        assert [each.name for each in manager.http_filters] == ["envoy.filters.http.router"]
        assert not manager.upgrade_configs
    assert list(resources(NODE)[ROUTE]) == ["http_proxy", "bolt_proxy", "dubbo_proxy", "x-ledger_proxy"]


def test_the_outbound_port_takes_what_can_be_told_apart() -> None:
    shared = listener(resources(NODE)[LISTENER]["http_proxy"])
    (inspector,) = shared.listener_filters
    assert inspector.name == "tage.filters.listener.x_protocol_inspector"
    kind, settings = value(inspector.typed_config)
    assert kind == "tage.listener.v1alpha1.XProtocolInspector"
    assert settings == {"protocols": ["bolt", "dubbo", "x-ledger"]}
    *calls, http = shared.filter_chains
    assert [list(chain.filter_chain_match.application_protocols) for chain in calls] == [
        ["x-bolt"], ["x-dubbo"], ["x-ledger"],
    ]  # fmt: skip
    assert [parts(chain)[0] for chain in calls] == ["bolt", "dubbo", "x-ledger"]
    assert not http.HasField("filter_chain_match")
    assert len(http.filters) == 1


def test_one_port_tells_so_many_apart_and_no_more() -> None:
    services = tuple(Service(f"s{number}", protocol=f"x-p{number:02}") for number in range(20))
    found = resources(NODE, snapshot(services=(REVIEWS, *services)))[LISTENER]
    shared = listener(found["http_proxy"])
    (inspector,) = shared.listener_filters
    assert value(inspector.typed_config)[1]["protocols"] == [f"x-p{number:02}" for number in range(16)]
    assert len(shared.filter_chains) == 17
    assert shared.continue_on_listener_filters_timeout, "HTTP that says nothing for a while is HTTP all the same"
    assert "x-p19_proxy" in found


def test_the_filters_of_a_port_are_those_its_routes_ask_for() -> None:
    fault = "[{fault: {abort: {httpStatus: 503, percentage: {value: 1}}}, route: [{destination: {host: stock}}]}]"
    found = resources(NODE, mesh(routing(fault, hosts="[stock]")))[LISTENER]
    names = {}
    for name in ("bolt", "dubbo"):
        (chain,) = listener(found[f"{name}_proxy"]).filter_chains
        names[name] = [each.name.rpartition(".")[2] for each in parts(chain)[1].http_filters]
    assert names == {"bolt": ["fault", "router"], "dubbo": ["router"]}


def test_inbound() -> None:
    made = listener(resources(dataclasses.replace(NODE, service="ledger"))[LISTENER]["virtualInbound"])
    (chain,) = made.filter_chains
    protocol, manager = parts(chain)
    assert protocol == "x-ledger"
    (host,) = manager.route_config.virtual_hosts
    assert (host.name, list(host.domains)) == ("inbound|x-ledger|8080", ["*"])
    assert host.routes[0].route.cluster == "inbound|8080||"
    assert host.routes[0].route.timeout.ToMilliseconds() == 0


def test_an_envoy_gets_nothing_that_it_does_not_know() -> None:
    envoy = dataclasses.replace(NODE, generator="", service="stock")
    found = resources(envoy)
    assert list(found[LISTENER]) == ["http_proxy", "virtualInbound"]
    assert list(found[ROUTE]) == ["http_proxy"]
    assert not listener(found[LISTENER]["http_proxy"]).listener_filters
    for cluster in found[CLUSTER].values():
        assert isinstance(cluster, Cluster)
        assert not cluster.typed_extension_protocol_options
    ((network_filter,),) = (chain.filters for chain in listener(found[LISTENER]["virtualInbound"]).filter_chains)
    proxy = TcpProxy()
    assert network_filter.typed_config.Unpack(proxy)
    assert proxy.cluster == "inbound|8080||"


def test_without_remote_calls_nothing_is_different() -> None:
    assert list(generate(snapshot(), NODE)[ROUTE]) == [routes.outbound(snapshot(), Caller())]
    assert snapshot().caller(NODE).rpc is False
