"""Tries that fail and are made again: by the route's policy, and by replay; and those that must not be."""

import pytest

from tage.dataplane.upstream.connection import Failure
from tage.dataplane.upstream.limits import Limit
from tage.sidecar import plan
from tests.dataplane.streams.test_failures import CHUNKED_POST, flags, status
from tests.dataplane.streams.world import GET, OK, POST, UNAVAILABLE

PUT = POST.replace(b"POST", b"PUT")


def policy(*on, **fields):
    return plan.RetryPolicy(list(on), **{"attempts": 2, **fields})


# -- replay ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("leave", ["end", "reset"])
@pytest.mark.parametrize("request_", [GET, PUT, GET.replace(b"GET", b"DELETE")])
def test_an_idempotent_request_is_replayed_on_a_new_connection(world, leave, request_):
    old = world.warm()
    client = world.client(request_)
    sent = old.takes()
    getattr(old, leave)()
    assert client.takes() == b""
    new = world.accept()
    assert new.takes() == sent
    new.send(OK)
    assert client.takes() == OK
    assert world.up("rq_replay") == 1
    assert world.up("rq_retry") == 0


def test_a_replay_passes_by_what_else_lies_in_the_pool(world):
    """A server that restarts closes all its connections at once."""
    clients = [world.client(GET) for _ in range(3)]
    old = [world.accept() for _ in clients]
    for server in old:
        server.takes()
        server.send(OK)
    client = world.client(GET)
    for server in old:
        server.transport.reset()
    world.loop.settle()
    new = world.accept()
    assert all(server.takes() == b"" for server in old[:2])
    new.send(OK)
    assert client.takes() == OK


@pytest.mark.parametrize("request_", [POST, GET.replace(b"GET", b"PATCH"), GET.replace(b"GET", b"INVENTED")])
def test_what_is_not_idempotent_is_not_replayed(world, request_):
    old = world.warm()
    client = world.client(request_)
    old.end()
    assert flags(client.takes()) == "UC"
    assert not world.opening


def test_no_replay_on_a_new_connection(world):
    client = world.client(GET)
    world.accept().end()
    assert flags(client.takes()) == "UC"
    assert not world.opening


def test_a_replay_is_made_once(world):
    world.warm()
    client = world.client(GET)
    world.servers[0].end()
    other = world.client(GET)
    second = world.accept()
    second.send(OK)
    assert client.takes() == OK
    second.end()  # it carries the other's request by now, its first on a used connection
    world.accept()
    world.servers[-1].end()
    assert flags(other.takes()) == "UC"


@pytest.mark.parametrize("sent", [b"H", b"HTTP/1.1 100 Continue\r\n\r\n"])
def test_no_replay_once_anything_came(world, sent):
    old = world.warm()
    client = world.client(GET)
    old.send(sent)
    old.end()
    assert status(client.takes().removeprefix(b"HTTP/1.1 100 Continue\r\n\r\n")) == 503


def test_no_replay_of_a_body_that_was_not_kept(world):
    old = world.warm()
    client = world.client(b"PUT / HTTP/1.1\r\nhost: a\r\ncontent-length: 100000\r\n\r\n")
    for _ in range(10):
        client.send(b"x" * 10_000)
    old.end()
    assert flags(client.takes()) == "UC"


def test_a_replay_under_way_takes_the_rest_of_the_body(world):
    old = world.warm()
    client = world.client(b"PUT / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n")
    old.end()
    client.send(b"1\r\n-\r\n")
    new = world.accept()
    client.send(b"5\r\nworld\r\n0\r\n\r\n")
    assert new.takes().endswith(b"\r\n\r\n6\r\nhello-\r\n5\r\nworld\r\n0\r\n\r\n")
    new.send(OK)
    assert client.takes() == OK


def test_a_replay_that_finds_no_host(world):
    old = world.warm()
    client = world.client(GET)
    world.cluster.set_hosts([])
    old.end()
    assert flags(client.takes()) == "UH"


# -- by policy ---------------------------------------------------------------------------------------------------------


def test_no_policy_no_retry(world):
    client = world.client(GET)
    world.refuse()
    assert flags(client.takes()) == "UF"
    client.send(GET)
    world.accept().send(UNAVAILABLE)
    assert client.takes() == UNAVAILABLE
    assert world.up("rq_retry") == 0


