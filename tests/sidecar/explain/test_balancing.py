"""Which endpoints a request may get, by the data plane's balancers."""

from __future__ import annotations

import pytest

from tage.sidecar import plan
from tests.sidecar.explain.plans import ask, cluster, match, sections, to, web

SUBSETS = plan.LoadBalancing(subsets=plan.Subsets([plan.SubsetSelector(["version"])]))


def endpoint(last, **fields):
    return plan.Endpoint(f"127.0.0.{last}", 80, **fields)


def answer(*endpoints, headers=(), route=None, **fields):
    rule = plan.Route(match(), "r", to("c"), **(route or {}))
    return ask(sections(*web(rule), *cluster("c", *endpoints, **fields)), "http://x/", *headers)


def states(found):
    return [(each.usable, each.state) for each in found.clusters[0].endpoints]


def test_too_few_are_healthy():
    found = answer(endpoint(1), endpoint(2, healthy=False), endpoint(3, healthy=False))
    used = "unhealthy, as the control plane says; used all the same, for too few are healthy"
    assert states(found) == [(True, "healthy"), (True, used), (True, used)]
    assert answer(endpoint(1, healthy=False)).served
    calm = answer(endpoint(1, healthy=False), lb=plan.LoadBalancing(panic_threshold=0))
    assert (calm.served, calm.outcome.text) == (False, "503, flag UH: none of its endpoints is healthy")


def test_priorities():
    found = answer(endpoint(1), endpoint(2, priority=1))
    assert states(found) == [(True, "healthy"), (False, "healthy; gets no such request")]
    found = answer(endpoint(1, healthy=False), endpoint(2, priority=1))
    assert [usable for usable, _ in states(found)] == [False, True]


@pytest.mark.parametrize(
    ("version", "used", "served"),
    [("1", [True, False], True), ("2", [False, True], True), ("3", [False, False], False)],
)
def test_subsets(version, used, served):
    endpoints = [endpoint(1, metadata={"version": "1"}), endpoint(2, metadata={"version": "2"})]
    found = answer(*endpoints, lb=SUBSETS, route={"metadata_match": {"version": version}})
    assert [usable for usable, _ in states(found)] == used
    assert (found.served, found.clusters[0].subset) == (served, {"version": version})
    if not served:
        assert found.outcome.text == "503, flag UH: no endpoint is in the subset version=3"


def test_two_shares_of_one_cluster():
    clusters = [plan.WeightedCluster("c", 1, metadata_match={"version": v}) for v in ("1", "3")]
    rule = plan.Route(match(), "r", clusters)
    given = sections(*web(rule), *cluster("c", endpoint(1, metadata={"version": "1"}), lb=SUBSETS))
    found = ask(given)
    assert [(each.name, each.subset, bool(each.problem)) for each in found.clusters] == [
        ("c", {"version": "1"}, False),
        ("c", {"version": "3"}, True),
    ]
    assert found.outcome.text.startswith("the request goes on, but for 50 % of them: 503")


HASHED = {"hash_policies": [plan.HashPolicy("header", "x-user")]}


@pytest.mark.parametrize("policy", ["ring_hash", "maglev"])
def test_a_hash_leads_to_one_endpoint(policy):
    endpoints = [endpoint(last) for last in range(1, 10)]

    def led(*headers, lb=policy):
        found = answer(*endpoints, headers=headers, route=HASHED, lb=plan.LoadBalancing(lb))
        return found.route.shares[0].endpoint

    assert led() == "", "there is nothing to hash"
    assert led("x-user: 1", lb="round_robin") == "", "the policy does not look at it"
    leads = {user: led(f"x-user: {user}") for user in range(20)}
    assert leads == {user: led(f"x-user: {user}") for user in range(20)}
    assert len(set(leads.values())) > 3


def test_a_cookie_that_is_made_leads_nowhere_yet():
    made = {"hash_policies": [plan.HashPolicy("cookie", "id", ttl=60)]}
    lb = plan.LoadBalancing("maglev")
    assert answer(endpoint(1), endpoint(2), route=made, lb=lb).route.shares[0].endpoint == ""
    found = answer(endpoint(1), endpoint(2), headers=("cookie: id=a",), route=made, lb=lb)
    assert found.route.shares[0].endpoint in ("127.0.0.1:80", "127.0.0.2:80")
