from __future__ import annotations

from typing import Any

import msgspec
import pytest

from tage.pilot.generate import Caller, clusters
from tests.pilot.samples import REVIEWS, destination_rule, plain, snapshot

HTTP_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
NO_LIMIT = 2**32 - 1


def made(spec: str, protocol: str = "http") -> dict[str, dict[str, Any]]:
    """The clusters of `reviews` by subset."""
    mesh = snapshot(destination_rule(spec))
    built = clusters.outbound(msgspec.structs.replace(REVIEWS, protocol=protocol), mesh.rule(REVIEWS, Caller()))
    return {cluster.name.split("|")[2]: plain(cluster) for cluster in built}


def cluster(policy: str, protocol: str = "http") -> dict[str, Any]:
    return made(f"{{host: reviews, trafficPolicy: {policy}}}", protocol)[""]


def limits(policy: str) -> dict[str, Any]:
    (thresholds,) = cluster(policy)["circuit_breakers"]["thresholds"]
    return {name: value for name, value in thresholds.items() if value != NO_LIMIT}


def http_options(policy: str, protocol: str = "http") -> dict[str, Any] | None:
    options: dict[str, Any] | None = cluster(policy, protocol).get("typed_extension_protocol_options")
    if options is None:
        return None
    return {name: value for name, value in options[HTTP_OPTIONS].items() if name != "@type"}


@pytest.mark.parametrize(
    ("pool", "expected"),
    [
        ("{tcp: {maxConnections: 7}}", {"max_connections": 7}),
        ("{http: {http1MaxPendingRequests: 7}}", {"max_pending_requests": 7}),
        ("{http: {http2MaxRequests: 7}}", {"max_requests": 7}),
        ("{http: {maxRetries: 7}}", {"max_retries": 7}),
        ("{http: {maxRetries: 0}}", {}),
    ],
)
def test_limits(pool: str, expected: dict[str, Any]):
    assert limits(f"{{connectionPool: {pool}}}") == expected


@pytest.mark.parametrize(
    ("pool", "expected"),
    [
        ("{tcp: {maxConnectionDuration: 1h}}", {"max_connection_duration": "3600s"}),
        ("{tcp: {idleTimeout: 30s}}", {"idle_timeout": "30s"}),
        ("{tcp: {idleTimeout: 30s}, http: {idleTimeout: 10s}}", {"idle_timeout": "10s"}),
        ("{http: {maxRequestsPerConnection: 3}}", {"max_requests_per_connection": 3}),
    ],
)
def test_pooled_connections(pool: str, expected: dict[str, Any]):
    assert http_options(f"{{connectionPool: {pool}}}") == {
        "common_http_protocol_options": expected, "explicit_http_config": {"http_protocol_options": {}},
    }  # fmt: skip


def test_the_clients_protocol():
    assert http_options("{connectionPool: {http: {useClientProtocol: true}}}") == {
        "use_downstream_protocol_config": {"http_protocol_options": {}, "http2_protocol_options": {}}
    }


@pytest.mark.parametrize(
    ("protocol", "http", "expected"),
    [
        ("http2", "{}", {"explicit_http_config": {"http2_protocol_options": {}}}),
        ("grpc", "{h2UpgradePolicy: DO_NOT_UPGRADE}", {"explicit_http_config": {"http2_protocol_options": {}}}),
        ("http", "{h2UpgradePolicy: UPGRADE}", {"explicit_http_config": {"http2_protocol_options": {}}}),
        (
            "http",
            "{h2UpgradePolicy: UPGRADE, maxConcurrentStreams: 7}",
            {"explicit_http_config": {"http2_protocol_options": {"max_concurrent_streams": 7}}},
        ),
        (
            "grpc",
            "{idleTimeout: 1s}",
            {
                "common_http_protocol_options": {"idle_timeout": "1s"},
                "explicit_http_config": {"http2_protocol_options": {}},
            },
        ),
        (
            "grpc",
            "{useClientProtocol: true, h2UpgradePolicy: UPGRADE, maxConcurrentStreams: 7}",
            {
                "use_downstream_protocol_config": {
                    "http_protocol_options": {},
                    "http2_protocol_options": {"max_concurrent_streams": 7},
                }
            },
        ),
        ("http", "{maxConcurrentStreams: 7}", None),
        ("tcp", "{h2UpgradePolicy: UPGRADE}", None),
        ("bolt", "{h2UpgradePolicy: UPGRADE, useClientProtocol: true}", None),
    ],
)
def test_http2(protocol: str, http: str, expected: dict[str, Any] | None):
    assert http_options(f"{{connectionPool: {{http: {http}}}}}", protocol) == expected


def test_nothing_is_said_unless_it_is_asked_for():
    plain_cluster = cluster("{connectionPool: {http: {h2UpgradePolicy: DO_NOT_UPGRADE}}, tls: {mode: DISABLE}}")
    assert {"typed_extension_protocol_options", "outlier_detection", "transport_socket", "common_lb_config",
            "upstream_connection_options"}.isdisjoint(plain_cluster)  # fmt: skip


