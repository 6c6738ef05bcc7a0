"""TCP connections: what a client sends reaches its upstream and the other way, ends and resets included."""

from __future__ import annotations

import os
import ssl
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tage.dataplane.net.proxy_protocol import ProxyHeaderParser
from tage.dataplane.net.verdict import Verdict
from tage.dataplane.routing.tcp import TcpRoute
from tage.dataplane.streams.tcp_downstream import TcpDownstreamConnection
from tage.dataplane.telemetry import layout
from tage.dataplane.upstream.connection import Failure
from tage.xprotocol_testing.fakes import FakeTransport
from tests.dataplane.streams.test_access_log import log
from tests.dataplane.streams.world import Dialling, End, World

PIECE = b"z" * 100_000
LINE = (
    "%RESPONSE_FLAGS% %BYTES_RECEIVED% %BYTES_SENT% %UPSTREAM_CLUSTER% %UPSTREAM_HOST% %UPSTREAM_REQUEST_ATTEMPT_COUNT%"
)


class TcpWorld(World):
    """The listener relays to the cluster "c"; `route` are the fields of its `TcpRoute`."""

    def __init__(self, path: Path, hosts: int = 1, route: dict[str, Any] | None = None, **settings: Any) -> None:
        super().__init__(path, hosts, **settings)
        self.leads_to(**(route or {}))

    def leads_to(self, *clusters: str, weights: list[int] | None = None, **fields: Any) -> None:
        names = list(clusters) or ["c"]
        self.listener.tcp = TcpRoute(names, weights or [1] * len(names), **fields)

    def downstream(self) -> Any:
        return TcpDownstreamConnection(self.listener)

    def dialled(self) -> Dialling:
        assert len(self.dialling) == 1
        return self.dialling[0]

    def pair(self, *sends: bytes) -> tuple[End, End]:
        """A client, and the upstream that it is connected with."""
        client = self.client(*sends)
        return client, self.dialled().accept()

    def tcp(self, name: str, cluster: str = "c") -> int:
        return int(self.store.group(layout.TCP, cluster).value(f"tcp_cx_{name}"))

    def check_quiet(self) -> None:
        """Nothing of HTTP was counted, and at the end each connection is counted out."""
        assert self.down("rq_total") == 0


