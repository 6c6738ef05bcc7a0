"""TCP proxies and TLS: ended here, passed through by server name, and begun here behind a PROXY header."""

from __future__ import annotations

import socket
import ssl
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from bench.certificates import SERVER_NAMES, Certificates, key_of, make_certificates
from tage.dataplane.net.proxy_protocol import ProxyHeaderParser
from tage.dataplane.net.verdict import Verdict
from tests.e2e.bootstraps import Json, bootstrap, cluster, tcp_listener
from tests.e2e.ports import PATIENCE, free_port
from tests.e2e.raw import Origin, connect, read
from tests.e2e.sidecar import sidecar

pytestmark = pytest.mark.processes

TYPE = "type.googleapis.com/envoy.extensions"


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("tls") / "certificates")


def tls(kind: str, **fields: Any) -> Json:
    typed = {"@type": f"{TYPE}.transport_sockets.tls.v3.{kind}TlsContext", **fields}
    return {"name": "envoy.transport_sockets.tls", "typed_config": typed}


def file(path: Path) -> Json:
    return {"filename": str(path)}


def client_of(certificates: Certificates, sock: socket.socket, name: str) -> ssl.SSLSocket:
    return ssl.create_default_context(cafile=str(certificates.authority)).wrap_socket(sock, server_hostname=name)


def server_of(certificates: Certificates, sock: socket.socket) -> ssl.SSLSocket:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates.server, key_of(certificates.server))
    return context.wrap_socket(sock, server_side=True)


@pytest.mark.parametrize("first", ["client", "client that says so", "server"])
def test_tls_ends_here(tmp_path, certificates, first):
    port = free_port()
    listener = tcp_listener("l", port, "app")
    pair = {"certificate_chain": file(certificates.server), "private_key": file(key_of(certificates.server))}
    socket_ = tls("Downstream", common_tls_context={"tls_certificates": [pair]})
    listener["filter_chains"][0]["transport_socket"] = socket_
    with Origin() as origin:
        config = bootstrap(free_port(), [listener], [cluster("app", origin.port)])
        with (
            sidecar(tmp_path, config),
            client_of(certificates, connect(port), SERVER_NAMES[0]) as client,
            origin.accept() as server,
        ):
            client.sendall(b"question")
            assert read(server, 8) == b"question"
            server.sendall(b"answer" * 100_000)
            assert read(client, 600_000) == b"answer" * 100_000
            one, other = (server, client) if first == "server" else (client, server)
            one.sendall(b"last words")
            if first == "client that says so":
                saying = threading.Thread(target=client.unwrap)  # until the other side has ended, too
                saying.start()
                assert read(server, 100) == b"last words"
                server.close()
                saying.join(PATIENCE)
                assert not saying.is_alive()
                return
            one.close()
            assert read(other, 100) == b"last words"


def test_tls_is_passed_through_by_server_name(tmp_path, certificates):
    port = free_port()
    names = SERVER_NAMES[:2]
    with Origin() as first, Origin() as second, ThreadPoolExecutor() as pool:
        origins = dict(zip(names, (first, second), strict=True))
        chains = []
        for name in names:
            chain = tcp_listener("l", port, name)["filter_chains"][0]
            chains.append({**chain, "filter_chain_match": {"server_names": [name]}})
        inspector = {"@type": f"{TYPE}.filters.listener.tls_inspector.v3.TlsInspector"}
        listener = {
            **tcp_listener("l", port, "unused"),
            "filter_chains": chains,
            "listener_filters": [{"name": "envoy.filters.listener.tls_inspector", "typed_config": inspector}],
        }
        clusters = [cluster(name, origin.port) for name, origin in origins.items()]
        with sidecar(tmp_path, bootstrap(free_port(), [listener], clusters)) as running:
            for name, origin in origins.items():
                serving = pool.submit(lambda origin=origin: server_of(certificates, origin.accept()))
                with client_of(certificates, connect(port), name) as client, serving.result(PATIENCE) as server:
                    client.sendall(b"question")
                    assert read(server, 8) == b"question"
                    server.sendall(b"answer")
                    assert read(client, 6) == b"answer"
            with connect(port) as client, pytest.raises(OSError):
                client_of(certificates, client, "unknown.test")
            assert running.stats()["listener.l.no_filter_chain_match"] == 1


def test_tls_begins_behind_a_proxy_header(tmp_path, certificates):
    port = free_port()
    inner = tls(
        "Upstream",
        sni=SERVER_NAMES[0],
        common_tls_context={"validation_context": {"trusted_ca": file(certificates.authority)}},
    )
    outer = {
        "name": "envoy.transport_sockets.upstream_proxy_protocol",
        "typed_config": {
            "@type": f"{TYPE}.transport_sockets.proxy_protocol.v3.ProxyProtocolUpstreamTransport",
            "config": {"version": "V2"},
            "transport_socket": inner,
        },
    }
    with Origin() as origin, ThreadPoolExecutor() as pool:
        clusters = [cluster("app", origin.port, transport_socket=outer)]
        with sidecar(tmp_path, bootstrap(free_port(), [tcp_listener("l", port, "app")], clusters)):

            def serve() -> tuple[ProxyHeaderParser, ssl.SSLSocket]:
                sock = origin.accept()
                parser = ProxyHeaderParser()
                while parser.read(sock.recv(parser.needed, socket.MSG_PEEK)) == Verdict.MORE:
                    pass
                sock.recv(parser.size)
                return parser, server_of(certificates, sock)

            serving = pool.submit(serve)
            with connect(port) as client:
                client.sendall(b"question")
                parser, server = serving.result(PATIENCE)
                with server:
                    assert parser.header.source == client.getsockname()
                    assert read(server, 8) == b"question"
                    server.sendall(b"answer")
                    assert read(client, 6) == b"answer"
                    server.sendall(b"last words")
                    server.close()
                    assert read(client, 100) == b"last words"
