"""Hosts with two pools: requests go by HTTP/2 as they came, or as ALPN has it; nothing is lost between the two."""

from __future__ import annotations

import pytest

from tage.dataplane.streams.http1_upstream import Http1UpstreamConnection
from tage.dataplane.streams.http2_upstream import Http2UpstreamConnection
from tage.dataplane.upstream.cluster_info import Http2For
from tage.dataplane.upstream.connection import Failure
from tage.dataplane.upstream.endpoint import Assignment, Endpoint
from tage.sidecar import plan
from tests.dataplane.streams.http2_world import Http2World

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
UPGRADE = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: k\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


class Both(Http2World):
    """`agreed`: what ALPN says of connections whose pool leaves it to that."""

    agreed = "h2"

    def __init__(self, path, http2_for=Http2For.FOR_DOWNSTREAM, **settings):
        self.http2_for = http2_for
        super().__init__(path, auto=True, **settings)

    def add_cluster(self, name, hosts=1, **settings):
        cluster = super().add_cluster(name, hosts, **settings)
        cluster.speak(None, cluster.http2, self.http2_for)
        return cluster

    def upstream(self, pool):
        if pool.http2 or (pool.by_alpn and self.agreed == "h2"):
            return Http2UpstreamConnection(pool, self.context)
        return Http1UpstreamConnection(pool, self.context.writer)


@pytest.fixture
def make(tmp_path):
    made = []

    def one(*args, **kwargs):
        made.append(Both(tmp_path, *args, **kwargs))
        return made[-1]

    yield one
    for world in made:
        world.close()


def by_http1(world):
    """A request over HTTP/1.1 goes there and back on the connection that is asked for."""
    client = world.client(GET)
    server = world.accept()
    assert server.takes().startswith(b"GET / HTTP/1.1\r\n")
    server.send(OK)
    assert client.takes().endswith(b"ok")
    return client, server


def by_http2(world):
    client = world.client2()
    number = client.request()
    server = world.server2()
    at, _ = server.asked()
    server.respond(at)
    assert client.answer(number).body == b"ok"
    return client, server


def test_requests_go_as_they_came(make):
    world = make()
    one, first = by_http1(world)
    two, second = by_http2(world)
    assert world.cluster.hosts[0].idle_connections() == 2
    for _ in range(3):
        one.send(GET)
        assert first.takes().startswith(b"GET / ")
        first.send(OK)
        number = two.request()
        at, _ = second.asked()
        second.respond(at)
        assert two.answer(number).status == 200
    assert one.takes().count(b"200 OK") == 3
    assert world.up("cx_total") == 2


def test_each_waits_for_its_own(make):
    """One connection for all requests of HTTP/2 that wait, one for each of HTTP/1.1."""
    world = make()
    two = world.client2()
    numbers = [two.request() for _ in range(5)]
    clients = [world.client(GET) for _ in range(2)]
    assert [pool.http2 for pool in world.opening] == [True, False, False]
    assert world.up("rq_pending_active") == 7
    server = world.server2()
    server.look()
    assert len(server.messages) == 5
    assert world.up("rq_pending_active") == 2
    for at in sorted(server.messages):
        server.respond(at)
    assert [two.answer(number).status for number in numbers] == [200] * 5
    servers = [world.accept() for _ in clients]
    for client, server in zip(clients, servers, strict=True):
        server.send(OK)
        assert client.takes().endswith(b"ok")


def test_one_that_leaves_while_it_waits(make):
    world = make()
    by_http1(world)
    two = world.client2()
    number = two.request()
    assert world.up("rq_pending_active") == 1
    two.reset(number)
    assert world.up("rq_pending_active") == 0
    world.server2()
    assert world.cluster.hosts[0].idle_connections() == 2


def test_a_connection_that_does_not_come(make):
    world = make()
    by_http1(world)
    two = world.client2()
    number = two.request()
    world.refuse(Failure.CONNECT_FAILURE)
    assert two.answer(number).status == 503
    assert world.up("cx_active") == 1


def test_a_connection_of_its_own(make):
    """It is counted where it was dialled."""
    world = make()
    world.cluster.proxy_protocol = 1
    two = world.client2()
    two.reset(two.request())
    assert world.dialling == []
    number = two.request()
    (dialling,) = world.dialling
    assert dialling.host.http2
    assert world.up("cx_active") == 1
    dialling.refuse()
    assert two.answer(number).status == 503
    assert world.up("cx_active") == 0


@pytest.mark.parametrize("clients", ["http1", "http2"])
def test_a_copy_goes_as_the_request_came(make, clients):
    world = make()
    world.add_cluster("m")
    world.rule(mirrors=[plan.Mirror("m")])
    (world.client2().request if clients == "http2" else lambda: world.client(GET))()
    assert [pool.http2 for pool in world.opening] == [clients == "http2"] * 2
    for _ in range(2):
        world.refuse()


def test_a_host_that_goes_takes_both_with_it(make):
    world = make()
    _, first = by_http1(world)
    _, second = by_http2(world)
    world.cluster.set_hosts([("10.0.0.9", 80, 1, True)])
    world.loop.settle()
    assert first.closed
    second.look()
    assert second.end.closed


def test_a_host_that_moves(make):
    world = make()
    world.cluster.logical = True
    by_http2(world)
    world.cluster.assign(Assignment([Endpoint("10.0.9.9", 81)]))
    assert world.cluster.hosts[0].idle_connections() == 1
    world.servers[-1].reset()
    by_http1(world)
    by_http2(world)
    assert [server.connection.peer_address() for server in world.servers[-2:]] == [("10.0.9.9", 81)] * 2


def test_ahead_are_opened_those_of_http1_alone(make):
    world = make()
    world.cluster.set_preconnect(3.0, 1.0)
    by_http2(world)
    assert world.opening == []
    world.client(GET)
    assert [pool.http2 for pool in world.opening] == [False] * 3
    for _ in range(3):
        world.refuse()


# -- ALPN --------------------------------------------------------------------------------------------------------------


def test_what_one_connection_agreed_to_the_next_one_will(make):
    """The first is opened for one request, for it may be HTTP/1.1."""
    world = make(Http2For.FOR_ALPN)
    client = world.client2()
    numbers = [client.request() for _ in range(3)]
    assert len(world.opening) == 3
    server = world.server2()
    server.look()
    assert len(server.messages) == 3
    for at in sorted(server.messages):
        server.respond(at)
    assert [client.answer(number).status for number in numbers] == [200] * 3
    while world.opening:
        world.refuse()
    server.end.reset()
    for _ in range(3):
        client.request()
    assert len(world.opening) == 1
    world.refuse()


def test_a_host_that_agrees_to_nothing(make):
    world = make(Http2For.FOR_ALPN)
    world.agreed = ""
    client = world.client2()
    number = client.request()
    server = world.accept()
    assert server.takes().startswith(b"GET / HTTP/1.1\r\n")
    server.send(OK)
    assert client.answer(number).body == b"ok"
    client.request()
    client.request()
    assert len(world.opening) == 1, "the other one has the connection that there is"
    world.refuse()


def test_a_request_to_switch_protocols_goes_by_http1(make):
    world = make(Http2For.FOR_ALPN)
    world.listener.upgrades = frozenset({b"websocket"})
    by_http2(world)
    client = world.client(UPGRADE)
    (pool,) = world.opening
    assert not pool.by_alpn
    assert not pool.http2
    server = world.accept()
    asked = server.takes()
    assert b"upgrade: websocket\r\n" in asked
    server.send(b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\nhello")
    assert client.takes().endswith(b"\r\n\r\nhello")
    client.reset()
    assert server.closed
