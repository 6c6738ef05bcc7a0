from __future__ import annotations

import dataclasses

import pytest
from envoy.service.discovery.v3.discovery_pb2 import DiscoveryResponse
from google.protobuf.any_pb2 import Any

from tage.pilot.generate import CLUSTER, ENDPOINT, LISTENER, ROUTE, Snapshot, generate
from tage.pilot.world import Own, View, World
from tage.registry.model import Service
from tests.pilot.samples import NODE, RATINGS, REVIEWS, SUBSETS, destination_rule, instance, routing, snapshot

OWN = Own(NODE)
"""Made once for a connection, as ADS does."""


def view(world: World, mesh: Snapshot) -> View:
    world.update(mesh)
    return world.view(NODE, OWN)


def changes(new: View, old: View) -> dict[str, set[str]]:
    return {t: set(found) for t in new if (found := new[t].changed_since(old[t]))}


GREETER = Service("greeter", protocol="grpc", instances=(instance(5),))


@pytest.mark.parametrize("services", [(REVIEWS, RATINGS), (REVIEWS, GREETER)], ids=["http", "grpc"])
def test_a_view_holds_what_is_generated(services: tuple[Service, ...]):
    mesh = snapshot(SUBSETS, routing(), services=services)
    made = view(World(), mesh)
    for type_url, messages in generate(mesh, NODE).items():
        response = DiscoveryResponse.FromString(made[type_url].wire())
        expected = []
        for message in messages:
            packed = Any()
            packed.Pack(message, deterministic=True)
            expected.append(packed)
        assert list(response.resources) == expected
        assert made[type_url].names == {getattr(m, "cluster_name", "") or getattr(m, "name", "") for m in messages}


def test_nothing_changes_when_nothing_changed():
    world = World()
    old = view(world, snapshot(SUBSETS, routing()))
    new = view(world, snapshot(SUBSETS, routing(), services=(RATINGS, REVIEWS)))
    assert changes(new, old) == {}
    assert all(new[t].shared is old[t].shared and new[t].version == old[t].version for t in new)


def test_equal_content_of_two_worlds_has_one_version():
    one, other = (view(World(), snapshot(SUBSETS, routing())) for _ in range(2))
    assert {t: s.version for t, s in one.items()} == {t: s.version for t, s in other.items()}
    assert changes(one, other) == {}


def test_an_endpoint_change_changes_its_assignments_only():
    world = World()
    old = view(world, snapshot(SUBSETS, routing()))
    moved = Service("reviews", instances=(*REVIEWS.instances, instance(4, "v2")))
    new = view(world, snapshot(SUBSETS, routing(), services=(moved, RATINGS)))
    assert changes(new, old) == {ENDPOINT: {f"outbound|80||{REVIEWS.fqdn}", f"outbound|80|v2|{REVIEWS.fqdn}"}}


def test_a_subset_adds_a_cluster_and_an_assignment():
    world = World()
    old = view(world, snapshot())
    new = view(world, snapshot(SUBSETS))
    clusters = {f"outbound|80|{subset}|{REVIEWS.fqdn}" for subset in ("v1", "v2")}
    assert changes(new, old)[ENDPOINT] == clusters
    assert changes(new, old)[CLUSTER] >= clusters
    assert {LISTENER, ROUTE}.isdisjoint(changes(new, old))


def test_removal_is_a_change():
    world = World()
    old = view(world, snapshot())
    new = view(world, snapshot(services=(REVIEWS,)))
    name = f"outbound|9080||{RATINGS.fqdn}"
    assert changes(new, old) == {CLUSTER: {name}, ENDPOINT: {name}, ROUTE: {"http_proxy"}}


def test_a_kept_resource_that_moved_between_layers_did_not_change():
    world = World()
    old = view(world, snapshot())[CLUSTER]
    new = view(world, snapshot(services=(REVIEWS,)))[CLUSTER]
    name = f"outbound|9080||{RATINGS.fqdn}"
    kept = new.keeping([old.shared.resources[name]])
    assert name not in kept.changed_since(old)
    assert name in new.changed_since(kept)


def test_sidecars_share_all_but_their_own():
    world = World()
    world.update(snapshot(SUBSETS))
    other = dataclasses.replace(NODE, id="other", app_port=9)
    one, two = (world.view(node, Own(node)) for node in (NODE, other))
    assert all(one[t].shared is two[t].shared for t in one)
    assert one[CLUSTER].names - two[CLUSTER].names == {"inbound|8080||"}


