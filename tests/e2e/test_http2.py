"""Which version of HTTP is spoken, as configured: with curl, with clients of gRPC, with both kinds of hosts."""

from __future__ import annotations

import json
import shutil
import ssl
import subprocess
import threading
from collections.abc import Iterator
from concurrent import futures
from pathlib import Path
from typing import Any

import grpc
import pytest
from websockets.sync.client import connect
from websockets.sync.server import ServerConnection, serve

from tests.e2e.backend import Backend
from tests.e2e.bootstraps import Json, bootstrap, cluster, listener, route, virtual_host
from tests.e2e.ports import LOOPBACK, PATIENCE, free_port, until
from tests.e2e.sidecar import sidecar
from tests.e2e.test_tls import AUTHORITY, Files, connection, context, socket_of

pytestmark = [pytest.mark.processes, pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not there")]

OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"


def speaking(**options: Any) -> Json:
    return {"typed_extension_protocol_options": {OPTIONS: {"@type": f"type.googleapis.com/{OPTIONS}", **options}}}


HTTP2 = speaking(explicit_http_config={"http2_protocol_options": {}})


def curl(directory: Path, url: str, *options: str) -> tuple[str, str]:
    """The version of HTTP that was spoken, and the status; 0 and 000 where there is no answer."""
    done = subprocess.run(
        ["curl", "-sS", "-o", str(directory / "body"), "-w", "%{http_version} %{http_code}",
         "--cacert", str(directory / "ca.pem"), "--max-time", str(PATIENCE), *options, url],
        capture_output=True, text=True, timeout=2 * PATIENCE, check=False,
    )  # fmt: skip
    version, status = done.stdout.split()
    return version, status


@pytest.fixture
def backend() -> Iterator[Backend]:
    """Of HTTP/1.1."""
    running = Backend()
    yield running
    running.close()


class Echo(grpc.GenericRpcHandler):
    """Answers with what it was sent."""

    def service(self, _: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler:
        return grpc.unary_unary_rpc_method_handler(lambda request, _: request)


@pytest.fixture
def plain() -> Iterator[int]:
    """The port of a server of gRPC."""
    server = grpc.server(futures.ThreadPoolExecutor(4), handlers=[Echo()])
    port = server.add_insecure_port(f"{LOOPBACK}:0")
    server.start()
    yield port
    server.stop(None).wait(PATIENCE)


@pytest.fixture
def secured() -> Iterator[int]:
    """The same over TLS, where it wants `h2` by ALPN."""
    pair = AUTHORITY.issue("b.test")
    server = grpc.server(futures.ThreadPoolExecutor(4), handlers=[Echo()])
    port = server.add_secure_port(f"{LOOPBACK}:0", grpc.ssl_server_credentials([(pair.key, pair.chain)]))
    server.start()
    yield port
    server.stop(None).wait(PATIENCE)


def echo(channel: grpc.Channel, text: bytes = b"hello") -> bytes:
    with channel:
        return bytes(channel.unary_unary("/test.Echo/Echo")(text, timeout=PATIENCE, wait_for_ready=True))


DIRECT = (("grpc.enable_http_proxy", 0),)


@pytest.mark.parametrize(
    ("codec", "http1", "http2"), [("AUTO", True, True), ("HTTP1", True, False), ("HTTP2", False, True)]
)
def test_codec_of_a_listener(tmp_path: Path, backend: Backend, codec: str, http1: bool, http2: bool) -> None:
    """In plain text by prior knowledge, over TLS by ALPN."""
    files = Files(tmp_path)
    files.put("a", AUTHORITY.issue("a.test"))
    tls = socket_of("Downstream", {"tls_certificates": [files.certificate("a")], "alpn_protocols": ["h2", "http/1.1"]})
    ports = free_port(), free_port()
    listeners = [listener(f"l{port}", port, [virtual_host("*", route("c"))], codec_type=codec) for port in ports]
    listeners[1]["filter_chains"][0]["transport_socket"] = tls
    with sidecar(tmp_path, bootstrap(free_port(), listeners, [cluster("c", backend.port)])):
        url = f"http://{LOOPBACK}:{ports[0]}/"
        assert (curl(tmp_path, url, "--http1.1") == ("1.1", "200")) is http1
        assert (curl(tmp_path, url, "--http2-prior-knowledge") == ("2", "200")) is http2
        made = context()
        made.set_alpn_protocols(["h2", "http/1.1"])
        with connection(ports[1], "a.test", made) as sock:
            assert sock.selected_alpn_protocol() == ("h2" if http2 else "http/1.1")
        resolved = ("--resolve", f"a.test:{ports[1]}:{LOOPBACK}")
        spoken = curl(tmp_path, f"https://a.test:{ports[1]}/", "--http2", *resolved)
        assert spoken == ("2" if http2 else "1.1", "200")
        assert json.loads((tmp_path / "body").read_text())["headers"]["x-forwarded-proto"] == "https"


def test_hosts_of_http2(tmp_path: Path, plain: int) -> None:
    """Clients of both versions reach them; gRPC's client is one."""
    port = free_port()
    content = bootstrap(
        free_port(), [listener("l", port, [virtual_host("*", route("c"))])], [cluster("c", plain, **HTTP2)]
    )
    with sidecar(tmp_path, content) as running:
        assert echo(grpc.insecure_channel(f"{LOOPBACK}:{port}", options=DIRECT)) == b"hello"
        (tmp_path / "frame").write_bytes(b"\0\0\0\0\5hello")
        sent = ("-H", "content-type: application/grpc", "-H", "te: trailers", "--data-binary", f"@{tmp_path}/frame")
        assert curl(tmp_path, f"http://{LOOPBACK}:{port}/test.Echo/Echo", "--http1.1", *sent) == ("1.1", "200")
        assert (tmp_path / "body").read_bytes() == b"\0\0\0\0\5hello"
        assert running.stats()["cluster.c.upstream_cx_total"] == 1, "both go over one connection"


def test_grpc_over_tls_on_both_sides(tmp_path: Path, secured: int) -> None:
    """Its clients and servers want h2 by ALPN; the cluster asks for it though it is not told to."""
    files = Files(tmp_path)
    files.put("a", AUTHORITY.issue("a.test"))
    tls = socket_of("Downstream", {"tls_certificates": [files.certificate("a")], "alpn_protocols": ["h2"]})
    port = free_port()
    front = listener("l", port, [virtual_host("*", route("c"))])
    front["filter_chains"][0]["transport_socket"] = tls
    upstream = socket_of("Upstream", {"validation_context": files.validation()}, sni="b.test")
    content = bootstrap(free_port(), [front], [cluster("c", secured, transport_socket=upstream, **HTTP2)])
    with sidecar(tmp_path, content):
        credentials = grpc.ssl_channel_credentials(AUTHORITY.pem)
        options = (*DIRECT, ("grpc.ssl_target_name_override", "a.test"))
        assert echo(grpc.secure_channel(f"{LOOPBACK}:{port}", credentials, options=options)) == b"hello"


def test_a_context_without_names_for_alpn(tmp_path: Path, backend: Backend) -> None:
    """The client begins with HTTP/2's preface, or does not."""
    files = Files(tmp_path)
    files.put("a", AUTHORITY.issue("a.test"))
    front = listener("l", port := free_port(), [virtual_host("*", route("c"))])
    tls = socket_of("Downstream", {"tls_certificates": [files.certificate("a")]})
    front["filter_chains"][0]["transport_socket"] = tls
    with sidecar(tmp_path, bootstrap(free_port(), [front], [cluster("c", backend.port)])):
        made = ssl.create_default_context(cadata=AUTHORITY.pem.decode())
        made.set_alpn_protocols(["h2"])
        with connection(port, "a.test", made) as sock:
            assert sock.selected_alpn_protocol() is None
            sock.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes((0, 0, 0, 4, 0, 0, 0, 0, 0)))
            assert sock.recv(9)[3] == 4, "SETTINGS"


class Hops:
    """Two listeners: what comes in at `port` goes by the cluster `next`, with these fields, to the second one, `*`,
    which logs the version of HTTP that was spoken with it."""

    def __init__(self, directory: Path, to: int, second: Json, **of_next: Any) -> None:
        self.directory = directory
        self.log = directory / "versions"
        self.port, inner = free_port(), free_port()
        log = {"@type": "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog"}
        log |= {"path": str(self.log), "log_format": {"text_format_source": {"inline_string": "%PROTOCOL%\n"}}}
        upgrades = {"upgrade_configs": [{"upgrade_type": "websocket"}]}
        back = listener(
            "back",
            inner,
            [virtual_host("*", route("app"))],
            access_log=[{"name": "f", "typed_config": log}],
            **upgrades,
        )
        back["filter_chains"][0] |= second
        front = listener("front", self.port, [virtual_host("*", route("next"))], **upgrades)
        clusters = [cluster("next", inner, **of_next), cluster("app", to)]
        self.bootstrap = bootstrap(free_port(), [front, back], clusters)

    def versions(self, count: int) -> list[str]:
        until(lambda: self.log.exists() and self.log.read_text().count("\n") >= count, f"{count} lines in the log")
        return self.log.read_text().split("\n")[:-1]

    def get(self, option: str) -> str:
        return curl(self.directory, f"http://{LOOPBACK}:{self.port}/", option)[1]


def test_as_the_client_came(tmp_path: Path, backend: Backend) -> None:
    options = speaking(use_downstream_protocol_config={"http2_protocol_options": {}})
    hops = Hops(tmp_path, backend.port, {}, **options)
    with sidecar(tmp_path, hops.bootstrap) as running:
        for option in ("--http1.1", "--http2-prior-knowledge", "--http1.1", "--http2-prior-knowledge"):
            assert hops.get(option) == "200"
        assert hops.versions(4) == ["HTTP/1.1", "HTTP/2", "HTTP/1.1", "HTTP/2"]
        assert running.stats()["cluster.next.upstream_cx_total"] == 2, "each version has its connection, and keeps it"


@pytest.mark.parametrize(
    ("names", "version"), [(["h2", "http/1.1"], "HTTP/2"), (["http/1.1"], "HTTP/1.1"), ([], "HTTP/1.1")]
)
def test_as_alpn_has_it(tmp_path: Path, backend: Backend, names: list[str], version: str) -> None:
    files = Files(tmp_path)
    files.put("a", AUTHORITY.issue("a.test"))
    tls = socket_of("Downstream", {"tls_certificates": [files.certificate("a")], "alpn_protocols": names})
    upstream = socket_of("Upstream", {"validation_context": files.validation()}, sni="a.test")
    hops = Hops(
        tmp_path, backend.port, {"transport_socket": tls}, transport_socket=upstream, **speaking(auto_config={})
    )
    with sidecar(tmp_path, hops.bootstrap) as running:
        for option in ("--http1.1", "--http2-prior-knowledge"):
            assert hops.get(option) == "200"
        assert hops.versions(2) == [version] * 2
        assert running.stats()["cluster.next.upstream_cx_total"] == 1


def echo_websocket(connection: ServerConnection) -> None:
    for message in connection:
        connection.send(message)


@pytest.mark.parametrize("kind", ["auto_config", "use_downstream_protocol_config"])
def test_websockets_where_both_versions_are_spoken(tmp_path: Path, kind: str) -> None:
    """With ALPN, by HTTP/1.1: the request is written before it is known what a connection agrees to."""
    files = Files(tmp_path)
    files.put("a", AUTHORITY.issue("a.test"))
    tls = socket_of("Downstream", {"tls_certificates": [files.certificate("a")], "alpn_protocols": ["h2", "http/1.1"]})
    upstream = socket_of("Upstream", {"validation_context": files.validation()}, sni="a.test")
    server = serve(echo_websocket, LOOPBACK, 0)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    port = server.socket.getsockname()[1]
    hops = Hops(tmp_path, port, {"transport_socket": tls}, transport_socket=upstream, **speaking(**{kind: {}}))
    try:
        with sidecar(tmp_path, hops.bootstrap):
            with connect(f"ws://{LOOPBACK}:{hops.port}/", open_timeout=PATIENCE, proxy=None) as client:
                client.send("hello")
                assert client.recv(PATIENCE) == "hello"
            assert hops.versions(1) == ["HTTP/1.1"]
    finally:
        server.shutdown()
