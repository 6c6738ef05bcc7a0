from __future__ import annotations

import base64
from typing import Any

import pytest

from tage.sidecar.plan import Endpoint, GrpcCheck, HealthCheck, HttpCheck, TcpCheck

from .build import address, assignment, problems, translate

BASE = {"timeout": "1s", "interval": "10s", "unhealthy_threshold": 3, "healthy_threshold": 2}


def checked(*checks: dict[str, Any]) -> dict[str, Any]:
    return {"name": "c", "health_checks": list(checks)}


def http(**fields: Any) -> dict[str, Any]:
    return {**BASE, "http_health_check": {"path": "/healthz", **fields}}


def grpc(**fields: Any) -> dict[str, Any]:
    return {**BASE, "grpc_health_check": fields}


def tcp(**fields: Any) -> dict[str, Any]:
    return {**BASE, "tcp_health_check": fields}


def plain(check: HttpCheck | GrpcCheck | TcpCheck, **fields: Any) -> HealthCheck:
    intervals = dict.fromkeys(("unhealthy_interval", "unhealthy_edge_interval", "healthy_edge_interval"), 10_000)
    return HealthCheck(check, 1_000, 10_000, 3, 2, **{**intervals, **fields})


def test_defaults() -> None:
    assert translate("cluster", {"name": "c"}).cluster.health_check is None
    assert translate("cluster", checked(http())).cluster.health_check == plain(HttpCheck("/healthz"))
    assert translate("cluster", checked(tcp())).cluster.health_check == plain(TcpCheck())


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"unhealthy_interval": "5s"}, {"unhealthy_interval": 5_000, "unhealthy_edge_interval": 5_000}),
        ({"unhealthy_edge_interval": "5s"}, {"unhealthy_edge_interval": 5_000}),
        ({"healthy_edge_interval": "5s"}, {"healthy_edge_interval": 5_000}),
        ({"no_traffic_interval": "5s"}, {"no_traffic_interval": 5_000, "no_traffic_healthy_interval": 5_000}),
        ({"no_traffic_healthy_interval": "5s"}, {"no_traffic_healthy_interval": 5_000}),
        (
            {"initial_jitter": "1s", "interval_jitter": "2s", "interval_jitter_percent": 30},
            {"initial_jitter": 1_000, "interval_jitter": 2_000, "interval_jitter_percent": 30},
        ),
        ({"reuse_connection": False}, {"reuse_connection": False}),
        ({"reuse_connection": True}, {}),
        ({"always_log_health_check_failures": True}, {"always_log_failures": True}),
        ({"always_log_health_check_success": True}, {"always_log_success": True}),
    ],
)
def test_when(fields: dict[str, Any], expected: dict[str, Any]) -> None:
    found = translate("cluster", checked({**tcp(), **fields})).cluster.health_check
    assert found == plain(TcpCheck(), **expected)


def test_over_http() -> None:
    found = translate(
        "cluster",
        checked(
            http(
                host="a.test",
                method="OPTIONS",
                request_headers_to_add=[{"header": {"key": "x-a", "value": "50%%"}}],
                expected_statuses=[{"start": 200, "end": 300}, {"start": 404, "end": 405}],
                retriable_statuses=[{"start": 100, "end": 600}],
                codec_client_type="HTTP1",
            )
        ),
    ).cluster.health_check
    assert found == plain(
        HttpCheck("/healthz", "a.test", "OPTIONS", [("x-a", "50%")], [(200, 300), (404, 405)], [(100, 600)])
    )


def test_over_http_2() -> None:
    found = translate("cluster", checked(http(codec_client_type="HTTP2"))).cluster.health_check
    assert found == plain(HttpCheck("/healthz", http2=True))


def test_over_grpc() -> None:
    assert translate("cluster", checked(grpc())).cluster.health_check == plain(GrpcCheck())
    found = translate(
        "cluster",
        checked(
            grpc(
                service_name="shop.Prices",
                authority="prices",
                initial_metadata=[{"header": {"key": "x-a", "value": "50%%"}}],
            )
        ),
    ).cluster.health_check
    assert found == plain(GrpcCheck("shop.Prices", "prices", [("x-a", "50%")]))


def test_over_tcp() -> None:
    binary = base64.b64encode(b"\xff").decode()
    found = translate(
        "cluster", checked(tcp(send={"text": "00FF"}, receive=[{"text": "0a"}, {"binary": binary}]))
    ).cluster.health_check
    assert found == plain(TcpCheck(b"\0\xff", [b"\n", b"\xff"]))


A = "health_checks[0]"
H = f"{A}.http_health_check"


