"""Connections of a pool: which are used again, for how long, and how many are opened ahead."""

import pytest

from tage.dataplane.upstream.limits import Limit
from tage.sidecar import plan
from tests.dataplane.streams.test_failures import flags
from tests.dataplane.streams.world import GET, OK, POST, UNAVAILABLE

LATE_INTERIM = b"HTTP/1.1 103 Early Hints\r\n\r\n"


def exchange(world, server=None, answer=OK):
    """A request over the connection that is free, or a new one, answered; the client goes."""
    client = world.client(GET)
    server = server or world.accept()
    assert server.takes()
    server.send(answer)
    assert client.takes().startswith(b"HTTP/1.1 ")
    client.end()
    return server


# -- what never returns to the pool ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "answer",
    [
        OK + b"x",
        OK + OK,
        OK + b"\r\n",
        OK + LATE_INTERIM,
        b"HTTP/1.1 204 No Content\r\n\r\nx",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\nx",
        b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nconnection: keep-alive, CLOSE\r\ncontent-length: 2\r\n\r\nok",
        b"HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nok",
        b"HTTP/1.0 200 OK\r\nconnection: keep-alive\r\ncontent-length: 2\r\n\r\nokx",
    ],
)
@pytest.mark.parametrize("bytewise", [False, True])
def test_odd_answers(world, answer, bytewise):
    """The answer is passed on, and nothing is asked on that connection again."""
    client = world.client(GET)
    server = world.accept()
    (server.send_bytewise if bytewise else server.send)(answer)
    assert client.takes().startswith(b"HTTP/1.1 20")
    world.loop.settle()
    assert server.closed
    client.send(GET)
    assert len(world.opening) == 1
    world.accept().send(OK)
    assert client.takes() == OK


@pytest.mark.parametrize("late", [b"x", b"\r\n", OK, LATE_INTERIM, b"HTTP/1.1 408 Request Timeout\r\n\r\n"])
def test_bytes_after_the_answer_was_read(world, late):
    server = exchange(world)
    server.send(late)
    assert server.closed
    client = world.client(GET)
    world.accept().send(OK)
    assert client.takes() == OK


@pytest.mark.parametrize("end", ["end", "reset"])
def test_an_end_in_the_turn_in_which_a_request_comes(world, end):
    """Where the server's end is read before the request, a new connection is opened; a POST is not lost with it."""
    server = exchange(world)
    client = world.client()
    server.transport.feed_eof() if end == "end" else server.transport.reset()
    if end == "reset":
        world.loop.turn()
    client.transport.feed(POST)
    world.loop.settle()
    assert server.takes() == b""
    world.accept().send(OK)
    assert client.takes() == OK


def test_the_last_used_is_used_first(world):
    clients = [world.client(GET) for _ in range(3)]
    servers = [world.accept() for _ in clients]
    for server in servers:
        server.takes()
    for index in (1, 0, 2):
        servers[index].send(OK)
    for client in clients:
        client.takes()
    for index in (2, 0, 1):
        clients[0].send(GET)
        assert [server.takes() != b"" for server in servers] == [each == index for each in range(3)]
        clients = [*clients[1:], clients[0]]
    for server in servers:
        server.send(OK)


# -- how long ----------------------------------------------------------------------------------------------------------


def test_a_connection_that_has_lived_long_enough(make_world):
    world = make_world(max_connection_duration=10_000)
    server = exchange(world)
    world.pass_time(5_000)
    exchange(world, server)
    world.pass_time(5_000)
    assert server.closed
    assert world.up("cx_max_duration_reached") == 1
    assert world.up("cx_idle_timeout") == 0
    exchange(world)


def test_one_that_is_in_use_then_is_used_no_more(make_world):
    world = make_world(max_connection_duration=10_000)
    world.rule(timeout=0)
    client = world.client(GET)
    server = world.accept()
    world.pass_time(25_000)
    assert not server.closed
    assert world.up("cx_max_duration_reached") == 1
    server.send(OK)
    assert client.takes() == OK
    assert server.closed
    assert world.up("cx_max_duration_reached") == 1


def test_whoever_waits_is_not_given_one_that_is_too_old(make_world):
    world = make_world(max_connection_duration=10_000, max_connections=1)
    world.rule(timeout=0)
    first, second = world.client(GET), world.client(GET)
    old = world.accept()
    world.pass_time(10_000)
    old.send(OK)
    assert first.takes() == OK
    new = world.accept()
    new.send(OK)
    assert second.takes() == OK
    assert not new.closed


