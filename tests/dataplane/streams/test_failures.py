"""What goes wrong, at every stage: clients that leave, servers that fail, requests that cannot be carried."""

import re

import pytest

from tage.dataplane.streams.http1_upstream import Http1UpstreamConnection
from tage.dataplane.telemetry import layout, reader
from tage.dataplane.upstream.balancing.settings import Settings
from tage.dataplane.upstream.connection import Failure
from tage.dataplane.upstream.endpoint import Assignment
from tage.dataplane.upstream.limits import Limit
from tage.sidecar import plan
from tage.xprotocol_testing.fakes import FakeTransport
from tests.dataplane.streams.world import GET, OK, POST, UNAVAILABLE

CHUNKED_POST = b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n"


def status(message: bytes) -> int:
    return int(re.match(rb"HTTP/1.1 (\d\d\d) ", message)[1])


def flags(message: bytes) -> str:
    return re.search(rb"\r\nx-tage-response-flags: (\w+)\r\n", message)[1].decode()


def test_no_route(world):
    world.route(domains=["elsewhere"])
    client = world.client(GET)
    got = client.takes()
    assert (status(got), flags(got)) == (404, "NR")
    assert b"no route" in got
    assert world.listener.stats.value("no_route") == 1
    assert not client.closed
    client.send(GET)
    assert status(client.takes()) == 404


def test_no_routes_at_all(world):
    world.listener.routes = None
    assert status(world.client(GET).takes()) == 404


def test_an_unknown_cluster(world):
    world.rule(clusters=[plan.WeightedCluster("nobody")])
    got = world.client(GET).takes()
    assert (status(got), flags(got)) == (503, "NC")


def test_no_host(make_world):
    world = make_world(hosts=0)
    got = world.client(GET).takes()
    assert (status(got), flags(got)) == (503, "UH")
    assert world.up("cx_none_healthy") == 1


def test_no_healthy_host(world):
    world.cluster.assign(Assignment(), Settings(panic_threshold=0))
    world.cluster.set_hosts([("10.0.0.1", 80, 1, False)])
    assert flags(world.client(GET).takes()) == "UH"


@pytest.mark.parametrize(
    ("failure", "reason"),
    [(Failure.CONNECT_FAILURE, "Connection refused"), (Failure.CONNECT_TIMEOUT, "connection timeout")],
)
def test_connect_failure(world, failure, reason):
    client = world.client(GET)
    world.refuse(failure, reason)
    got = client.takes()
    assert (status(got), flags(got)) == (503, "UF")
    assert reason.encode() in got
    assert not client.closed
    assert world.up("rq_5xx") == 1


def test_each_failed_connection_ends_one_wait(world):
    clients = [world.client(GET) for _ in range(3)]
    assert len(world.opening) == 3
    for expected in (1, 2, 3):
        world.refuse()
        assert sum(1 for client in clients if client.transport.sent) == expected
    assert not world.opening


def test_a_connection_that_closes_as_soon_as_it_is_open(world):
    """The peer's end is seen before the pool hears of the connection: the wait ends, and is not begun again."""
    client = world.client(GET)
    for lost_first in (True, False):
        host = world.opening.pop()
        connection = Http1UpstreamConnection(host, world.context.writer)
        transport = FakeTransport(world.loop)
        transport.attach(connection)
        transport.feed_eof()
        if lost_first:
            world.loop.settle()
            assert transport.lost
        host.connected(connection)
        world.loop.settle()
        assert flags(client.takes()) == "UF"
        assert not world.opening
        client.send(GET)
    world.refuse()
    assert world.cluster.counts.own(Limit.CONNECTIONS) == 0


# -- the client goes ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("leave", ["end", "reset"])
@pytest.mark.parametrize("sent", [b"", b"G", GET[:-2], b"\r\n"])
def test_client_gone_before_a_request(world, leave, sent):
    client = world.client(*([sent] if sent else []))
    getattr(client, leave)()
    assert client.closed
    assert client.takes() == b""
    assert world.down("rq_total") == 0


@pytest.mark.parametrize("request_", [GET, POST, CHUNKED_POST])
def test_client_gone_while_waiting_for_a_connection(world, request_):
    client = world.client(request_)
    client.reset()
    world.check_quiet()
    assert world.down("rq_rx_reset") == world.up("rq_cancelled") == 1
    world.accept()
    assert world.cluster.hosts[0].idle_connections() == 1


