from __future__ import annotations

import pytest

from tage.config import names
from tage.config.document import format_path
from tage.config.mesh import Mesh, MeshInstance, MeshService
from tage.config.model import Metadata, Resource
from tage.config.networking import (
    Destination,
    DestinationRule,
    HTTPMatchRequest,
    HTTPRetry,
    HTTPRoute,
    HTTPRouteDestination,
    LoadBalancerSettings,
    PortSelector,
    Spec,
    StringMatch,
    Subset,
    TrafficPolicy,
    VirtualService,
)
from tage.config.validate import validate

TO_A = HTTPRouteDestination(Destination("a"))


def findings(spec: Spec, metadata: Metadata | None = None) -> list[str]:
    resource = Resource("any/v1", type(spec).__name__, metadata or Metadata("x"), spec)
    return [f"{format_path(path)}: {message}" for path, message in validate(resource)]


def of_route(route: HTTPRoute) -> list[str]:
    return [finding.removeprefix("spec.http[0].") for finding in findings(VirtualService(["a"], [route]))]


def of_match(match: HTTPMatchRequest) -> list[str]:
    return [finding.removeprefix("match[0].") for finding in of_route(HTTPRoute(match=[match], route=[TO_A]))]


def of_retries(retries: HTTPRetry) -> list[str]:
    return [finding.removeprefix("retries.") for finding in of_route(HTTPRoute(route=[TO_A], retries=retries))]


def test_metadata() -> None:
    good = VirtualService(["a"], [HTTPRoute(route=[TO_A])])
    assert findings(good, Metadata("a.b-c", "prod", {"app.kubernetes.io/name": "x", "empty": ""})) == []
    found = findings(good, Metadata("-a", "a.b", {"a b": "x", "ok": "x y"}))
    assert [finding.split(": ")[0] for finding in found] == [
        "metadata.name", "metadata.namespace", 'metadata.labels["a b"]', "metadata.labels.ok",
    ]  # fmt: skip


@pytest.mark.parametrize("host", ["a", "a.b.svc.cluster.local", "com.alipay.Demo-2", "*", "*.a.com", "10.0.0.1", "::1"])
def test_hosts_that_pass(host: str) -> None:
    assert findings(VirtualService([host], [HTTPRoute(route=[TO_A])])) == []


@pytest.mark.parametrize(
    ("host", "reason"),
    [
        ("", "must not be empty"), ("http://a", "scheme"), ("a/b", "scheme and path"), ("a:80", "leave out the port"),
        ("a b", "not a host"), ("a..b", "not a host"), ("a.*", "not a host"), ("-a", "not a host"),
    ],
)  # fmt: skip
def test_hosts_that_do_not(host: str, reason: str) -> None:
    (found,) = findings(VirtualService([host], [HTTPRoute(route=[TO_A])]))
    assert found.startswith("spec.hosts[0]: ")
    assert reason in found


def test_an_empty_virtual_service() -> None:
    assert findings(VirtualService([])) == ["spec.http: must hold at least one route"]
    assert findings(VirtualService(["a", "b", "a"], [HTTPRoute()])) == [
        "spec.hosts[2]: 'a' is named twice",
        "spec.http[0].route: must hold at least one destination, if there is no redirect, directResponse or delegate",
    ]


def test_string_matches() -> None:
    assert of_match(HTTPMatchRequest(uri=StringMatch(), method=StringMatch(exact="GET", prefix="G"))) == [
        "uri: needs one of exact, prefix, regex",
        "method: exact and prefix exclude one another; keep one",
    ]
    assert of_match(HTTPMatchRequest(headers={"x-any": StringMatch()})) == []


def test_regular_expressions_are_re2s() -> None:
    assert of_match(HTTPMatchRequest(uri=StringMatch(regex="/v[12]/.*"))) == []
    (found,) = of_match(HTTPMatchRequest(uri=StringMatch(regex="(a")))
    assert found.startswith("uri.regex: not a regular expression that RE2 takes: missing )")
    (found,) = of_match(HTTPMatchRequest(headers={"x": StringMatch(regex=r"(?=a)\1")}))
    assert found.startswith("headers.x.regex: not a regular expression that RE2 takes: ")


def test_header_names() -> None:
    found = of_match(HTTPMatchRequest(headers={n: StringMatch() for n in ("X-User", "a b", ":authority", "")}))
    assert found == [
        "headers.X-User: header names are compared in lower case; write 'x-user'",
        "headers[\"a b\"]: 'a b' is not the name of a header",
        "headers[\":authority\"]: ':authority' is a pseudo-header; "
        "use the fields uri, method, scheme and authority",
        "headers[\"\"]: '' is not the name of a header",
    ]  # fmt: skip


def test_weights() -> None:
    def weights(*values: int) -> list[str]:
        return of_route(HTTPRoute(route=[HTTPRouteDestination(Destination("a"), weight) for weight in values]))

    assert weights(0) == weights(100) == weights(0, 1) == weights(90, 10) == []
    assert weights(0, 0) == ["route: the weights add up to 0; give at least one destination a positive weight"]
    assert weights(-1, 5) == ["route[0].weight: -1 is negative"]
    assert weights(2**32 - 1, 1) == ["route: the weights add up to 4294967296; at most 4294967295 is possible"]


def test_destinations() -> None:
    route = HTTPRoute(route=[HTTPRouteDestination(Destination("*.a", "V1", PortSelector(0)))])
    assert [finding.split(": ")[0] for finding in of_route(route)] == [
        "route[0].destination.host", "route[0].destination.subset", "route[0].destination.port.number",
    ]  # fmt: skip


