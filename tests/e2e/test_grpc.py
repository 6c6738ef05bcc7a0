"""Calls of gRPC through a sidecar, by grpcio's client and server: what its configuration says of them."""

from __future__ import annotations

import re
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import pytest

from tests.dataplane.upstream.health.test_http2_probes import Health
from tests.e2e.bootstraps import Json, bootstrap, listener, virtual_host
from tests.e2e.ports import LOOPBACK, free_port, until
from tests.e2e.sidecar import Sidecar, sidecar
from tests.e2e.test_health_checks import SOON
from tests.interop.grpc.sidecars import http2_cluster

pytestmark = pytest.mark.processes

HTTP = "type.googleapis.com/envoy.extensions.filters.http"
ALL = {"default_value": {"numerator": 100, "denominator": "HUNDRED"}}
LOG = "%REQ(:PATH)% %PROTOCOL% %RESPONSE_CODE% %RESPONSE_FLAGS% %GRPC_STATUS(SNAKE_STRING)% %TRAILER(grpc-message)%\n"


class Server:
    """p.S, and gRPC's health service."""

    def __init__(self) -> None:
        self.failures = 0
        """So many further calls of Flaky fail."""
        self.cancelled = threading.Event()
        self.timeouts: list[float | None] = []
        self.health = Health()
        self.served = 0
        methods = {
            "Echo": grpc.unary_unary_rpc_method_handler(self._echo),
            "Flaky": grpc.unary_unary_rpc_method_handler(self._flaky),
            "Slow": grpc.unary_unary_rpc_method_handler(self._slow),
            "Watch": grpc.stream_stream_rpc_method_handler(self._watch),
        }
        check = grpc.unary_unary_rpc_method_handler(
            self.health.check, self.health.request.FromString, self.health.response.SerializeToString
        )
        self._server = grpc.server(ThreadPoolExecutor(16))
        self._server.add_generic_rpc_handlers(
            [
                grpc.method_handlers_generic_handler("p.S", methods),
                grpc.method_handlers_generic_handler("grpc.health.v1.Health", {"Check": check}),
            ]
        )
        self.port = self._server.add_insecure_port(f"{LOOPBACK}:0")
        self._server.start()

    def _echo(self, request: bytes, context: grpc.ServicerContext) -> bytes:
        self.served += 1
        if request == b"unknown":
            context.abort(grpc.StatusCode.NOT_FOUND, "no such thing")
        return request

    def _flaky(self, request: bytes, context: grpc.ServicerContext) -> bytes:
        if self.failures:
            self.failures -= 1
            context.abort(grpc.StatusCode.UNAVAILABLE, "not now")
        return request

    def _slow(self, request: bytes, context: grpc.ServicerContext) -> bytes:
        self.timeouts.append(context.time_remaining())
        context.add_callback(self.cancelled.set)
        self.cancelled.wait(20)
        return request

    def _watch(self, requests: Iterator[bytes], context: grpc.ServicerContext) -> Iterator[bytes]:
        yield from requests

    def stop(self) -> None:
        self.cancelled.set()
        self._server.stop(None).wait()


@pytest.fixture(scope="module")
def servers() -> Iterator[list[Server]]:
    servers = [Server(), Server()]
    yield servers
    for server in servers:
        server.stop()


def _filter(name: str, kind: str, **fields: Any) -> Json:
    return {"name": f"envoy.filters.http.{name}", "typed_config": {"@type": f"{HTTP}.{kind}", **fields}}


def _routes() -> list[Json]:
    def rule(method: str, settings: Json | None = None, **action: Any) -> Json:
        found = {"match": {"path": f"/p.S/{method}"}, "route": {"cluster": "one", **action}}
        return found | ({"typed_per_filter_config": settings} if settings else {})

    back_off = {"base_interval": "0.01s"}
    fault = {"abort": {"grpc_status": 9, "percentage": {"numerator": 100}}}
    limit = {
        "stat_prefix": "limit",
        "token_bucket": {"max_tokens": 1, "fill_interval": "3600s"},
        "filter_enabled": ALL,
        "filter_enforced": ALL,
        "rate_limited_as_resource_exhausted": True,
    }
    return [
        rule("Flaky", retry_policy={"retry_on": "unavailable", "num_retries": 3, "retry_back_off": back_off}),
        rule("Slow", max_stream_duration={"grpc_timeout_header_max": "0.5s"}),
        rule("Watch", max_stream_duration={"grpc_timeout_header_max": "0s"}),
        rule("Fault", {"envoy.filters.http.fault": {"@type": f"{HTTP}.fault.v3.HTTPFault", **fault}}),
        rule(
            "Limited",
            {"envoy.filters.http.local_ratelimit": {"@type": f"{HTTP}.local_ratelimit.v3.LocalRateLimit", **limit}},
            prefix_rewrite="/p.S/Echo",
        ),
        {"match": {"path": "/p.S/Both"}, "route": {"cluster": "checked", "prefix_rewrite": "/p.S/Echo"}},
        rule("Echo"),
        {"match": {"path": "/p.S/Closed"}, "direct_response": {"status": 403, "body": {"inline_string": "closed"}}},
    ]


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("log") / "access"


