from __future__ import annotations

import base64
from typing import Any

import pytest

from tage.pilot.generate import Caller, routes
from tage.pilot.generate.action import forward_to
from tage.registry.model import Service
from tests.pilot.samples import REVIEWS, SUBSETS, plain, routes_of, routing, snapshot

CLUSTER = f"outbound|80||{REVIEWS.fqdn}"
TO = "route: [{destination: {host: reviews}}]"


def made(fields: str, *texts: str, **more: Any) -> dict[str, Any]:
    (route,) = routes_of(f"[{{{fields}}}]", *texts, **more)
    return route


def forwarded(fields: str, *texts: str) -> dict[str, Any]:
    """The action, without what every one has."""
    action: dict[str, Any] = made(f"{fields}, {TO}", *texts)["route"]
    common = ("cluster", "timeout", "retry_policy", "max_stream_duration")
    return {name: value for name, value in action.items() if name not in common}


def test_timeout():
    assert made(TO)["route"]["timeout"] == "0s"
    assert made(f"timeout: 1.5s, {TO}")["route"]["timeout"] == "1.500s"


@pytest.mark.parametrize(
    ("protocol", "timeout", "limits"),
    [
        ("http", "", ("0s", "0s", "0s")),
        ("http", "timeout: 1.5s, ", ("1.500s", None, None)),
        ("http2", "timeout: 1.5s, ", ("1.500s", None, None)),
        ("grpc", "", ("0s", "0s", "0s")),
        ("grpc", "timeout: 1.5s, ", ("1.500s", "1.500s", "1.500s")),
    ],
)
def test_what_counts_of_grpc_timeout(protocol: str, timeout: str, limits: tuple[str | None, ...]):
    """Without a limit of the rule all of it, with one no more than that, where the service is one of gRPC."""
    service = Service("reviews", protocol=protocol)
    for action in (
        made(f"{timeout}{TO}", services=(service,))["route"],
        *([] if timeout else [plain(forward_to("c", None, protocol))]),
    ):
        of_stream = action.get("max_stream_duration", {})
        assert (
            action["timeout"], of_stream.get("max_stream_duration"), of_stream.get("grpc_timeout_header_max"),
        ) == limits  # fmt: skip


@pytest.mark.parametrize(
    ("rewrite", "expected"),
    [
        ("{uri: /b}", {"prefix_rewrite": "/b"}),
        ("{authority: 'b:81'}", {"host_rewrite_literal": "b:81"}),
        ("{uri: /b, authority: b}", {"prefix_rewrite": "/b", "host_rewrite_literal": "b"}),
        (
            r"{uriRegexRewrite: {match: '^/a/(.*)', rewrite: '/\1'}}",
            {"regex_rewrite": {"pattern": {"regex": "^/a/(.*)"}, "substitution": r"/\1"}},
        ),
    ],
)
def test_rewrite(rewrite: str, expected: dict[str, Any]):
    assert forwarded(f"rewrite: {rewrite}") == expected


@pytest.mark.parametrize(
    ("redirect", "expected"),
    [
        ("{uri: /b}", {"path_redirect": "/b"}),
        ("{prefixRewrite: /b}", {"prefix_rewrite": "/b"}),
        ("{authority: b}", {"host_redirect": "b"}),
        ("{scheme: https}", {"scheme_redirect": "https"}),
        ("{port: 8080}", {"port_redirect": 8080}),
        ("{port: 80}", {}),
        ("{port: 443, scheme: https}", {"scheme_redirect": "https"}),
        ("{port: 443, scheme: http}", {"scheme_redirect": "http", "port_redirect": 443}),
        ("{derivePort: FROM_PROTOCOL_DEFAULT}", {}),
        ("{derivePort: FROM_REQUEST_PORT}", {}),
        ("{derivePort: FROM_REQUEST_PORT, scheme: https}", {"scheme_redirect": "https", "port_redirect": 80}),
        ("{uri: /b, redirectCode: 301}", {"path_redirect": "/b"}),
        ("{uri: /b, redirectCode: 302}", {"path_redirect": "/b", "response_code": "FOUND"}),
        ("{uri: /b, redirectCode: 303}", {"path_redirect": "/b", "response_code": "SEE_OTHER"}),
        ("{uri: /b, redirectCode: 307}", {"path_redirect": "/b", "response_code": "TEMPORARY_REDIRECT"}),
        ("{uri: /b, redirectCode: 308}", {"path_redirect": "/b", "response_code": "PERMANENT_REDIRECT"}),
    ],
)
def test_redirect(redirect: str, expected: dict[str, Any]):
    match = "match: [{uri: {prefix: /a}}]"
    route = made(f"{match}, redirect: {redirect}")
    assert route["redirect"] == expected
    assert "route" not in route


