"""Opening connections, over loopback: each attempt is reported exactly once, and counted out exactly once."""

import asyncio
import socket

import pytest
import uvloop

from tage.dataplane.net.reactor import Reactor
from tage.dataplane.net.timers import TimerWheel
from tage.dataplane.protocols.writer import ByteWriter
from tage.dataplane.streams.http1_upstream import Http1UpstreamConnection
from tage.dataplane.telemetry import layout
from tage.dataplane.telemetry.store import StatStore
from tage.dataplane.upstream.cluster import Cluster
from tage.dataplane.upstream.connect import Connector
from tage.dataplane.upstream.limits import Limit


async def until(condition):
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.001)


class Attempt:
    """A cluster with one host, to which one connection is opened."""

    def __init__(self, store, loop, address, port, timeout=5_000):
        self.made = []
        stats = store.group(layout.CLUSTER, "c")
        self.reactor = Reactor(loop)
        connector = Connector(loop, self.reactor, self.make)
        self.cluster = Cluster("c", stats, TimerWheel(loop.call_later), connector)
        self.cluster.connect_timeout = timeout
        self.cluster.set_hosts([(address, port, 1, True)])
        self.host = self.cluster.hosts[0]
        self.host.connecting += 1
        self.host.opening()
        connector(self.host)

    def make(self, host):
        self.made.append(Http1UpstreamConnection(host, ByteWriter()))
        return self.made[-1]

    async def over(self):
        await until(lambda: not self.host.connecting)

    def failures(self):
        stats = self.cluster.stats
        return stats.value("upstream_cx_connect_fail"), stats.value("upstream_cx_connect_timeout")


@pytest.fixture
def store(tmp_path):
    return StatStore(tmp_path / "stats")


@pytest.fixture
def listening():
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


def test_a_connection_opens(store, listening):
    async def run():
        attempt = Attempt(store, asyncio.get_running_loop(), *listening.getsockname())
        await attempt.over()
        assert attempt.host.idle_connections() == 1
        assert attempt.failures() == (0, 0)
        attempt.cluster.close()
        await until(lambda: attempt.cluster.counts.own(Limit.CONNECTIONS) == 0)

    uvloop.run(run())


@pytest.mark.parametrize(
    ("address", "port"),
    [
        ("127.0.0.1", None),
        ("127.0.0.1", 99_999),
        ("a" * 70 + ".invalid", 80),
        ("256.0.0.1", 80),
        ("not an address", 80),
    ],
)
def test_one_that_does_not(store, listening, address, port):
    """Whatever the reason is: refused, or an address or port that cannot be."""
    if port is None:
        port = listening.getsockname()[1]
        listening.close()

    async def run():
        attempt = Attempt(store, asyncio.get_running_loop(), address, port)
        await attempt.over()
        assert attempt.cluster.counts.own(Limit.CONNECTIONS) == 0
        assert attempt.failures() == (1, 0)

    uvloop.run(run())


@pytest.mark.parametrize("keepalive", [None, (0, 0, 0), (3, 60, 5), (0, 61, 0)])
def test_keepalive(store, listening, keepalive):
    options = (socket.TCP_KEEPCNT, socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL)

    async def run():
        loop = asyncio.get_running_loop()
        cluster = Cluster("c", store.group(layout.CLUSTER, "c"), TimerWheel(loop.call_later), None)
        cluster.tcp_keepalive = keepalive
        cluster.set_hosts([(*listening.getsockname(), 1, True)])
        return await Connector(loop, Reactor(loop), None)._connect(cluster.hosts[0], b"")

    with uvloop.run(run()) as sock, socket.socket() as other:
        assert (sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) != 0) == (keepalive is not None)
        systems = [other.getsockopt(socket.IPPROTO_TCP, option) for option in options]
        expected = [ours or system for ours, system in zip(keepalive or (0, 0, 0), systems, strict=True)]
        assert [sock.getsockopt(socket.IPPROTO_TCP, option) for option in options] == expected


def test_one_that_takes_too_long(store):
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        waiting = [socket.socket() for _ in range(3)]
        try:
            for sock in waiting:  # the backlog is full: the kernel drops what follows
                sock.setblocking(False)
                sock.connect_ex(full.getsockname())

            async def run():
                attempt = Attempt(store, asyncio.get_running_loop(), *full.getsockname(), timeout=50)
                await attempt.over()
                assert attempt.cluster.counts.own(Limit.CONNECTIONS) == 0
                assert attempt.failures() == (1, 1)

            uvloop.run(run())
        finally:
            for sock in waiting:
                sock.close()


def test_one_that_opens_as_its_time_is_up(store, listening):
    """The socket is closed and counted out once, and nothing is offered."""

    class Late:
        """The event loop, but for a connection that opens in the moment in which its time is up."""

        def __init__(self, loop):
            self.loop = loop

        async def sock_connect(self, sock, address):
            await self.loop.sock_connect(sock, address)
            raise TimeoutError

    async def run():
        loop = asyncio.get_running_loop()
        cluster = Cluster("c", store.group(layout.CLUSTER, "c"), TimerWheel(loop.call_later), None)
        cluster.set_hosts([(*listening.getsockname(), 1, True)])
        host = cluster.hosts[0]
        host.connecting += 1
        host.opening()
        made = []
        await Connector(Late(loop), Reactor(loop), made.append)._open(host)
        assert made == []
        assert host.connecting == 0
        assert host.idle_connections() == 0
        await until(lambda: host.connections <= 0)
        await asyncio.sleep(0)
        assert (host.connections, cluster.counts.own(Limit.CONNECTIONS)) == (0, 0)

    uvloop.run(run())
