from __future__ import annotations

import pytest
import re2
from envoy.config.route.v3.route_components_pb2 import Route, VirtualHost
from google.protobuf.json_format import MessageToDict

from tage.pilot.generate import Caller, retry, routes
from tage.registry.model import Service
from tests.pilot.samples import RATINGS, REVIEWS, SUBSETS, routing, snapshot

CLUSTER = f"outbound|80||{REVIEWS.fqdn}"


def hosts(*texts: str, namespace: str = "default", **more: object) -> dict[str, VirtualHost]:
    config = routes.outbound(snapshot(*texts, **more), Caller(namespace))  # type: ignore[arg-type]
    domains = [domain.lower() for host in config.virtual_hosts for domain in host.domains]
    assert len(domains) == len(set(domains)), "Envoy refuses a domain that stands twice"
    return {host.name: host for host in config.virtual_hosts}


def made(http: str, *texts: str) -> list[Route]:
    return list(hosts(routing(http), *texts)[f"{REVIEWS.fqdn}:80"].routes)


def test_domains_depend_on_the_callers_namespace():
    found = hosts()
    assert set(found[f"{REVIEWS.fqdn}:80"].domains) == {
        name + port
        for name in ("reviews", "reviews.default", "reviews.default.svc", "reviews.default.svc.cluster.local")
        for port in ("", ":80")
    }
    assert "ratings" not in found[f"{RATINGS.fqdn}:9080"].domains
    assert "ratings:9080" in hosts(namespace="other")[f"{RATINGS.fqdn}:9080"].domains


def test_default_route_and_istios_default_retries():
    (route,) = hosts()[f"{REVIEWS.fqdn}:80"].routes
    assert route.name == "default"
    assert route.match.prefix == "/"
    assert route.route.cluster == CLUSTER
    assert route.route.HasField("timeout")
    assert route.route.timeout.ToMilliseconds() == 0
    assert MessageToDict(route.route.retry_policy, preserving_proto_field_name=True) == {
        "retry_on": "connect-failure,refused-stream,unavailable,cancelled,retriable-status-codes",
        "num_retries": 2,
        "retriable_status_codes": [503],
        "host_selection_retry_max_attempts": "5",
        "retry_host_predicate": [
            {
                "name": "envoy.retry_host_predicates.previous_hosts",
                "typed_config": {
                    "@type": "type.googleapis.com/envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate"
                },
            }
        ],
    }


def test_matches():
    first, second, third = made(
        """
  - name: all
    match:
    - {uri: {exact: /a}, method: {exact: GET}}
    - {name: second, uri: {regex: "/b[0-9]+"}, headers: {z: {prefix: p}, a: {exact: e}, r: {regex: "x|y"}, any: {}}}
    - {uri: {prefix: /c}}
    route: [{destination: {host: reviews}}]
"""
    )
    assert [first.name, second.name, third.name] == ["all", "all.second", "all"]
    assert first.match.path == "/a"
    assert (first.match.headers[0].name, first.match.headers[0].string_match.exact) == (":method", "GET")
    assert second.match.safe_regex.regex == "/b[0-9]+"
    assert re2.fullmatch(second.match.safe_regex.regex, "/b12")
    any_, a, r, z = sorted(second.match.headers, key=lambda h: (h.name != "any", h.name))
    assert any_.present_match
    assert a.string_match.exact == "e"
    assert r.string_match.safe_regex.regex == "x|y"
    assert z.string_match.prefix == "p"
    assert third.match.prefix == "/c"


def test_order_of_headers_does_not_change_the_bytes():
    one = made("[{match: [{headers: {a: {}, b: {}}}], route: [{destination: {host: reviews}}]}]")
    other = made("[{match: [{headers: {b: {}, a: {}}}], route: [{destination: {host: reviews}}]}]")
    assert one == other


def test_weights():
    (route,) = made(
        """
  - route:
    - {destination: {host: reviews, subset: v1}, weight: 90}
    - {destination: {host: reviews, subset: v2}, weight: 10}
    - {destination: {host: reviews}, weight: 0}
""",
        SUBSETS,
    )
    shares = [(c.name.split("|")[2], c.weight.value) for c in route.route.weighted_clusters.clusters]
    assert shares == [("v1", 90), ("v2", 10)]


def test_timeout_and_retries():
    (route,) = made(
        """
  - timeout: 1.5s
    retries: {attempts: 3, perTryTimeout: 250ms, retryOn: "503, reset,504"}
    route: [{destination: {host: reviews}}]
"""
    )
    assert route.route.timeout.ToMilliseconds() == 1500
    retry = route.route.retry_policy
    assert retry.num_retries.value == 3
    assert retry.per_try_timeout.ToMilliseconds() == 250
    assert retry.retry_on == "reset,retriable-status-codes"
    assert list(retry.retriable_status_codes) == [503, 504]


def test_retries_keep_the_default_conditions_unless_told():
    (route,) = made("[{retries: {attempts: 5}, route: [{destination: {host: reviews}}]}]")
    assert route.route.retry_policy.retry_on == ",".join(retry.ON)
    assert list(route.route.retry_policy.retriable_status_codes) == [503]


def test_zero_attempts_switch_retries_off():
    (route,) = made("[{retries: {attempts: 0}, route: [{destination: {host: reviews}}]}]")
    assert not route.route.HasField("retry_policy")


def test_an_unknown_destination_keeps_its_cluster_name():
    (route,) = made("[{route: [{destination: {host: gone}}]}]")
    assert route.route.cluster == "outbound|80||gone.default.svc.cluster.local"


def test_a_host_that_is_no_service_gets_its_own_virtual_host():
    host = hosts(routing(hosts="[shop.example.com, '*.shop.example.com']"))
    assert list(host["shop.example.com:80"].domains) == ["shop.example.com", "shop.example.com:80"]
    assert list(host["*.shop.example.com:80"].domains) == ["*.shop.example.com", "*.shop.example.com:80"]
    assert host["shop.example.com:80"].routes[0].route.cluster == CLUSTER
    assert host[f"{REVIEWS.fqdn}:80"].routes[0].name == "default"


def test_a_short_host_that_is_no_service_is_one_of_its_namespace():
    host = hosts(routing(hosts="[virtual]"))["virtual.default.svc.cluster.local:80"]
    assert {"virtual", "virtual.default", "virtual:80"} <= set(host.domains)


@pytest.mark.parametrize("name", ["REVIEWS.default.svc.cluster.local", "reviews.default"])
def test_no_domain_stands_twice(name: str):
    hosts(routing(name="other", hosts=f"[{name}]"), routing())


def test_order_of_services_does_not_change_the_bytes():
    a, b = Service("a"), Service("b")
    one, other = (routes.outbound(snapshot(services=order), Caller()) for order in ((a, b), (b, a)))
    assert one.SerializeToString(deterministic=True) == other.SerializeToString(deterministic=True)
