"""Envoy v3 bootstraps, as a user would write them."""

from __future__ import annotations

from typing import Any

from tests.e2e.ports import LOOPBACK

_TYPE = "type.googleapis.com/envoy.extensions.filters"
Json = dict[str, Any]


def address(host: str, port: int) -> Json:
    return {"socket_address": {"address": host, "port_value": port}}


def bootstrap(admin: int, listeners: list[Json], clusters: list[Json], **fields: Any) -> Json:
    return {
        "node": {"id": "e2e", "cluster": "e2e"},
        "admin": {"address": address(LOOPBACK, admin)},
        "static_resources": {"listeners": listeners, "clusters": clusters},
        **fields,
    }


def listener(name: str, port: int, virtual_hosts: list[Json], **manager: Any) -> Json:
    """`manager`: further fields of the connection manager."""
    routes = {"name": f"{name}_routes", "virtual_hosts": virtual_hosts, "validate_clusters": False}
    typed = {
        "@type": f"{_TYPE}.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": name,
        "use_remote_address": True,
        "route_config": routes,
        "http_filters": [
            {"name": "envoy.filters.http.router", "typed_config": {"@type": f"{_TYPE}.http.router.v3.Router"}}
        ],
        **manager,
    }
    return {
        "name": name,
        "address": address(LOOPBACK, port),
        "filter_chains": [
            {"filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": typed}]}
        ],
    }


def tcp_listener(name: str, port: int, *clusters: str, **proxy: Any) -> Json:
    """A TCP proxy to these clusters, with equal weights. `proxy`: its further fields."""
    weights = [{"name": each, "weight": 1} for each in clusters]
    leads_to = {"cluster": clusters[0]} if len(clusters) == 1 else {"weighted_clusters": {"clusters": weights}}
    typed = {"@type": f"{_TYPE}.network.tcp_proxy.v3.TcpProxy", "stat_prefix": name, **leads_to, **proxy}
    chain = {"filters": [{"name": "envoy.filters.network.tcp_proxy", "typed_config": typed}]}
    return {"name": name, "address": address(LOOPBACK, port), "filter_chains": [chain]}


def virtual_host(domain: str, *routes: Json) -> Json:
    return {"name": domain, "domains": [domain], "routes": list(routes)}


def route(cluster: str, prefix: str = "/", **action: Any) -> Json:
    """Without retries, unless `action` says otherwise."""
    return {"match": {"prefix": prefix}, "route": {"cluster": cluster, **action}}


def cluster(name: str, *ports: int, host: str = LOOPBACK, **fields: Any) -> Json:
    endpoints = [{"endpoint": {"address": address(host, port)}} for port in ports]
    return {
        "name": name,
        "connect_timeout": "1s",
        "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": endpoints}]},
        **fields,
    }