def test_namespaces_see_different_rules():
    world = World()
    world.update(snapshot(SUBSETS.replace("name: reviews}", "name: reviews, namespace: other}").replace(
        "host: reviews", f"host: {REVIEWS.fqdn}")))  # fmt: skip
    names = [
        world.view(node, Own(node))[CLUSTER].names for node in (NODE, dataclasses.replace(NODE, namespace="other"))
    ]
    assert [f"outbound|80|v1|{REVIEWS.fqdn}" in found for found in names] == [False, True]


def test_a_rule_that_asks_for_labels_tells_callers_apart_and_back():
    world = World()
    rules = "[{match: [{sourceLabels: {app: web}}], route: [{destination: {host: reviews, subset: v1}}]}]"
    web, other = (dataclasses.replace(NODE, labels={"app": app, "version": "v1"}) for app in ("web", "other"))

    def views(*texts: str) -> list[View]:
        world.update(snapshot(SUBSETS, *texts))
        return [world.view(node, Own(node)) for node in (web, other)]

    before = views()
    assert before[0][ROUTE].shared is before[1][ROUTE].shared
    apart = views(routing(rules))
    assert changes(apart[0], before[0]) == {ROUTE: {"http_proxy"}}
    assert changes(apart[1], before[1]) == {}
    assert [apart[1][t].shared is before[1][t].shared for t in (CLUSTER, ENDPOINT, ROUTE)] == [True, True, True]
    together = views()
    assert changes(together[0], before[0]) == {}
    assert together[0][ROUTE].shared is together[1][ROUTE].shared


def test_a_filter_comes_with_the_first_rule_that_needs_it_and_goes_with_the_last():
    world = World()
    old = view(world, snapshot(routing()))
    faulty = routing("[{fault: {abort: {httpStatus: 500}}, route: [{destination: {host: reviews}}]}]")
    new = view(world, snapshot(faulty))
    assert changes(new, old) == {LISTENER: {"http_proxy"}, ROUTE: {"http_proxy"}}
    again = view(world, snapshot(faulty, services=(RATINGS, REVIEWS)))
    assert changes(again, new) == {}
    assert view(world, snapshot(routing()))[LISTENER].own is old[LISTENER].own


def test_routes_are_made_anew_for_a_destination_rule_only_where_one_hashes():
    world = World()
    hashing = destination_rule("{host: reviews, trafficPolicy: {loadBalancer: {consistentHash: {useSourceIp: true}}}}")
    old = view(world, snapshot())
    assert ROUTE not in changes(view(world, snapshot(SUBSETS)), old)
    assert changes(view(world, snapshot(hashing)), old)[ROUTE] == {"http_proxy"}


def test_a_rule_of_a_service_of_grpc_changes_its_own_routes_too():
    world, services = World(), (REVIEWS, GREETER)
    old = view(world, snapshot(services=services))
    rule = routing("[{timeout: 1s, route: [{destination: {host: greeter}}]}]", hosts="[greeter]")
    new = view(world, snapshot(rule, services=services))
    assert changes(new, old) == {ROUTE: {"http_proxy", f"{GREETER.fqdn}:80"}}


def test_a_service_that_takes_to_another_protocol() -> None:
    """Its cluster, the routes of both protocols and the listeners change; what an Envoy has, the routes alone."""
    world, own = World(), Own(NODE)
    envoy = dataclasses.replace(NODE, generator="envoy")
    of_envoy = Own(envoy)
    spoken = {}
    for protocol in ("http", "bolt", "x-ledger"):
        services = (reviews_of(protocol), RATINGS)
        world.update(snapshot(SUBSETS, services=services))
        spoken[protocol] = (world.view(NODE, own), world.view(envoy, of_envoy))
    (http, envoy_http), (bolt, envoy_bolt), (ledger, envoy_ledger) = spoken.values()
    clusters = {f"outbound|80||{REVIEWS.fqdn}", f"outbound|80|v1|{REVIEWS.fqdn}", f"outbound|80|v2|{REVIEWS.fqdn}"}
    assert changes(bolt, http) == {
        CLUSTER: clusters | {"inbound|8080||"},
        LISTENER: {"http_proxy", "bolt_proxy", "virtualInbound"},
        ROUTE: {"http_proxy", "bolt_proxy"},
    }
    assert changes(ledger, bolt) == {
        CLUSTER: clusters | {"inbound|8080||"},
        LISTENER: {"http_proxy", "bolt_proxy", "x-ledger_proxy", "virtualInbound"},
        ROUTE: {"bolt_proxy", "x-ledger_proxy"},
    }
    assert changes(envoy_bolt, envoy_http) == {LISTENER: {"virtualInbound"}, ROUTE: {"http_proxy"}}
    assert changes(envoy_ledger, envoy_bolt) == {}


def reviews_of(protocol: str) -> Service:
    return Service("reviews", protocol=protocol, instances=REVIEWS.instances)