class Worlds:
    """Makes worlds, and checks at the test's end that nothing is left in them."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.made: list[TcpWorld] = []

    def __call__(self, *args: Any, **kwargs: Any) -> TcpWorld:
        path = self.path / str(len(self.made))
        path.mkdir()
        self.made.append(TcpWorld(path, *args, **kwargs))
        return self.made[-1]


@pytest.fixture
def make_world() -> Iterator[Worlds]:
    with tempfile.TemporaryDirectory(dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None) as directory:
        worlds = Worlds(Path(directory))
        yield worlds
        for world in worlds.made:
            world.close()
            for cluster in world.context.clusters.values():
                assert world.up("rq_active", cluster.name) == 0
                assert not any(host.active for host in cluster.hosts)


@pytest.fixture
def world(make_world: Worlds) -> TcpWorld:
    return make_world()


def is_reset(end: End) -> bool:
    """Closed so that the peer knows that it was not the end."""
    return end.closed and end.transport.aborted and not end.transport.lingers


def is_closed(end: End) -> bool:
    """Closed after all was said."""
    return end.closed and not end.transport.aborted


# -- bytes -------------------------------------------------------------------------------------------------------------


def test_bytes_both_ways(world):
    client, server = world.pair()
    client.send(b"question")
    assert server.takes() == b"question"
    server.send(b"ans", b"wer")
    assert client.takes() == b"answer"
    client.send_bytewise(b"more")
    assert server.takes() == b"more"
    assert (world.down("cx_rx_bytes_total"), world.down("cx_tx_bytes_total")) == (12, 6)
    assert (world.up("cx_tx_bytes_total"), world.up("cx_rx_bytes_total")) == (12, 6)
    assert (world.tcp("rx_bytes_total"), world.tcp("tx_bytes_total")) == (12, 6)
    assert (world.tcp("opened"), world.tcp("closed")) == (1, 0)
    assert (world.down("cx_active"), world.up("cx_active"), world.up("rq_active")) == (1, 1, 1)


def test_the_upstream_may_speak_first(world):
    client, server = world.pair()
    server.send(b"220 ready")
    assert client.takes() == b"220 ready"


def test_what_comes_before_the_upstream_waits_one_read_of_it(world):
    client = world.client(b"hello")
    assert not client.reading
    client.send(b" again")
    server = world.dialled().accept()
    assert client.reading
    assert server.takes() == b"hello again"


def test_an_end_before_the_upstream_is_passed_on_behind_the_bytes(world):
    client = world.client(b"all I say")
    client.end()
    server = world.dialled().accept()
    assert server.takes() == b"all I say"
    assert server.transport.wrote_eof
    server.send(b"answer")
    server.end()
    assert client.takes() == b"answer"
    assert is_closed(client)
    assert is_closed(server)


def test_what_waited_may_fill_the_upstream(world):
    client = world.client(PIECE)
    server = world.dialled().accept(capacity=1_000)
    assert not client.reading
    server.unblock()
    assert client.reading


# -- ends --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", ["client", "server"])
def test_each_direction_ends_on_its_own(world, order):
    client, server = world.pair()
    first, second = (client, server) if order == "client" else (server, client)
    first.send(b"last words")
    first.end()
    assert second.takes() == b"last words"
    assert second.transport.wrote_eof
    assert not first.closed
    for _ in range(3):
        second.send(b"still here")
        assert first.takes() == b"still here"
    second.end()
    assert is_closed(first)
    assert is_closed(second)


def test_an_end_waits_for_what_was_written(world):
    client, server = world.pair()
    server.send(b"x")
    client.transport.unsent = 50_000
    client.end()
    server.end()
    assert not client.closed
    assert is_closed(server)
    client.transport.take_all()
    world.loop.settle()
    assert is_closed(client)


def test_the_client_has_gone_and_the_upstream_still_takes(world):
    client, server = world.pair()
    client.send(PIECE)
    server.transport.unsent = 50_000
    server.end()
    client.end()
    assert is_closed(client)
    assert not server.closed
    server.unblock()
    assert is_closed(server)


def test_an_upstream_that_takes_nothing_any_more_is_waited_for_an_hour(world):
    client, server = world.pair()
    client.send(PIECE)
    server.transport.unsent = 50_000
    server.end()
    client.end()
    assert is_closed(client)
    world.pass_time(3_500_000)
    server.transport.unsent = 40_000
    world.pass_time(200_000)
    assert not server.closed
    world.pass_time(3_600_000)
    assert is_reset(server)


def test_a_client_that_takes_nothing_any_more_is_idle(make_world):
    world = make_world(route={"idle_timeout": 10_000})
    client, server = world.pair()
    server.send(b"x")
    client.transport.unsent = 50_000
    client.end()
    server.end()
    world.pass_time(15_000)
    assert not client.closed, "it may have taken something since"
    world.pass_time(10_000)
    assert is_reset(client)


def test_without_an_idle_timeout_an_hour_has_to_do(make_world):
    world = make_world(route={"idle_timeout": 0})
    client, server = world.pair()
    server.send(b"x")
    client.block()
    client.unblock()
    client.transport.unsent = 50_000
    world.pass_time(100_000_000)
    assert not client.closed
    client.end()
    server.end()
    world.pass_time(7_300_000)
    assert is_reset(client)


@pytest.mark.parametrize("who", ["client", "server"])
def test_a_reset_is_passed_on(world, who):
    lines = log(world, LINE)
    client, server = world.pair()
    client.send(b"1")
    server.send(b"2")
    first, second = (client, server) if who == "client" else (server, client)
    first.reset()
    assert is_reset(second)
    assert lines == [f"{'-' if who == 'client' else 'UR'} 1 1 c 10.0.0.1:80 1"]


@pytest.mark.parametrize("who", ["client", "server"])
def test_a_reset_after_half_an_end(world, who):
    client, server = world.pair()
    first, second = (client, server) if who == "client" else (server, client)
    second.end()
    first.reset()
    assert is_reset(second)


@pytest.mark.parametrize("who", ["client", "server"])
def test_tls_that_ends_without_saying_so(world, who):
    lines = log(world, LINE)
    client, server = world.pair(b"x")
    server.send(b"y")
    first, second = (client, server) if who == "client" else (server, client)
    first.transport.reset(ssl.SSLEOFError(8, "EOF occurred in violation of protocol"))
    world.loop.settle()
    assert is_closed(second)
    assert lines == ["- 1 1 c 10.0.0.1:80 1"]


# -- back-pressure -----------------------------------------------------------------------------------------------------


def test_nobody_is_read_faster_than_the_other_takes(world):
    client, server = world.pair()
    for source, sink in ((client, server), (server, client)):
        source.send(PIECE)
        sink.block()
        assert not source.reading
        source.send(PIECE)
        assert source.transport.inbox == 100_000
        sink.unblock()
        assert source.reading
        assert source.transport.inbox == 0
        assert len(sink.takes()) == 200_000


def test_the_two_directions_do_not_wait_for_each_other(world):
    client, server = world.pair()
    server.block()
    client.block()
    assert not client.reading
    assert not server.reading
    client.unblock()
    assert server.reading
    assert not client.reading
    server.send(b"down")
    assert client.takes() == b"down"
    server.unblock()
    client.send(b"up")
    assert server.takes() == b"up"


# -- connecting --------------------------------------------------------------------------------------------------------


def failed(world: TcpWorld, client: End, line: str) -> None:
    assert is_reset(client)
    assert world.lines == [line]


@pytest.fixture
def logged(world: TcpWorld) -> TcpWorld:
    world.lines = log(world, LINE)
    return world


def test_no_such_cluster(logged):
    logged.leads_to("nowhere")
    failed(logged, logged.client(b"x"), "NC 0 0 - - 0")
    assert logged.down("cx_no_route") == 1


def test_no_healthy_host(logged):
    logged.add_cluster("c", 0)
    failed(logged, logged.client(b"x"), "UH 0 0 c - 0")
    assert logged.up("cx_none_healthy") == 1


@pytest.mark.parametrize("failure", [Failure.CONNECT_FAILURE, Failure.CONNECT_TIMEOUT])
def test_the_upstream_does_not_come(logged, failure):
    client = logged.client(b"x")
    logged.dialled().refuse(failure)
    failed(logged, client, "UF,URX 1 0 c 10.0.0.1:80 1")
    assert logged.up("cx_connect_attempts_exceeded") == 1
    assert (logged.up("cx_total"), logged.up("cx_active")) == (1, 0)
    assert (logged.tcp("opened"), logged.tcp("closed")) == (0, 0)


def test_another_attempt_goes_to_another_host(make_world):
    world = make_world(2, route={"max_connect_attempts": 3})
    lines = log(world, LINE)
    client = world.client(b"x")
    hosts = []
    for _ in range(2):
        hosts.append(world.dialled().host.address)
        world.dialled().refuse()
    server = world.dialled().accept()
    assert hosts[0] != hosts[1]
    assert server.takes() == b"x"
    client.end()
    server.end()
    assert lines == [f"- 1 0 c {hosts[0]}:80 3"]
    assert world.up("rq_total") == 3


def test_attempts_come_to_an_end(make_world):
    world = make_world(3, route={"max_connect_attempts": 2})
    client = world.client()
    world.dialled().refuse()
    world.dialled().refuse()
    assert is_reset(client)


@pytest.mark.parametrize("limit", ["max_connections", "max_requests"])
def test_no_more_than_the_cluster_may_have(make_world, limit):
    world = make_world(**{limit: 1})
    lines = log(world, LINE)
    first, server = world.pair()
    second = world.client(b"x")
    assert is_reset(second)
    assert lines == ["UO 0 0 c - 0"]
    assert world.up("cx_overflow" if limit == "max_connections" else "rq_pending_overflow") == 1
    first.end()
    server.end()
    world.pair()


def test_a_client_that_leaves_before_the_upstream_comes(world):
    client = world.client(b"x")
    client.reset()
    assert world.dialling == []
    assert (world.up("cx_total"), world.up("cx_destroy")) == (1, 1)


def test_a_host_that_is_removed_keeps_its_connections(world):
    client, server = world.pair()
    world.cluster.set_hosts([])
    client.send(b"x")
    assert server.takes() == b"x"


def test_clusters_by_weight(make_world):
    world = make_world()
    for name in ("a", "b", "n"):
        world.add_cluster(name)
    world.leads_to("a", "b", "n", weights=[3, 1, 0])
    for _ in range(200):
        world.client()
        world.dialled().accept()
    counted = Counter({name: world.up("cx_total", name) for name in ("a", "b", "n")})
    assert counted["n"] == 0
    assert 120 < counted["a"] < 180
    assert counted.total() == 200


@pytest.mark.parametrize("weights", [[0], [-1, 2], []])
def test_weights_that_lead_nowhere(weights):
    with pytest.raises(ValueError, match="weight"):
        TcpRoute(["c"] * len(weights), weights)


def test_least_requests_counts_connections(make_world):
    world = make_world(2)
    world.cluster.set_lb("least_request")
    for _ in range(40):
        world.client()
        world.dialled().accept()
    counts = [host.active for host in world.cluster.hosts]
    assert sum(counts) == 40
    assert abs(counts[0] - counts[1]) <= 6


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("known", [True, False])
def test_a_proxy_header_goes_first(world, monkeypatch, version, known):
    monkeypatch.setattr(FakeTransport, "local", ("10.9.9.9", 3306))
    world.cluster.proxy_protocol = version
    world.client(peer=("10.1.2.3", 40_000) if known else None)
    preface = world.dialled().dial.preface
    parser = ProxyHeaderParser()
    assert parser.read(preface + b"data") == Verdict.READY
    assert parser.size == len(preface)
    assert parser.header.version == version
    assert parser.header.source == (("10.1.2.3", 40_000) if known else None)
    assert parser.header.destination == (("10.9.9.9", 3306) if known else None)
    world.dialled().refuse()


# -- time --------------------------------------------------------------------------------------------------------------


def test_idle_in_both_directions(make_world):
    world = make_world(route={"idle_timeout": 10_000})
    lines = log(world, "%DURATION% %CONNECTION_TERMINATION_DETAILS%")
    client, server = world.pair()
    for _ in range(3):
        world.pass_time(8_000)
        client.send(b"x")
        world.pass_time(8_000)
        server.send(b"x")
    world.pass_time(9_000)
    assert not client.closed
    world.pass_time(1_000)
    assert is_reset(client)
    assert is_reset(server)
    assert world.down("cx_idle_timeout") == 1
    duration, details = lines[0].split()
    assert 58_000 <= int(duration) <= 59_000
    assert details == "idle_timeout"


def test_a_peer_that_takes_slowly_is_not_idle(make_world):
    world = make_world(route={"idle_timeout": 10_000})
    client, server = world.pair()
    server.send(b"x")
    client.block()
    for left in range(90_000, 0, -10_000):
        client.transport.unsent = left
        world.pass_time(10_000)
        assert not client.closed
    world.pass_time(10_000)
    assert is_reset(client)


def test_no_idle_timeout(make_world):
    world = make_world(route={"idle_timeout": 0})
    client, _ = world.pair()
    world.pass_time(1_000_000_000)
    assert not client.closed
    assert not client.connection.armed


def test_the_upstream_is_waited_for_longer_than_the_idle_timeout(make_world):
    world = make_world(route={"idle_timeout": 1_000})
    client = world.client()
    world.pass_time(3_000)
    world.dialled().accept()
    world.pass_time(500)
    assert not client.closed
    world.pass_time(1_000)
    assert is_reset(client)


@pytest.mark.parametrize("connected", [True, False])
def test_maximum_duration(make_world, connected):
    world = make_world(route={"max_duration": 10_000})
    lines = log(world, "%RESPONSE_FLAGS% %CONNECTION_TERMINATION_DETAILS%")
    client = world.client()
    server = world.dialled().accept() if connected else None
    for _ in range(9):
        world.pass_time(1_000)
        client.send(b"x")
        assert not client.closed
    world.pass_time(1_000)
    assert is_reset(client)
    assert server is None or is_reset(server)
    assert lines == ["DT max_downstream_connection_duration"]
    assert world.down("cx_max_duration_reached") == 1


def test_draining_keeps_a_connection_until_the_drain_time_is_over(world):
    world.context.drain_time = 10_000
    client, server = world.pair()
    client.connection.drain()
    world.pass_time(9_000)
    client.send(b"x")
    assert server.takes() == b"x"
    world.pass_time(1_000)
    assert is_reset(client)
    assert is_reset(server)


# -- the access log ----------------------------------------------------------------------------------------------------


def test_one_line_a_connection(world):
    lines = log(
        world, f"{LINE} %PROTOCOL% %RESPONSE_CODE% %DURATION% %DOWNSTREAM_REMOTE_ADDRESS% %REQUESTED_SERVER_NAME%"
    )
    client, server = world.pair(b"hello")
    client.connection.server_name = "never asked again"
    server.send(b"good day")
    world.pass_time(1_000)
    assert lines == []
    client.end()
    server.end()
    assert lines[0].split()[:8] == ["-", "5", "8", "c", "10.0.0.1:80", "1", "-", "0"]
    assert 1_000 <= int(lines[0].split()[8]) < 1_100
    assert lines[0].split()[9:] == ["10.1.2.3:40000", "-"]


def test_why_there_was_no_upstream(world):
    lines = log(world, "%UPSTREAM_TRANSPORT_FAILURE_REASON% %RESPONSE_FLAGS_LONG%")
    world.client()
    world.dialled().refuse()
    assert lines == ["Connection_refused UpstreamConnectionFailure,UpstreamRetryLimitExceeded"]