def test_connect_timeout_and_keepalive():
    built = cluster(
        "{connectionPool: {tcp: {connectTimeout: 250ms, tcpKeepalive: {probes: 3, time: 2h, interval: 75s}}}}"
    )
    assert built["connect_timeout"] == "0.250s"
    assert built["upstream_connection_options"]["tcp_keepalive"] == {
        "keepalive_probes": 3, "keepalive_time": 7200, "keepalive_interval": 75,
    }  # fmt: skip


def test_retry_budget():
    assert limits("{retryBudget: {}}")["retry_budget"] == {
        "budget_percent": {"value": 20.0},
        "min_retry_concurrency": 3,
    }
    assert limits("{retryBudget: {percent: 0.5, minRetryConcurrency: 9}}")["retry_budget"] == {
        "budget_percent": {"value": 0.5}, "min_retry_concurrency": 9,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("outlier", "expected"),
    [
        ("{}", {}),
        ("{consecutive5xxErrors: 7}", {"consecutive_5xx": 7, "enforcing_consecutive_5xx": 100}),
        ("{consecutive5xxErrors: 0}", {"consecutive_5xx": 0, "enforcing_consecutive_5xx": 0}),
        (
            "{consecutiveGatewayErrors: 3}",
            {"consecutive_gateway_failure": 3, "enforcing_consecutive_gateway_failure": 100},
        ),
        (
            "{splitExternalLocalOriginErrors: true, consecutiveLocalOriginFailures: 2}",
            {
                "split_external_local_origin_errors": True,
                "consecutive_local_origin_failure": 2,
                "enforcing_consecutive_local_origin_failure": 100,
                "enforcing_local_origin_success_rate": 0,
            },
        ),
        (
            "{interval: 1s, baseEjectionTime: 3m, maxEjectionPercent: 100}",
            {"interval": "1s", "base_ejection_time": "180s", "max_ejection_percent": 100},
        ),
    ],
)
def test_outlier_detection(outlier: str, expected: dict[str, Any]):
    built = cluster(f"{{outlierDetection: {outlier}}}")
    assert built["outlier_detection"] == {"enforcing_success_rate": 0, **expected}
    assert built["common_lb_config"] == {"healthy_panic_threshold": {}}


def test_min_health_percent():
    built = cluster("{outlierDetection: {minHealthPercent: 40}}")
    assert built["common_lb_config"] == {"healthy_panic_threshold": {"value": 40.0}}


@pytest.mark.parametrize(("protocol", "version"), [("{}", None), ("{version: V1}", None), ("{version: V2}", "V2")])
def test_proxy_protocol(protocol: str, version: str | None):
    socket = cluster(f"{{proxyProtocol: {protocol}}}")["transport_socket"]
    assert socket["name"] == "envoy.transport_sockets.upstream_proxy_protocol"
    assert socket["typed_config"]["config"] == ({"version": version} if version else {})
    assert socket["typed_config"]["transport_socket"]["name"] == "envoy.transport_sockets.raw_buffer"


def test_what_a_subset_says_takes_the_rules_place_field_by_field():
    built = made("""
  host: reviews
  trafficPolicy:
    loadBalancer: {simple: RANDOM}
    connectionPool: {tcp: {maxConnections: 7}, http: {maxRetries: 8}}
    retryBudget: {}
  subsets:
  - {name: v1}
  - {name: v2, trafficPolicy: {connectionPool: {tcp: {maxConnections: 9}}, outlierDetection: {}}}
""")
    assert built["v1"]["lb_policy"] == built["v2"]["lb_policy"] == "RANDOM"
    (v1,), (v2,) = (built[name]["circuit_breakers"]["thresholds"] for name in ("v1", "v2"))
    assert (v1["max_connections"], v1["max_retries"]) == (7, 8)
    assert (v2["max_connections"], v2["max_retries"]) == (9, NO_LIMIT), "a field is taken as a whole"
    assert "retry_budget" in v2
    assert "outlier_detection" in built["v2"]
    assert "outlier_detection" not in built["v1"]


def test_what_is_said_of_a_port_takes_the_place_of_four_fields():
    built = made("""
  host: reviews
  trafficPolicy:
    loadBalancer: {simple: RANDOM}
    connectionPool: {tcp: {maxConnections: 7}}
    outlierDetection: {}
    retryBudget: {}
    portLevelSettings:
    - {port: {number: 81}, loadBalancer: {simple: ROUND_ROBIN}}
    - {port: {number: 80}, connectionPool: {tcp: {maxConnections: 9}}}
  subsets:
  - name: v1
    trafficPolicy:
      outlierDetection: {}
      portLevelSettings: [{port: {number: 80}, loadBalancer: {simple: ROUND_ROBIN}}]
""")
    (general,), (v1,) = (built[name]["circuit_breakers"]["thresholds"] for name in ("", "v1"))
    assert built[""]["lb_policy"] == "LEAST_REQUEST", "not said for the port: the default"
    assert general["max_connections"] == v1["max_connections"] == 9
    assert "retry_budget" in general
    assert "lb_policy" not in built["v1"], "ROUND_ROBIN, which is the zero of the enum"
    assert "outlier_detection" not in built["v1"], "its settings of the port say nothing of it"
