"""Priorities, localities, subsets, slow start, health: who gets requests, through a cluster."""

from __future__ import annotations

import pytest

from tage.dataplane.routing.hashing import xxh64
from tage.dataplane.upstream.endpoint import Assignment
from tage.dataplane.upstream.host import Health
from tage.dataplane.upstream.membership import Membership
from tage.sidecar.plan import SlowStart, Subsets, SubsetSelector

P0, P1 = {}, {"priority": 1}
OUT = {"healthy": False}


# -- priorities --------------------------------------------------------------------------------------------------------


def test_the_first_priority_gets_all_while_it_is_healthy_enough(balanced):
    assert set(balanced([P0, P0, P0, P0 | OUT, P1]).picks(300)) == {0, 1, 2}


def test_fail_over_in_part(balanced):
    """Half of four: 70 %."""
    made = balanced([P0, P0, P0 | OUT, P0 | OUT, P1])
    shares = made.shares(6_000)
    assert shares[4] == pytest.approx(0.3, abs=0.025)
    assert shares[0] == pytest.approx(0.35, abs=0.025)
    assert {2, 3}.isdisjoint(shares)


def test_fail_over_and_back(balanced):
    made = balanced([P0, P0, P1])
    for host in (0, 1):
        assert made.host(host).mark(Health.EJECTED, True)
    made.cluster.refresh()
    assert set(made.picks(100)) == {2}
    assert made.host(0).mark(Health.EJECTED, False)
    made.cluster.refresh()
    assert set(made.picks(300)) == {0, 2}
    made.host(1).mark(Health.EJECTED, False)
    made.cluster.refresh()
    assert set(made.picks(100)) == {0, 1}


def test_a_priority_that_nobody_has(balanced):
    assert set(balanced([{"priority": 3}, {"priority": 3}]).picks(10)) == {0, 1}


def test_all_are_asked_in_panic(balanced):
    made = balanced([P0, P0 | OUT, P0 | OUT])
    assert set(made.picks(30)) == {0, 1, 2}
    assert set(balanced([P0, P0 | OUT, P0 | OUT], panic_threshold=30).picks(30)) == {0}
    assert balanced([P0, P0 | OUT, P0 | OUT], fail_on_panic=True).picks(3) == [None] * 3
    assert balanced([P0 | OUT], panic_threshold=0).picks(3) == [None] * 3


@pytest.mark.parametrize("policy", ["ring_hash", "maglev"])
def test_a_key_has_its_priority(balanced, policy):
    made = balanced([P0, P0 | OUT, P1, P1], policy=policy, table_size=1009, panic_threshold=0)
    keys = [xxh64(b"%d" % i) for i in range(1_000)]
    placed = [made.pick(key=key) for key in keys]
    assert placed == [made.pick(key=key) for key in keys]
    assert placed.count(0) / 1_000 == pytest.approx(0.7, abs=0.06)
    assert all((key % 100 < 70) == (place == 0) for key, place in zip(keys, placed, strict=True)), "as Envoy"


def test_degraded_hosts_help_out(balanced):
    made = balanced([P0, {"degraded": True}, {"degraded": True}, {"degraded": True}])
    shares = made.shares(6_000)
    assert shares[0] == pytest.approx(0.35, abs=0.025)
    assert set(balanced([P0, P0, P0, {"degraded": True}]).picks(100)) == {0, 1, 2}


# -- localities --------------------------------------------------------------------------------------------------------

A, B = {"locality": 0}, {"locality": 1}


def test_localities_by_weight(balanced):
    made = balanced([A, A, A, B], weights=(1, 3), locality_weighted=True)
    shares = made.shares(4_000)
    assert shares[3] == pytest.approx(0.75, abs=0.001)
    assert all(shares[i] == pytest.approx(1 / 12, abs=0.001) for i in range(3))


def test_localities_do_not_count_unless_configured(balanced):
    assert balanced([A, A, A, B], weights=(1, 3)).shares(400)[3] == 0.25


def test_a_locality_counts_in_full_while_enough_of_it_is_available(balanced):
    """5 of 7 hosts and 1.4 times that: all of it. 4 of 8: 0.7."""
    seven = [A] * 5 + [A | OUT] * 2 + [B]
    assert balanced(seven, weights=(1, 1), locality_weighted=True).shares(4_000)[7] == pytest.approx(0.5, abs=0.001)
    eight = [A] * 4 + [A | OUT] * 4 + [B]
    shares = balanced(eight, weights=(1, 1), locality_weighted=True).shares(4_000)
    assert shares[8] == pytest.approx(1 / 1.7, abs=0.002)


