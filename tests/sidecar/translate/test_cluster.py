from __future__ import annotations

from typing import Any

import pytest

from tage.sidecar.plan import Cluster, Endpoint, Endpoints, LoadBalancing
from tage.sidecar.translate.draft import ClusterDraft, Dns, DnsPolicy, Source

from .build import ADS, address, assignment, problems, translate

OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"


def options(**fields: Any) -> dict[str, Any]:
    return {"typed_extension_protocol_options": {OPTIONS: {"@type": f"type.googleapis.com/{OPTIONS}", **fields}}}


def test_static() -> None:
    content = {"name": "c", "load_assignment": assignment({"endpoint": {"address": address()}}, name="other")}
    assert translate("cluster", content) == ClusterDraft(
        Cluster("c", "c"), endpoints=Endpoints("c", [Endpoint("127.0.0.1", 8080)])
    )


def test_eds() -> None:
    content = {
        "name": "c",
        "type": "EDS",
        "eds_cluster_config": {"eds_config": {**ADS, "initial_fetch_timeout": "0s"}, "service_name": "s"},
    }
    assert translate("cluster", content) == ClusterDraft(Cluster("c", "c"), eds=Source("s", 0))


def test_strict_dns() -> None:
    content = {
        "name": "c",
        "type": "STRICT_DNS",
        "dns_lookup_family": "V4_ONLY",
        "dns_refresh_rate": "1s",
        "load_assignment": assignment({"endpoint": {"address": address("host", 80)}, "load_balancing_weight": 3}),
    }
    assert translate("cluster", content) == ClusterDraft(
        Cluster("c", "c"), dns=Dns([Endpoint("host", 80, 3)], DnsPolicy("v4_only", 1000))
    )


def test_settings() -> None:
    content = {
        "name": "c",
        "alt_stat_name": "alt",
        "connect_timeout": "0.25s",
        "lb_policy": "LEAST_REQUEST",
        "least_request_lb_config": {"choice_count": 2},
        "circuit_breakers": {
            "thresholds": [
                {"priority": "HIGH", "max_requests": 1, "retry_budget": {}},
                {"max_connections": 4294967295, "max_pending_requests": 2, "max_retries": 0},
            ]
        },
        "metadata": {
            "filter_metadata": {
                "istio": {"services": [{"host": "a.b.svc", "name": "a", "namespace": "b"}], "subset": "v1"},
                "other": {"x": 1},
            }
        },
        **options(
            explicit_http_config={"http_protocol_options": {}},
            common_http_protocol_options={"idle_timeout": "60s", "max_requests_per_connection": 9},
        ),
    }
    assert translate("cluster", content).cluster == Cluster(
        "c",
        "c",
        lb=LoadBalancing("least_request"),
        connect_timeout=250,
        idle_timeout=60_000,
        max_connections=4294967295,
        max_pending=2,
        max_requests=1024,
        max_retries=0,
        max_requests_per_connection=9,
        alt_stat_name="alt",
        labels={
            "destination_service": "a.b.svc",
            "destination_service_name": "a",
            "destination_service_namespace": "b",
        },
    )


@pytest.mark.parametrize("enabled", [False, True])
def test_trailers(enabled: bool) -> None:
    http1 = {"http_protocol_options": {"enable_trailers": enabled}}
    for fields in (http1, options(explicit_http_config=http1), options(use_downstream_protocol_config=http1)):
        assert translate("cluster", {"name": "c", **fields}).cluster.enable_trailers is enabled


@pytest.mark.parametrize(
    ("fields", "path", "message"),
    [
        ({"type": "ORIGINAL_DST"}, "type", "ORIGINAL_DST is not supported (only STATIC or STRICT_DNS or LOGICAL_DNS"),
        ({"lb_policy": "CLUSTER_PROVIDED"}, "lb_policy", "CLUSTER_PROVIDED is not supported"),
        ({"connect_timeout": "0s"}, "connect_timeout", "greater than zero"),
        (
            {"circuit_breakers": {"thresholds": [{"max_connection_pools": 1}]}},
            "circuit_breakers.thresholds[0].max_connection_pools",
            "not supported",
        ),
        (
            {
                "transport_socket": {
                    "name": "tls",
                    "typed_config": {
                        "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext"
                    },
                }
            },
            "transport_socket",
            "transport socket 'tls' is not supported",
        ),
        ({"type": "EDS"}, "eds_cluster_config.eds_config", "must be {ads: {}"),
        (
            {"type": "EDS", "eds_cluster_config": {"eds_config": {"path_config_source": {"path": "/x"}}}},
            "eds_cluster_config.eds_config.path_config_source",
            "not supported",
        ),
        ({"eds_cluster_config": {"eds_config": ADS}}, "eds_cluster_config", "only a cluster of type EDS"),
        ({"name": ""}, "name", "is missing"),
    ],
)
def test_refused(fields: dict[str, Any], path: str, message: str) -> None:
    [problem] = problems("cluster", {"name": "c", **fields})
    assert problem.path == path
    assert message in problem.message


# -- a PROXY protocol header in front ----------------------------------------------------------------------------------

PROXY = "type.googleapis.com/envoy.extensions.transport_sockets.proxy_protocol.v3.ProxyProtocolUpstreamTransport"
RAW = {
    "name": "raw",
    "typed_config": {"@type": "type.googleapis.com/envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer"},
}
TLS = {
    "name": "tls",
    "typed_config": {
        "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext",
        "sni": "a.example",
    },
}


def proxied(config: dict[str, Any] | None = None, **fields: Any) -> dict[str, Any]:
    typed = {"@type": PROXY, "config": config or {}, "transport_socket": RAW, **fields}
    typed = {key: value for key, value in typed.items() if value is not None}
    return {"name": "c", "transport_socket": {"name": "proxy", "typed_config": typed}}


@pytest.mark.parametrize(("config", "version"), [({}, 1), ({"version": "V1"}, 1), ({"version": "V2"}, 2)])
def test_a_proxy_header_by_version(config: dict[str, Any], version: int) -> None:
    cluster = translate("cluster", proxied(config)).cluster
    assert (cluster.proxy_protocol, cluster.tls) == (version, None)


def test_tls_behind_a_proxy_header() -> None:
    cluster = translate("cluster", proxied(transport_socket=TLS)).cluster
    assert cluster.proxy_protocol == 1
    assert cluster.tls is not None
    assert cluster.tls.sni == "a.example"


@pytest.mark.parametrize(
    ("content", "path", "words"),
    [
        (proxied(transport_socket=None), "transport_socket", "is missing"),
        (proxied({"pass_through_tlvs": {"match_type": "INCLUDE_ALL"}}), "config.pass_through_tlvs", "not supported"),
        (proxied(allow_unspecified_address=True), "allow_unspecified_address", "not supported"),
        (
            proxied(transport_socket={"name": "inner", "typed_config": {"@type": PROXY}}),
            "transport_socket",
            "'inner' is not supported",
        ),
    ],
)
def test_proxy_headers_that_are_refused(content: dict[str, Any], path: str, words: str) -> None:
    found = problems("cluster", content)
    assert [(each.path, words in each.message) for each in found] == [(f"transport_socket.typed_config.{path}", True)]
