"""Upgrades and CONNECT: when two connections become a tunnel, when they do not, and how a tunnel ends."""

import pytest

from tage.sidecar import plan
from tests.dataplane.streams.test_exchange import head_of
from tests.dataplane.streams.test_failures import flags, status
from tests.dataplane.streams.world import GET, OK, World

UPGRADE = b"GET /chat HTTP/1.1\r\nhost: a\r\nconnection: keep-alive, Upgrade\r\nupgrade: WebSocket\r\nx-a: b\r\n\r\n"
SWITCH = b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\nx-c: d\r\n\r\n"
CONNECT = b"CONNECT b:443 HTTP/1.1\r\nhost: b:443\r\n\r\n"
OPEN = b"HTTP/1.1 200 Connection established\r\n\r\n"
EVERYTHING = plan.StringMatch("prefix", "")


def connect_route(world: World, *, terminates: bool = False, **fields) -> None:
    """CONNECT is enabled, and leads to the cluster."""
    world.listener.upgrades = frozenset([b"connect"])
    world.route(
        plan.Route(
            plan.RouteMatch(EVERYTHING, connect=True),
            clusters=[plan.WeightedCluster("c")],
            connect_terminates=terminates,
            **fields,
        )
    )


def upgraded(world: World, *, early: bytes = b""):
    """A tunnel that an upgrade opened."""
    world.listener.upgrades = frozenset([b"websocket"])
    client = world.client(UPGRADE + early)
    server = world.accept()
    server.takes()
    server.send(SWITCH)
    client.takes()
    return client, server


def proxied(world: World):
    connect_route(world)
    client = world.client(CONNECT)
    server = world.accept()
    server.takes()
    server.send(OPEN)
    client.takes()
    return client, server


def terminated(world: World):
    connect_route(world, terminates=True)
    client = world.client(CONNECT)
    server = world.dialling[0].accept()
    client.takes()
    return client, server


each_kind = pytest.mark.parametrize("open_tunnel", [upgraded, proxied, terminated])


# -- opening -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cut", ["whole", "bytewise"])
def test_an_upgrade_end_to_end(world, cut):
    world.listener.upgrades = frozenset([b"websocket"])
    client = world.client()
    (client.send if cut == "whole" else client.send_bytewise)(UPGRADE)
    server = world.accept()
    asked = server.takes()
    assert asked.startswith(b"GET /chat HTTP/1.1\r\n")
    assert head_of(asked)[b"connection"] == b"upgrade"
    assert head_of(asked)[b"upgrade"] == b"WebSocket"
    assert head_of(asked)[b"x-a"] == b"b"
    (server.send if cut == "whole" else server.send_bytewise)(SWITCH + b"\x81\x02hi")
    head, tunnel = client.takes().split(b"\r\n\r\n", 1)
    assert head.startswith(b"HTTP/1.1 101 Switching Protocols\r\n")
    assert head_of(head + b"\r\n\r\n") == {b"connection": b"upgrade", b"upgrade": b"WebSocket", b"x-c": b"d"}
    assert tunnel == b"\x81\x02hi"
    client.send(b"GET / HTTP/1.1\r\n\r\n\0", b"\xff")
    assert server.takes() == b"GET / HTTP/1.1\r\n\r\n\0\xff"
    server.send(OK)
    assert client.takes() == OK
    client.end()
    assert server.transport.wrote_eof
    server.end()
    assert client.closed
    assert server.closed
    assert (world.down("rq_1xx"), world.up("rq_1xx"), world.of_route("rq_1xx")) == (1, 1, 1)
    assert world.down("rq_rx_reset") == 0


def test_what_the_client_sends_early_waits_for_the_answer(world):
    world.listener.upgrades = frozenset([b"websocket"])
    client = world.client(UPGRADE + GET)
    assert not client.reading
    server = world.accept()
    assert GET not in server.takes()
    server.send(SWITCH)
    assert server.takes() == GET
    assert client.reading


def test_an_upgrade_that_the_server_declines(world):
    """Then what the client sent early is its next request."""
    world.listener.upgrades = frozenset([b"websocket"])
    client = world.client(UPGRADE + GET)
    server = world.accept()
    server.takes()
    server.send(OK)
    assert client.takes() == OK
    assert server.takes().startswith(b"GET / ")
    server.send(OK)
    assert client.takes() == OK
    assert not client.closed
    assert world.cluster.hosts[0].idle_connections() == 1