@pytest.mark.parametrize("sent", [b"", b"HTTP/1.1 20", b"HTTP/1.1 100 Continue\r\n\r\n", OK[:-1]])
@pytest.mark.parametrize("request_", [GET, POST, CHUNKED_POST])
def test_client_gone_while_a_server_answers(world, request_, sent):
    client = world.client(request_)
    server = world.accept()
    server.send(*([sent] if sent else []))
    client.reset()
    world.check_quiet()
    assert server.closed
    assert server.transport.aborted


def test_client_ends_within_its_body(world):
    client = world.client(CHUNKED_POST)
    server = world.accept()
    client.end()
    assert client.closed
    assert server.closed
    assert b"0\r\n\r\n" not in server.takes()


def test_client_gone_while_backing_off(world):
    world.rule(retry=plan.RetryPolicy(["connect-failure"], backoff_base=100, backoff_max=100))
    client = world.client(GET)
    world.refuse()
    client.reset()
    world.check_quiet()
    world.pass_time(1_000)
    assert not world.opening


def test_client_gone_while_its_answer_is_not_taken(world):
    client = world.client(GET)
    server = world.accept()
    server.send(OK[:-1])
    client.block()
    client.reset()
    assert server.closed


# -- the server fails --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("leave", ["end", "reset"])
@pytest.mark.parametrize("request_", [GET, POST, CHUNKED_POST])
@pytest.mark.parametrize("sent", [b"", b"H", b"HTTP/1.1 200 OK\r\ncontent-le", b"HTTP/1.1 103 Hints\r\n\r\n"])
def test_server_gone_before_its_answer(world, leave, request_, sent):
    client = world.client(request_)
    server = world.accept()
    server.send(*([sent] if sent else []))
    getattr(server, leave)()
    got = client.takes().removeprefix(b"HTTP/1.1 103 Hints\r\n\r\n")
    assert (status(got), flags(got)) == (503, "UC")
    assert server.closed
    assert client.transport.wrote_eof == (request_ is CHUNKED_POST)
    assert world.up("rq_rx_reset") == 1
    assert not world.opening


@pytest.mark.parametrize("leave", ["end", "reset"])
@pytest.mark.parametrize(
    "sent",
    [
        OK[:-1],
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n",
    ],
)
def test_server_gone_within_its_answer(world, leave, sent):
    client = world.client(GET)
    server = world.accept()
    server.send(sent)
    getattr(server, leave)()
    assert client.closed
    assert client.transport.aborted
    assert not client.takes().endswith(b"0\r\n\r\n")
    world.check_quiet()


def test_server_reset_within_an_answer_that_lasts_until_the_end(world):
    client = world.client(GET)
    server = world.accept()
    server.send(b"HTTP/1.1 200 OK\r\n\r\nhello")
    server.reset()
    assert client.transport.aborted
    assert not client.takes().endswith(b"0\r\n\r\n")


@pytest.mark.parametrize("leave", ["end", "reset"])
def test_server_gone_after_its_answer(world, leave):
    client = world.client(GET)
    server = world.accept()
    server.takes()
    server.send(OK)
    getattr(server, leave)()
    assert client.takes() == OK
    assert world.cluster.hosts[0].idle_connections() == 0
    client.send(GET)
    world.accept().send(OK)
    assert client.takes() == OK


def test_an_idle_connection_whose_end_is_known_is_not_used(world):
    """The loop reports a connection's loss a turn after its end: a request in between goes elsewhere."""
    server = world.warm()
    client = world.client()
    server.transport.feed_eof()
    client.transport.feed(POST)
    assert not server.closed
    world.loop.settle()
    assert server.takes() == b""
    world.accept().send(OK)
    assert client.takes() == OK


