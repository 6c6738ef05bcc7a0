"""Dubbo 3's Triple protocol, which is gRPC to a sidecar: from Dubbo's client to its server, directly and through two
sidecars over HTTP/2. Nothing may be different; and the sidecars' own rules and answers are gRPC's."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.e2e.bootstraps import Json, bootstrap, listener, virtual_host
from tests.e2e.ports import free_port, until
from tests.e2e.sidecar import Sidecar, sidecar
from tests.interop.grpc.sidecars import http2_cluster, http2_listener
from tests.interop.java import Client, Failure, Server
from tests.interop.sdk import BUSINESS, INTERFACE, RUNTIME

pytestmark = [pytest.mark.interop, pytest.mark.processes]

TRIPLE = ("-Dprotocol=tri",)
RPC_EXCEPTION = "org.apache.dubbo.rpc.RpcException"
# RpcException's numbers (org.apache.dubbo.rpc.RpcException), which TriRpcStatus makes of gRPC's statuses.
TIMEOUT = 2
LARGE = 1 << 20


@pytest.fixture(scope="module")
def server(directory: Path) -> Iterator[Server]:
    server = Server("dubbo", directory, "v1", options=TRIPLE)
    yield server
    server.discard()


@pytest.fixture(scope="module")
def client(directory: Path, server: Server) -> Iterator[Client]:
    with closing(Client("dubbo", directory, options=TRIPLE)) as client:
        yield client


@dataclass
class Chain:
    """`ports`: of the front sidecar's listeners."""

    ports: dict[str, int]
    front: Sidecar


def _method(name: str, **action: object) -> Json:
    return {"match": {"path": f"/{INTERFACE}/{name}"}, "route": {"cluster": "callee", "timeout": "0s", **action}}


@pytest.fixture(scope="module")
def chain(directory: Path, server: Server) -> Iterator[Chain]:
    entrance = free_port()
    ports = {name: free_port() for name in ("plain", "refused", "by-method", "by-metadata")}
    by_method = [_method("echo"), _method("slow", max_grpc_timeout="0.3s")]
    caller = {"name": "tri-consumer-appname", "string_match": {"exact": "caller"}}
    by_metadata = {"match": {"prefix": f"/{INTERFACE}/", "headers": [caller]}, "route": {"cluster": "callee"}}
    listeners = [
        http2_listener("plain", ports["plain"], "callee"),
        http2_listener("refused", ports["refused"], "nobody"),
        listener("by-metadata", ports["by-metadata"], [virtual_host("*", by_metadata)], codec_type="HTTP2"),
        listener("by-method", ports["by-method"], [virtual_host("*", *by_method)], codec_type="HTTP2"),
    ]
    back = bootstrap(
        free_port(), [http2_listener("inbound", entrance, "instance")], [http2_cluster("instance", server.port)]
    )
    clusters = [http2_cluster("callee", entrance), http2_cluster("nobody", free_port())]
    with (
        sidecar(directory, back, name="back-triple"),
        sidecar(directory, bootstrap(free_port(), listeners, clusters), name="front-triple") as front,
    ):
        yield Chain(ports, front)


@pytest.fixture(params=["direct", "sidecars"])
def port(request: pytest.FixtureRequest, server: Server, chain: Chain) -> int:
    """What the client dials."""
    return server.port if request.param == "direct" else chain.ports["plain"]


def test_values(client: Client, port: int) -> None:
    assert client.call(port, text="hello") == "v1 hello"
    assert client.call(port, text="") == "v1 "
    assert client.call(port, text="踏歌 " * 2000) == "v1 " + "踏歌 " * 2000
    assert client.call(port, "order") == {"same": True}


@pytest.mark.parametrize("size", [0, 1, 65_535, 300_000, LARGE])
def test_bytes(client: Client, port: int, size: int) -> None:
    assert client.call(port, "bytes", size=size) == {"length": size, "same": True}


@pytest.mark.parametrize(("method", "exception"), [("fail", BUSINESS), ("crash", RUNTIME)])
def test_exceptions(client: Client, port: int, method: str, exception: str) -> None:
    with pytest.raises(Failure) as failed:
        client.call(port, method, text="no stock")
    assert failed.value.exception == exception
    assert failed.value.message.partition("\n")[0] == "v1 no stock"


@pytest.mark.parametrize("mode", ["future", "callback"])
def test_asynchronous_calls(client: Client, port: int, mode: str) -> None:
    assert client.call(port, mode=mode) == "v1 hello"


def test_fast_answers_overtake_slow_ones(client: Client, port: int) -> None:
    slow = client.start(port, "slow", milliseconds=1500)
    assert client.load(port, calls=100, threads=4)["values"] == {"v1 hello": 100}
    assert client.answer(slow)["value"] == "v1 1500"


def test_client_timeouts(client: Client, port: int) -> None:
    with pytest.raises(Failure) as failed:
        client.call(port, "slow", milliseconds=5_000, timeout=500)
    assert (failed.value.exception, failed.value.code) == (RPC_EXCEPTION, TIMEOUT)
    assert client.call(port) == "v1 hello"


@pytest.mark.parametrize(
    ("listener", "method", "expected"),
    [
        ("refused", "echo", "UNAVAILABLE : upstream connection failure: Connection refused"),
        ("by-method", "slow", "DEADLINE_EXCEEDED : upstream request timeout"),
        ("by-method", "order", "UNIMPLEMENTED : no route: no virtual host or route matches this request"),
    ],
)
def test_what_a_sidecar_answers(client: Client, chain: Chain, listener: str, method: str, expected: str) -> None:
    with pytest.raises(Failure) as failed:
        client.call(chain.ports[listener], method, milliseconds=5_000)
    assert failed.value.exception == RPC_EXCEPTION
    assert failed.value.causes[-1] == f"org.apache.dubbo.rpc.StatusRpcException: {expected}"
    assert failed.value.ms < 3_000


def test_rules_go_by_method_and_metadata(client: Client, chain: Chain) -> None:
    assert client.call(chain.ports["by-method"]) == "v1 hello"
    assert client.call(chain.ports["by-metadata"]) == "v1 hello"


def test_statistics(client: Client, chain: Chain) -> None:
    def counted() -> Counter[str]:
        lines = chain.front.page("/stats/prometheus")[1].splitlines()
        found: Counter[str] = Counter()
        for line in lines:
            if line.startswith("istio_requests_total{") and 'request_protocol="grpc"' in line:
                found[re.findall(r'grpc_response_status="(\d+)"', line)[0]] += int(line.rpartition(" ")[2])
        return found

    before = counted()
    client.call(chain.ports["plain"])
    with pytest.raises(Failure):
        client.call(chain.ports["plain"], "crash")  # to Triple its exception is a message like any other
    with pytest.raises(Failure):
        client.call(chain.ports["refused"])
    until(lambda: counted() - before == {"0": 2, "14": 1}, "three calls are counted")
