"""DNS clusters: how their names are resolved."""

from __future__ import annotations

from typing import Any

import pytest

from tage.sidecar.plan import Endpoint, Endpoints
from tage.sidecar.translate.draft import Dns, DnsPolicy, DnsServers

from .build import address, assignment, problems, translate

CARES = "type.googleapis.com/envoy.extensions.network.dns_resolver.cares.v3.CaresDnsResolverConfig"
APPLE = "type.googleapis.com/envoy.extensions.network.dns_resolver.apple.v3.AppleDnsResolverConfig"
DNS_CLUSTER = "type.googleapis.com/envoy.extensions.clusters.dns.v3.DnsCluster"
NAME = assignment({"endpoint": {"address": address("host", 80)}})
RESOLVER = {"socket_address": {"address": "127.0.0.1", "port_value": 5353}}
TCP = {"use_tcp_for_dns_lookups": True}
SERVERS = DnsServers(("127.0.0.1:5353",))


def cares(kind: str = CARES, **fields: Any) -> dict[str, Any]:
    return {"typed_dns_resolver_config": {"name": "r", "typed_config": {"@type": kind, **fields}}}


def cluster(**fields: Any) -> dict[str, Any]:
    return {"name": "c", "type": "STRICT_DNS", "load_assignment": NAME, **fields}


def dns_cluster(outer: dict[str, Any] | None = None, **fields: Any) -> dict[str, Any]:
    config = {"@type": DNS_CLUSTER, **fields}
    cluster_type = {"name": "envoy.clusters.dns", "typed_config": config}
    return {"name": "c", "cluster_type": cluster_type, "load_assignment": NAME, **(outer or {})}


def policy(content: dict[str, Any]) -> DnsPolicy:
    draft = translate("cluster", content)
    assert draft.dns.names == [Endpoint("host", 80)]
    assert draft.cluster.logical == draft.dns.policy.logical
    return draft.dns.policy


def test_defaults() -> None:
    assert policy(cluster()) == DnsPolicy("auto", 5_000)
    assert policy(dns_cluster()) == DnsPolicy("auto", 5_000)


TIMES = {
    "dns_refresh_rate": "1s",
    "respect_dns_ttl": True,
    "dns_jitter": "0.3s",
    "dns_failure_refresh_rate": {"base_interval": "2s", "max_interval": "7s"},
    "dns_lookup_family": "V4_PREFERRED",
}


@pytest.mark.parametrize("make", [cluster, lambda **fields: dns_cluster(**fields)])
def test_times_and_family(make: Any) -> None:
    assert policy(make(**TIMES)) == DnsPolicy("v4_preferred", 1_000, True, 2_000, 7_000, 300)
    only_base = policy(make(dns_failure_refresh_rate={"base_interval": "2s"}))
    assert (only_base.failure_base, only_base.failure_max) == (2_000, 20_000)


@pytest.mark.parametrize("family", ["AUTO", "V4_ONLY", "V6_ONLY", "V4_PREFERRED", "ALL"])
def test_every_family(family: str) -> None:
    assert policy(cluster(dns_lookup_family=family)).family == family.lower()
    assert policy(dns_cluster(dns_lookup_family=family)).family == family.lower()


def test_logical() -> None:
    assert policy(cluster(type="LOGICAL_DNS")).logical
    assert policy(dns_cluster(all_addresses_in_single_endpoint=True)).logical


@pytest.mark.parametrize(
    ("fields", "servers"),
    [
        ({"dns_resolvers": [RESOLVER]}, SERVERS),
        ({"dns_resolvers": [RESOLVER], "use_tcp_for_dns_lookups": True}, DnsServers(SERVERS.addresses, tcp=True)),
        (
            {
                "dns_resolution_config": {
                    "resolvers": [RESOLVER],
                    "dns_resolver_options": {"use_tcp_for_dns_lookups": True},
                }
            },
            DnsServers(SERVERS.addresses, tcp=True),
        ),
        (cares(resolvers=[RESOLVER]), SERVERS),
        (
            cares(resolvers=[RESOLVER], use_resolvers_as_fallback=True),
            DnsServers(SERVERS.addresses, fallback=True),
        ),
        (
            cares(dns_resolver_options={"no_default_search_domain": True, **TCP}),
            DnsServers(tcp=True, no_search=True),
        ),
        (
            cares(
                resolvers=[
                    {"socket_address": {"address": "127.0.0.1", "protocol": "UDP"}},
                    {"socket_address": {"address": "::1", "port_value": 54}},
                ]
            ),
            DnsServers(("127.0.0.1:53", "[::1]:54")),
        ),
    ],
)
def test_servers(fields: dict[str, Any], servers: DnsServers) -> None:
    assert policy(cluster(**fields)).servers == servers
    if "typed_dns_resolver_config" in fields:
        assert policy(dns_cluster(**fields)).servers == servers


