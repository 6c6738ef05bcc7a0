"""TCP proxies of running sidecars: bytes, ends, resets, limits, the PROXY protocol, several workers, and their end."""

from __future__ import annotations

import contextlib
import signal
import socket
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tage.dataplane.net.proxy_protocol import ProxyHeaderParser
from tage.dataplane.net.verdict import Verdict
from tests.e2e.bootstraps import Json, bootstrap, cluster, listener, route, tcp_listener, virtual_host
from tests.e2e.ports import LOOPBACK, PATIENCE, free_port, until
from tests.e2e.processes import Memory
from tests.e2e.raw import Origin, Receiving, Sending, connect, ending, ending_of, read, reset
from tests.e2e.sidecar import Sidecar, sidecar

pytestmark = pytest.mark.processes

MANY = 100 << 20


@pytest.fixture(scope="module")
def origin() -> Iterator[Origin]:
    with Origin() as made:
        yield made


@pytest.fixture(scope="module")
def ports() -> dict[str, int]:
    return {name: free_port() for name in ("plain", "dead", "idle", "short", "split")}


@pytest.fixture(scope="module")
def running(tmp_path_factory: Any, origin: Origin, ports: dict[str, int]) -> Iterator[Sidecar]:
    listeners = [
        tcp_listener("plain", ports["plain"], "app"),
        tcp_listener("dead", ports["dead"], "dead", max_connect_attempts=2),
        tcp_listener("idle", ports["idle"], "app", idle_timeout="0.2s"),
        tcp_listener("short", ports["short"], "app", max_downstream_connection_duration="0.3s"),
        tcp_listener("split", ports["split"], "app", "dead"),
    ]
    clusters = [cluster("app", origin.port), cluster("dead", free_port())]
    with sidecar(tmp_path_factory.mktemp("tcp"), bootstrap(free_port(), listeners, clusters)) as it:
        yield it


@pytest.fixture
def pair(running: Sidecar, origin: Origin, ports: dict[str, int]) -> Iterator[tuple[socket.socket, socket.socket]]:
    with connect(ports["plain"]) as client, origin.accept() as server:
        yield client, server


def test_bytes_both_ways(running, pair):
    client, server = pair
    before = running.stats()
    client.sendall(b"question")
    assert read(server, 8) == b"question"
    server.sendall(b"answer")
    assert read(client, 6) == b"answer"
    after = running.stats()
    for name, grown in (
        ("listener.plain.downstream_cx_rx_bytes_total", 8),
        ("listener.plain.downstream_cx_tx_bytes_total", 6),
        ("cluster.app.upstream_cx_tx_bytes_total", 8),
        ("cluster.app.tcp_cx_rx_bytes_total", 8),
        ("cluster.app.tcp_cx_tx_bytes_total", 6),
    ):
        assert after[name] - before[name] == grown, name
    assert after["listener.plain.downstream_cx_active"] == 1
    assert after["cluster.app.upstream_cx_active"] == 1
    text = running.page("/stats/prometheus")[1]
    assert "istio_tcp_connections_opened_total{" in text
    assert "istio_tcp_sent_bytes_total{" in text


@pytest.mark.parametrize("first", ["client", "server"])
def test_a_hundred_megabytes_each_way_in_bounded_memory(running, pair, first):
    client, server = pair
    memory = Memory(running.worker)
    one, other = (client, server) if first == "client" else (server, client)
    for source, sink in ((one, other), (other, one)):  # the second after the first has ended its side
        receiving = Receiving(sink)
        sending = Sending(source, MANY, first.encode())
        assert receiving.digest == sending.digest
    assert memory.growth() < 8_192


