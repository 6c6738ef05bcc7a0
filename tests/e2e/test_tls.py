"""TLS end to end: a sidecar between real TLS clients and servers, with the certificates of an authority of our own."""

from __future__ import annotations

import contextlib
import http.client
import os
import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tage.dataplane.net.tls import KeyPair
from tests.authority import Authority
from tests.e2e.backend import Backend
from tests.e2e.bootstraps import Json, bootstrap, cluster, listener, route, virtual_host
from tests.e2e.ports import LOOPBACK, PATIENCE, free_port, until
from tests.e2e.sidecar import AGENT, WORKER, Sidecar, sidecar

pytestmark = pytest.mark.processes

_TLS = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3"
AUTHORITY = Authority()


class Files:
    """Certificates as files, by name."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        (directory / "ca.pem").write_bytes(AUTHORITY.pem)

    def put(self, name: str, pair: KeyPair) -> None:
        for ending, content in (("pem", pair.chain), ("key", pair.key)):
            fresh = self.directory / f"{name}.{ending}.new"
            fresh.write_bytes(content)
            os.replace(fresh, self.directory / f"{name}.{ending}")

    def certificate(self, name: str) -> Json:
        return {
            "certificate_chain": {"filename": str(self.directory / f"{name}.pem")},
            "private_key": {"filename": str(self.directory / f"{name}.key")},
        }

    def validation(self, **fields: Any) -> Json:
        return {"trusted_ca": {"filename": str(self.directory / "ca.pem")}, **fields}


def socket_of(kind: str, common: Json, **fields: Any) -> Json:
    return {
        "name": "envoy.transport_sockets.tls",
        "typed_config": {"@type": f"{_TLS}.{kind}TlsContext", "common_tls_context": common, **fields},
    }


def context(pair: KeyPair | None = None, directory: Path | None = None, **fields: Any) -> ssl.SSLContext:
    made = ssl.create_default_context(cadata=AUTHORITY.pem.decode())
    if pair is not None and directory is not None:
        (directory / "client.pem").write_bytes(pair.chain + pair.key)
        made.load_cert_chain(directory / "client.pem")
    for name, value in fields.items():
        setattr(made, name, value)
    return made


def connection(port: int, name: str, made: ssl.SSLContext | None = None) -> ssl.SSLSocket:
    plain = socket.create_connection((LOOPBACK, port), PATIENCE)
    return (made or context()).wrap_socket(plain, server_hostname=name)


def get(sock: ssl.SSLSocket, host: str, path: str = "/") -> Any:
    """The status, and what the backend saw."""
    import json

    sock.sendall(f"GET {path} HTTP/1.1\r\nhost: {host}\r\n\r\n".encode())
    answer = http.client.HTTPResponse(sock)
    answer.begin()
    body = answer.read()
    return answer.status, json.loads(body) if answer.status == 200 else body


def served(sock: ssl.SSLSocket) -> set[str]:
    return {name for _, name in sock.getpeercert()["subjectAltName"]}  # type: ignore[index, union-attr]


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


@pytest.fixture
def backend() -> Iterator[Backend]:
    running = Backend()
    yield running
    running.close()


def downstream(files: Files, backend: Backend, tls: Json, **fields: Any) -> tuple[Json, int]:
    """A bootstrap with one TLS listener, and its port."""
    port = free_port()
    content = listener("l", port, [virtual_host("*", route("c"))])
    content["filter_chains"][0]["transport_socket"] = tls
    return bootstrap(free_port(), [{**content, **fields}], [cluster("c", backend.port)]), port


def test_a_request_over_tls(tmp_path: Path, files: Files, backend: Backend) -> None:
    files.put("a", AUTHORITY.issue("a.test"))
    tls = socket_of("Downstream", {"tls_certificates": [files.certificate("a")], "alpn_protocols": ["h2", "http/1.1"]})
    content, port = downstream(files, backend, tls)
    log = {"@type": "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog"}
    log |= {
        "path": str(tmp_path / "log"),
        "format": "%REQUESTED_SERVER_NAME% %DOWNSTREAM_TLS_VERSION% %DOWNSTREAM_TLS_CIPHER% %REQ(:SCHEME)%\n",
    }
    manager = content["static_resources"]["listeners"][0]["filter_chains"][0]["filters"][0]["typed_config"]
    manager["codec_type"] = "HTTP1"
    manager["access_log"] = [{"name": "f", "typed_config": log}]
    with sidecar(tmp_path, content) as running:
        made = context()
        made.set_alpn_protocols(["h2", "http/1.1"])
        with connection(port, "a.test", made) as sock:
            # HTTP/2 is not spoken on this listener, so it is not offered.
            assert sock.selected_alpn_protocol() == "http/1.1"
            assert sock.version() == "TLSv1.3"
            for _ in range(3):
                status, seen = get(sock, "a.test")
                assert status == 200
                assert seen["headers"]["x-forwarded-proto"] == "https"
        assert running.stats()["listener.l.ssl.handshake"] == 1
        until(lambda: (tmp_path / "log").read_text().count("\n") == 3, "three lines in the log")
        assert (tmp_path / "log").read_text().splitlines()[0] == "a.test TLSv1.3 TLS_AES_256_GCM_SHA384 https"
        # A key is never shown.
        dump = running.page("/config_dump")[1]
        assert "PRIVATE" not in dump
        assert "[redacted]" in dump


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not there")
def test_curl(tmp_path: Path, files: Files, backend: Backend) -> None:
    files.put("a", AUTHORITY.issue("a.test"))
    content, port = downstream(files, backend, socket_of("Downstream", {"tls_certificates": [files.certificate("a")]}))
    with sidecar(tmp_path, content):
        for version in ("--tlsv1.3", "--tls-max 1.2"):
            done = subprocess.run(
                ["curl", "-sS", "--cacert", str(tmp_path / "ca.pem"), *version.split(), "--resolve",
                 f"a.test:{port}:{LOOPBACK}", f"https://a.test:{port}/x", "-d", "y" * 100_000],
                capture_output=True, timeout=PATIENCE, check=True,
            )  # fmt: skip
            assert b'"target": "/x"' in done.stdout
            assert b"y" * 100_000 in done.stdout


def test_certificates_and_chains_by_server_name(tmp_path: Path, files: Files, backend: Backend) -> None:
    for name in ("a", "b", "other"):
        files.put(name, AUTHORITY.issue(f"{name}.test", f"*.{name}.test"))
    two = [files.certificate("a"), files.certificate("b")]
    content, port = downstream(files, backend, socket_of("Downstream", {"tls_certificates": two}))
    chains = content["static_resources"]["listeners"][0]["filter_chains"]
    chains[0]["filter_chain_match"] = {"server_names": ["*.test"]}
    elsewhere = listener("x", 1, [virtual_host("*", {"match": {"prefix": "/"}, "direct_response": {"status": 204}})])
    chains.append({
        **elsewhere["filter_chains"][0],
        "filter_chain_match": {"server_names": ["www.other.test"]},
        "transport_socket": socket_of("Downstream", {"tls_certificates": [files.certificate("other")]}),
    })  # fmt: skip
    with sidecar(tmp_path, content) as running:
        for name, certificate, status in (
            ("b.test", "b.test", 200),
            ("x.b.test", "b.test", 200),
            ("a.test", "a.test", 200),
            ("www.other.test", "other.test", 204),
        ):
            with connection(port, name) as sock:
                assert certificate in served(sock)
                assert get(sock, name)[0] == status
        with pytest.raises((ssl.SSLError, OSError)):
            connection(port, "somewhere.else")
        assert running.stats()["listener.l.no_filter_chain_match"] == 1


def test_mutual_tls_on_both_sides(tmp_path: Path, files: Files) -> None:
    """Caller -> sidecar -> server, each with a certificate, each checked by name."""
    files.put("server", AUTHORITY.issue("server.test", uris=["spiffe://mesh/server"]))
    files.put("sidecar", AUTHORITY.issue("sidecar.test", uris=["spiffe://mesh/sidecar"]))
    caller = AUTHORITY.issue(uris=["spiffe://mesh/caller"])
    with tls_server(files, tmp_path) as (server_port, peers):
        san = [{"san_type": "URI", "matcher": {"prefix": "spiffe://mesh/"}}]
        port, admin = free_port(), free_port()
        content = listener("l", port, [virtual_host("*", route("c"))])
        content["filter_chains"][0]["transport_socket"] = socket_of(
            "Downstream",
            {
                "tls_certificates": [files.certificate("sidecar")],
                "validation_context": files.validation(match_typed_subject_alt_names=san),
            },
            require_client_certificate=True,
        )
        upstream = socket_of(
            "Upstream",
            {
                "tls_certificates": [files.certificate("sidecar")],
                "validation_context": files.validation(
                    match_typed_subject_alt_names=[{"san_type": "URI", "matcher": {"exact": "spiffe://mesh/server"}}]
                ),
            },
            sni="server.test",
        )
        wrong = {**upstream, "typed_config": {**upstream["typed_config"]}}
        wrong["typed_config"] = socket_of(
            "Upstream",
            {
                "tls_certificates": [files.certificate("sidecar")],
                "validation_context": files.validation(
                    match_typed_subject_alt_names=[{"san_type": "URI", "matcher": {"exact": "spiffe://mesh/other"}}]
                ),
            },
        )["typed_config"]
        content["filter_chains"][0]["filters"][0]["typed_config"]["route_config"]["virtual_hosts"] = [
            virtual_host("wrong", route("wrong")),
            virtual_host("*", route("c")),
        ]
        clusters = [
            cluster("c", server_port, transport_socket=upstream),
            cluster("wrong", server_port, transport_socket=wrong),
        ]
        with sidecar(tmp_path, bootstrap(admin, [content], clusters)) as running:
            with connection(port, "sidecar.test", context(caller, tmp_path)) as sock:
                assert get(sock, "x")[0] == 200
                status, body = get(sock, "wrong")
                assert status == 503
                assert b"TLS error: the peer's certificate has none of the names" in body
            assert peers[0] == (("server.test", "spiffe://mesh/sidecar"))
            # Who has no certificate, or one of another authority, or another name, is not let in.
            strangers = (
                None,
                Authority("other").issue(uris=["spiffe://mesh/caller"]),
                AUTHORITY.issue(uris=["spiffe://elsewhere/caller"]),
            )
            for stranger in strangers:
                assert turned_away(port, context(stranger, tmp_path))
            stats = running.stats()
            assert stats["listener.l.ssl.fail_verify_no_cert"] == 1
            assert stats["listener.l.ssl.fail_verify_error"] == 1
            assert stats["listener.l.ssl.fail_verify_san"] == 1
            assert stats["cluster.wrong.ssl.fail_verify_san"] >= 1
            assert stats["listener.l.downstream_rq_total"] == 2


def turned_away(port: int, made: ssl.SSLContext) -> bool:
    """In TLS 1.3 a client hears of it with its first read."""
    try:
        with connection(port, "sidecar.test", made) as sock:
            sock.sendall(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
            return sock.recv(1) == b""
    except OSError:
        return True


@contextlib.contextmanager
def tls_server(files: Files, directory: Path) -> Iterator[tuple[int, list[tuple[str, str]]]]:
    """An HTTPS server that demands a certificate; (server name asked for, the client's URI) of each connection."""
    made = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cadata=AUTHORITY.pem.decode())
    made.load_cert_chain(directory / "server.pem", directory / "server.key")
    made.verify_mode = ssl.CERT_REQUIRED
    names: list[str] = []
    peers: list[tuple[str, str]] = []
    made.sni_callback = lambda sock, name, _: names.append(str(name))

    def serve(plain: socket.socket) -> None:
        with contextlib.suppress(OSError), made.wrap_socket(plain, server_side=True) as sock:
            found = dict(sock.getpeercert()["subjectAltName"])  # type: ignore[index, arg-type]
            peers.append((names[-1], found["URI"]))
            while sock.recv(10_000):
                sock.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}")

    def accept() -> None:
        while True:
            try:
                plain, _ = listening.accept()
            except OSError:
                return
            threading.Thread(target=serve, args=(plain,), daemon=True).start()

    with socket.create_server((LOOPBACK, 0)) as listening:
        threading.Thread(target=accept, daemon=True).start()
        yield listening.getsockname()[1], peers
        listening.shutdown(socket.SHUT_RDWR)