@pytest.mark.parametrize("failure", [Failure.CONNECT_FAILURE, Failure.CONNECT_TIMEOUT])
@pytest.mark.parametrize("request_", [GET, POST, CHUNKED_POST])
def test_connect_failure(make_world, failure, request_):
    world = make_world(hosts=2)
    world.rule(retry=policy("connect-failure"))
    client = world.client(request_)
    first = world.opening[0]
    world.refuse(failure)
    world.pass_time(25)
    assert world.opening[0] is not first
    server = world.accept()
    if request_ is CHUNKED_POST:
        client.send(b"0\r\n\r\n")
    server.send(OK)
    assert client.takes() == OK
    assert world.up("rq_retry") == world.up("rq_retry_success") == world.of_route("rq_retry") == 1
    assert world.up("rq_total") == 2
    assert world.down("rq_total") == 1


@pytest.mark.parametrize(
    ("on", "code", "retried"),
    [
        ("5xx", 500, True),
        ("5xx", 503, True),
        ("5xx", 499, False),
        ("gateway-error", 502, True),
        ("gateway-error", 504, True),
        ("gateway-error", 500, False),
        ("retriable-4xx", 409, True),
        ("retriable-4xx", 404, False),
        ("retriable-status-codes", 503, True),
        ("retriable-status-codes", 302, True),
        ("retriable-status-codes", 500, False),
        ("connect-failure", 503, False),
        ("reset", 503, False),
    ],
)
@pytest.mark.parametrize("body", [b"ok", b"o"])
def test_statuses(world, on, code, retried, body):
    """The body may not be complete: then its connection is given up."""
    world.rule(retry=policy(on, statuses=[302, 503]))
    client = world.client(GET)
    server = world.accept()
    server.send(b"HTTP/1.1 %d X\r\ncontent-length: 2\r\n\r\n" % code + body)
    assert (client.takes() == b"") == retried
    if retried:
        assert server.closed == (body == b"o")
        world.pass_time(25)
        (world.accept() if body == b"o" else server).send(OK)
        assert client.takes() == OK
        assert world.up("rq_2xx") == world.up(f"rq_{code // 100}xx") == 1
    else:
        assert world.up("rq_retry") == 0
        server.send(b"k" if body == b"o" else b"")


@pytest.mark.parametrize(
    ("on", "retried"), [("reset", True), ("5xx", True), ("gateway-error", True), ("connect-failure", False)]
)
@pytest.mark.parametrize("sent", [b"", b"HTTP/1.1 2", b"HTTP/1.1 103 X\r\n\r\n", b"garbage\r\n\r\n"])
def test_resets(world, on, retried, sent):
    world.rule(retry=policy(on))
    client = world.client(POST)
    server = world.accept()
    server.send(*([sent] if sent else []))
    server.end()
    got = client.takes().removeprefix(b"HTTP/1.1 103 X\r\n\r\n")
    if retried:
        assert got == b""
        world.pass_time(25)
        world.accept().send(OK)
        assert client.takes() == OK
    else:
        assert status(got) in (502, 503)


def test_attempts_are_exhausted(world):
    world.rule(retry=policy("5xx", attempts=2))
    client = world.client(POST)
    server = world.accept()
    for _ in range(2):
        server.send(UNAVAILABLE)
        assert client.takes() == b""
        world.pass_time(100)
        assert server.takes().endswith(b"\r\n\r\nhello")
    server.send(UNAVAILABLE)
    assert client.takes() == UNAVAILABLE
    assert world.up("rq_total") == world.up("rq_5xx") == 3
    assert world.up("rq_retry") == 2
    assert world.up("rq_retry_success") == 0
    assert world.down("rq_5xx") == 1


def test_no_attempts(world):
    world.rule(retry=policy("5xx", attempts=0))
    client = world.client(GET)
    world.accept().send(UNAVAILABLE)
    assert client.takes() == UNAVAILABLE


def test_the_back_off_grows_and_is_bounded(world):
    waits = []
    for _ in range(40):
        world.rule(retry=policy("connect-failure", attempts=6, backoff_base=100, backoff_max=400))
        client = world.client(GET)
        for attempt in range(7):
            world.refuse()
            began = world.loop.ms
            for _ in range(60):
                if world.opening or client.transport.sent:
                    break
                world.loop.run(10)
            waits.append((attempt, world.loop.ms - began))
        assert flags(client.takes()) == "UF"
        client.end()
    longest = [max(ms for attempt, ms in waits if attempt == n) for n in range(7)]
    for n, ceiling in enumerate([100, 200, 400, 400, 400, 400]):
        assert ceiling / 2 < longest[n] <= ceiling + 50
    assert longest[6] == 0
    assert min(ms for attempt, ms in waits if attempt == 2) < 100, "no jitter"