def test_both_ways_at_once(pair):
    client, server = pair
    up, down = Receiving(server), Receiving(client)
    sent_up, sent_down = Sending(client, MANY // 4, b"up"), Sending(server, MANY // 4, b"down")
    assert up.digest == sent_up.digest
    assert down.digest == sent_down.digest


def test_a_slow_reader_takes_no_memory(running, pair):
    client, server = pair
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
    memory = Memory(running.worker)
    sending = Sending(server, MANY, b"slow")
    for _ in range(20):
        assert client.recv(1_000)
        time.sleep(0.02)
    assert memory.growth() < 4_096
    assert sending.is_alive()
    reset(client)
    sending.join(PATIENCE)
    assert isinstance(sending.error, OSError)


@pytest.mark.parametrize("who", ["client", "server"])
def test_a_reset_is_passed_on(pair, who):
    client, server = pair
    client.sendall(b"x")
    assert read(server, 1) == b"x"
    one, other = (client, server) if who == "client" else (server, client)
    reset(one)
    assert ending(other) == "reset"


def test_an_upstream_that_refuses(running, ports):
    before = running.stats()["cluster.dead.upstream_cx_connect_fail"]
    assert ending_of(ports["dead"]) == "reset"
    after = running.stats()
    assert after["cluster.dead.upstream_cx_connect_fail"] - before == 2
    assert after["cluster.dead.upstream_cx_connect_attempts_exceeded"] >= 1


def test_idle_and_too_long(running, origin, ports):
    for name, statistic in (("idle", "downstream_cx_idle_timeout"), ("short", "downstream_cx_max_duration_reached")):
        with connect(ports[name]) as client, origin.accept() as server:
            assert ending(client) == "reset"
            assert ending(server) == "reset"
        assert running.stats()[f"listener.{name}.{statistic}"] == 1


def test_weights(origin, ports):
    """Half of them go where nobody listens."""
    origin.socket.settimeout(0)
    try:
        counted = Counter(_served_or(origin, ports["split"]) for _ in range(60))
    finally:
        origin.socket.settimeout(PATIENCE)
    assert set(counted) == {"served", "reset"}
    assert 15 <= counted["served"] <= 45


def _served_or(origin: Origin, port: int) -> str:
    """Whether the origin got it, or how it ended for the client."""
    try:
        client = connect(port)
    except ConnectionResetError:
        return "reset"  # before the client has looked at its connection
    with client:
        with contextlib.suppress(OSError):  # it may have been reset by now
            client.shutdown(socket.SHUT_WR)
        until_one = time.monotonic() + PATIENCE
        while True:
            with contextlib.suppress(BlockingIOError):
                origin.accept().close()
                return "served"
            client.settimeout(0.01)
            with contextlib.suppress(TimeoutError):
                return ending(client)
            assert time.monotonic() < until_one


# -- the PROXY protocol ------------------------------------------------------------------------------------------------

PROXY = "type.googleapis.com/envoy.extensions.transport_sockets.proxy_protocol.v3.ProxyProtocolUpstreamTransport"
RAW = "type.googleapis.com/envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer"


def proxied(name: str, port: int, version: str) -> Json:
    inner = {"name": "envoy.transport_sockets.raw_buffer", "typed_config": {"@type": RAW}}
    typed = {"@type": PROXY, "config": {"version": version}, "transport_socket": inner}
    return cluster(
        name, port, transport_socket={"name": "envoy.transport_sockets.upstream_proxy_protocol", "typed_config": typed}
    )


@pytest.mark.parametrize("version", [1, 2])
def test_who_called_stands_before_the_bytes(tmp_path, origin, version):
    port = free_port()
    config = bootstrap(free_port(), [tcp_listener("l", port, "app")], [proxied("app", origin.port, f"V{version}")])
    with sidecar(tmp_path, config), connect(port) as client, origin.accept() as server:
        client.sendall(b"hello")
        client.shutdown(socket.SHUT_WR)
        data = read(server, 1_000)
        parser = ProxyHeaderParser()
        assert parser.read(data) == Verdict.READY
        assert (parser.header.version, parser.header.local) == (version, False)
        assert parser.header.source == client.getsockname()
        assert parser.header.destination == (LOOPBACK, port)
        assert data[parser.size :] == b"hello"


HAPROXY = """
defaults
    mode http
    timeout client 20s
    timeout server 20s
    timeout connect 5s
frontend f
    bind {host}:{port} accept-proxy
    http-request return status 200 content-type text/plain lf-string "%[src] %[src_port] %[dst] %[dst_port]"
"""


@pytest.fixture(scope="module")
def behind(tmp_path_factory: Any) -> Iterator[int]:
    """The port of a HAProxy that answers with the addresses it was told."""
    port = free_port()
    config = tmp_path_factory.mktemp("haproxy") / "haproxy.cfg"
    config.write_text(HAPROXY.format(host=LOOPBACK, port=port))
    try:
        haproxy = subprocess.Popen(["haproxy", "-db", "-f", str(config)], stderr=subprocess.DEVNULL)
    except FileNotFoundError:
        pytest.skip("no haproxy on PATH")
    try:
        until(lambda: listens(port), "HAProxy listens")
        yield port
    finally:
        haproxy.terminate()
        haproxy.wait(PATIENCE)


@pytest.mark.parametrize("kind", ["tcp", "http"])
@pytest.mark.parametrize("version", [1, 2])
def test_haproxy_reads_it(tmp_path, behind, kind, version):
    port = free_port()
    made = tcp_listener("l", port, "app") if kind == "tcp" else listener("l", port, [virtual_host("*", route("app"))])
    with sidecar(tmp_path, bootstrap(free_port(), [made], [proxied("app", behind, f"V{version}")])):
        for _ in range(3):
            with connect(port) as client:
                client.sendall(b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
                body = read(client, 10_000).partition(b"\r\n\r\n")[2].decode()
                assert body == f"{LOOPBACK} {client.getsockname()[1]} {LOOPBACK} {port}"


def listens(port: int) -> bool:
    try:
        connect(port).close()
    except OSError:
        return False
    return True


# -- workers, and their end --------------------------------------------------------------------------------------------


def plain(origin: Origin, port: int) -> Json:
    return bootstrap(free_port(), [tcp_listener("l", port, "app")], [cluster("app", origin.port)])


def test_several_workers(tmp_path, origin):
    port = free_port()
    with sidecar(tmp_path, plain(origin, port), "--workers", "2") as running, contextlib.ExitStack() as stack:
        pairs = []
        for _ in range(20):
            client = stack.enter_context(connect(port))
            pairs.append((client, stack.enter_context(origin.accept())))
        for i, (client, server) in enumerate(pairs):
            client.sendall(b"%d" % i)
            assert read(server, len(b"%d" % i)) == b"%d" % i
        assert running.stats()["listener.l.downstream_cx_active"] == 20


def test_draining_waits_for_an_end_and_then_resets(tmp_path):
    port = free_port()
    with Origin() as origin, sidecar(tmp_path, plain(origin, port)) as running:
        with connect(port) as stays, origin.accept() as upstream, connect(port) as ends, origin.accept() as other:
            running.send(signal.SIGTERM)
            until(lambda: not listens(port), "it accepts no more")
            for client, server in ((stays, upstream), (ends, other)):
                client.sendall(b"still")
                assert read(server, 5) == b"still"
            ends.shutdown(socket.SHUT_WR)
            other.close()
            assert ending(ends) == "end"
            assert ending(stays) == "reset"
            assert ending(upstream) == "reset"
        assert running.wait() == 0


def test_an_end_that_all_were_waiting_for_is_quick(tmp_path: Path, origin: Origin) -> None:
    port = free_port()
    with sidecar(tmp_path, plain(origin, port)) as running:
        with connect(port) as client, origin.accept():
            client.sendall(b"x")
        assert running.stop() == 0