def test_warming_and_host_names() -> None:
    named = assignment({"endpoint": {"address": address("host", 80), "hostname": "shown"}})
    content = cluster(wait_for_warm_on_init=False, load_assignment=named)
    assert translate("cluster", content).dns == Dns([Endpoint("host", 80, hostname="shown")], DnsPolicy(), wait=False)
    assert translate("cluster", cluster(wait_for_warm_on_init=True)).dns.wait
    static = {"name": "c", "load_assignment": assignment({"endpoint": {"address": address(), "hostname": "shown"}})}
    assert translate("cluster", static).endpoints == Endpoints("c", [Endpoint("127.0.0.1", 8080, hostname="shown")])


TYPED = "cluster_type.typed_config"
RESOLVER_PATH = "typed_dns_resolver_config.typed_config"


@pytest.mark.parametrize(
    ("content", "path", "message"),
    [
        (cluster(dns_refresh_rate="0.001s"), "dns_refresh_rate", "at least 0.1s"),
        (dns_cluster(dns_refresh_rate="0.001s"), f"{TYPED}.dns_refresh_rate", "at least 0.1s"),
        (cluster(dns_jitter="-1s"), "dns_jitter", "negative"),
        (cluster(dns_failure_refresh_rate={}), "dns_failure_refresh_rate.base_interval", "is missing"),
        (
            cluster(dns_failure_refresh_rate={"base_interval": "0.01s", "max_interval": "1s"}),
            "dns_failure_refresh_rate.base_interval",
            "at least 0.1s",
        ),
        (
            cluster(dns_failure_refresh_rate={"base_interval": "2s", "max_interval": "1s"}),
            "dns_failure_refresh_rate.max_interval",
            "not be less than base_interval",
        ),
        (
            dns_cluster(dns_failure_refresh_rate={"base_interval": "2s", "max_interval": "1s"}),
            f"{TYPED}.dns_failure_refresh_rate.max_interval",
            "not be less than base_interval",
        ),
        (
            cluster(dns_resolvers=[{"socket_address": {"address": "dns.test", "port_value": 53}}]),
            "dns_resolvers[0].socket_address.address",
            "'dns.test' is not an IP address",
        ),
        (cluster(dns_resolvers=[{"pipe": {"path": "/x"}}]), "dns_resolvers[0].pipe", "not supported"),
        (cluster(**cares(APPLE)), "typed_dns_resolver_config", "DNS resolver 'r' is not supported"),
        (cluster(typed_dns_resolver_config={"name": "r"}), "typed_dns_resolver_config", "has no typed_config"),
        *(
            (cluster(**cares(resolvers=[RESOLVER], **{name: value})), f"{RESOLVER_PATH}.{name}", "not supported")
            for name, value in [
                ("filter_unroutable_families", True),
                ("udp_max_queries", 5),
                ("query_timeout_seconds", 5),
                ("query_tries", 5),
                ("rotate_nameservers", True),
            ]
        ),
        (
            cluster(**cares(resolvers=[RESOLVER]), dns_resolvers=[RESOLVER]),
            "dns_resolvers",
            "has no effect beside a resolver's configuration",
        ),
        (
            cluster(**cares(resolvers=[RESOLVER]), dns_resolution_config={"resolvers": [RESOLVER]}),
            "dns_resolution_config",
            "has no effect beside typed_dns_resolver_config",
        ),
        (dns_cluster({"respect_dns_ttl": True}), "respect_dns_ttl", "has no effect beside cluster_type"),
        (
            {"name": "c", "cluster_type": {"name": "envoy.clusters.aggregate"}},
            "cluster_type",
            "cluster type 'envoy.clusters.aggregate' has no typed_config",
        ),
        (
            cluster(type="LOGICAL_DNS", load_assignment=assignment(*[{"endpoint": {"address": address("h", 1)}}] * 2)),
            "load_assignment",
            "must be one endpoint",
        ),
        (
            dns_cluster({"load_assignment": assignment()}, all_addresses_in_single_endpoint=True),
            "load_assignment",
            "must be one endpoint",
        ),
        (
            cluster(
                load_assignment=assignment(
                    {
                        "endpoint": {
                            "address": {"socket_address": {"address": "h", "port_value": 1, "resolver_name": "x"}}
                        }
                    }
                )
            ),
            "load_assignment.endpoints[0].lb_endpoints[0].endpoint.address.socket_address.resolver_name",
            "not supported",
        ),
    ],
)
def test_refused(content: dict[str, Any], path: str, message: str) -> None:
    first = problems("cluster", content)[0]
    assert first.path == path
    assert message in first.message
