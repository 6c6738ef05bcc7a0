"""Envoy messages from JSON, as the tests write them."""

from __future__ import annotations

from typing import Any

from envoy.config.cluster.v3 import cluster_pb2
from envoy.config.endpoint.v3 import endpoint_pb2
from envoy.config.listener.v3 import listener_pb2
from envoy.config.route.v3 import route_pb2
from google.protobuf import json_format

from tage.sidecar.translate import cluster, endpoint, listener, route, source
from tage.sidecar.translate.problem import Problem, Problems

HCM = "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
ROUTER = {
    "name": "envoy.filters.http.router",
    "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"},
}
ADS = {"ads": {}, "resource_api_version": "V3"}

_MESSAGES = {
    "listener": (listener_pb2.Listener, listener.translate),
    "route": (route_pb2.RouteConfiguration, route.translate),
    "cluster": (cluster_pb2.Cluster, cluster.translate),
    "endpoint": (endpoint_pb2.ClusterLoadAssignment, endpoint.translate),
}


def message(kind: str, content: dict[str, Any]) -> Any:
    found = Problems()
    source._load_types(content, "", found)
    assert not found, found.list()
    return json_format.ParseDict(content, _MESSAGES[kind][0]())


def translate(kind: str, content: dict[str, Any]) -> Any:
    """The draft or section; fails when there is a problem."""
    problems = Problems()
    result = _MESSAGES[kind][1](message(kind, content), "", problems)
    assert not problems, [str(problem) for problem in problems.list()]
    return result


def problems(kind: str, content: dict[str, Any]) -> list[Problem]:
    found = Problems()
    _MESSAGES[kind][1](message(kind, content), "", found)
    return found.list()


def address(host: str = "127.0.0.1", port: int = 8080) -> dict[str, Any]:
    return {"socket_address": {"address": host, "port_value": port}}


def assignment(*endpoints: dict[str, Any], name: str = "c") -> dict[str, Any]:
    return {"cluster_name": name, "endpoints": [{"lb_endpoints": list(endpoints)}]}


def manager(**fields: Any) -> dict[str, Any]:
    """A listener with this HTTP connection manager; RDS `r` unless it brings routes."""
    if not {"rds", "route_config"} & set(fields):
        fields["rds"] = {"route_config_name": "r", "config_source": ADS}
    config = {"@type": HCM, "stat_prefix": "s", "http_filters": [ROUTER], **fields}
    return {
        "name": "l",
        "address": address(),
        "filter_chains": [{"filters": [{"name": "hcm", "typed_config": config}]}],
    }


def routes(*entries: dict[str, Any], **host: Any) -> dict[str, Any]:
    return {"name": "r", "virtual_hosts": [{"name": "v", "domains": ["*"], "routes": list(entries), **host}]}


def action(**fields: Any) -> dict[str, Any]:
    """Routes whose one rule has this action."""
    return routes({"match": {"prefix": "/"}, "route": {"cluster": "c", **fields}})


def rule(**match: Any) -> dict[str, Any]:
    """Routes whose one rule has this match."""
    return routes({"match": match, "route": {"cluster": "c"}})
