"""gRPC's own client and server through a real Envoy under our Pilot."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent import futures
from pathlib import Path

import grpc
import pytest
import yaml

from tage.config import protocols
from tests.pilot.process import Process, process
from tests.pilot.test_envoy import ENVOY, PATIENCE, Envoy, assert_nothing_refused, until

pytestmark = [
    pytest.mark.processes,
    pytest.mark.skipif(ENVOY is None, reason="no Envoy: set TAGE_ENVOY, or put `envoy` on PATH or into .tools/bin"),
]

MESH = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: reviews}
spec:
  hosts: [reviews]
  http:
  - match: [{uri: {exact: /shop.Greeter/Failing}}]
    fault: {abort: {grpcStatus: PERMISSION_DENIED, percentage: {value: 100}}}
    route: [{destination: {host: reviews}}]
  - match: [{uri: {prefix: /shop.Greeter/}}]
    timeout: 20s
    route: [{destination: {host: reviews}}]
"""


class Greeter(grpc.GenericRpcHandler):
    """Hello answers with what it was sent; Slow takes too long."""

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler | None:
        method = details.method.rpartition("/")[2]
        if method == "Hello":
            return grpc.unary_unary_rpc_method_handler(lambda request, _: request)
        if method == "Slow":
            return grpc.unary_unary_rpc_method_handler(self._slow)
        return None

    @staticmethod
    def _slow(request: bytes, context: grpc.ServicerContext) -> bytes:
        deadline = time.monotonic() + PATIENCE
        while context.is_active() and time.monotonic() < deadline:
            time.sleep(0.02)
        return request


@pytest.fixture
def mesh(tmp_path: Path) -> Iterator[tuple[Envoy, Process]]:
    server = grpc.server(futures.ThreadPoolExecutor(4), handlers=[Greeter()])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    instance = {
        "name": "r1", "address": "127.0.0.1", "port": port, "app_address": "127.0.0.1", "app_port": port,
    }  # fmt: skip
    services = tmp_path / "services.yaml"
    services.write_text(
        yaml.safe_dump({"services": [{"name": "reviews", "protocol": "grpc", "instances": [instance]}]})
    )
    (tmp_path / "mesh.yaml").write_text(MESH)
    options = ("--mesh", str(tmp_path / "mesh.yaml"), "--registry", f"file:{services}")
    with process(tmp_path / "config", *options) as control:
        envoy = Envoy(tmp_path, control.xds, port)
        try:
            until(envoy.is_live, f"Envoy did not become ready: {envoy.log.read_text()}")
            yield envoy, control
        finally:
            envoy.close()
            server.stop(None).wait(PATIENCE)


def call(port: int, method: str, *options: tuple[str, str], timeout: float = PATIENCE) -> bytes:
    with grpc.insecure_channel(f"127.0.0.1:{port}", options=[*options, ("grpc.enable_http_proxy", 0)]) as channel:
        return bytes(channel.unary_unary(f"/shop.Greeter/{method}")(b"hello", timeout=timeout, wait_for_ready=True))


def test_grpc_through_an_envoy(mesh: tuple[Envoy, Process]):
    envoy, control = mesh
    assert_nothing_refused(envoy, control)
    fqdn = "reviews.default.svc.cluster.local"
    own = protocols.service_ports([fqdn], envoy.outbound)[fqdn]
    assert call(own, "Hello") == b"hello"
    assert call(envoy.outbound, "Hello", ("grpc.default_authority", "reviews")) == b"hello"
    assert call(envoy.inbound, "Hello") == b"hello"
    with pytest.raises(grpc.RpcError) as failed:
        call(own, "Failing")
    assert failed.value.code() == grpc.StatusCode.PERMISSION_DENIED  # type: ignore[attr-defined]
    with pytest.raises(grpc.RpcError) as late:
        call(own, "Slow", timeout=0.5)
    assert late.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED  # type: ignore[attr-defined]
