"""RPC protocols in TypedStructs: of filter chains, clusters and listener filters."""

from __future__ import annotations

from typing import Any

import pytest

from tage.sidecar import plan
from tests.sidecar.translate.build import address, assignment, manager, problems, routes, translate

TYPES = ("xds.type.v3.TypedStruct", "udpa.type.v1.TypedStruct")
DOWNSTREAM = "tage.network.v1alpha1.XProtocol"
UPSTREAM = "tage.upstreams.v1alpha1.XProtocol"
INSPECTOR = "tage.listener.v1alpha1.XProtocolInspector"
OPTIONS = "tage.upstreams.x_protocol"
AT = "filter_chains[0].filters[0].typed_config"
HCM_AT = "filter_chains[0].filters[1].typed_config"
OPTIONS_AT = f'typed_extension_protocol_options["{OPTIONS}"]'


def typed(type_name: str, value: dict[str, Any], kind: str = TYPES[0]) -> dict[str, Any]:
    return {
        "@type": f"type.googleapis.com/{kind}",
        "type_url": f"type.googleapis.com/{type_name}",
        "value": value,
    }


def codec(value: dict[str, Any], **fields: str) -> dict[str, Any]:
    return {"name": "tage.filters.network.x_protocol", "typed_config": typed(DOWNSTREAM, value, **fields)}


def listener(value: dict[str, Any], kind: str = TYPES[0], **fields: Any) -> dict[str, Any]:
    content = manager(**fields)
    content["filter_chains"][0]["filters"].insert(0, codec(value, kind=kind))
    return content


def cluster(value: dict[str, Any], kind: str = TYPES[0]) -> dict[str, Any]:
    return {
        "name": "c",
        "load_assignment": assignment({"endpoint": {"address": address()}}),
        "typed_extension_protocol_options": {OPTIONS: typed(UPSTREAM, value, kind)},
    }


def inspector(value: dict[str, Any], asked: str = "x-bolt") -> dict[str, Any]:
    content = listener({"protocol": "bolt"})
    content["filter_chains"][0]["filter_chain_match"] = {"application_protocols": [asked]}
    content["listener_filters"] = [
        {"name": "tage.filters.listener.x_protocol_inspector", "typed_config": typed(INSPECTOR, value)}
    ]
    return content


@pytest.mark.parametrize("kind", TYPES)
def test_a_chain(kind: str) -> None:
    http = translate("listener", listener({"protocol": "bolt"}, kind)).listener.chains[0].http
    assert http.x_protocol == plan.XProtocol("bolt", "names", 16 << 20, 1024)
    value = {"protocol": "x-ledger", "depth": "FRAME", "max_frame_bytes": 8192, "max_concurrent_requests": 1}
    found = translate("listener", listener(value, kind)).listener
    assert found.chains[0].http.x_protocol == plan.XProtocol("ledger", "frame", 8192, 1)
    assert plan.decode("listener", plan.encode(found)) == found


@pytest.mark.parametrize("kind", TYPES)
def test_a_cluster(kind: str) -> None:
    found = translate("cluster", cluster({"protocol": "dubbo"}, kind)).cluster
    assert found.x_protocol == plan.XProtocolUpstream("dubbo", "", 1024, -1, 16 << 20)
    value = {
        "protocol": "x-ledger",
        "mode": "PING_PONG",
        "max_concurrent_requests": 7,
        "heartbeat_interval": "1.5s",
        "max_frame_bytes": 4096,
    }
    found = translate("cluster", cluster(value, kind)).cluster
    assert found.x_protocol == plan.XProtocolUpstream("ledger", "ping_pong", 7, 1500, 4096)
    assert plan.decode("cluster", plan.encode(found)) == found
    assert (
        translate("cluster", cluster({"protocol": "a", "heartbeat_interval": "0s"})).cluster.x_protocol
    ) == plan.XProtocolUpstream("a", heartbeat_interval=0)


