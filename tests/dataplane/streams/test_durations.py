"""How long a client's connection and a request may last, and how many requests a connection may carry."""

import pytest

from tests.dataplane.streams.test_failures import CHUNKED_POST, status
from tests.dataplane.streams.world import GET, OK

CLOSING = OK.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n")

# -- connections -------------------------------------------------------------------------------------------------------


def test_an_old_connection_ends_with_the_answer_under_way(world):
    world.listener.max_connection_duration = 10_000
    client = world.client(GET)
    server = world.accept()
    world.loop.run(9_900)
    server.send(OK)
    assert client.takes() == OK
    client.send(GET)
    world.pass_time(100)
    assert world.down("cx_max_duration_reached") == 1
    assert not client.closed
    server.send(OK)
    assert client.takes() == CLOSING
    assert client.closed
    assert not client.transport.aborted
    assert world.down("cx_idle_timeout") == 0


@pytest.mark.parametrize("used", [False, True])
def test_an_old_connection_that_is_quiet_ends_at_once(world, used):
    world.listener.max_connection_duration = 10_000
    client = world.client()
    if used:
        client.send(GET)
        world.accept().send(OK)
    world.loop.run(9_900)
    assert not client.closed
    world.pass_time(100)
    assert client.closed
    assert not client.transport.aborted
    assert (world.down("cx_max_duration_reached"), world.down("cx_idle_timeout")) == (1, 0)


def test_an_old_connection_that_was_used_just_now_has_time_for_another_request(world):
    world.listener.max_connection_duration = 10_000
    client = world.client()
    world.loop.run(9_900)
    client.send(GET)
    server = world.accept()
    server.send(OK)
    assert client.takes() == OK
    world.pass_time(100)
    assert not client.closed
    client.send(GET)
    server.send(OK)
    assert client.takes() == CLOSING
    assert client.closed


def test_an_old_connection_whose_answer_has_begun(world):
    world.listener.max_connection_duration = 10_000
    client = world.client(GET)
    server = world.accept()
    server.send(OK[:-1])
    world.pass_time(10_000)
    server.send(OK[-1:])
    assert client.takes() == OK
    assert not client.closed
    world.pass_time(1_000)
    assert client.closed


def test_a_connection_that_ended_before(world):
    world.listener.max_connection_duration = 10_000
    client = world.client()
    client.end()
    assert client.closed
    world.pass_time(10_000)
    assert world.down("cx_max_duration_reached") == 0


def test_the_last_request_of_a_connection(world):
    world.listener.max_requests_per_connection = 2
    client = world.client(GET)
    server = world.accept()
    server.send(OK)
    assert client.takes() == OK
    assert world.down("cx_max_requests_reached") == 0
    client.send(GET)
    server.takes()
    server.send(OK)
    assert client.takes() == CLOSING
    assert client.closed
    assert world.down("cx_max_requests_reached") == 1
    assert world.down("rq_total") == 2


def test_what_is_pipelined_behind_the_last_request_is_not_answered(world):
    world.listener.max_requests_per_connection = 1
    client = world.client(GET + GET)
    server = world.accept()
    server.send(OK)
    assert client.takes() == CLOSING
    assert server.takes().count(b"GET / ") == 1
    assert not client.closed, "closed on unread bytes: that is a reset"
    client.end()
    world.pass_time(1_000)
    assert client.closed
    assert world.down("rq_total") == 1


@pytest.mark.parametrize("timeout", [100, 5_000])
def test_how_long_a_client_is_heard_out(world, timeout):
    world.listener.delayed_close_timeout = timeout
    world.listener.max_requests_per_connection = 1
    client = world.client(GET + GET)
    world.accept().send(OK)
    client.transport.take_all()
    world.loop.run(timeout - 20)
    assert not client.closed
    world.pass_time(20)
    assert client.closed


def test_a_client_that_is_not_heard_out(world):
    world.listener.delayed_close_timeout = 0
    world.listener.max_requests_per_connection = 1
    client = world.client(GET + GET)
    world.accept().send(OK)
    assert client.takes() == CLOSING
    assert client.closed


# -- requests ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("request_", "expected"), [(GET, 504), (CHUNKED_POST, 408)])
@pytest.mark.parametrize("accepted", [False, True])
def test_a_request_that_lasts_too_long(world, request_, expected, accepted):
    world.rule(timeout=0)
    world.listener.max_stream_duration = 1_000
    client = world.client(request_)
    if accepted:
        server = world.accept()
    world.loop.run(980)
    assert client.takes() == b""
    world.pass_time(20)
    got = client.takes()
    assert status(got) == expected
    assert b"stream duration timeout" in got
    assert b"x-tage-response-flags" not in got
    if accepted:
        assert server.closed
    assert world.down("rq_max_duration_reached") == 1
    client.end()
    world.check_quiet()


def test_an_answer_that_lasts_too_long(world):
    """Bytes that come now and then give no more time."""
    world.listener.max_stream_duration = 1_000
    client = world.client(GET)
    server = world.accept()
    server.send(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n")
    for _ in range(9):
        world.loop.run(100)
        server.send(b"x")
    assert not client.transport.aborted
    world.pass_time(100)
    assert client.transport.aborted
    assert server.closed
    assert world.down("rq_max_duration_reached") == 1


def test_the_time_is_each_request_s_own(world):
    world.listener.max_stream_duration = 1_000
    client = world.client()
    for _ in range(3):
        client.send(GET)
        if world.opening:
            server = world.accept()
        world.loop.run(600)
        server.send(OK)
        assert client.takes() == OK
    assert world.down("rq_max_duration_reached") == 0


def test_other_limits_come_first(world):
    world.listener.max_stream_duration = 1_000
    world.rule(timeout=500)
    client = world.client(GET)
    world.pass_time(500)
    assert status(client.takes()) == 504
    assert world.up("rq_timeout") == 1
    assert world.down("rq_max_duration_reached") == 0
