"""Requests to a cluster whose connections begin with a PROXY header: a connection each, that says who asks."""

from __future__ import annotations

import pytest

from tage.dataplane.net.proxy_protocol import ProxyHeaderParser
from tage.dataplane.net.verdict import Verdict
from tage.sidecar import plan
from tage.xprotocol_testing.fakes import FakeTransport
from tests.dataplane.streams.world import GET, OK


@pytest.fixture(autouse=True)
def proxied(world, monkeypatch):
    world.cluster.proxy_protocol = 2
    monkeypatch.setattr(FakeTransport, "local", ("10.9.9.9", 80))


def source(preface):
    parser = ProxyHeaderParser()
    assert parser.read(preface) == Verdict.READY
    return parser.header.source


def test_a_mirror_has_a_connection_of_its_own_too(world):
    mirrors = world.add_cluster("m")
    mirrors.proxy_protocol = 1
    world.rule(mirrors=[plan.Mirror("m")])
    client = world.client(GET, peer=("10.1.2.3", 40_000))
    first, second = [dialling.dial.preface for dialling in world.dialling]
    assert (source(first), source(second)) == (("10.1.2.3", 40_000), ("10.1.2.3", 40_000))
    copy, server = world.dialling[0].accept(), world.dialling[0].accept()
    assert b"host: a-shadow\r\n" in copy.takes()
    copy.send(OK)
    assert copy.closed
    server.send(OK)
    assert client.takes() == OK


def test_a_mirror_that_is_given_up_before_it_has_a_connection(world):
    world.add_cluster("m").proxy_protocol = 1
    world.rule(mirrors=[plan.Mirror("m")], timeout=200)
    client = world.client(GET)
    world.dialling[1].accept().send(OK)
    assert client.takes() == OK
    world.pass_time(200)
    assert not world.dialling
    assert world.up("rq_active", "m") == 0


def test_each_request_has_a_connection_of_its_own(world):
    clients = [world.client(GET, peer=("10.1.2.3", 40_000 + i)) for i in range(2)]
    prefaces = [dialling.dial.preface for dialling in world.dialling]
    assert [source(preface) for preface in prefaces] == [("10.1.2.3", 40_000), ("10.1.2.3", 40_001)]
    for client in clients:
        server = world.dialling[0].accept()
        assert server.takes().startswith(b"GET / ")
        server.send(OK)
        assert client.takes() == OK
        assert server.closed
    assert world.cluster.hosts[0].idle_connections() == 0
    clients[0].send(GET)
    world.dialling[0].accept().send(OK)
    assert clients[0].takes() == OK


def test_a_client_that_leaves(world):
    client = world.client(GET)
    client.reset()
    assert world.dialling == []


def test_a_retry_says_it_again(world):
    world.rule(retry=plan.RetryPolicy(["connect-failure"], attempts=1))
    client = world.client(GET)
    first = world.dialling[0].dial.preface
    world.dialling[0].refuse()
    world.pass_time(25)
    assert world.dialling[0].dial.preface == first
    world.dialling[0].accept().send(OK)
    assert client.takes() == OK


def test_as_many_connections_as_the_cluster_may_have(make_world):
    world = make_world(max_connections=1)
    world.cluster.proxy_protocol = 1
    first, second = world.client(GET), world.client(GET)
    assert b"x-tage-response-flags: UO" in second.takes()
    world.dialling[0].accept().send(OK)
    assert first.takes() == OK
