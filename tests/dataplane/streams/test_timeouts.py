"""Time: the route's timeout, idle streams, heads that do not come, connections that are not used."""

import pytest

from tests.dataplane.streams.test_failures import CHUNKED_POST, flags, status
from tests.dataplane.streams.world import GET, OK, POST


@pytest.mark.parametrize("request_", [GET, POST])
@pytest.mark.parametrize("sent", [None, b"", b"HTTP/1.1 20"])
def test_route_timeout(world, request_, sent):
    world.rule(timeout=1_000)
    client = world.client(request_)
    if sent is not None:
        server = world.accept()
        server.send(*([sent] if sent else []))
    world.loop.run(990)
    assert client.takes() == b""
    world.pass_time(10)
    got = client.takes()
    assert (status(got), flags(got)) == (504, "UT")
    assert not client.closed
    if sent is not None:
        assert server.closed
    assert world.up("rq_timeout") == world.of_route("rq_timeout") == 1
    world.check_quiet()


def test_route_timeout_within_the_answer(world):
    world.rule(timeout=1_000)
    client = world.client(GET)
    server = world.accept()
    server.send(OK[:-1])
    world.pass_time(1_000)
    assert client.transport.aborted
    assert client.takes() == OK[:-1]
    assert server.closed


def test_route_timeout_begins_when_the_request_is_whole(world):
    world.rule(timeout=1_000)
    client = world.client(CHUNKED_POST)
    server = world.accept()
    world.pass_time(5_000)
    client.send(b"0\r\n\r\n")
    world.loop.run(990)
    assert not server.closed
    world.pass_time(10)
    assert flags(client.takes()) == "UT"


def test_no_timeouts_at_all(world):
    world.rule(timeout=0, idle_timeout=0)
    client = world.client(GET)
    server = world.accept()
    world.pass_time(1_000_000)
    server.send(OK)
    assert client.takes() == OK


def test_idle_streams(world):
    world.rule(timeout=0, idle_timeout=1_000)
    client = world.client(GET)
    server = world.accept()
    for _ in range(3):
        world.pass_time(900)
        server.send(b"HTTP/1.1 103 X\r\n\r\n")
    client.takes()
    world.pass_time(1_000)
    got = client.takes()
    assert (status(got), flags(got)) == (504, "SI")
    assert server.closed
    assert world.down("rq_idle_timeout") == 1


def test_streams_that_idle_within_the_request(world):
    world.rule(timeout=0, idle_timeout=1_000)
    client = world.client(CHUNKED_POST)
    server = world.accept()
    for _ in range(3):
        world.pass_time(900)
        client.send(b"1\r\nx\r\n")
    world.pass_time(1_000)
    got = client.takes()
    assert (status(got), flags(got)) == (408, "SI")
    assert server.closed


def test_streams_that_idle_within_the_answer(world):
    world.rule(timeout=0, idle_timeout=1_000)
    client = world.client(GET)
    server = world.accept()
    server.send(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
    for _ in range(3):
        world.pass_time(900)
        server.send(b"1\r\nx\r\n")
    world.pass_time(1_000)
    assert client.transport.aborted
    assert server.closed


def test_a_long_stream_wakes_the_loop_seldom(world):
    world.rule(timeout=0, idle_timeout=10_000)
    world.client(GET)
    server = world.accept()
    server.send(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
    calls = 0
    for _ in range(1_000):
        server.send(b"1\r\nx\r\n")
        calls += world.loop.run(100)
    assert calls < 200


@pytest.mark.parametrize("begun", ["first", "next"])
def test_a_head_that_does_not_come(world, begun):
    world.listener.head_timeout = 1_000
    client = world.client()
    if begun == "next":
        client.send(GET)
        world.accept().send(OK)
        client.takes()
    world.pass_time(5_000)
    for byte in (b"G", b"E", b"T"):
        client.send(byte)
        world.loop.run(320)
    assert client.takes() == b""
    world.pass_time(40)
    got = client.takes()
    assert (status(got), flags(got)) == (408, "DT")
    assert b"\r\nconnection: close\r\n" in got
    assert world.down("rq_header_timeout") == world.down("rq_4xx") == 1
    client.send(b" / HTTP/1.1\r\nhost: a\r\n\r\n")
    assert client.takes() == b""
    world.pass_time(1_000)
    assert client.closed


def test_a_head_that_comes_in_time(world):
    world.listener.head_timeout = 1_000
    client = world.client(GET[:5])
    world.loop.run(900)
    client.send(GET[5:])
    server = world.accept()
    world.pass_time(5_000)
    server.send(OK)
    assert client.takes() == OK
    world.pass_time(5_000)
    assert not client.closed


def test_no_limit_for_heads(world):
    world.listener.head_timeout = 0
    client = world.client(GET[:5])
    world.pass_time(600_000)
    client.send(GET[5:])
    world.accept().send(OK)
    assert client.takes() == OK


@pytest.mark.parametrize("used", [False, True])
def test_unused_client_connections(world, used):
    world.listener.idle_timeout = 10_000
    client = world.client()
    if used:
        world.pass_time(6_000)
        client.send(GET)
        server = world.accept()
        world.pass_time(6_000)
        server.send(OK)
    world.loop.run(9_900)
    assert not client.closed
    world.pass_time(100)
    assert client.closed
    assert not client.transport.aborted
    assert world.down("cx_idle_timeout") == 1


def test_no_limit_for_unused_client_connections(world):
    world.listener.idle_timeout = 0
    clients = [world.client(), world.client(GET[:5]), world.client(GET)]
    server = world.accept()
    clients[1].send(GET[5:])
    calls = world.loop.run(10_000)
    assert calls < 10, "the timer spins"
    server.send(OK, OK)
    calls = world.loop.run(10_000_000)
    assert calls < 1_000
    assert not any(client.closed for client in clients)
    world.listener.idle_timeout = 10_000
    clients[2].send(GET)
    world.accept().send(OK)
    world.pass_time(10_000)
    assert clients[2].closed, "a limit that came later does not hold"


def test_unused_upstream_connections(make_world):
    world = make_world(idle_timeout=10_000)
    server = world.warm()
    world.pass_time(6_000)
    client = world.client(GET)
    world.pass_time(6_000)
    server.send(OK)
    assert client.takes() == OK
    world.loop.run(9_900)
    assert not server.closed
    world.pass_time(100)
    assert server.closed
    assert world.up("cx_idle_timeout") == 1
    client.send(GET)
    world.accept().send(OK)
    assert client.takes() == OK


def test_no_limit_for_unused_upstream_connections(make_world):
    world = make_world(idle_timeout=10_000)
    server = world.warm()
    world.cluster.idle_timeout = 0
    world.rule(timeout=0, idle_timeout=0)
    world.client(GET)
    assert world.loop.run(10_000_000) < 2_000
    server.send(OK)
    world.pass_time(10_000_000)
    assert not server.closed