def test_http_options_may_stand_beside_it() -> None:
    name = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
    content = cluster({"protocol": "bolt"})
    content["typed_extension_protocol_options"][name] = {
        "@type": f"type.googleapis.com/{name}",
        "common_http_protocol_options": {"idle_timeout": "7s"},
        "explicit_http_config": {"http_protocol_options": {}},
    }
    found = translate("cluster", content).cluster
    assert (found.idle_timeout, found.x_protocol) == (7_000, plan.XProtocolUpstream("bolt"))


def test_what_a_listener_looks_for() -> None:
    found = translate("listener", inspector({"protocols": ["bolt", "x-ledger", "dubbo"]})).listener
    assert found.inspect_protocols == ["bolt", "ledger", "dubbo"]
    assert found.inspect_tls
    content = inspector({"protocols": ["bolt"]})
    del content["filter_chains"][0]["filter_chain_match"]
    assert translate("listener", content).listener.inspect_protocols == [], "no chain asks"


def test_services_are_compared_with_their_case() -> None:
    rule = {"match": {"prefix": "/"}, "route": {"cluster": "c"}}
    hosts = [{"name": name, "domains": [name], "routes": [rule]} for name in ("com.a.Stock", "com.a.stock")]
    config = {"name": "r", "virtual_hosts": hosts}
    (chain,) = translate("listener", listener({"protocol": "bolt"}, route_config=config)).chains
    assert [host.domains for host in chain.routes.virtual_hosts] == [["com.a.Stock"], ["com.a.stock"]]
    [problem] = problems("listener", manager(route_config=config))
    assert problem.path.endswith("virtual_hosts[1].domains[0]")


@pytest.mark.parametrize(
    ("value", "field", "message"),
    [
        ({}, "protocol", "is missing: name one, as bolt or dubbo"),
        ({"protocol": 7}, "protocol", "7 is not the name of a protocol"),
        ({"protocol": "Bolt"}, "protocol", "'Bolt' is not the name of a protocol"),
        ({"protocol": "../x"}, "protocol", "is not the name of a protocol"),
        ({"protocol": "bolt", "depth": "names"}, "depth", "'names' is not one of FRAME, NAMES"),
        ({"protocol": "bolt", "depth": "HEADERS"}, "depth", "'HEADERS' is not one of FRAME, NAMES"),
        ({"protocol": "bolt", "max_frame_bytes": 1}, "max_frame_bytes", "1 has to be a whole number from 4096 to"),
        ({"protocol": "bolt", "max_frame_bytes": True}, "max_frame_bytes", "True has to be a whole number"),
        ({"protocol": "bolt", "max_frame_bytes": 2**40}, "max_frame_bytes", "from 4096 to 268435456"),
        ({"protocol": "bolt", "max_concurrent_requests": 0}, "max_concurrent_requests", "from 1 to 65536"),
        ({"protocol": "bolt", "max_concurrent_requests": 1.5}, "max_concurrent_requests", "1.5 has to be a whole"),
        ({"protocol": "bolt", "dept": "NAMES"}, "dept", "unknown field; there are protocol, depth, max_frame_bytes"),
    ],
)
def test_what_is_refused_of_a_chain(value: dict[str, Any], field: str, message: str) -> None:
    [problem] = problems("listener", listener(value))
    assert problem.path == f"{AT}.value.{field}"
    assert message in problem.message


@pytest.mark.parametrize(
    ("value", "field", "message"),
    [
        ({"mode": "MULTIPLEXED"}, "protocol", "is missing"),
        ({"protocol": "bolt", "mode": "SHARED"}, "mode", "is not one of MULTIPLEXED, PING_PONG, ORDERED, PINNED"),
        ({"protocol": "bolt", "heartbeat_interval": 15}, "heartbeat_interval", "15 has to be a duration from 0s to"),
        ({"protocol": "bolt", "heartbeat_interval": "2h"}, "heartbeat_interval", "from 0s to 3600s"),
        ({"protocol": "bolt", "heartbeat_interval": "soon"}, "heartbeat_interval", "'soon' is not a duration"),
        ({"protocol": "bolt", "depth": "NAMES"}, "depth", "unknown field; there are protocol, mode"),
    ],
)
def test_what_is_refused_of_a_cluster(value: dict[str, Any], field: str, message: str) -> None:
    [problem] = problems("cluster", cluster(value))
    assert problem.path == f"{OPTIONS_AT}.value.{field}"
    assert message in problem.message


