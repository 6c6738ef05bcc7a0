"""The PROXY protocol with HAProxy, whose protocol it is: we read what it sends, and it reads what we write."""

from __future__ import annotations

import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tage.dataplane.net.proxy_protocol import (
    ProxyHeaderParser,
    encode_v1,
    encode_v1_unknown,
    encode_v2,
    encode_v2_local,
)
from tage.dataplane.net.verdict import Verdict

HAPROXY = shutil.which("haproxy") or shutil.which("haproxy", path="/usr/sbin:/usr/local/sbin")
PATIENCE = 10.0  # seconds

pytestmark = [
    pytest.mark.processes,
    pytest.mark.skipif(HAPROXY is None, reason="haproxy is not installed"),
]


@contextmanager
def haproxy(directory: Path, frontend: socket.socket, rest: str) -> Iterator[None]:
    """HAProxy on a socket that listens already: so there is no port to lose and nothing to wait for."""
    config = directory / "haproxy.cfg"
    config.write_text(
        "global\n  nbthread 1\n  maxconn 100\n"
        "defaults\n  timeout connect 5s\n  timeout client 5s\n  timeout server 5s\n" + rest
    )
    frontend.set_inheritable(True)
    with (directory / "haproxy.log").open("wb") as log:
        process = subprocess.Popen(
            [str(HAPROXY), "-db", "-f", str(config)], pass_fds=[frontend.fileno()], stdout=log, stderr=log
        )
    try:
        yield
    except (TimeoutError, OSError) as error:
        raise AssertionError((directory / "haproxy.log").read_text()) from error
    finally:
        process.terminate()
        process.wait(PATIENCE)


def listen(address: str, *, dual: bool = False) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    if family == socket.AF_INET6 and not socket.has_ipv6:
        pytest.skip("no IPv6 here")
    try:
        server = socket.create_server((address, 0), family=family, dualstack_ipv6=dual)
    except OSError as error:
        if family == socket.AF_INET6:
            pytest.skip(f"no IPv6 here: {error}")
        raise
    server.settimeout(PATIENCE)
    return server


def read_header(peer: socket.socket) -> ProxyHeaderParser:
    """As a listener does: peeked, then taken off."""
    peer.settimeout(PATIENCE)
    parser = ProxyHeaderParser()
    verdict: int = Verdict.MORE
    while verdict == Verdict.MORE:
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, parser.needed)
        seen = peer.recv(4096, socket.MSG_PEEK)
        assert seen, "HAProxy closed the connection"
        verdict = parser.read(seen)
    assert verdict == Verdict.READY, parser.error
    assert len(peer.recv(parser.size)) == parser.size
    return parser


# -- we read -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "version"),
    [
        ("send-proxy", 1),
        ("send-proxy-v2", 2),
        ("send-proxy-v2 proxy-v2-options crc32c", 2),
        ("send-proxy-v2 proxy-v2-options crc32c,unique-id", 2),
        ("send-proxy-v2-ssl-cn", 2),
    ],
)
@pytest.mark.parametrize(("bound", "called"), [("127.0.0.1", "127.0.0.1"), ("::1", "::1"), ("::", "127.0.0.1")])
def test_what_haproxy_sends_is_read(tmp_path: Path, options: str, version: int, bound: str, called: str):
    with ExitStack() as stack:
        frontend = stack.enter_context(listen(bound, dual=bound == "::"))
        server = stack.enter_context(listen("127.0.0.1"))
        config = (
            f"listen l\n  mode tcp\n  bind fd@{frontend.fileno()}\n  unique-id-format %pid-%Ts\n"
            f"  server s 127.0.0.1:{server.getsockname()[1]} {options}\n"
        )
        stack.enter_context(haproxy(tmp_path, frontend, config))
        client = stack.enter_context(socket.create_connection((called, frontend.getsockname()[1]), PATIENCE))
        client.sendall(b"hello")
        peer = stack.enter_context(server.accept()[0])
        header = read_header(peer).header
        assert header.version == version
        assert not header.local
        ends = (client.getsockname()[:2], client.getpeername()[:2])
        plain = tuple((host.removeprefix("::ffff:"), port) for host, port in (header.source, header.destination))
        assert plain == ends
        assert peer.recv(5, socket.MSG_WAITALL) == b"hello"