@pytest.mark.parametrize(
    ("listener", "route", "asked", "granted"),
    [
        ([], {}, b"websocket", None),
        (["websocket"], {}, b"websocket", b"websocket"),
        (["websocket"], {}, b"WEBSOCKET", b"WEBSOCKET"),
        (["websocket"], {"websocket": False}, b"websocket", None),
        ([], {"websocket": True}, b"websocket", b"websocket"),
        (["a"], {"b": False}, b"b, a", b"a"),
        (["websocket"], {}, b"other, websocket", b"websocket"),
        (["websocket"], {}, b"websocket2", None),
        (["websocket"], {}, b",".join(b"x%d" % i for i in range(20)) + b",websocket", None),
        (["h2c", "connect"], {"h2c": True}, b"h2c", None),
        (["connect"], {}, b"CONNECT", None),
        (["h2c", "websocket"], {}, b"h2c, websocket", b"websocket"),
    ],
)
def test_which_upgrades_are_asked_for(world, listener, route, asked, granted):
    world.listener.upgrades = frozenset(name.encode() for name in listener)
    world.rule(upgrades=route)
    client = world.client(UPGRADE.replace(b"WebSocket", asked))
    server = world.accept()
    head = head_of(server.takes())
    assert head.get(b"upgrade") == granted
    assert head.get(b"connection") == (b"upgrade" if granted else None)
    server.send(OK)
    assert client.takes() == OK
    client.send(GET)
    assert b"upgrade" not in head_of(server.takes())
    server.send(OK)


@pytest.mark.parametrize(
    "request_bytes",
    [
        UPGRADE.replace(b"HTTP/1.1", b"HTTP/1.0"),
        UPGRADE.replace(b"GET", b"POST").replace(b"x-a: b", b"content-length: 1") + b"x",
        UPGRADE.replace(b"GET", b"POST").replace(b"x-a: b", b"transfer-encoding: chunked") + b"0\r\n\r\n",
        UPGRADE.replace(b"keep-alive, Upgrade", b"keep-alive"),
    ],
)
def test_requests_that_cannot_upgrade(world, request_bytes):
    world.listener.upgrades = frozenset([b"websocket"])
    client = world.client(request_bytes)
    server = world.accept()
    assert b"upgrade" not in head_of(server.takes())
    server.send(SWITCH)
    assert (status(answer := client.takes()), flags(answer)) == (502, "UPE")


@pytest.mark.parametrize(
    "answer",
    [
        SWITCH.replace(b"websocket", b"other"),
        SWITCH.replace(b"upgrade: websocket\r\n", b""),
        SWITCH.replace(b"connection: upgrade\r\n", b""),
        SWITCH.replace(b"upgrade: websocket", b"upgrade: websocket, x"),
    ],
)
def test_a_switch_to_something_else_is_a_protocol_error(world, answer):
    world.listener.upgrades = frozenset([b"websocket"])
    client = world.client(UPGRADE)
    server = world.accept()
    server.send(answer)
    assert (status(got := client.takes()), flags(got)) == (502, "UPE")
    assert server.closed
    assert world.up("cx_protocol_error") == 1


def test_an_interim_answer_before_the_switch(world):
    world.listener.upgrades = frozenset([b"websocket"])
    client = world.client(UPGRADE)
    server = world.accept()
    server.send(b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n" + SWITCH)
    assert [line for line in client.takes().split(b"\r\n") if line.startswith(b"HTTP")] == [
        b"HTTP/1.1 103 Early Hints",
        b"HTTP/1.1 101 Switching Protocols",
    ]


# -- CONNECT -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "answer",
    [
        OPEN,
        b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n",
        b"HTTP/1.1 204 OK\r\ntransfer-encoding: chunked\r\ncontent-length: 7\r\n\r\n",
    ],
)
def test_connect_is_forwarded(world, answer):
    connect_route(world)
    client = world.client(CONNECT.replace(b"\r\n\r\n", b"\r\ncontent-length: 0\r\n\r\n"))
    server = world.accept()
    asked = server.takes()
    assert asked.startswith(b"CONNECT b:443 HTTP/1.1\r\nhost: b:443\r\n")
    assert b"content-length" not in head_of(asked)
    server.send(answer + b"\x16\3")
    head, tunnel = client.takes().split(b"\r\n\r\n", 1)
    assert head.startswith(answer.split(b"\r\n")[0])
    assert not head_of(head + b"\r\n\r\n")
    assert tunnel == b"\x16\3"
    client.send(b"\x16\1")
    assert server.takes() == b"\x16\1"