def test_new_certificates_without_a_lost_connection(tmp_path: Path, files: Files, backend: Backend) -> None:
    files.put("a", AUTHORITY.issue("a.test", "old.test"))
    content, port = downstream(files, backend, socket_of("Downstream", {"tls_certificates": [files.certificate("a")]}))
    with sidecar(tmp_path, content) as running:
        with connection(port, "a.test") as kept:
            assert "old.test" in served(kept)
            assert get(kept, "a.test")[0] == 200
            files.put("a", AUTHORITY.issue("a.test", "new.test"))

            def is_new() -> bool:
                with connection(port, "a.test") as sock:
                    return get(sock, "a.test")[0] == 200 and "new.test" in served(sock)

            until(is_new, "the new certificate is served")
            assert get(kept, "a.test")[0] == 200, "the old connection goes on"
        # A worker that is replaced while the agent is dead has the new one too.
        running.kill(AGENT)
        former = running.kill(WORKER)
        running.wait_replaced(WORKER, former)
        until(is_new, "the new worker serves it")


def test_a_plain_request_to_a_tls_port_and_half_a_hello(tmp_path: Path, files: Files, backend: Backend) -> None:
    files.put("a", AUTHORITY.issue("a.test"))
    content, port = downstream(
        files,
        backend,
        socket_of("Downstream", {"tls_certificates": [files.certificate("a")]}),
        listener_filters_timeout="0.3s",
    )
    with sidecar(tmp_path, content) as running:
        for first in (b"GET / HTTP/1.1\r\nhost: a\r\n\r\n", b"\x16\x03\x01\x02\x00\x01"):
            with socket.create_connection((LOOPBACK, port), PATIENCE) as plain:
                plain.sendall(first)
                with contextlib.suppress(ConnectionResetError):
                    while plain.recv(1000):
                        pass
        with connection(port, "a.test") as sock:
            assert get(sock, "a.test")[0] == 200
        stats = running.stats()
        assert stats["listener.l.downstream_pre_cx_timeout"] == 1
        assert stats["listener.l.ssl.connection_error"] == 1


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda c: c["tls_certificates"][0]["private_key"].update(filename="/none/key"), "/none/key: No such file"),
        (lambda c: c["tls_certificates"].clear(), "tls_certificates: a server needs at least one"),
        (lambda c: c.update(tls_params={"cipher_suites": ["NONE"]}), "knows none of the ciphers NONE"),
        (lambda c: c.update(tls_params={"tls_maximum_protocol_version": "TLSv1_1"}), "TLSv1_1 is not supported"),
        (lambda c: c.update(validation_context={}), "validation_context.trusted_ca: is missing"),
        (lambda c: c.update(custom_handshaker={"name": "x"}), "custom_handshaker: not supported"),
    ],
)
def test_what_cannot_be_is_refused_at_the_start(
    tmp_path: Path, files: Files, backend: Backend, change: Any, problem: str
) -> None:
    import json

    files.put("a", AUTHORITY.issue("a.test"))
    common = {"tls_certificates": [files.certificate("a")]}
    change(common)
    content, _ = downstream(files, backend, socket_of("Downstream", common))
    file = tmp_path / "bad.json"
    file.write_text(json.dumps(content))
    running = Sidecar(tmp_path, "--bootstrap", str(file), admin=(LOOPBACK, 0))
    try:
        assert running.wait() == 2, running.log
        assert problem in running.log
        assert "Traceback" not in running.log
    finally:
        running.discard()
