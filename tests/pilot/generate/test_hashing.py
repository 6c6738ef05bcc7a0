from __future__ import annotations

from typing import Any

import pytest

from tage.pilot.generate import Caller, routes
from tests.pilot.samples import REVIEWS, destination_rule, plain, routes_of, snapshot


def rule(hash: str) -> str:
    return destination_rule(f"{{host: reviews, trafficPolicy: {{loadBalancer: {{consistentHash: {hash}}}}}}}")


@pytest.mark.parametrize(
    ("hash", "expected"),
    [
        ("{httpHeaderName: X-User}", {"header": {"header_name": "X-User"}}),
        ("{useSourceIp: true}", {"connection_properties": {"source_ip": True}}),
        ("{httpQueryParameterName: user}", {"query_parameter": {"name": "user"}}),
        ("{httpCookie: {name: user}}", {"cookie": {"name": "user"}}),
        ("{httpCookie: {name: user, path: /a, ttl: 0s}}", {"cookie": {"name": "user", "path": "/a", "ttl": "0s"}}),
        (
            "{httpCookie: {name: user, ttl: 1h, attributes: [{name: SameSite, value: Strict}, {name: Secure}]}}",
            {
                "cookie": {
                    "name": "user",
                    "ttl": "3600s",
                    "attributes": [{"name": "SameSite", "value": "Strict"}, {"name": "Secure"}],
                }
            },
        ),
    ],
)
def test_keys(hash: str, expected: dict[str, Any]):
    (route,) = routes_of("[{route: [{destination: {host: reviews}}]}]", rule(hash))
    assert route["route"]["hash_policy"] == [expected]


def test_a_service_without_rules_is_hashed_too():
    config = routes.outbound(snapshot(rule("{httpHeaderName: x}")), Caller())
    (host,) = (host for host in config.virtual_hosts if host.name == f"{REVIEWS.fqdn}:80")
    action = plain(host.routes[0])["route"]
    assert action["hash_policy"] == [{"header": {"header_name": "x"}}]
    assert "retry_host_predicate" not in action["retry_policy"]


def test_destinations_that_hash_by_one_key_give_one_policy():
    text = destination_rule(
        "{host: reviews, trafficPolicy: {loadBalancer: {consistentHash: {httpHeaderName: x}}}, subsets: ["
        "{name: a}, {name: b}, {name: c, trafficPolicy: {loadBalancer: {consistentHash: {httpHeaderName: y}}}},"
        "{name: d, trafficPolicy: {loadBalancer: {simple: RANDOM}}}]}"
    )
    shares = ", ".join(f"{{destination: {{host: reviews, subset: {name}}}, weight: 1}}" for name in "abcd")
    (route,) = routes_of(f"[{{route: [{shares}]}}]", text)
    assert route["route"]["hash_policy"] == [{"header": {"header_name": "x"}}, {"header": {"header_name": "y"}}]


def test_the_key_of_the_port_comes_first():
    text = destination_rule(
        "{host: reviews, trafficPolicy: {loadBalancer: {simple: RANDOM}, portLevelSettings: ["
        "{port: {number: 80}, loadBalancer: {consistentHash: {httpHeaderName: x}}},"
        "{port: {number: 81}, loadBalancer: {consistentHash: {httpHeaderName: y}}}]}}"
    )
    (route,) = routes_of("[{route: [{destination: {host: reviews}}]}]", text)
    assert route["route"]["hash_policy"] == [{"header": {"header_name": "x"}}]


def test_without_a_hash_there_is_none():
    (route,) = routes_of("[{route: [{destination: {host: reviews}}]}]", destination_rule())
    assert "hash_policy" not in route["route"]
