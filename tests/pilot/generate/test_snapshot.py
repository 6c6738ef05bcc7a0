from __future__ import annotations

from tage.config.networking import Destination, PortSelector
from tage.pilot.generate import Caller
from tage.registry.model import Service
from tests.pilot.samples import RATINGS, REVIEWS, SUBSETS, routing, snapshot


def test_short_names_are_resolved_in_the_resources_namespace():
    mesh = snapshot()
    assert mesh.resolve("reviews", "default") == REVIEWS.fqdn
    assert mesh.resolve("reviews", "other") == "reviews.other.svc.cluster.local"
    assert mesh.resolve("ratings.other", "default") == RATINGS.fqdn
    assert mesh.resolve("ratings.other.svc", "default") == RATINGS.fqdn
    assert mesh.resolve("Reviews.default.svc.cluster.local", "x") == REVIEWS.fqdn
    assert mesh.resolve("shop.example.com", "default") == "shop.example.com"
    assert mesh.resolve("com.alipay.Demo", "default") == "com.alipay.Demo"


def test_rule_of_the_callers_namespace_comes_before_the_services():
    theirs = SUBSETS.replace("name: reviews}", "name: reviews, namespace: other}").replace(
        "host: reviews", f"host: {REVIEWS.fqdn}"
    )
    mesh = snapshot(SUBSETS, theirs.replace("name: v1, ", "name: special, "))
    assert [s.name for s in mesh.rule(REVIEWS, Caller("default")).subsets] == ["v1", "v2"]
    assert [s.name for s in mesh.rule(REVIEWS, Caller("other")).subsets] == ["special", "v2"]
    assert [s.name for s in mesh.rule(REVIEWS, Caller("third")).subsets] == ["v1", "v2"]


def test_rules_for_one_host_add_up():
    more = """
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: z-more}
spec:
  host: reviews.default.svc.cluster.local
  trafficPolicy: {loadBalancer: {simple: RANDOM}}
  subsets: [{name: v2, labels: {other: x}}, {name: v3}]
"""
    rule = snapshot(SUBSETS, more).rule(REVIEWS, Caller())
    assert [s.name for s in rule.subsets] == ["v1", "v2", "v3"]
    assert rule.subsets[1].labels == {"version": "v2"}
    assert rule.policy is not None
    assert rule.source == "default/reviews"


def test_first_virtual_service_by_name_wins_and_the_other_is_warned_of():
    mesh = snapshot(routing(name="b"), routing(name="a"))
    found = mesh.routing(REVIEWS.fqdn, "default")
    assert found is not None
    assert found.metadata.name == "a"
    (warning,) = mesh.warnings
    assert "VirtualService default/b" in warning
    assert "taken by VirtualService default/a" in warning


def test_one_virtual_service_may_name_a_host_twice():
    assert snapshot(routing(hosts=f"[reviews, {REVIEWS.fqdn}]")).warnings == ()


def test_longest_wildcard_counts_where_nothing_names_the_host():
    wide = routing(name="all", hosts='["*.svc.cluster.local"]')
    narrow = routing(name="ns", hosts='["*.default.svc.cluster.local"]')
    mesh = snapshot(wide, narrow)
    assert mesh.routing(REVIEWS.fqdn, "default").metadata.name == "ns"  # type: ignore[union-attr]
    assert mesh.routing(RATINGS.fqdn, "default").metadata.name == "all"  # type: ignore[union-attr]
    assert list(mesh.foreign_hosts("default")) == []


def test_destinations():
    mesh = snapshot(SUBSETS)
    assert mesh.cluster(Destination("reviews", "v1"), "default", 80) == f"outbound|80|v1|{REVIEWS.fqdn}"
    assert mesh.cluster(Destination("ratings.other"), "default", 80) == f"outbound|9080||{RATINGS.fqdn}"
    assert mesh.cluster(Destination("gone"), "ns", 80) == "outbound|80||gone.ns.svc.cluster.local"
    assert mesh.cluster(Destination("reviews", port=PortSelector(81)), "default", 80) == f"outbound|81||{REVIEWS.fqdn}"


def test_dangling_destinations_are_warned_of_with_their_path():
    http = """
  - route:
    - {destination: {host: reviews, subset: v1}, weight: 1}
    - {destination: {host: reviews, subset: v9}, weight: 1}
    - {destination: {host: nowhere}, weight: 1}
    - {destination: {host: reviews, port: {number: 81}}, weight: 1}
"""
    warnings = snapshot(SUBSETS, routing(http)).warnings
    assert len(warnings) == 3
    assert "spec.http[0].route[1].destination: no DestinationRule defines subset v9" in warnings[0]
    assert "no service nowhere.default.svc.cluster.local" in warnings[1]
    assert "has port 80, not 81" in warnings[2]


def test_services_stand_in_one_order():
    a, b = Service("a"), Service("b")
    assert snapshot(services=(b, a)).services == snapshot(services=(a, b)).services


def test_a_virtual_service_counts_where_it_is_exported_to():
    def exported(name: str, to: str, namespace: str = "default") -> str:
        return routing(name=name, namespace=namespace, hosts=f"['{REVIEWS.fqdn}']") + f"  exportTo: {to}\n"

    mesh = snapshot(
        exported("a", "['*']"),
        exported("own", "['.']"),
        exported("some", "[other]"),
        exported("mine", "['.']", "third"),
    )
    found = {of: mesh.routing(REVIEWS.fqdn, of).metadata.name for of in ("default", "other", "third", "fourth")}  # type: ignore[union-attr]
    assert found == {"default": "own", "other": "some", "third": "mine", "fourth": "a"}
    assert not any("already taken" in warning for warning in mesh.warnings)


def test_one_that_nobody_is_left_for_is_warned_of():
    own = [routing(name=name) + "  exportTo: ['.']\n" for name in ("a", "b")]
    (warning,) = snapshot(*own).warnings
    assert "VirtualService default/b: host" in warning
    assert "taken by VirtualService default/a" in warning


def test_a_host_that_is_exported_nowhere_else_falls_to_the_wildcard():
    own = routing(name="own", namespace="third", hosts=f"['{REVIEWS.fqdn}']") + "  exportTo: ['.']\n"
    mesh = snapshot(own, routing(name="wide", hosts="['*.svc.cluster.local']"))
    assert mesh.routing(REVIEWS.fqdn, "default").metadata.name == "wide"  # type: ignore[union-attr]
    assert mesh.routing(REVIEWS.fqdn, "third").metadata.name == "own"  # type: ignore[union-attr]


def test_mirrors_that_lead_nowhere_are_warned_of():
    rules = "[{route: [{destination: {host: reviews}}], mirrors: [{destination: {host: gone}}]}]"
    (warning,) = snapshot(routing(rules)).warnings
    assert "spec.http[0].mirrors[0].destination: no service gone.default.svc.cluster.local" in warning