def test_max_retries(make_world):
    """A limit of the cluster on how many requests may be in retry at a time."""
    world = make_world(max_retries=1)
    world.rule(retry=policy("connect-failure"))
    first, second = world.client(GET), world.client(GET)
    world.refuse()
    world.refuse()
    assert first.takes() == b""
    assert flags(second.takes()) == "UF"
    assert world.cluster.counts.own(Limit.RETRIES) == 1
    assert world.up("rq_retry_overflow") == 1
    world.pass_time(25)
    world.refuse()
    world.pass_time(50)
    world.accept().send(OK)
    assert first.takes() == OK
    assert world.cluster.counts.own(Limit.RETRIES) == 0
    second.send(GET)
    world.servers[0].send(UNAVAILABLE)
    assert second.takes() == UNAVAILABLE


def test_never_after_a_byte_of_the_answer(world):
    world.rule(retry=policy("5xx", "reset"))
    client = world.client(GET)
    server = world.accept()
    server.send(OK[:-1])
    server.end()
    assert client.transport.aborted
    world.pass_time(1_000)
    assert not world.opening
    assert world.up("rq_retry") == 0


def test_never_with_a_body_that_was_not_kept(world):
    world.rule(retry=policy("5xx"))
    client = world.client(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 70000\r\n\r\n")
    server = world.accept()
    client.send(b"x" * 35_000, b"x" * 35_000)
    server.send(UNAVAILABLE)
    assert client.takes() == UNAVAILABLE


def test_a_body_that_comes_while_backing_off(world):
    """It is kept up to the limit; then the client waits."""
    world.rule(retry=policy("connect-failure", backoff_base=200, backoff_max=200))
    client = world.client(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 200000\r\n\r\n")
    world.refuse()
    client.send(*[b"x" * 20_000] * 5)
    assert not client.reading
    assert client.transport.inbox <= 40_000
    world.pass_time(200)
    server = world.accept()
    assert client.reading
    client.send(*[b"x" * 20_000] * 5)
    server.send(OK)
    assert client.takes() == OK
    assert server.takes().count(b"x") >= 200_000


def test_a_host_without_others_is_tried_again(world):
    world.rule(retry=policy("connect-failure"))
    client = world.client(GET)
    for _ in range(3):
        assert world.opening
        world.refuse()
        world.pass_time(100)
    assert flags(client.takes()) == "UF"


def test_all_hosts_go_while_backing_off(world):
    world.rule(retry=policy("connect-failure"))
    client = world.client(GET)
    world.refuse()
    world.cluster.set_hosts([])
    world.pass_time(25)
    assert flags(client.takes()) == "UH"


# -- a try's own timeout -----------------------------------------------------------------------------------------------


def test_per_try_timeout(make_world):
    world = make_world(hosts=2)
    world.rule(retry=policy("5xx", per_try_timeout=100))
    client = world.client(GET)
    slow = world.accept()
    world.pass_time(60)
    assert not slow.closed
    world.pass_time(40)
    assert slow.closed
    assert client.takes() == b""
    world.pass_time(25)
    world.accept().send(OK)
    assert client.takes() == OK
    assert world.up("rq_per_try_timeout") == world.up("rq_retry") == 1
    assert world.up("rq_timeout") == 0


def test_per_try_timeout_without_a_condition_for_it(world):
    world.rule(retry=policy("connect-failure", per_try_timeout=100))
    client = world.client(GET)
    world.accept()
    world.pass_time(100)
    got = client.takes()
    assert (status(got), flags(got)) == (504, "UT")


def test_per_try_timeout_of_every_try(world):
    world.rule(retry=policy("gateway-error", per_try_timeout=100, attempts=1))
    client = world.client(GET)
    for _ in range(2):
        world.accept()
        world.pass_time(150)
    assert flags(client.takes()) == "UT"


def test_per_try_timeout_is_over_with_the_answers_head(world):
    world.rule(retry=policy("5xx", per_try_timeout=100))
    client = world.client(GET)
    server = world.accept()
    server.send(OK[:-1])
    calls = world.loop.run(5_000)
    assert calls < 20, "the timer goes on firing"
    server.send(OK[-1:])
    assert client.takes() == OK


def test_per_try_timeout_begins_when_the_request_is_sent_whole(world):
    world.rule(retry=policy("5xx", per_try_timeout=100))
    client = world.client(CHUNKED_POST)
    server = world.accept()
    world.pass_time(500)
    assert not server.closed
    client.send(b"0\r\n\r\n")
    world.pass_time(100)
    assert server.closed