def test_a_locality_without_weight_gets_nothing(balanced):
    assert set(balanced([A, B], weights=(0, 1), locality_weighted=True).picks(50)) == {1}
    assert set(balanced([A, B], weights=(0, 0), locality_weighted=True).picks(50)) == {0, 1}, "none has any"


def test_localities_of_a_hash(balanced):
    made = balanced([A, A, B], weights=(1, 3), locality_weighted=True, policy="maglev", table_size=2003)
    shares = made.shares(4_000)
    assert shares[2] == pytest.approx(0.75, abs=0.03)


# -- subsets -----------------------------------------------------------------------------------------------------------

HOSTS = [
    {"metadata": {"version": "v1", "stage": "prod"}},
    {"metadata": {"version": "v1", "stage": "dev"}},
    {"metadata": {"version": "v2", "stage": "prod"}},
    {"metadata": {}},
]
V1, V2, V3 = ((("version", v),) for v in ("v1", "v2", "v3"))
PROD_V2 = (("stage", "prod"), ("version", "v2"))
PROD_V3 = (("stage", "prod"), ("version", "v3"))
BY_VERSION = SubsetSelector(["version"])


def chosen(made, subset):
    return set(made.picks(60, subset=subset))


@pytest.mark.parametrize(
    ("fallback", "default", "expected"),
    [
        ("none", {}, {None}),
        ("any", {}, {0, 1, 2, 3}),
        ("default", {"stage": "prod"}, {0, 2}),
        ("default", {"stage": "nowhere"}, {None}),
        ("default", {}, {0, 1, 2, 3}),
    ],
)
def test_subsets_and_their_fallback(balanced, fallback, default, expected):
    made = balanced(HOSTS, subsets=Subsets([BY_VERSION], fallback, default))
    assert chosen(made, V1) == {0, 1}
    assert chosen(made, V2) == {2}
    for no_such in (V3, None, (("stage", "prod"),), PROD_V2):
        assert chosen(made, no_such) == expected


def test_a_selector_has_a_fallback_of_its_own(balanced):
    by_both = SubsetSelector(["stage", "version"], "keys", ["stage"])
    by_stage = SubsetSelector(["stage"], "none")
    made = balanced(HOSTS, subsets=Subsets([by_both, by_stage, BY_VERSION], "any"))
    assert chosen(made, PROD_V2) == {2}
    assert chosen(made, PROD_V3) == {0, 2}, "what is left is looked for: stage prod"
    assert chosen(made, (("stage", "nowhere"), ("version", "v1"))) == {None}
    assert chosen(made, V3) == {0, 1, 2, 3}


def test_a_subset_that_is_down_does_not_fall_back(balanced):
    down = [{**HOSTS[0], **OUT}, {**HOSTS[1], **OUT}, *HOSTS[2:]]
    made = balanced(down, subsets=Subsets([BY_VERSION], "any"), panic_threshold=0)
    assert chosen(made, V1) == {None}
    made = balanced(down, subsets=Subsets([BY_VERSION], "any"))
    assert chosen(made, V1) == {0, 1}, "in panic"


def test_any_host_where_the_fallback_has_none(balanced):
    wanted = Subsets([BY_VERSION], "default", {"stage": "dev"}, panic_any=True)
    made = balanced([HOSTS[0], {**HOSTS[1], **OUT}], subsets=wanted, panic_threshold=0)
    assert chosen(made, None) == {0}


def test_a_subset_has_priorities_and_weights_of_its_own(balanced):
    hosts = [{**HOSTS[0], **OUT}, {**HOSTS[1], "priority": 1, "weight": 3}, {**HOSTS[0], "priority": 1}, HOSTS[2]]
    made = balanced(hosts, subsets=Subsets([BY_VERSION]), panic_threshold=0)
    assert made.shares(400, subset=V1) == {1: 0.75, 2: 0.25}


def test_what_failed_is_avoided_within_the_subset(balanced):
    made = balanced(HOSTS, subsets=Subsets([BY_VERSION], "any"))
    assert set(made.picks(20, subset=V1, tried=[made.host(0)])) == {1}
    assert set(made.picks(20, subset=V2, tried=[made.host(2)])) == {2}