@pytest.mark.parametrize("garbage", [b"?", b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\n\r\n", b"\r\n"])
def test_bytes_on_an_idle_connection_end_it(world, garbage):
    server = world.warm()
    server.send(garbage)
    assert server.closed
    client = world.client(GET)
    world.accept().send(OK)
    assert client.takes() == OK


def test_bytes_behind_an_answer_end_the_connection(world):
    client = world.client(GET)
    server = world.accept()
    server.send(OK + b"HTTP/1.1 200 OK\r\n")
    assert client.takes() == OK
    assert server.closed
    assert not client.closed


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b"nonsense\r\n\r\n", b"status line"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n", b"Content-Length"),
        (b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\n\r\n", b"a protocol switch that nobody asked for"),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nxyz\r\n", b"chunk"),
    ],
)
def test_an_answer_that_is_malformed(world, answer, reason):
    client = world.client(GET)
    server = world.accept()
    server.send(answer)
    got = client.takes()
    assert (status(got), flags(got)) == (502, "UPE")
    assert reason in got
    assert server.transport.aborted
    assert world.up("cx_protocol_error") == 1


def test_an_answer_that_is_malformed_within_its_body(world):
    client = world.client(GET)
    server = world.accept()
    server.send(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n", b"nonsense\r\n")
    assert client.transport.aborted
    assert client.takes().endswith(b"2\r\nok\r\n")
    assert server.transport.aborted


def test_an_answer_before_the_whole_request_is_never_followed_by_reuse(world):
    client = world.client(CHUNKED_POST)
    server = world.accept()
    server.send(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nab")
    client.send(b"3\r\nabc\r\n")
    server.send(b"cd")
    assert client.takes().endswith(b"abcd")
    assert server.closed
    client.end()
    assert client.closed


def test_an_answer_while_the_request_is_stuck_is_not_followed_by_reuse(world):
    """All of the request was written, but the server has not taken it: what follows would wait behind that."""
    client = world.client(POST)
    server = world.accept()
    server.block()
    server.send(OK)
    assert client.takes() == OK
    assert server.closed
    assert world.cluster.hosts[0].idle_connections() == 0


# -- malformed requests ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/2.0\r\nhost: a\r\n\r\n", 505),
        (b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\nxyz\r\n", 400),
        (b"GET / HTTP/1.1\r\nhost: a\r\n" + b"x: y\r\n" * 200 + b"\r\n", 431),
        (b"GET / HTTP/1.1\r\nhost: a\r\nx: " + b"y" * 70_000, 431),
    ],
)
def test_a_malformed_request(world, request_, code):
    client = world.client(request_ + b"and more")
    got = client.takes()
    assert (status(got), flags(got)) == (code, "DPE")
    assert b"\r\nconnection: close\r\n" in got
    assert client.transport.wrote_eof
    assert not client.closed
    assert world.down("cx_protocol_error") == world.down("rq_total") == world.down(f"rq_{code // 100}xx") == 1
    client.send(GET)
    assert client.takes() == b""
    client.end()
    assert client.closed
    assert not client.transport.aborted


def test_a_malformed_request_behind_a_good_one(world):
    client = world.client(GET.replace(b"GET", b"HEAD") + b"nonsense\r\n\r\n")
    server = world.accept()
    server.send(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n")
    good, bad = client.takes().split(b"\r\n\r\n", 1)
    assert status(good) == 200
    assert status(bad) == 400
    assert not bad.endswith(b"\r\n\r\n"), "the answer lacks its body, as if it were to HEAD"
    assert not server.closed


def test_a_request_that_is_malformed_further_on(world):
    client = world.client(CHUNKED_POST)
    server = world.accept()
    client.send(b"nonsense\r\n")
    got = client.takes()
    assert (status(got), flags(got)) == (400, "DPE")
    assert server.transport.aborted
    assert world.down("rq_total") == world.down("rq_4xx") == 1
    client.end()
    assert client.closed


HEAD_CHUNKED = CHUNKED_POST.replace(b"POST", b"HEAD").removesuffix(b"5\r\nhello\r\n")


@pytest.mark.parametrize(
    "sent",
    [
        [HEAD_CHUNKED + b"nonsense\r\n"],
        [HEAD_CHUNKED, b"nonsense\r\n"],
        [b"HEAD / HTTP/1.1\r\nhost: a\r\nexpect: tea\r\n\r\n"],
        [b"HEAD / HTTP/1.1\r\nhost: a\r\nx : y\r\n\r\n"],
    ],
    ids=["body", "body, further on", "expectation", "header"],
)
def test_a_head_request_that_is_malformed_is_answered_without_a_body(world, sent):
    client = world.client(*sent)
    got = client.takes()
    assert (status(got) // 100, flags(got)) == (4, "DPE")
    assert got.endswith(b"\r\n\r\n")
    client.end()
    assert client.closed


def test_a_request_that_is_malformed_while_it_waits(world):
    client = world.client(CHUNKED_POST, b"nonsense\r\n")
    assert status(client.takes()) == 400
    world.check_quiet()


def test_a_request_that_is_malformed_while_it_is_answered(world):
    client = world.client(CHUNKED_POST)
    server = world.accept()
    server.send(OK[:-1])
    client.send(b"nonsense\r\n")
    assert client.transport.aborted
    assert server.transport.aborted
    assert client.takes().count(b"HTTP/1.1") == 1


def test_lingering_is_bounded(world):
    client = world.client(b"nonsense\r\n\r\n")
    client.takes()
    for _ in range(10):
        world.pass_time(90)
        if not client.closed:
            client.send(b"x")
    assert client.closed
    assert client.transport.aborted


def test_lingering_goes_on_while_the_answer_is_being_taken(world):
    client = world.client(CHUNKED_POST)
    server = world.accept()
    client.transport.unsent = 60_000
    server.send(OK)
    for left in (30_000, 15_000, 5_000):
        client.transport.unsent = left
        world.pass_time(10_000)
        assert not client.closed
    world.pass_time(10_000)
    assert client.closed


@pytest.mark.parametrize("progress", [True, False])
def test_a_client_that_does_not_take_the_last_answer(world, progress):
    client = world.client(GET.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n"))
    server = world.accept()
    client.transport.unsent = 60_000
    server.send(OK)
    assert client.transport.closing
    for left in (40_000, 20_000):
        if progress:
            client.transport.unsent = left
        world.pass_time(10_000)
        assert client.closed is not progress
    assert client.transport.aborted is not progress


# -- limits ------------------------------------------------------------------------------------------------------------


def test_max_requests(make_world):
    world = make_world(max_requests=1)
    first, second = world.client(GET), world.client(GET)
    assert flags(second.takes()) == "UO"
    world.accept().send(OK)
    assert first.takes() == OK
    assert world.up("rq_pending_overflow") == 1
    second.send(GET)
    assert second.takes() == b""


def test_max_pending(make_world):
    world = make_world(max_pending=1)
    first, second = world.client(GET), world.client(GET)
    got = second.takes()
    assert (status(got), flags(got)) == (503, "UO")
    assert world.up("rq_pending_active") == 1
    world.accept().send(OK)
    assert first.takes() == OK
    assert world.up("rq_pending_total") == world.up("rq_pending_overflow") == 1


def test_max_connections(make_world):
    """What finds no connection waits for one to become free."""
    world = make_world(max_connections=1)
    clients = [world.client(GET) for _ in range(3)]
    server = world.accept()
    assert not world.opening
    for client in clients:
        server.send(OK)
        assert client.takes() == OK
    assert world.up("cx_total") == 1
    assert world.up("cx_overflow") == 2


def test_max_connections_and_one_that_ends(make_world):
    world = make_world(max_connections=1)
    first, second, third = (world.client(GET) for _ in range(3))
    world.accept().send(OK.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n"))
    assert first.takes() == OK
    world.refuse()
    assert flags(second.takes()) == "UF"
    world.accept().send(OK)
    assert third.takes() == OK


def test_max_connections_does_not_starve_a_host(make_world):
    """The limit is reached by another host's idle connection: one is opened all the same, as Envoy does."""
    world = make_world(hosts=2, max_connections=1)
    world.warm()
    client = world.client(GET)
    server = world.accept()
    server.send(OK)
    assert client.takes() == OK


def test_max_requests_per_connection(make_world):
    world = make_world(max_requests_per_connection=2)
    client = world.client(GET)
    server = world.accept()
    server.send(OK)
    client.send(GET)
    server.send(OK)
    assert server.closed
    assert world.up("cx_max_requests") == 1
    client.send(GET)
    world.accept().send(OK)
    assert client.takes() == OK * 3


# -- configuration that changes under way ------------------------------------------------------------------------------


def test_a_host_that_goes_while_it_answers(make_world):
    world = make_world()
    client = world.client(GET)
    server = world.accept()
    world.cluster.set_hosts([("10.0.0.9", 80, 1, True)])
    server.send(OK)
    assert client.takes() == OK
    assert server.closed
    client.send(GET)
    assert world.opening[0].address == "10.0.0.9"


def test_a_host_that_goes_while_connections_to_it_are_idle_or_opening(make_world):
    world = make_world()
    busy, idle = world.client(GET), world.client(GET)
    servers = [world.accept(), world.accept()]
    servers[1].send(OK)
    waiting = world.client(GET), world.client(GET)
    world.cluster.set_hosts([])
    world.loop.settle()
    assert idle.takes() == OK
    assert len(world.opening) == 1
    servers.append(world.accept())
    for server in servers:
        server.send(OK)
    assert [client.takes() for client in (busy, *waiting)] == [OK] * 3
    assert all(server.closed for server in servers)


def test_a_cluster_that_goes_while_it_answers(world):
    client, waiting = world.client(GET), world.client(GET)
    server = world.accept()
    world.remove_cluster("c")
    server.send(OK, OK)
    assert client.takes() == OK
    assert waiting.takes() == OK
    assert server.closed
    client.send(GET)
    assert flags(client.takes()) == "NC"
    world.accept()
    assert world.store.group(layout.CLUSTER, "c").value("membership_total") == 0


def test_new_routes_hold_from_the_next_request_on(world):
    client = world.client(GET)
    server = world.accept()
    world.route(domains=["elsewhere"])
    server.send(OK)
    assert client.takes() == OK
    client.send(GET)
    assert flags(client.takes()) == "NR"


def test_draining(world):
    idle = world.client()
    world.pass_time(2000)
    busy, between, fresh, late = world.client(GET), world.client(GET[:9]), world.client(), world.client()
    server = world.accept()
    world.context.draining = True
    for connection in list(world.listener.connections):
        connection.drain()
    world.loop.settle()
    assert idle.closed
    assert not fresh.closed
    server.takes()
    server.send(OK)
    assert b"\r\nconnection: close\r\n" in busy.takes()
    assert busy.closed
    for client, rest in ((between, GET[9:]), (late, GET)):
        client.send(rest)
        server.send(OK)
        assert b"\r\nconnection: close\r\n" in client.takes()
        assert client.closed
    world.pass_time(900)
    assert not fresh.closed
    world.pass_time(200)
    assert fresh.closed
    assert world.down("cx_idle_timeout") == 0


def test_draining_when_the_answers_head_is_out(world):
    """It did not say that the connection closes, so the client may be sending the next request."""
    client = world.client(GET)
    server = world.accept()
    server.send(OK[:-1])
    client.takes()
    client.connection.drain()
    server.send(OK[-1:])
    client.takes()
    assert not client.closed
    client.send(GET)
    server.send(OK)
    assert b"\r\nconnection: close\r\n" in client.takes()
    assert client.closed


@pytest.mark.parametrize("begun", [b"", b"GET /"])
def test_a_listener_that_goes_while_a_request_arrives(world, begun):
    """Its connections drain, the worker does not."""
    client = world.client(GET + GET + begun) if begun else world.client(GET)
    server = world.accept()
    client.connection.drain()
    server.send(OK)
    assert b"\r\nconnection: close\r\n" in client.takes()
    if begun:
        client.end()
    assert client.closed


def test_a_listener_that_goes_while_a_head_arrives(world):
    client = world.client(GET[:9])
    client.connection.drain()
    client.send(GET[9:])
    world.accept().send(OK)
    assert b"\r\nconnection: close\r\n" in client.takes()
    assert client.closed


def test_local_answers_drain_too(world):
    client = world.client(GET)
    client.connection.drain()
    world.refuse()
    assert b"\r\nconnection: close\r\n" in client.takes()
    assert client.closed


def test_exact_codes_and_flags_are_counted_once_a_request(world):
    world.rule(retry=plan.RetryPolicy(["connect-failure"], attempts=1))
    client = world.client(GET)
    world.refuse()
    world.pass_time(250)
    world.refuse()
    assert flags(client.takes()) == "UF"
    client.send(GET)
    world.accept().send(UNAVAILABLE)
    assert client.takes() == UNAVAILABLE
    counters = reader.read([world.store.path]).counters
    assert counters["cluster", "c", "upstream_rq_code_503_UF"] == 1
    assert counters["cluster", "c", "upstream_rq_code_503_-"] == 1