def test_health_checks_of_haproxy_are_local(tmp_path: Path):
    with ExitStack() as stack:
        frontend = stack.enter_context(listen("127.0.0.1"))
        server = stack.enter_context(listen("127.0.0.1"))
        config = (
            f"listen l\n  mode tcp\n  bind fd@{frontend.fileno()}\n  option tcp-check\n  tcp-check connect send-proxy\n"
            f"  tcp-check send ping\n  server s 127.0.0.1:{server.getsockname()[1]} check inter 1s send-proxy-v2\n"
        )
        stack.enter_context(haproxy(tmp_path, frontend, config))
        peer = stack.enter_context(server.accept()[0])
        header = read_header(peer).header
        assert header.local
        assert header.source is header.destination is None
        assert peer.recv(4, socket.MSG_WAITALL) == b"ping"


# -- HAProxy reads -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def told_by_haproxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port where HAProxy says whom it takes for the ends of a connection."""
    with listen("127.0.0.1") as frontend:
        config = (
            f"frontend f\n  mode http\n  bind fd@{frontend.fileno()} accept-proxy\n"
            "  http-request return status 200 content-type text/plain "
            'lf-string "%[src] %[src_port] %[dst] %[dst_port]"\n'
        )
        with haproxy(tmp_path_factory.mktemp("haproxy"), frontend, config):
            yield frontend.getsockname()[1]


def ask(port: int, header: bytes) -> tuple[list[str], tuple[str, int]]:
    """HAProxy's source, source port, destination, destination port; and our own address. Closes at an error."""
    with socket.create_connection(("127.0.0.1", port), PATIENCE) as client:
        client.sendall(header + b"GET / HTTP/1.0\r\n\r\n")
        answer = b""
        while more := client.recv(4096):
            answer += more
        assert answer.startswith((b"HTTP/1.0 200 ", b"HTTP/1.1 200 ")), answer
        return answer.partition(b"\r\n\r\n")[2].decode().split(), client.getsockname()


@pytest.mark.parametrize(
    ("source", "destination"),
    [
        (("192.0.2.1", 1), ("198.51.100.255", 65535)),
        (("0.0.0.0", 1), ("255.255.255.255", 443)),
        (("2001:db8::1", 40000), ("2001:db8:0:1::", 80)),
        (("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 65535), ("ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe", 65535)),
        (("192.0.2.1", 1), ("2001:db8::1", 2)),
    ],
)
@pytest.mark.parametrize("form", ["v1", "v2", "v2 with checksum"])
def test_what_we_write_haproxy_reads(told_by_haproxy: int, source: tuple, destination: tuple, form: str):
    if form == "v1":
        header = encode_v1(source, destination)
    else:
        header = encode_v2(source, destination, checksum="checksum" in form)
    told, _ = ask(told_by_haproxy, header)
    mixed = (":" in source[0]) != (":" in destination[0])
    expected = [f"::ffff:{host}" if mixed and "." in host else host for host in (source[0], destination[0])]
    assert told == [expected[0], str(source[1]), expected[1], str(destination[1])]


@pytest.mark.parametrize("header", [encode_v1_unknown(), encode_v2_local()])
def test_without_addresses_haproxy_takes_the_real_ones(told_by_haproxy: int, header: bytes):
    told, ours = ask(told_by_haproxy, header)
    assert told == [ours[0], str(ours[1]), "127.0.0.1", str(told_by_haproxy)]


def test_haproxy_checks_the_checksum(told_by_haproxy: int):
    header = encode_v2(("192.0.2.1", 1), ("192.0.2.2", 2), checksum=True)
    with pytest.raises((AssertionError, ConnectionResetError)):
        ask(told_by_haproxy, header[:-1] + bytes([header[-1] ^ 1]))