@pytest.mark.parametrize(
    ("value", "at", "message"),
    [
        ({}, "", "has to be a list of protocols, in the order in which they are tried"),
        ({"protocols": []}, "", "has to be a list"),
        ({"protocols": "bolt"}, "", "has to be a list"),
        ({"protocols": ["bolt", "x-bolt"]}, "[1]", "'x-bolt' stands twice"),
        ({"protocols": ["bolt", 1]}, "[1]", "1 is not the name of a protocol"),
        ({"protocols": [f"p{i}" for i in range(17)]}, "", "17 of them; at most 16"),
    ],
)
def test_what_is_refused_of_an_inspector(value: dict[str, Any], at: str, message: str) -> None:
    [problem] = problems("listener", inspector(value))
    assert problem.path == f"listener_filters[0].typed_config.value.protocols{at}"
    assert message in problem.message


def test_one_inspector_is_enough() -> None:
    content = inspector({"protocols": ["bolt"]})
    content["listener_filters"] *= 2
    [problem] = problems("listener", content)
    assert problem.path == "listener_filters[1]"


def rule(**fields: Any) -> dict[str, Any]:
    return {"route_config": routes({"match": {"prefix": "/"}, "route": {"cluster": "c"}, **fields})}


@pytest.mark.parametrize(
    ("fields", "at"),
    [
        ({"upgrade_configs": [{"upgrade_type": "websocket"}]}, "upgrade_configs"),
        ({"http_protocol_options": {"enable_trailers": True}}, "http_protocol_options"),
        ({"http2_protocol_options": {"allow_connect": True}}, "http2_protocol_options"),
        (rule(match={"connect_matcher": {}}), "route_config.virtual_hosts[0].routes[0].match.connect_matcher"),
        (
            {"route_config": routes({"match": {"prefix": "/"}, "redirect": {"host_redirect": "a"}})},
            "route_config.virtual_hosts[0].routes[0].redirect",
        ),
        (
            rule(route={"cluster": "c", "upgrade_configs": [{"upgrade_type": "websocket"}]}),
            "route_config.virtual_hosts[0].routes[0].route.upgrade_configs",
        ),
        (
            {"route_config": routes({"match": {"prefix": "/"}, "direct_response": {"status": 200}}, require_tls="ALL")},
            "route_config.virtual_hosts[0].require_tls",
        ),
    ],
)
def test_what_has_no_meaning_for_rpc(fields: dict[str, Any], at: str) -> None:
    assert problems("listener", manager(**fields)) == [], "it has one for HTTP"
    [problem] = problems("listener", listener({"protocol": "bolt"}, **fields))
    assert problem.path == f"{HCM_AT}.{at}"
    assert "has no meaning for an RPC protocol" in problem.message


def test_what_stands_behind_a_codec() -> None:
    content = listener({"protocol": "bolt"})
    del content["filter_chains"][0]["filters"][1]
    [problem] = problems("listener", content)
    assert problem.path == "filter_chains[0].filters"
    assert problem.message == "behind an x_protocol stands exactly one filter, an HTTP connection manager"
    proxy = "envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy"
    config = {"@type": f"type.googleapis.com/{proxy}", "stat_prefix": "s", "cluster": "c"}
    content["filter_chains"][0]["filters"].append({"name": "tcp", "typed_config": config})
    [problem] = problems("listener", content)
    assert problem.message == "behind an x_protocol stands exactly one filter, an HTTP connection manager"


@pytest.mark.parametrize("content", [listener({"protocol": "bolt"}), cluster({"protocol": "bolt"})])
def test_another_type_is_refused(content: dict[str, Any]) -> None:
    kind = "listener" if "filter_chains" in content else "cluster"
    given = (
        content["filter_chains"][0]["filters"][0]["typed_config"]
        if kind == "listener"
        else content["typed_extension_protocol_options"][OPTIONS]
    )
    given["type_url"] = "type.googleapis.com/other"
    found = problems(kind, content)
    assert found[0].path.endswith(".type_url")
    assert "'type.googleapis.com/other' is not supported (only type.googleapis.com/tage." in found[0].message