@pytest.mark.parametrize(
    ("checks", "path", "message"),
    [
        ([BASE], A, "needs http_health_check, grpc_health_check or tcp_health_check"),
        ([http(), tcp()], "health_checks[1]", "one health check only"),
        ([http(codec_client_type="HTTP3")], f"{H}.codec_client_type", "HTTP3 is not supported (only HTTP1 or HTTP2)"),
        ([grpc(authority="a\nb")], f"{A}.grpc_health_check.authority", "control characters"),
        ([grpc(service_name="a\0")], f"{A}.grpc_health_check.service_name", "control characters"),
        *[
            (
                [grpc(initial_metadata=[{"header": {"key": key, "value": "1"}}])],
                f"{A}.grpc_health_check.initial_metadata[0].header.key",
                "cannot be set",
            )
            for key in ("te", "Content-Type", "grpc-encoding")
        ],
        ([{**BASE, "custom_health_check": {"name": "x"}}], f"{A}.custom_health_check", "not supported"),
        *[
            ([{key: value for key, value in tcp().items() if key != name}], f"{A}.{name}", "is missing")
            for name in ("timeout", "interval", "unhealthy_threshold", "healthy_threshold")
        ],
        ([{**tcp(), "timeout": "0s"}], f"{A}.timeout", "greater than zero"),
        ([{**tcp(), "interval": "0s"}], f"{A}.interval", "greater than zero"),
        ([{**tcp(), "no_traffic_interval": "0s"}], f"{A}.no_traffic_interval", "greater than zero"),
        ([{**tcp(), "alt_port": 1}], f"{A}.alt_port", "not supported"),
        ([{**tcp(), "event_log_path": "/x"}], f"{A}.event_log_path", "not supported"),
        ([{**tcp(), "tls_options": {"alpn_protocols": ["h2"]}}], f"{A}.tls_options", "not supported"),
        ([{**tcp(), "transport_socket_match_criteria": {"a": 1}}], f"{A}.transport_socket_match_criteria", "not supp"),
        ([http(path="")], f"{H}.path", "is missing"),
        ([http(path="/a b")], f"{H}.path", "without blanks"),
        ([http(host="a\nb")], f"{H}.host", "control characters"),
        ([http(method="CONNECT")], f"{H}.method", "CONNECT"),
        ([http(service_name_matcher={"exact": "a"})], f"{H}.service_name_matcher", "not supported"),
        ([http(send={"text": "00"})], f"{H}.send", "not supported"),
        ([http(receive=[{"text": "00"}])], f"{H}.receive[0]", "not supported"),
        ([http(request_headers_to_remove=["a"])], f"{H}.request_headers_to_remove", "not supported"),
        ([http(expected_statuses=[{"start": 99, "end": 200}])], f"{H}.expected_statuses[0]", "from a start of 100"),
        ([http(expected_statuses=[{"start": 200, "end": 200}])], f"{H}.expected_statuses[0]", "from a start of 100"),
        ([http(retriable_statuses=[{"start": 200, "end": 601}])], f"{H}.retriable_statuses[0]", "an end of 600"),
        *[
            ([http(request_headers_to_add=[{"header": header}])], f"{H}.request_headers_to_add[0].header.{field}", text)
            for header, field, text in (
                ({"key": "a b", "value": ""}, "key", "a header's name"),
                ({"key": "Content-Length", "value": "5"}, "key", "cannot be set"),
                ({"key": "a", "value": "x\r\ny: z"}, "value", "control characters"),
                ({"key": "a", "value": "%HOSTNAME%"}, "value", "operators"),
            )
        ],
        ([tcp(send={"text": "0"})], f"{A}.tcp_health_check.send.text", "hexadecimal"),
        ([tcp(receive=[{"text": ""}])], f"{A}.tcp_health_check.receive[0].text", "is missing"),
    ],
)
def test_refused(checks: list[dict[str, Any]], path: str, message: str) -> None:
    found = problems("cluster", checked(*checks))
    assert path.removesuffix("[0]") in [problem.path.removesuffix("[0]") for problem in found]
    assert any(message in problem.message for problem in found)
    assert len(found) == 1


# -- endpoints ---------------------------------------------------------------------------------------------------------


def endpoint(**config: Any) -> dict[str, Any]:
    return assignment({"endpoint": {"address": address(), "health_check_config": config}})


def test_endpoints_of_their_own() -> None:
    [found] = translate("endpoint", endpoint(port_value=81, hostname="a.test")).endpoints
    assert found == Endpoint("127.0.0.1", 8080, check_port=81, check_hostname="a.test")
    [found] = translate("endpoint", endpoint(disable_active_health_check=True)).endpoints
    assert found == Endpoint("127.0.0.1", 8080, checked=False)


def test_names_of_their_own() -> None:
    fields = {"type": "STRICT_DNS", "load_assignment": endpoint(port_value=81, hostname="h")}
    fields["load_assignment"]["endpoints"][0]["lb_endpoints"][0]["endpoint"]["address"] = address("a.test")
    [name] = translate("cluster", {"name": "c", **fields}).dns.names
    assert (name.checked, name.check_port, name.check_hostname) == (True, 81, "h")


@pytest.mark.parametrize(
    ("config", "path", "message"),
    [
        ({"port_value": 65_536}, "port_value", "a port from 1 to 65535"),
        ({"hostname": "a\nb"}, "hostname", "control characters"),
        ({"address": address()}, "address", "not supported"),
    ],
)
def test_endpoints_refused(config: dict[str, Any], path: str, message: str) -> None:
    [problem] = problems("endpoint", endpoint(**config))
    assert problem.path == f"endpoints[0].lb_endpoints[0].endpoint.health_check_config.{path}"
    assert message in problem.message