def test_timeouts_and_retries() -> None:
    assert of_route(HTTPRoute(route=[TO_A], timeout="0s")) == []
    assert of_route(HTTPRoute(route=[TO_A], timeout="-1s")) == ["timeout: '-1s' is negative"]
    assert of_retries(HTTPRetry(3, "2s", "gateway-error, connect-failure,503,retriable-status-codes")) == []
    assert of_retries(HTTPRetry(0)) == []
    assert of_retries(HTTPRetry(-1)) == ["attempts: -1 is not possible; 0 switches retries off"]
    assert of_retries(HTTPRetry(0, retry_on="5xx"))[0].startswith("attempts: 0 switches retries off; take out ")
    assert of_retries(HTTPRetry(1, "1")) == [
        "perTryTimeout: '1' is not a duration; write a number and a unit, as 1.5s, 250ms, 5m or 1h"
    ]
    assert of_retries(HTTPRetry(1, retry_on="retriable-headers")) == [
        "retryOn: 'retriable-headers' is not carried out by Tage yet; take it out"
    ]
    for condition in ("foo", "200", "600", "5xx,,503"):
        (found,) = of_retries(HTTPRetry(1, retry_on=condition))
        assert found.startswith("retryOn: ")


def test_destination_rules() -> None:
    simple = TrafficPolicy(LoadBalancerSettings("LEAST_CONN"))
    assert findings(DestinationRule("a", simple, [Subset("v1", {"version": "v1"}, simple), Subset("v2")])) == []
    bad = TrafficPolicy(LoadBalancerSettings("ROUND"))
    known = "UNSPECIFIED, ROUND_ROBIN, RANDOM, LEAST_REQUEST, LEAST_CONN"
    assert findings(DestinationRule("*.svc.cluster.local")) == []
    assert findings(DestinationRule("", bad, [Subset("v1"), Subset("v1", {"a": "b c"}, bad)])) == [
        "spec.host: must not be empty",
        f"spec.trafficPolicy.loadBalancer.simple: 'ROUND' is not one of {known}",
        "spec.subsets[1].name: 'v1' is defined twice",
        "spec.subsets[1].labels.a: 'b c' is not a label's value: letters, digits, '-', '_' and '.' inside, "
        "at most 63 characters",
        f"spec.subsets[1].trafficPolicy.loadBalancer.simple: 'ROUND' is not one of {known}",
    ]


def test_meshes() -> None:
    good = MeshInstance("python a.py", "v1", 64, {"A_1": "x"}, {"version": "v1", "tier": "web"})
    assert findings(Mesh([MeshService("a", 80, "http", [good]), MeshService("b")])) == []
    assert findings(Mesh([])) == ["spec.services: must name at least one service"]
    bad = MeshInstance(" ", "v 1", 65, {"1A": "x", "B": "\0"}, {"version": "v2"}, "region//subzone")
    found = findings(Mesh([MeshService("a"), MeshService("A", 65536), MeshService("a", instances=[good, bad])]))
    assert [finding.removeprefix("spec.services").split(": ")[0] for finding in found] == [
        "[1].name", "[1].port", "[2].name",
        "[2].instances[1].command", "[2].instances[1].replicas", "[2].instances[1].version", "[2].instances[1].env.1A",
        "[2].instances[1].env.B", "[2].instances[1].locality", "[2].instances[1].labels.version",
    ]  # fmt: skip


KNOWN = "use http, http2, grpc, tcp, bolt, dubbo, dubbo-thrift, thrift, hsf or x-NAME"


def test_protocols() -> None:
    for protocol in (
        "http",
        "http2",
        "grpc",
        "tcp",
        "bolt",
        "dubbo",
        "dubbo-thrift",
        "thrift",
        "hsf",
        "x-mine",
        "x-a1-b",
    ):
        assert findings(Mesh([MeshService("a", protocol=protocol)])) == []
    for protocol in ("HTTP", "x-", "x-Mine", "x--a", "mine", "grpc-web", ""):
        assert findings(Mesh([MeshService("a", protocol=protocol)])) == [
            f"spec.services[0].protocol: protocol '{protocol}' is not known; {KNOWN}"
        ]


def test_interfaces() -> None:
    good = ["com.example.Stock", "Stock", "com.example.Outer$Inner", "com.example.Stock:1.0:blue"]
    assert findings(Mesh([MeshService("a", protocol="bolt", interfaces=good)])) == []
    bad = ["com.*", "a b", "", "com.example.Stock"]
    mesh = Mesh([
        MeshService("a", protocol="bolt", interfaces=good),
        MeshService("b", protocol="x-mine", interfaces=bad),
        MeshService("c", interfaces=["com.example.Other"]),
    ])  # fmt: skip
    assert findings(mesh) == [
        "spec.services[1].interfaces[0]: 'com.*': a wildcard is not allowed here; name each interface",
        "spec.services[1].interfaces[1]: 'a b' is not an interface: letters, digits, '.', '_', '$', '-' and ':' "
        "inside, at most 253 characters",
        "spec.services[1].interfaces[2]: must not be empty",
        "spec.services[1].interfaces[3]: 'com.example.Stock' is named twice; an interface is of one service",
        "spec.services[2].interfaces: are of remote calls; one of protocol http has host names only",
    ]


def test_files_of_protocols() -> None:
    services = [MeshService("a")]
    assert findings(Mesh(services, ["a.py", "more"])) == []
    assert findings(Mesh(services, ["a.py", " ", "a.py"])) == [
        "spec.protocols[1]: ' ' is not the name of a file",
        "spec.protocols[2]: 'a.py' is named twice",
    ]


def test_interfaces_are_hosts_of_rules() -> None:
    for host in ("com.example.Stock", "com.example.Stock:1.0", "com.example.Outer$Inner"):
        assert names.host(host) == ""
    assert names.host("reviews:80") == "'reviews:80' is not a host; leave out the port"
