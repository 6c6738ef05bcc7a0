"""Requests that are to go no further, and those that come back to where they were."""

import pytest

from tage.sidecar import plan
from tests.dataplane.streams.test_exchange import head_of
from tests.dataplane.streams.test_failures import flags, status
from tests.dataplane.streams.world import GET, OK, UNAVAILABLE


def request(method: bytes, *lines: bytes, target: bytes = b"/") -> bytes:
    return b"\r\n".join([method + b" " + target + b" HTTP/1.1", b"host: a", *lines, b"", b""])


# -- Max-Forwards ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("target", [b"/", b"*"])
def test_options_that_may_go_no_further_is_answered_here(world, target):
    client = world.client(request(b"OPTIONS", b"Max-Forwards: 0", target=target) + GET)
    got = client.takes()
    assert status(got) == 200
    headers = head_of(got)
    assert headers[b"allow"] == b"GET, HEAD, POST, PUT, DELETE, OPTIONS, PATCH"
    assert headers[b"content-length"] == b"0"
    assert got.endswith(b"\r\n\r\n")
    server = world.accept()
    assert server.takes().startswith(b"GET / ")
    server.send(OK)
    assert client.takes() == OK
    assert (world.up("rq_total"), world.down("rq_2xx")) == (1, 2)
    world.check_quiet()


def test_trace_that_may_go_no_further_is_refused_and_not_echoed(world):
    client = world.client(request(b"TRACE", b"max-forwards: 0", b"cookie: secret"))
    got = client.takes()
    assert status(got) == 405
    assert b"allow" in head_of(got)
    assert b"secret" not in got
    assert not client.closed
    assert not world.opening


@pytest.mark.parametrize("method", [b"OPTIONS", b"TRACE"])
@pytest.mark.parametrize(
    ("value", "forwarded"),
    [(b"1", b"0"), (b"10", b"9"), (b"007", b"6"), (b"999999999", b"999999998"), (b"9" * 5_000, b"999999998")],
)
def test_others_go_on_with_one_less(world, method, value, forwarded):
    client = world.client(request(method, b"Max-Forwards: " + value))
    server = world.accept()
    assert head_of(server.takes())[b"max-forwards"] == forwarded
    server.send(OK)
    assert client.takes() == OK


@pytest.mark.parametrize("method", [b"OPTIONS", b"TRACE"])
def test_without_a_limit_they_go_on_as_any_request(world, method):
    client = world.client(request(method))
    server = world.accept()
    assert b"max-forwards" not in head_of(server.takes())
    server.send(OK)
    assert client.takes() == OK


MALFORMED = [[b"max-forwards: " + value] for value in (b"", b"-1", b"+1", b"1.0", b"1, 2", b"0x1", b"one")]
MALFORMED.append([b"max-forwards: 1", b"Max-Forwards: 1"])


@pytest.mark.parametrize("lines", MALFORMED)
@pytest.mark.parametrize("method", [b"OPTIONS", b"TRACE"])
def test_a_limit_that_cannot_be_read(world, method, lines):
    got = world.client(request(method, *lines)).takes()
    assert (status(got), flags(got)) == (400, "DPE")
    assert not world.opening


@pytest.mark.parametrize("lines", [[b"Max-Forwards: 0"], *MALFORMED])
@pytest.mark.parametrize("method", [b"GET", b"DELETE", b"PATCH"])
def test_it_is_a_header_like_any_in_other_requests(world, method, lines):
    client = world.client(request(method, *lines))
    server = world.accept()
    assert b"".join(line + b"\r\n" for line in lines) in server.takes()
    server.send(OK)
    assert client.takes() == OK


def test_routes_do_not_count_for_what_is_answered_here(world):
    world.listener.routes = None
    assert status(world.client(request(b"OPTIONS", b"max-forwards: 0")).takes()) == 200
    assert status(world.client(request(b"OPTIONS", b"max-forwards: 1")).takes()) == 404


# -- hosts that are this sidecar ---------------------------------------------------------------------------------------


def to_itself(world):
    for host in world.cluster.hosts:
        host.own = True


@pytest.mark.parametrize(("lines", "hops"), [([], b"1"), ([b"x-tage-hops: 0"], b"1"), ([b"X-Tage-Hops: 9"], b"10")])
def test_hops_are_counted(world, lines, hops):
    to_itself(world)
    client = world.client(request(b"GET", *lines))
    server = world.accept()
    assert head_of(server.takes())[b"x-tage-hops"] == hops
    server.send(OK)
    assert client.takes() == OK


def test_not_to_other_hosts(world):
    client = world.client(GET)
    server = world.accept()
    assert b"x-tage-hops" not in head_of(server.takes())
    server.send(OK)
    client.takes()
    client.send(request(b"GET", b"X-Tage-Hops: 12"))
    assert b"\r\nX-Tage-Hops: 12\r\n" in server.takes()
    server.send(OK)
    assert client.takes() == OK


@pytest.mark.parametrize(
    "lines",
    [[b"x-tage-hops: " + value] for value in (b"10", b"11", b"99999999999999999999", b"", b"-1", b"many")]
    + [[b"x-tage-hops: 1", b"x-tage-hops: 1"]],
)
def test_too_many_hops(world, lines):
    to_itself(world)
    client = world.client(request(b"GET", *lines))
    got = client.takes()
    assert status(got) == 508
    assert b"loop detected" in got
    assert not world.opening
    assert not client.closed
    assert world.up("rq_5xx") == world.down("rq_5xx") == 1
    world.check_quiet()


def test_a_retry_is_the_same_hop(world):
    to_itself(world)
    world.rule(retry=plan.RetryPolicy(["5xx"], attempts=1))
    client = world.client(GET)
    server = world.accept()
    assert head_of(server.takes())[b"x-tage-hops"] == b"1"
    server.send(UNAVAILABLE)
    world.pass_time(250)
    again = world.accept() if world.opening else server
    assert head_of(again.takes())[b"x-tage-hops"] == b"1"
    again.send(OK)
    assert client.takes() == OK


LOOP = b"HTTP/1.1 508 Loop Detected\r\ncontent-length: 0\r\n\r\n"


def test_a_loop_is_not_tried_again(world):
    world.rule(retry=plan.RetryPolicy(["5xx"], attempts=1))
    client = world.client(GET)
    server = world.accept()
    server.send(LOOP)
    assert client.takes() == b""  # somebody else's, it is an error like any
    world.pass_time(250)
    again = world.accept() if world.opening else server
    again.send(OK)
    assert client.takes() == OK
    to_itself(world)
    client.send(GET)
    again.send(LOOP)
    assert client.takes() == LOOP


# -- mirrors -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("sent", "goes"), [(None, b"1"), (b"4", b"5"), (b"9", b"10"), (b"10", None), (b"x", None)])
def test_a_mirror_to_this_sidecar_counts_its_rounds(world, sent, goes):
    world.add_cluster("m").hosts[0].own = True
    world.rule(mirrors=[plan.Mirror("m")])
    client = world.client(request(b"GET", *([b"x-tage-hops: " + sent] if sent else [])))
    if goes is not None:
        copy = world.accept()
        lines = [line for line in copy.takes().split(b"\r\n") if line.startswith(b"x-tage-hops")]
        assert lines == [b"x-tage-hops: " + goes]
        copy.send(OK)
    assert len(world.opening) == 1
    world.accept().send(OK)
    assert client.takes() == OK
    world.check_quiet()