@pytest.mark.parametrize(
    ("idle", "life", "ended_by"), [(1_000, 60_000, "idle_timeout"), (60_000, 1_000, "max_duration_reached")]
)
def test_the_earlier_of_idling_and_living(make_world, idle, life, ended_by):
    world = make_world(idle_timeout=idle, max_connection_duration=life)
    server = exchange(world)
    world.pass_time(1_000)
    assert server.closed
    assert world.up(f"cx_{ended_by}") == 1
    assert world.up("cx_idle_timeout") + world.up("cx_max_duration_reached") == 1


def test_a_life_without_an_idle_timeout(make_world):
    world = make_world(idle_timeout=0, max_connection_duration=1_000)
    server = exchange(world)
    calls = world.loop.run(900)
    assert not server.closed
    world.pass_time(100)
    assert server.closed
    assert calls < 10


# -- limits ------------------------------------------------------------------------------------------------------------


def test_a_connection_lost_while_the_limit_is_used_up_elsewhere(make_world):
    """Another host was given a connection beyond the limit. One that breaks off leaves those that wait behind it
    without any, so one is opened."""
    world = make_world(hosts=2, max_connections=1)
    one, other = world.client(GET), world.client(GET)
    servers = [world.accept(), world.accept()]
    assert world.cluster.counts.own(Limit.CONNECTIONS) == 2
    waiting = world.client(GET), world.client(GET)
    assert not world.opening
    servers[0].reset()
    assert flags(one.takes()) == "UC"
    assert [host.address for host in world.opening] == ["10.0.0.1"]
    world.accept().send(OK)
    servers[1].send(OK, OK)
    assert [client.takes() for client in (other, *waiting)] == [OK] * 3


def test_another_workers_connections_count(make_world):
    """They are of no use here: one is opened for whoever has none of this worker's to wait for, and no more."""
    world = make_world(max_connections=3)
    mine = world.cluster.counts
    for _ in range(3):
        mine.up(Limit.CONNECTIONS)  # as those of another worker would be seen
    first, second = world.client(GET), world.client(GET)
    assert len(world.opening) == 1
    server = world.accept()
    server.send(OK, OK)
    assert [client.takes() for client in (first, second)] == [OK] * 2
    assert world.up("cx_overflow") == 2
    for _ in range(3):
        mine.down(Limit.CONNECTIONS)


def test_a_replay_that_meets_the_limits(make_world):
    """The connection that broke off is counted out before the next one is opened; nothing is counted twice."""
    world = make_world(max_connections=1, max_requests=1, max_pending=1)
    old = world.warm()
    client = world.client(GET)
    assert old.takes()
    old.end()
    assert client.takes() == b""
    assert [world.cluster.counts.own(limit) for limit in Limit] == [1, 1, 1, 0]
    late = world.client(GET)
    assert flags(late.takes()) == "UO"
    world.accept().send(OK)
    assert client.takes() == OK
    assert [world.cluster.counts.own(limit) for limit in Limit] == [1, 0, 0, 0]


def test_a_replay_for_which_there_is_no_place(make_world):
    world = make_world()
    old = world.warm()
    world.cluster.max_pending = 0
    client = world.client(GET)
    old.end()
    assert flags(client.takes()) == "UO"
    assert world.cluster.counts.own(Limit.REQUESTS) == 0


# -- retries' budget ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("percent", "least", "requests", "allowed"),
    [(20, 3, 10, 3), (20, 0, 10, 2), (50, 1, 10, 5), (100, 0, 10, 10), (0, 0, 10, 0), (0, 2, 10, 2), (25, 0, 7, 1)],
)
def test_retry_budget(make_world, percent, least, requests, allowed):
    world = make_world(max_retries=0)
    world.cluster.set_retry_budget(percent, least)
    world.rule(retry=plan.RetryPolicy(["5xx"], attempts=1, backoff_base=60_000, backoff_max=60_000))
    clients = [world.client(GET) for _ in range(requests)]
    servers = [world.accept() for _ in clients]
    # Those that are refused end, so the last are asked first, while all are under way.
    for server in servers[:allowed]:
        server.send(UNAVAILABLE)
    assert world.cluster.counts.own(Limit.RETRIES) == allowed
    servers[-1].send(UNAVAILABLE) if allowed < requests else None
    assert world.up("rq_retry_overflow") == (1 if allowed < requests else 0)
    assert world.up("rq_retry") == allowed
    for client in clients:
        client.reset()
    assert world.cluster.counts.own(Limit.RETRIES) == 0


