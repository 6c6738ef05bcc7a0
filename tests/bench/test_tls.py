"""TLS of the load: certificates that verify, the open-loop generator over TLS, full handshakes only."""

from __future__ import annotations

import os
import socket
import ssl
import stat
import subprocess
import sys

import pytest

from bench.certificates import CIPHER, SERVER_NAMES, VERSION, Certificates, key_of, make_certificates
from bench.load import handshakes, tls
from bench.load.openloop import OpenLoop, Plan
from tests.bench.server import ThreadedServer

BODY = "x" * 100
REQUEST = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"


@pytest.fixture(scope="module")
def certificates(tmp_path_factory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("tls") / "certificates")


class Server(ThreadedServer):
    """Answers every request over TLS, and demands a client certificate of the same authority."""

    def __init__(self, certificates: Certificates, body: str = BODY) -> None:
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(certificates.server, key_of(certificates.server))
        self.context.load_verify_locations(certificates.authority)
        self.context.verify_mode = ssl.CERT_REQUIRED
        self.clients: list[str] = []
        self._answer = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()
        super().__init__()

    def _serve(self, connection: socket.socket) -> None:
        try:
            with self.context.wrap_socket(connection, server_side=True) as secure:
                shown = secure.getpeercert() or {}
                self.clients.append(str(shown["subjectAltName"]))
                while secure.recv(4096):
                    # In two records: the second must not stay behind in the generator's TLS layer.
                    secure.sendall(self._answer[:30])
                    secure.sendall(self._answer[30:])
        except OSError:
            return  # the client has gone


@pytest.fixture
def serve(certificates):
    servers: list[Server] = []

    def start(**options: str) -> Server:
        servers.append(Server(certificates, **options))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


def test_keys_are_the_owners_only(certificates):
    for path in (certificates.server, certificates.client):
        assert stat.S_IMODE(key_of(path).stat().st_mode) == 0o600


def test_the_server_is_who_the_names_say(certificates, serve):
    server = serve()
    context = ssl.create_default_context(cafile=certificates.authority)
    context.load_cert_chain(certificates.client, key_of(certificates.client))
    for name in SERVER_NAMES:
        with context.wrap_socket(socket.create_connection(("127.0.0.1", server.port)), server_hostname=name) as secure:
            assert secure.version() == VERSION
    with pytest.raises(ssl.SSLCertVerificationError):
        context.wrap_socket(socket.create_connection(("127.0.0.1", server.port)), server_hostname="other.bench.test")


def test_an_unknown_authority_is_refused(serve, tmp_path):
    with pytest.raises(ssl.SSLCertVerificationError):
        tls.connect(serve().port, make_certificates(tmp_path / "others"))


def test_the_open_loop_over_tls(certificates, serve):
    server = serve()
    plan = Plan(server.port, REQUEST, BODY, 300, 0.5, 4, certificates=str(certificates.directory))
    outcome = OpenLoop(plan).run()
    assert (outcome.failures, outcome.reason) == (0, "")
    assert outcome.requests == pytest.approx(300, rel=0.25)  # warm-up included; Poisson
    assert 0 < outcome.p50_us <= outcome.p99_us <= outcome.p999_us <= outcome.max_us
    assert len(server.clients) == 4
    assert "spiffe://bench.test/load" in server.clients[0]


def test_each_connection_shakes_hands_in_full(certificates, serve):
    server = serve()
    done = handshakes.run(handshakes.Plan(server.port, REQUEST, BODY, 0.3, str(certificates.directory)))
    assert done.failures == 0
    assert done.connections == len(server.clients) > 1


def test_a_wrong_answer_after_a_handshake_is_a_failure(certificates, serve):
    server = serve(body="y" * 100)
    done = handshakes.run(handshakes.Plan(server.port, REQUEST, BODY, 0.1, str(certificates.directory)))
    assert done.failures == done.connections > 0


@pytest.mark.processes
def test_what_generators_offer_leaves_one_choice(certificates, serve):
    server = serve()
    argv = [sys.executable, "-m", "bench.load.tls", str(server.port), str(certificates.directory)]
    environment = {**os.environ, **tls.environment(certificates)}
    done = subprocess.run(argv, env=environment, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.split() == [VERSION, CIPHER]
