"""WebSocket and CONNECT through two listeners of a sidecar, one behind the other, with the peers that people use."""

from __future__ import annotations

import hashlib
import http.client
import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosedError, InvalidStatus
from websockets.sync.client import ClientConnection, connect
from websockets.sync.server import Server, ServerConnection, serve

from tests.e2e.backend import Backend
from tests.e2e.bootstraps import bootstrap, cluster, listener, route, virtual_host
from tests.e2e.ports import LOOPBACK, PATIENCE, free_port, until
from tests.e2e.sidecar import Sidecar, sidecar
from tests.e2e.wire import Client, head

pytestmark = [pytest.mark.processes, pytest.mark.uncompiled]

CONNECT = {"upgrade_type": "CONNECT"}
WEBSOCKET = {"upgrade_type": "websocket"}


def connect_route(to: str, **config: Any) -> dict[str, Any]:
    return {"match": {"connect_matcher": {}}, "route": {"cluster": to, "upgrade_configs": [{**CONNECT, **config}]}}


def echo(connection: ServerConnection) -> None:
    """What comes, twice; `bye` ends it and `die` breaks it off."""
    for message in connection:
        if message == "bye":
            connection.close(4000, "as you say")
        elif message == "die":
            connection.socket.shutdown(socket.SHUT_RDWR)
        else:
            connection.send(message)
            connection.send(message)


class Setup:
    def __init__(self, running: Sidecar, port: int, backend: Backend, websocket: Server) -> None:
        self.sidecar = running
        self.port = port
        self.backend = backend
        self.websocket = websocket

    def connect(self, host: str = "chat", **options: Any) -> ClientConnection:
        sock = socket.create_connection((LOOPBACK, self.port), PATIENCE)
        return connect(f"ws://{host}/room?a=b", sock=sock, open_timeout=PATIENCE, close_timeout=PATIENCE, **options)

    def quiet(self) -> None:
        """No request is under way and no connection of a tunnel is left."""
        names = [f"listener.{name}.downstream_rq_active" for name in ("front", "back")]
        until(lambda: not any(self.sidecar.stats().get(name, 0) for name in names), "all tunnels have ended")


@pytest.fixture(scope="module")
def setup(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Setup]:
    backend = Backend()
    websocket = serve(echo, LOOPBACK, 0, max_size=None)
    thread = threading.Thread(target=websocket.serve_forever)
    thread.start()
    tls = TlsServer(tmp_path_factory.mktemp("tls")) if shutil.which("openssl") else None
    front, back = free_port(), free_port()
    chat = websocket.socket.getsockname()[1]
    no_upgrade = [{**WEBSOCKET, "enabled": False}]
    content = bootstrap(
        free_port(),
        [
            listener(
                "front",
                front,
                [
                    virtual_host("chat", route("back")),
                    virtual_host("plain", route("chat", upgrade_configs=no_upgrade)),
                    virtual_host("*", connect_route("back")),
                ],
                upgrade_configs=[WEBSOCKET],
            ),
            listener(
                "back",
                back,
                [
                    virtual_host("chat", route("chat")),
                    virtual_host("app:80", connect_route("app", connect_config={})),
                    virtual_host("tls:443", connect_route("tls", connect_config={})),
                ],
                upgrade_configs=[WEBSOCKET],
            ),
        ],
        [
            cluster("back", back),
            cluster("chat", chat),
            cluster("app", backend.port),
            cluster("tls", tls.port if tls else 1),
        ],
    )
    try:
        with sidecar(tmp_path_factory.mktemp("tunnels"), content) as running:
            yield Setup(running, front, backend, websocket)
    finally:
        websocket.shutdown()
        thread.join(PATIENCE)
        backend.close()
        if tls:
            tls.close()


class TlsServer:
    """Answers each connection with what it said, in capitals, and ends."""

    def __init__(self, directory: Path) -> None:
        key, certificate = directory / "key.pem", directory / "cert.pem"
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days",
             "2", "-subj", "/CN=tls", "-keyout", str(key), "-out", str(certificate)],
            check=True, capture_output=True,
        )  # fmt: skip
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(certificate, key)
        self._listening = socket.create_server((LOOPBACK, 0))
        self.port = self._listening.getsockname()[1]
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                sock, _ = self._listening.accept()
            except OSError:
                return
            sock.settimeout(PATIENCE)
            with self._context.wrap_socket(sock, server_side=True) as tls:
                tls.sendall(tls.recv(1 << 16).upper())

    def close(self) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self._thread.join(PATIENCE)


# -- WebSocket ---------------------------------------------------------------------------------------------------------


def test_websocket(setup: Setup) -> None:
    with setup.connect() as chat:
        assert chat.response is not None
        assert chat.response.status_code == 101
        for i in range(50):
            chat.send(f"message {i}")
            assert [chat.recv(PATIENCE), chat.recv(PATIENCE)] == [f"message {i}"] * 2
        assert chat.ping().wait(PATIENCE)
    setup.quiet()
    stats = setup.sidecar.stats()
    assert stats["listener.front.downstream_rq_1xx"] >= 1
    assert stats["listener.back.downstream_rq_1xx"] >= 1