def test_connect_is_terminated(world):
    connect_route(world, terminates=True)
    client = world.client(CONNECT + b"early")
    assert client.takes() == b""
    server = world.dialling[0].accept()
    assert client.takes() == b"HTTP/1.1 200 OK\r\n\r\n"
    assert server.takes() == b"early"
    server.send(b"hello")
    client.send(b"world")
    assert (client.takes(), server.takes()) == (b"hello", b"world")
    assert world.cluster.hosts[0].active == 1
    client.end()
    server.end()
    assert client.closed
    assert server.closed
    assert (world.down("rq_2xx"), world.up("rq_2xx")) == (1, 1)
    assert world.up("cx_rx_bytes_total") == world.up("cx_tx_bytes_total") - len("early") == 5


def test_a_server_that_declines_connect(world):
    """What the client sent in the hope of a tunnel is not read as a request."""
    connect_route(world)
    client = world.client(CONNECT + GET)
    server = world.accept()
    server.takes()
    server.send(b"HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 2\r\n\r\nno")
    answer = client.takes()
    assert (status(answer), head_of(answer)[b"connection"]) == (407, b"close")
    assert server.takes() == b""
    client.end()
    assert client.closed
    assert world.down("rq_total") == 1
    assert world.cluster.hosts[0].idle_connections() == 1


@pytest.mark.parametrize("enabled", [False, True])
def test_connect_without_a_rule(world, enabled):
    world.listener.upgrades = frozenset([b"connect"] if enabled else [])
    client = world.client(CONNECT)
    answer = client.takes()
    assert (status(answer), flags(answer)) == ((404, "NR") if enabled else (501, "DPE"))
    assert head_of(answer)[b"connection"] == b"close"
    assert client.closed


def test_connect_with_a_rule_that_is_not_enabled(world):
    connect_route(world, upgrades={"connect": False})
    client = world.client(CONNECT)
    assert (status(answer := client.takes()), flags(answer)) == (501, "DPE")
    assert client.closed
    connect_route(world, upgrades={"connect": True})
    world.listener.upgrades = frozenset()
    world.client(CONNECT)
    assert world.opening


def test_a_terminated_connect_whose_server_is_not_there(world):
    connect_route(world, terminates=True)
    client = world.client(CONNECT)
    world.dialling[0].refuse()
    assert (status(answer := client.takes()), flags(answer)) == (503, "UF")
    assert client.closed


def test_a_terminated_connect_is_retried_while_there_is_no_tunnel(make_world):
    world = make_world(hosts=2)
    connect_route(world, terminates=True, retry=plan.RetryPolicy(["connect-failure"], attempts=1))
    client = world.client(CONNECT)
    world.dialling[0].refuse()
    world.pass_time(300)
    server = world.dialling[0].accept()
    assert status(client.takes()) == 200
    server.reset()
    assert client.closed
    assert not world.dialling


def test_a_client_that_leaves_while_its_tunnel_is_dialled(world):
    connect_route(world, terminates=True)
    client = world.client(CONNECT)
    assert len(world.dialling) == 1
    client.reset()
    assert not world.dialling
    assert world.up("cx_active") == 0


def test_as_many_connections_as_the_cluster_may_have(make_world):
    world = make_world(max_connections=1)
    _, server = terminated(world)
    refused = world.client(CONNECT)
    assert (status(answer := refused.takes()), flags(answer)) == (503, "UO")
    server.end()


# -- time --------------------------------------------------------------------------------------------------------------


@each_kind
def test_the_routes_timeout_ends_with_the_answer(world, open_tunnel):
    client, server = open_tunnel(world)
    for _ in range(10):
        world.pass_time(10_000)
        server.send(b"x")
        assert client.takes() == b"x"


def test_the_routes_timeout_counts_until_the_answer(world):
    world.listener.upgrades = frozenset([b"websocket"])
    client = world.client(UPGRADE)
    server = world.accept()
    world.pass_time(15_000)
    assert (status(answer := client.takes()), flags(answer)) == (504, "UT")
    assert server.closed


@each_kind
def test_a_tunnel_that_lasts_too_long(world, open_tunnel):
    world.listener.max_stream_duration = 60_000
    client, server = open_tunnel(world)
    world.loop.run(59_900)
    assert not client.closed
    world.pass_time(100)
    assert client.closed
    assert server.closed
    assert world.down("rq_max_duration_reached") == 1


@each_kind
def test_an_idle_tunnel_ends(world, open_tunnel):
    client, server = open_tunnel(world)
    world.pass_time(299_000)
    client.send(b"x")
    assert server.takes() == b"x"
    world.pass_time(299_000)
    assert not client.closed
    world.pass_time(2_000)
    assert client.closed
    assert server.closed
    assert world.down("rq_idle_timeout") == 1