@pytest.fixture(scope="module")
def running(
    tmp_path_factory: pytest.TempPathFactory, servers: list[Server], log: Path
) -> Iterator[tuple[Sidecar, grpc.Channel]]:
    """A sidecar, and a channel to it."""
    port = free_port()
    file = {
        "@type": "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog",
        "path": str(log),
        "log_format": {"text_format_source": {"inline_string": LOG}},
    }
    filters = [
        _filter("fault", "fault.v3.HTTPFault"),
        _filter("local_ratelimit", "local_ratelimit.v3.LocalRateLimit", stat_prefix="none"),
        _filter("router", "router.v3.Router"),
    ]
    manager = {"http_filters": filters, "access_log": [{"name": "file", "typed_config": file}], "codec_type": "HTTP2"}
    listeners = [listener("calls", port, [virtual_host("*", *_routes())], **manager)]
    checks = [{**SOON, "grpc_health_check": {"service_name": "p.S"}}]
    clusters = [
        http2_cluster("one", servers[0].port),
        http2_cluster("checked", *(each.port for each in servers), health_checks=checks),
    ]
    for server in servers:
        server.health.states["p.S"] = "SERVING"
    directory = tmp_path_factory.mktemp("grpc")
    with (
        sidecar(directory, bootstrap(free_port(), listeners, clusters)) as started,
        grpc.insecure_channel(f"{LOOPBACK}:{port}", [("grpc.enable_http_proxy", 0)]) as channel,
    ):
        yield started, channel


@pytest.fixture
def channel(running: tuple[Sidecar, grpc.Channel]) -> grpc.Channel:
    return running[1]


def ask(channel: grpc.Channel, method: str, request: bytes = b"x", **options: Any) -> bytes:
    return channel.unary_unary(f"/p.S/{method}")(request, **{"timeout": 10, **options})  # type: ignore[no-any-return]


def failure(channel: grpc.Channel, method: str, request: bytes = b"x", **options: Any) -> tuple[str, str]:
    with pytest.raises(grpc.RpcError) as failed:
        ask(channel, method, request, **options)
    return failed.value.code().name, failed.value.details()


def test_the_way_of_a_call(channel: grpc.Channel) -> None:
    assert ask(channel, "Echo", b"hello") == b"hello"
    assert failure(channel, "Echo", b"unknown") == ("NOT_FOUND", "no such thing")


def test_what_is_answered_here(channel: grpc.Channel) -> None:
    assert failure(channel, "Closed") == ("PERMISSION_DENIED", "closed")
    assert failure(channel, "Fault") == ("FAILED_PRECONDITION", "fault filter abort")
    assert failure(channel, "Nobody")[0] == "UNIMPLEMENTED"
    assert ask(channel, "Limited") == b"x"
    assert failure(channel, "Limited") == ("RESOURCE_EXHAUSTED", "local_rate_limited")


def test_retries(channel: grpc.Channel, servers: list[Server]) -> None:
    servers[0].failures = 3
    assert ask(channel, "Flaky") == b"x"
    assert servers[0].failures == 0
    servers[0].failures = 5
    assert failure(channel, "Flaky") == ("UNAVAILABLE", "not now")
    assert servers[0].failures == 1
    servers[0].failures = 0


def test_a_deadline_that_the_route_shortens(channel: grpc.Channel, servers: list[Server]) -> None:
    began = time.monotonic()
    assert failure(channel, "Slow", timeout=15)[0] == "DEADLINE_EXCEEDED"
    assert 0.4 < time.monotonic() - began < 5
    (told,) = servers[0].timeouts
    assert told is not None
    assert told <= 0.5
    assert servers[0].cancelled.wait(10), "the server goes on with a call that nobody waits for"


def test_a_deadline_within_a_stream(channel: grpc.Channel) -> None:
    """grpcio's client has none, for it did not write the header; sidecar and server, who have, end the call."""
    going = threading.Event()

    def requests() -> Iterator[bytes]:
        yield b"first"
        going.wait(10)

    answers = channel.stream_stream("/p.S/Watch")(requests(), metadata=[("grpc-timeout", "700m")])
    try:
        assert next(answers) == b"first"
        with pytest.raises(grpc.RpcError) as failed:
            next(answers)
    finally:
        going.set()
    assert failed.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED


def test_a_host_that_is_not_serving_gets_no_calls(running: tuple[Sidecar, grpc.Channel], servers: list[Server]) -> None:
    started, channel = running

    def healthy(count: int) -> bool:
        return started.stats()["cluster.checked.membership_healthy"] == count

    until(lambda: healthy(2), "both are healthy")
    servers[1].health.states["p.S"] = "NOT_SERVING"
    until(lambda: healthy(1), "one is not healthy")
    before = servers[1].served
    for _ in range(10):
        assert ask(channel, "Both") == b"x"
    assert servers[1].served == before
    servers[1].health.states["p.S"] = "SERVING"
    until(lambda: healthy(2), "both are healthy again")
    until(lambda: ask(channel, "Both") and servers[1].served > before, "it is called again")


def test_statistics_and_logs(running: tuple[Sidecar, grpc.Channel], log: Path) -> None:
    started, channel = running

    def counted() -> Counter[str]:
        found: Counter[str] = Counter()
        for line in started.page("/stats/prometheus")[1].splitlines():
            if line.startswith("istio_requests_total{") and 'request_protocol="grpc"' in line:
                found[re.findall(r'grpc_response_status="(\d+)"', line)[0]] += int(line.rpartition(" ")[2])
        return found

    before = counted()
    ask(channel, "Echo")
    failure(channel, "Echo", b"unknown")
    failure(channel, "Nobody")
    until(lambda: counted() - before == {"0": 1, "5": 1}, "two calls are counted: the third had no cluster")
    until(lambda: log.read_text().splitlines()[-1].startswith("/p.S/Nobody "), "three calls are logged")
    assert log.read_text().splitlines()[-3:] == [
        "/p.S/Echo HTTP/2 200 - OK ",  # its message is there, and empty
        "/p.S/Echo HTTP/2 200 - NOT_FOUND -",  # one head, without trailers
        "/p.S/Nobody HTTP/2 200 NR UNIMPLEMENTED -",
    ]