def test_a_redirect_to_the_request_port_is_of_each_virtual_hosts_port():
    rules = "[{redirect: {authority: b, derivePort: FROM_REQUEST_PORT}}]"
    mesh = snapshot(routing(rules), services=(Service("reviews", port=9080),))
    (host,) = routes.outbound(mesh, Caller()).virtual_hosts
    assert host.routes[0].redirect.port_redirect == 9080


def test_direct_response():
    assert made("directResponse: {status: 204}")["direct_response"] == {"status": 204}
    text = made("directResponse: {status: 503, body: {string: away}}")
    assert text["direct_response"] == {"status": 503, "body": {"inline_string": "away"}}
    data = base64.b64encode(b"\xff\x00").decode()
    assert made(f"directResponse: {{status: 200, body: {{bytes: '{data}'}}}}")["direct_response"] == {
        "status": 200, "body": {"inline_bytes": data},
    }  # fmt: skip


def test_a_large_direct_response_raises_envoys_limit():
    def limit(size: int) -> int:
        rules = f"[{{directResponse: {{status: 200, body: {{string: '{'x' * size}'}}}}}}]"
        return routes.outbound(snapshot(routing(rules)), Caller()).max_direct_response_body_size_bytes.value

    assert (limit(4096), limit(4097)) == (0, 4097)


@pytest.mark.parametrize(
    ("fields", "numerator", "denominator"),
    [
        ("mirror: {host: ratings.other}", 100, None),
        ("mirror: {host: ratings.other}, mirrorPercent: 7", 70_000, "MILLION"),
        ("mirror: {host: ratings.other}, mirrorPercentage: {value: 0.01}", 100, "MILLION"),
        ("mirrors: [{destination: {host: ratings.other}, percentage: {value: 4.35}}]", 43_500, "MILLION"),
        ("mirrors: [{destination: {host: ratings.other}}]", 100, None),
    ],
)
def test_mirrors(fields: str, numerator: int, denominator: str | None):
    (mirror,) = forwarded(fields)["request_mirror_policies"]
    fraction = {"numerator": numerator} | ({"denominator": denominator} if denominator else {})
    assert mirror == {
        "cluster": "outbound|9080||ratings.other.svc.cluster.local", "runtime_fraction": {"default_value": fraction},
    }  # fmt: skip


def test_several_mirrors_and_ones_that_get_nothing():
    none = "{destination: {host: reviews, subset: v2}, percentage: {value: 0}}"
    mirrors = f"[{{destination: {{host: reviews, subset: v1}}}}, {none}]"
    (mirror,) = forwarded(f"mirrors: {mirrors}", SUBSETS)["request_mirror_policies"]
    assert mirror["cluster"] == f"outbound|80|v1|{REVIEWS.fqdn}"
    assert forwarded("mirror: {host: reviews}, mirrorPercentage: {}") == {}


def test_destination_ports():
    (route,) = routes_of("[{route: [{destination: {host: reviews, port: {number: 81}}}]}]")
    assert route["route"]["cluster"] == f"outbound|81||{REVIEWS.fqdn}"


def test_a_host_that_is_no_service_has_the_ports_that_rules_name():
    rules = f"[{{match: [{{port: 8080}}], {TO}}}, {{match: [{{port: 80, uri: {{exact: /}}}}], {TO}}}]"
    config = routes.outbound(snapshot(routing(rules, hosts="[shop.example.com]")), Caller())
    domains = {host.name: list(host.domains) for host in config.virtual_hosts if host.name.startswith("shop")}
    assert domains == {
        "shop.example.com:80": ["shop.example.com", "shop.example.com:80"],
        "shop.example.com:8080": ["shop.example.com:8080"],
    }
    config = routes.outbound(snapshot(routing(f"[{{match: [{{port: 81}}], {TO}}}]", hosts="[a.b, '*']")), Caller())
    assert [list(host.domains) for host in config.virtual_hosts if host.name.endswith(":81")] == [["a.b:81"]]