def test_large_messages_both_ways_at_once(setup: Setup) -> None:
    """More than the buffers on the way hold."""
    message = bytes(range(256)) * 16_384
    digest = hashlib.sha256(message).digest()
    with setup.connect(max_size=None) as chat:
        sender = threading.Thread(target=lambda: [chat.send(message) for _ in range(4)])
        sender.start()
        for _ in range(8):
            answer = chat.recv(PATIENCE)
            assert isinstance(answer, bytes)
            assert hashlib.sha256(answer).digest() == digest
        sender.join(PATIENCE)
    setup.quiet()


def test_many_at_once(setup: Setup) -> None:
    chats = [setup.connect() for _ in range(20)]
    for i, chat in enumerate(chats):
        chat.send(str(i))
    for i, chat in enumerate(chats):
        assert chat.recv(PATIENCE) == chat.recv(PATIENCE) == str(i)
    for chat in chats:
        chat.close()
    setup.quiet()


def test_the_server_closes(setup: Setup) -> None:
    with setup.connect() as chat:
        chat.send("bye")
        with pytest.raises(ConnectionClosedError) as closed:
            chat.recv(PATIENCE)
        assert closed.value.rcvd is not None
        assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (4000, "as you say")
    setup.quiet()


def test_the_server_breaks_off(setup: Setup) -> None:
    with setup.connect() as chat:
        chat.send("die")
        with pytest.raises(ConnectionClosedError) as closed:
            chat.recv(PATIENCE)
        assert closed.value.rcvd is None
    setup.quiet()


def test_the_client_breaks_off(setup: Setup) -> None:
    """With a RST, in the middle of a message. A socket of our own: the library's threads would hold on to theirs."""
    with Client(setup.port) as chat:
        upgrade = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13"}
        chat.send(head("GET", "/room", "chat", **upgrade, sec_websocket_key="AAAAAAAAAAAAAAAAAAAAAA=="))
        answer = b""
        while b"\r\n\r\n" not in answer:
            answer += (piece := chat.socket.recv(4096))
            assert piece, answer
        assert answer.startswith(b"HTTP/1.1 101 ")
        chat.send(b"\x81\xfe\x10\x00\x01\x02\x03\x04half of it")
        chat.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    setup.quiet()


def test_an_upgrade_that_the_route_does_not_enable_is_an_ordinary_request(setup: Setup) -> None:
    with pytest.raises(InvalidStatus) as refused:
        setup.connect("plain")
    assert refused.value.response.status_code == 426  # says the server, which saw no Upgrade
    setup.quiet()


# -- CONNECT -----------------------------------------------------------------------------------------------------------


def test_connect_by_the_standard_library(setup: Setup) -> None:
    tunnel = http.client.HTTPConnection(LOOPBACK, setup.port, timeout=PATIENCE)
    tunnel.set_tunnel("app", 80)
    try:
        for i in range(3):
            tunnel.request("POST", f"/{i}", body=b"x" * 100_000)
            answer = tunnel.getresponse()
            assert answer.status == 200
            answer.read()
    finally:
        tunnel.close()
    assert [request.target for request in setup.backend.requests[-3:]] == ["/0", "/1", "/2"]
    setup.quiet()


@pytest.mark.skipif(not shutil.which("curl"), reason="curl is not installed")
def test_connect_by_curl(setup: Setup) -> None:
    done = subprocess.run(
        ["curl", "-sSp", "-x", f"http://{LOOPBACK}:{setup.port}", "http://app:80/by-curl", "--max-time", "20"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert '"target": "/by-curl"' in done.stdout
    assert "x-forwarded" not in done.stdout
    setup.quiet()


@pytest.mark.skipif(not shutil.which("openssl"), reason="openssl is not installed")
def test_tls_within_connect(setup: Setup) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with Client(setup.port) as client:
        client.send(b"CONNECT tls:443 HTTP/1.1\r\nHost: tls:443\r\n\r\n")
        assert client.read_until(b"\r\n\r\n").startswith(b"HTTP/1.1 200 ")
        with context.wrap_socket(client.socket, server_hostname="tls") as tls:
            tls.sendall(b"hello")
            assert tls.recv(1 << 16) == b"HELLO"
            assert tls.recv(1 << 16) == b""
    setup.quiet()


def test_connect_to_what_is_not_routed(setup: Setup) -> None:
    with Client(setup.port) as client:
        client.send(b"CONNECT elsewhere:1 HTTP/1.1\r\nHost: elsewhere:1\r\n\r\nGET / HTTP/1.1\r\nHost: chat\r\n\r\n")
        answer = client.response()
        assert (answer.status, answer.headers["connection"]) == (501, "close")  # the second listener has no rule for it
        client.socket.shutdown(socket.SHUT_WR)
        client.assert_closed()
    setup.quiet()
