"""What has ended is freed at once, by reference counts alone: a worker's collector seldom runs, and finds nothing."""

import gc
import sys

import pytest

from tage.dataplane.protocols.http1.request import RequestDecoder
from tage.dataplane.protocols.http1.response import ResponseDecoder
from tage.dataplane.streams.http1_downstream import Http1DownstreamConnection
from tage.dataplane.streams.http1_upstream import Http1UpstreamConnection
from tage.dataplane.streams.stream import Stream
from tage.dataplane.upstream.host import Host
from tage.sidecar import plan
from tage.xprotocol_testing.fakes import FakeTransport
from tests.dataplane.streams.test_failures import CHUNKED_POST
from tests.dataplane.streams.world import GET, OK, POST, UNAVAILABLE

_SHORT_LIVED = (
    Stream,
    Http1DownstreamConnection,
    Http1UpstreamConnection,
    RequestDecoder,
    ResponseDecoder,
    FakeTransport,
    Host,
)


@pytest.fixture
def no_collector():
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def alive() -> list[str]:
    return sorted(type(thing).__name__ for thing in gc.get_objects() if type(thing) in _SHORT_LIVED)


def answered(world):
    client = world.client(GET)
    world.accept().send(OK)
    client.send(POST)
    world.servers[-1].send(OK)


def answered_by_ourselves(world):
    world.rule(direct=plan.DirectResponse(200, "x"), clusters=[])
    world.client(GET)


def without_route(world):
    world.route(domains=["elsewhere"])
    world.client(CHUNKED_POST)


def refused(world):
    world.client(GET)
    world.refuse()


def malformed(world):
    world.client(b"nonsense\r\n\r\n")
    world.pass_time(2_000)


def timed_out(world):
    world.rule(timeout=100)
    world.client(GET)
    world.accept()
    world.pass_time(100)


def timed_out_while_waiting(world):
    world.rule(timeout=100)
    world.client(GET)
    world.pass_time(100)


def retried(world):
    world.rule(retry=plan.RetryPolicy(["5xx"], attempts=2, per_try_timeout=100))
    world.client(POST)
    world.refuse()
    world.pass_time(25)
    world.accept().send(UNAVAILABLE)
    world.pass_time(50)
    world.pass_time(100)


def replayed(world):
    server = world.warm()
    world.client(GET)
    server.reset()
    world.accept().send(OK)


def client_gone(world):
    for request in (GET, CHUNKED_POST, GET[:5]):
        world.client(request).reset()
        client = world.client(request)
        if world.opening:
            world.accept().send(OK[:-1])
        client.end()


def client_gone_while_backing_off(world):
    world.rule(retry=plan.RetryPolicy(["connect-failure"]))
    client = world.client(GET)
    world.refuse()
    client.reset()


def server_gone(world):
    for sent in (b"", b"HTTP", OK[:-1], b"HTTP/1.1 200 OK\r\n\r\n"):
        for leave in ("end", "reset"):
            world.client(GET)
            server = world.accept()
            server.send(*([sent] if sent else []))
            getattr(server, leave)()


def early_answer(world):
    world.client(CHUNKED_POST)
    world.accept().send(OK)


def hosts_gone(world):
    world.client(GET)
    server = world.accept()
    world.client(GET)
    world.cluster.set_hosts([])
    server.send(OK)


@pytest.mark.parametrize(
    "happens",
    [
        answered,
        answered_by_ourselves,
        without_route,
        refused,
        malformed,
        timed_out,
        timed_out_while_waiting,
        retried,
        replayed,
        client_gone,
        client_gone_while_backing_off,
        server_gone,
        early_answer,
        hosts_gone,
    ],
    ids=lambda function: function.__name__,
)
def test_nothing_is_left_to_the_collector(world, no_collector, happens):
    before = alive()
    happens(world)
    world.close()
    world.cluster.set_hosts([])
    world.forget()
    assert alive() == [name for name in before if name != "Host"]


def test_streams_are_freed_when_they_end(world, no_collector):
    client = world.client(GET)
    server = world.accept()
    assert alive().count("Stream") == 1
    server.send(OK)
    assert alive().count("Stream") == 0
    client.send(GET)
    assert alive().count("Stream") == 1


def test_thousands_of_requests_leave_nothing(world, no_collector):
    world.rule(retry=plan.RetryPolicy(["connect-failure", "5xx"], attempts=1))
    client = world.client()
    server = None

    def run(rounds):
        nonlocal server
        for _ in range(rounds):
            client.send(GET, CHUNKED_POST + b"0\r\n\r\n")
            server = server or world.accept()
            server.send(OK, UNAVAILABLE)
            world.pass_time(25)
            server.send(OK)
            assert client.takes() == OK * 2
            server.takes()
            other = world.client(GET)
            server.send(OK[:-1])
            other.reset()
            server = None
            world.forget()

    run(300)
    blocks = sys.getallocatedblocks()
    run(2_500)
    assert sys.getallocatedblocks() - blocks < 300
    assert len(alive()) <= 6
