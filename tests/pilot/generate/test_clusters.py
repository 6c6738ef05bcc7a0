from __future__ import annotations

import dataclasses

import pytest
from envoy.config.cluster.v3.cluster_pb2 import Cluster
from google.protobuf.json_format import MessageToDict

from tage.pilot.generate import Caller, clusters
from tests.pilot.samples import NODE, REVIEWS, SUBSETS, snapshot


def outbound(*texts: str) -> dict[str, Cluster]:
    mesh = snapshot(*texts)
    return {c.name: c for c in clusters.outbound(REVIEWS, mesh.rule(REVIEWS, Caller()))}


def test_a_cluster_for_the_service_and_one_for_each_subset():
    made = outbound(SUBSETS)
    assert list(made) == [
        f"outbound|80||{REVIEWS.fqdn}",
        f"outbound|80|v1|{REVIEWS.fqdn}",
        f"outbound|80|v2|{REVIEWS.fqdn}",
    ]
    for name, cluster in made.items():
        assert cluster.type == Cluster.EDS
        assert cluster.eds_cluster_config.service_name == name
        assert cluster.eds_cluster_config.eds_config.HasField("ads")
        assert cluster.connect_timeout.seconds == 10
        (limits,) = cluster.circuit_breakers.thresholds
        assert {limits.max_connections.value, limits.max_retries.value, limits.max_requests.value} == {2**32 - 1}


def test_istio_metadata():
    made = outbound(SUBSETS)
    istio = MessageToDict(made[f"outbound|80|v1|{REVIEWS.fqdn}"].metadata)["filterMetadata"]["istio"]
    assert istio["services"] == [{"host": REVIEWS.fqdn, "name": "reviews", "namespace": "default"}]
    assert istio["subset"] == "v1"
    assert istio["config"].endswith("/namespaces/default/destination-rule/reviews")


@pytest.mark.parametrize(
    ("simple", "policy"),
    [
        ("UNSPECIFIED", Cluster.LEAST_REQUEST),
        ("LEAST_REQUEST", Cluster.LEAST_REQUEST),
        ("LEAST_CONN", Cluster.LEAST_REQUEST),
        ("ROUND_ROBIN", Cluster.ROUND_ROBIN),
        ("RANDOM", Cluster.RANDOM),
    ],
)
def test_load_balancing(simple: str, policy: int):
    rule = SUBSETS + f"  trafficPolicy: {{loadBalancer: {{simple: {simple}}}}}\n"
    assert {c.lb_policy for c in outbound(rule).values()} == {policy}


def test_a_subsets_own_policy_comes_first():
    rule = """
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: reviews}
spec:
  host: reviews
  trafficPolicy: {loadBalancer: {simple: RANDOM}}
  subsets:
  - {name: v1, trafficPolicy: {loadBalancer: {simple: ROUND_ROBIN}}}
"""
    assert [c.lb_policy for c in outbound(rule).values()] == [Cluster.RANDOM, Cluster.ROUND_ROBIN]


def test_without_a_rule_the_policy_is_least_request():
    assert [c.lb_policy for c in outbound().values()] == [Cluster.LEAST_REQUEST]


def test_inbound():
    (cluster,) = clusters.inbound(NODE)
    assert cluster.name == "inbound|8080||"
    assert cluster.type == Cluster.STATIC
    address = cluster.load_assignment.endpoints[0].lb_endpoints[0].endpoint.address.socket_address
    assert (address.address, address.port_value) == ("127.1.0.1", 8080)


@pytest.mark.parametrize("missing", [{"service": ""}, {"app_port": 0}, {"app_address": ""}])
def test_no_inbound_without_an_application(missing: dict[str, object]):
    assert list(clusters.inbound(dataclasses.replace(NODE, **missing))) == []  # type: ignore[arg-type]
