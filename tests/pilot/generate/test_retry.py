from __future__ import annotations

from typing import Any

from tests.pilot.samples import destination_rule, routes_of

TO = "route: [{destination: {host: reviews}}]"
HASHED = destination_rule("{host: reviews, trafficPolicy: {loadBalancer: {consistentHash: {httpHeaderName: x}}}}")


def policy(retries: str, *texts: str) -> dict[str, Any]:
    (route,) = routes_of(f"[{{retries: {retries}, {TO}}}]", *texts)
    made: dict[str, Any] = route["route"]["retry_policy"]
    return made


def predicates(made: dict[str, Any]) -> list[str]:
    return [predicate["name"] for predicate in made.get("retry_host_predicate", ())]


def test_another_host_first_unless_told_otherwise():
    other = ["envoy.retry_host_predicates.previous_hosts"]
    assert predicates(policy("{attempts: 1}")) == other
    assert predicates(policy("{attempts: 1, retryIgnorePreviousHosts: true}")) == other
    assert predicates(policy("{attempts: 1, retryIgnorePreviousHosts: false}")) == []


def test_a_hashed_request_stays_with_its_host_unless_told_otherwise():
    assert predicates(policy("{attempts: 1}", HASHED)) == []
    assert predicates(policy("{attempts: 1, retryIgnorePreviousHosts: true}", HASHED)) != []
    (route,) = routes_of(f"[{{{TO}}}]", HASHED)
    assert predicates(route["route"]["retry_policy"]) == []


def test_backoff():
    assert "retry_back_off" not in policy("{attempts: 1}")
    assert policy("{attempts: 1, backoff: 50ms}")["retry_back_off"] == {"base_interval": "0.050s"}