# -- the end -----------------------------------------------------------------------------------------------------------


@each_kind
@pytest.mark.parametrize("first", ["client", "server"])
def test_each_direction_ends_on_its_own(world, open_tunnel, first):
    client, server = open_tunnel(world)
    ends = (client, server) if first == "client" else (server, client)
    ends[0].send(b"last")
    ends[0].end()
    assert ends[1].takes() == b"last"
    assert ends[1].transport.wrote_eof
    assert not ends[0].transport.wrote_eof
    ends[1].send(b"answer", b"to it")
    assert ends[0].takes() == b"answerto it"
    ends[1].end()
    assert client.closed
    assert server.closed
    assert not client.transport.aborted
    assert not server.transport.aborted
    assert world.down("rq_rx_reset") == world.up("rq_rx_reset") == 0
    assert world.cluster.hosts[0].idle_connections() == 0


@each_kind
@pytest.mark.parametrize("first", ["client", "server"])
@pytest.mark.parametrize("half_closed", [False, True])
def test_a_reset_is_a_reset_on_the_other_side(world, open_tunnel, first, half_closed):
    client, server = open_tunnel(world)
    ends = (client, server) if first == "client" else (server, client)
    if half_closed:
        ends[0].end()
    ends[0].reset()
    assert ends[1].closed
    assert not ends[1].transport.lingers
    assert world.down("rq_rx_reset") == (first == "client")
    assert world.up("rq_rx_reset") == (first == "server")


def test_behind_tls_1_2_the_end_of_one_direction_is_the_end_of_both(world):
    client, server = upgraded(world)
    client.transport.half_closes = False
    server.send(b"bye")
    server.end()
    assert client.takes() == b"bye"
    assert client.closed
    assert server.closed


def test_a_client_that_ended_before_the_switch(world):
    world.listener.upgrades = frozenset([b"websocket"])
    client = world.client(UPGRADE)
    client.end()
    server = world.accept()
    assert not server.transport.wrote_eof
    server.send(SWITCH)
    assert server.transport.wrote_eof
    server.send(b"bye")
    server.end()
    assert client.takes().endswith(b"bye")
    assert client.closed


@each_kind
def test_a_peer_that_takes_nothing_at_the_end_is_not_waited_for(world, open_tunnel):
    client, server = open_tunnel(world)
    server.block()
    client.send(b"x")
    server.end()
    server.unblock()
    server.transport.unsent = 1000
    client.end()
    assert server.transport.closing
    assert not server.closed
    world.pass_time(10_000)
    assert server.closed


# -- back-pressure -----------------------------------------------------------------------------------------------------


@each_kind
def test_a_tunnel_is_read_as_fast_as_it_is_taken(world, open_tunnel):
    client, server = open_tunnel(world)
    for fast, slow in ((client, server), (server, client)):
        slow.block()
        assert not fast.reading
        assert slow.reading
        fast.send(b"x" * 1000)
        assert fast.transport.inbox == 1000
        slow.unblock()
        assert fast.reading
        assert slow.takes() == b"x" * 1000


@each_kind
def test_an_end_waits_behind_what_is_not_taken(world, open_tunnel):
    client, server = open_tunnel(world)
    server.block()
    client.send(b"last")
    client.end()
    assert not server.transport.wrote_eof
    server.unblock()
    assert server.takes() == b"last"
    assert server.transport.wrote_eof


def test_early_bytes_meet_a_server_that_is_slow(world):
    """They wait in the decoder; the client's end does not overtake them."""
    world.listener.upgrades = frozenset([b"websocket"])
    client = world.client(UPGRADE + b"early")
    client.transport.feed_eof()
    server = world.accept()
    server.takes()
    server.block()
    server.send(SWITCH)
    server.unblock()
    assert server.takes() == b"early"
    assert server.transport.wrote_eof


# -- draining ----------------------------------------------------------------------------------------------------------


def test_a_tunnel_outlives_its_listener(world):
    client, server = upgraded(world)
    client.connection.drain()
    world.pass_time(5_000)
    client.send(b"x")
    assert server.takes() == b"x"


def test_an_upgrade_under_way_meets_a_drain(world):
    world.listener.upgrades = frozenset([b"websocket"])
    client = world.client(UPGRADE)
    server = world.accept()
    server.takes()
    client.connection.drain()
    server.send(SWITCH)
    assert head_of(client.takes())[b"connection"] == b"upgrade"
    client.send(b"x")
    assert server.takes() == b"x"