# -- slow start --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("policy", ["round_robin", "least_request"])
def test_a_new_host_starts_slowly(balanced, policy):
    made = balanced(2, policy=policy, slow_start=SlowStart(10_000))
    made.loop.run(10_001)
    made.assign([{}] * 3)
    made.loop.run(2_000)
    assert made.shares(1_000)[2] == pytest.approx(0.2 / 2.2, abs=0.01)
    made.loop.run(3_000)
    assert made.shares(1_000)[2] == pytest.approx(0.5 / 2.5, abs=0.01)
    made.loop.run(6_000)
    assert made.shares(1_000)[2] == pytest.approx(1 / 3, abs=0.01)


def test_it_starts_with_a_part_that_is_configured(balanced):
    made = balanced(1, slow_start=SlowStart(10_000, 1.0, 0.25))
    made.loop.run(10_001)
    made.assign([{}] * 2)
    assert made.shares(1_000)[1] == pytest.approx(0.25 / 1.25, abs=0.01)


def test_aggression(balanced):
    """After a quarter of the window with aggression 2: the square root of a quarter."""
    made = balanced(1, slow_start=SlowStart(10_000, 2.0))
    made.loop.run(10_001)
    made.assign([{}] * 2)
    made.loop.run(2_500)
    assert made.shares(1_000)[1] == pytest.approx(0.5 / 1.5, abs=0.01)


def test_a_host_whose_checks_pass_again_starts_slowly(balanced):
    made = balanced(2, slow_start=SlowStart(10_000))
    made.loop.run(10_001)
    made.host(1).mark(Health.CHECK_FAILED, True)
    made.cluster.refresh()
    made.host(1).mark(Health.CHECK_FAILED, False)
    made.cluster.refresh()
    made.loop.run(1_000)
    assert made.shares(1_000)[1] == pytest.approx(0.1 / 1.1, abs=0.01)


# -- health of many ----------------------------------------------------------------------------------------------------


def test_many_hosts_are_balanced_anew_in_slices_and_those_that_fail_are_passed_over_meanwhile(balanced):
    made = balanced(1_000)
    before = made.cluster.balancer
    for name in range(500):
        made.host(name).mark(Health.EJECTED, True)
    made.cluster.refresh()
    assert made.cluster.balancer is before
    assert min(made.picks(200)) >= 500
    made.loop.run(1_000)
    assert made.cluster.balancer is not before
    assert set(made.picks(500)) == set(range(500, 1_000))


def test_what_changes_while_they_are_balanced_anew_counts(balanced):
    made = balanced(1_000)
    made.host(0).mark(Health.EJECTED, True)
    made.cluster.refresh()
    made.assign([{"name": name} for name in range(500)])
    assert set(made.picks(499)) == set(range(1, 500))
    made.host(0).mark(Health.EJECTED, False)
    made.cluster.refresh()
    made.host(1).mark(Health.EJECTED, True)
    made.cluster.refresh()
    made.loop.run(1_000)
    assert set(made.picks(499)) == {0, *range(2, 500)}


def test_a_change_that_was_prepared_before_a_host_failed(balanced):
    """The host is out, and comes back when it is well."""
    made = balanced(3)
    change = Membership(made.cluster, made.cluster.assignment, made.settings)
    for _ in change.prepare():
        pass
    made.host(1).mark(Health.EJECTED, True)
    made.cluster.refresh()
    assert made.cluster.adopt(change) == []
    assert set(made.picks(10)) == {0, 2}


def test_an_endpoint_change_does_not_reach_hosts_before_it_is_adopted(balanced):
    made = balanced(3)
    hosts = list(made.cluster.hosts)
    endpoints = [hosts[0].endpoint._replace(weight=3), hosts[1].endpoint, hosts[1].endpoint._replace(port=81)]
    change = Membership(made.cluster, Assignment(endpoints), made.settings)
    for _ in change.prepare():
        pass
    assert made.cluster.hosts == hosts
    assert (hosts[0].weight, hosts[2].retired) == (1, False)
    assert made.cluster.adopt(change) == [hosts[2]]
    assert made.cluster.hosts[:2] == hosts[:2], "hosts that stay are the same objects, with their connections"
    assert hosts[0].weight == 3
    assert made.cluster.hosts[2].port == 81
