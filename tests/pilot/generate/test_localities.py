from __future__ import annotations

import pytest

from tage.pilot.generate import CLUSTER, ENDPOINT, Caller, Node, Snapshot, endpoints, generate, localities
from tage.registry.model import Service
from tests.pilot.samples import destination_rule, instance, snapshot

WHERE = ("r1/z1/s1", "r1/z1/s2", "r1/z2/s1", "r2/z1/s1", "r3/z1")
REVIEWS = Service("reviews", instances=tuple(instance(n, locality=where) for n, where in enumerate(WHERE, 1)))
OUTLIER = ", outlierDetection: {}"


def groups(setting: str, caller: Caller, more: str = "", service: Service = REVIEWS) -> list[tuple[str, int, int]]:
    """(locality, priority, weight) each."""
    policy = f"{{loadBalancer: {{localityLbSetting: {setting}}}{more}}}"
    mesh = snapshot(destination_rule(f"{{host: reviews, trafficPolicy: {policy}}}"), services=(service,))
    (made,) = endpoints.assignments(service, mesh.rule(service, caller), caller)
    return [(localities_of(group), group.priority, group.load_balancing_weight.value) for group in made.endpoints]


def localities_of(group: object) -> str:
    where = group.locality  # type: ignore[attr-defined]
    return "/".join(step for step in (where.region, where.zone, where.sub_zone) if step)


def priorities(setting: str, caller: Caller, more: str = OUTLIER) -> dict[str, int]:
    return {where: priority for where, priority, _ in groups(setting, caller, more)}


def test_instances_are_grouped_by_locality():
    service = Service(
        "reviews", instances=(instance(1), instance(2, locality="r1", weight=3), instance(3, locality="r1"))
    )
    assert groups("{}", Caller(), "", service) == [("", 0, 1), ("r1", 0, 4)]


def test_without_outlier_detection_nothing_fails_over():
    assert priorities("{}", Caller(locality="r1/z1/s1"), "") == dict.fromkeys(WHERE, 0)
    assert priorities("{failover: [{from: r1, to: r2}]}", Caller(locality="r1/z1/s1"), "") == dict.fromkeys(WHERE, 0)


def test_the_nearer_the_higher_the_priority():
    assert priorities("{}", Caller(locality="r1/z1/s1")) == {
        "r1/z1/s1": 0, "r1/z1/s2": 1, "r1/z2/s1": 2, "r2/z1/s1": 3, "r3/z1": 3,
    }  # fmt: skip


def test_priorities_have_no_gaps():
    assert priorities("{}", Caller(locality="r2/z9")) == {
        "r1/z1/s1": 1, "r1/z1/s2": 1, "r1/z2/s1": 1, "r2/z1/s1": 0, "r3/z1": 1,
    }  # fmt: skip
    assert priorities("{}", Caller(locality="elsewhere")) == dict.fromkeys(WHERE, 0)


def test_switched_off():
    assert priorities("{enabled: false}", Caller(locality="r1/z1/s1")) == dict.fromkeys(WHERE, 0)


def test_failover_names_the_next_region():
    assert priorities("{failover: [{from: r1, to: r3}]}", Caller(locality="r1/z1/s1")) == {
        "r1/z1/s1": 0, "r1/z1/s2": 1, "r1/z2/s1": 2, "r3/z1": 3, "r2/z1/s1": 4,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("source", "to", "expected"),
    [
        ("r1/z1/*", "{r1/z1/*: 80, r2: 20}", [("r1/z1/s1", 0, 40), ("r1/z1/s2", 0, 40), ("r2/z1/s1", 0, 20)]),
        ("r1", "{r3: 100}", [("r3/z1", 0, 100)]),
        ("*", "{'*': 100}", [(where, 0, 20) for where in WHERE]),
    ],
)
def test_distribute(source: str, to: str, expected: list[tuple[str, int, int]]):
    setting = f"{{distribute: [{{from: other, to: {{r2: 100}}}}, {{from: '{source}', to: {to}}}]}}"
    assert groups(setting, Caller(locality="r1/z1/s1")) == expected


def test_distribute_from_elsewhere_changes_nothing():
    setting = "{distribute: [{from: r1, to: {r2: 100}}]}"
    assert groups(setting, Caller(locality="r2")) == groups("{}", Caller(locality="r2"), "")


def test_distribute_divides_by_the_weights_that_instances_have():
    service = Service(
        "reviews", instances=(instance(1, locality="a/x", weight=3), instance(2, locality="a/y", weight=4))
    )
    setting = "{distribute: [{from: '*', to: {a: 100}}]}"
    assert groups(setting, Caller(), "", service) == [("a/x", 0, 43), ("a/y", 0, 58)]


def test_failover_priority_counts_labels_from_the_first_on():
    def labelled(number: int, **labels: str) -> object:
        return instance(number, labels=labels, locality="r1")

    service = Service(
        "reviews",
        instances=(labelled(1, a="1", b="1"), labelled(2, a="1", b="2"), labelled(3, a="2", b="1"), labelled(4)),  # type: ignore[arg-type]
    )
    caller = Caller(labels=(("a", "1"), ("b", "1")))
    assert groups("{failoverPriority: [a, b]}", caller, OUTLIER, service) == [("r1", 0, 1), ("r1", 1, 1), ("r1", 2, 2)]
    assert groups("{failoverPriority: ['a=2']}", caller, OUTLIER, service) == [("r1", 0, 1), ("r1", 1, 3)]
    assert groups("{failoverPriority: [a, b]}", caller, "", service) == [("r1", 0, 4)]


def test_topology_labels_come_from_the_locality():
    setting = (
        "{failoverPriority: [topology.kubernetes.io/region, topology.kubernetes.io/zone, topology.istio.io/subzone]}"
    )
    rule = destination_rule(
        f"{{host: reviews, trafficPolicy: {{loadBalancer: {{localityLbSetting: {setting}}}{OUTLIER}}}}}"
    )
    mesh = snapshot(rule, services=(REVIEWS,))
    caller = mesh.caller(Node("x", locality="r1/z1/s1"))
    (made,) = endpoints.assignments(REVIEWS, mesh.rule(REVIEWS, caller), caller)
    assert {localities_of(group): group.priority for group in made.endpoints} == {
        "r1/z1/s1": 0, "r1/z1/s2": 1, "r1/z2/s1": 2, "r2/z1/s1": 3, "r3/z1": 3,
    }  # fmt: skip


def test_failover_beside_labels_refines_them():
    setting = "{failoverPriority: [version], failover: [{from: r1, to: r3}]}"
    assert priorities(setting, Caller(locality="r1/z1/s1", labels=(("version", "v1"),)))["r3/z1"] == 3


def test_callers_of_other_localities_get_other_assignments():
    rule = destination_rule("{host: reviews, trafficPolicy: {outlierDetection: {}}}")
    mesh = snapshot(rule, services=(REVIEWS,))
    near, far = (generate(mesh, Node("x", locality=where)) for where in ("r1/z1/s1", "r2"))
    assert near[ENDPOINT] != far[ENDPOINT]
    assert near[CLUSTER] == far[CLUSTER]


def test_labels_of_a_locality():
    assert localities.labels({"a": "b"}, "") == {"a": "b"}
    assert localities.labels({}, "r/z") == {"topology.kubernetes.io/region": "r", "topology.kubernetes.io/zone": "z"}


def test_a_callers_locality_does_not_matter_where_instances_have_none():
    mesh = Snapshot((Service("reviews", instances=(instance(1),)),))
    assert mesh.caller(Node("x", locality="r1")) == mesh.caller(Node("y")) == Caller()