# -- ahead -------------------------------------------------------------------------------------------------------------


def preconnecting(make_world, per_upstream=1.0, predictive=1.0, **settings):
    world = make_world(**settings)
    world.cluster.set_preconnect(per_upstream, predictive)
    return world


@pytest.mark.parametrize(
    ("ratio", "connections"),
    [(1.0, [1, 2, 3, 4, 5]), (1.5, [2, 3, 5, 6, 8]), (2.0, [2, 4, 6, 8, 10]), (3.0, [3, 6, 9, 12, 15])],
)
def test_per_upstream(make_world, ratio, connections):
    """As many as ratio times requests, rounded up, whether they wait or are under way."""
    world = preconnecting(make_world, ratio)
    opened = []
    for _ in connections:
        world.client(GET)
        opened.append(len(world.opening))
    assert opened == connections
    servers = [world.accept() for _ in range(len(world.opening))]
    assert world.cluster.hosts[0].idle_connections() == connections[-1] - 5
    world.client(GET)
    assert world.cluster.hosts[0].connections == -int(-6 * ratio // 1)
    for server in servers:
        server.send(OK) if server.takes() else None


def test_connections_that_are_free_count(make_world):
    world = preconnecting(make_world, 2.0)
    client = world.client(GET)
    servers = [world.accept(), world.accept()]
    servers[0].send(OK)
    client.takes()
    for _ in range(5):
        client.send(GET)
        assert not world.opening
        [server] = [server for server in servers if server.takes()]
        server.send(OK)
        assert client.takes() == OK


def test_not_beyond_the_limit(make_world):
    world = preconnecting(make_world, 3.0, max_connections=4)
    clients = [world.client(GET) for _ in range(3)]
    assert len(world.opening) == 4
    servers = [world.accept() for _ in range(4)]
    for server in servers:
        server.send(OK) if server.takes() else None
    assert [client.takes() for client in clients] == [OK] * 3
    assert world.cluster.counts.own(Limit.CONNECTIONS) == 4


def test_one_ratio_alone_does_nothing_for_the_other(make_world):
    """Those that wait at the limit are no reason to ask, and to count, again."""
    for per_upstream, predictive in ((1.5, 1.0), (1.0, 1.5)):
        world = preconnecting(make_world, per_upstream, predictive, max_connections=2)
        for _ in range(2):
            world.client(GET)
        before = world.up("cx_overflow")
        world.client(GET)
        assert world.up("cx_overflow") == before + 2  # by whoever waits, and by the ratio that there is


def test_a_failure_is_not_followed_by_another_attempt(make_world):
    """Connections ahead are opened for requests, not because others failed: no loop where a server refuses."""
    world = preconnecting(make_world, 2.0)
    client = world.client(GET)
    world.refuse()
    assert flags(client.takes()) == "UF"
    assert len(world.opening) == 1
    world.refuse()
    assert not world.opening


@pytest.mark.parametrize("lb", ["round_robin", "random"])
def test_predictive(make_world, lb):
    """To those that are picked next."""
    world = preconnecting(make_world, predictive=2.0, hosts=4)
    world.cluster.set_lb(lb)
    world.client(GET)
    first, ahead = list(world.opening)
    if lb == "round_robin":
        assert first is not ahead
    world.client(GET)
    servers = [world.accept() for _ in range(len(world.opening))]
    assert sum(1 for server in servers if server.takes()) == 2
    assert len(servers) <= 4


def test_least_request_cannot_be_told(make_world):
    world = preconnecting(make_world, predictive=3.0, hosts=3)
    world.cluster.set_lb("least_request")
    world.client(GET)
    assert len(world.opening) == 1


def test_predictive_over_a_cluster_that_has_enough(make_world):
    world = preconnecting(make_world, predictive=2.0, hosts=2)
    client = world.client(GET)
    servers = [world.accept() for _ in range(len(world.opening))]
    for _ in range(6):
        [server] = [server for server in servers if server.takes()]
        server.send(OK)
        assert client.takes() == OK
        client.send(GET)
        assert not world.opening
    [server] = [server for server in servers if server.takes()]
    server.send(OK)


def test_a_host_that_goes_with_connections_ahead(make_world):
    world = preconnecting(make_world, 3.0)
    client = world.client(GET)
    world.cluster.set_hosts([])
    servers = [world.accept() for _ in range(3)]
    [server] = [server for server in servers if server.takes()]
    server.send(OK)
    assert client.takes() == OK
    assert all(server.closed for server in servers)
