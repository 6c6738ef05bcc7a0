"""TCP connections over loopback: what the kernel makes of ends, resets, and peers that do not read."""

from __future__ import annotations

import asyncio
import hashlib
import socket
import struct
from typing import Any

import pytest
import uvloop

from tage.dataplane.net.reactor import Reactor
from tage.dataplane.net.timers import TimerWheel
from tage.dataplane.routing.tcp import TcpRoute
from tage.dataplane.streams.context import Context, ListenerState
from tage.dataplane.streams.tcp_downstream import TcpDownstreamConnection
from tage.dataplane.telemetry import layout
from tage.dataplane.telemetry.store import StatStore
from tage.dataplane.upstream.cluster import Cluster
from tage.dataplane.upstream.connect import Connector

SIZE = 20_000_000
PATIENCE = 20


class Relay:
    """A listener's connections, relayed to one server of the test's."""

    def __init__(self, store: StatStore, **route: Any) -> None:
        self.loop = asyncio.get_running_loop()
        self.reactor = Reactor(self.loop)
        self.context = Context(TimerWheel(self.loop.call_later))
        self.listener = ListenerState(self.context, "l", store.group(layout.LISTENER, "l"))
        self.listener.tcp = TcpRoute(["c"], [1], **route)
        self.server = socket.create_server(("127.0.0.1", 0))
        self.server.setblocking(False)
        connector = Connector(self.loop, self.reactor, lambda host: None)
        self.cluster = Cluster("c", store.group(layout.CLUSTER, "c"), self.context.wheel, connector)
        self.cluster.set_hosts([(*self.server.getsockname(), 1, True)])
        self.context.clusters = {"c": self.cluster}
        self.sockets: list[socket.socket] = []

    def client(self) -> socket.socket:
        with socket.create_server(("127.0.0.1", 0)) as listening:
            client = socket.create_connection(listening.getsockname())
            accepted, _ = listening.accept()
        accepted.setblocking(False)
        client.setblocking(False)
        self.sockets.append(client)
        self.reactor.attach(accepted, TcpDownstreamConnection(self.listener))
        return client

    async def pair(self) -> tuple[socket.socket, socket.socket]:
        client = self.client()
        async with asyncio.timeout(PATIENCE):
            server, _ = await self.loop.sock_accept(self.server)
        server.setblocking(False)
        self.sockets.append(server)
        return client, server

    async def read(self, sock: socket.socket) -> bytes:
        """All until the end."""
        data = bytearray()
        async with asyncio.timeout(PATIENCE):
            while more := await self.loop.sock_recv(sock, 1 << 20):
                data += more
        return bytes(data)

    async def until(self, condition: Any) -> None:
        async with asyncio.timeout(PATIENCE):
            while not condition():  # noqa: ASYNC110
                await asyncio.sleep(0.001)

    async def close(self) -> None:
        for sock in self.sockets:
            sock.close()
        self.server.close()
        await self.until(lambda: not self.listener.connections and not self.cluster.stats.value("upstream_cx_active"))
        assert not self.cluster.hosts[0].active
        self.context.wheel.close()
        self.reactor.close()


@pytest.fixture
def run(tmp_path):
    """Runs `scenario(relay)`; every connection has ended after it."""

    def runner(scenario, **route):
        async def main():
            relay = Relay(StatStore(tmp_path / "stats"), **route)
            await scenario(relay)
            await relay.close()

        uvloop.run(main())

    return runner


def reset(sock: socket.socket) -> None:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


@pytest.mark.parametrize("first", ["client", "server"])
def test_whole_in_both_directions_whoever_ends_first(run, first):
    async def scenario(relay):
        client, server = await relay.pair()
        up, down = (bytes([i]) * SIZE for i in (1, 2))
        one, other = (client, server) if first == "client" else (server, client)
        one_says, other_says = (up, down) if first == "client" else (down, up)

        async def speak(sock, data):
            await relay.loop.sock_sendall(sock, data)
            sock.shutdown(socket.SHUT_WR)

        async with asyncio.timeout(PATIENCE):
            heard, _ = await asyncio.gather(relay.read(other), speak(one, one_says))
            assert hashlib.sha256(heard).digest() == hashlib.sha256(one_says).digest()
            heard, _ = await asyncio.gather(relay.read(one), speak(other, other_says))
            assert hashlib.sha256(heard).digest() == hashlib.sha256(other_says).digest()

    run(scenario)


def test_who_does_not_read_is_not_written_for(run):
    async def scenario(relay):
        client, server = await relay.pair()
        sent, refused = 0, 0
        while refused < 100:
            count = await send_some(server)
            sent += count
            refused = 0 if count else refused + 1
            assert sent < 10 * SIZE
        connection = next(iter(relay.listener.connections))
        assert connection.write_paused
        server.shutdown(socket.SHUT_WR)
        assert len(await relay.read(client)) == sent
        client.shutdown(socket.SHUT_WR)
        assert await relay.read(server) == b""

    run(scenario)


async def send_some(sock):
    """One send, and a turn for the others."""
    try:
        count = sock.send(bytes(1 << 20))
    except BlockingIOError:
        count = 0
    await asyncio.sleep(0.001 if count == 0 else 0)
    return count


@pytest.mark.parametrize("who", ["client", "server"])
def test_a_reset_is_passed_on(run, who):
    async def scenario(relay):
        client, server = await relay.pair()
        await relay.loop.sock_sendall(client, b"x")
        assert await relay.loop.sock_recv(server, 1) == b"x"
        one, other = (client, server) if who == "client" else (server, client)
        reset(one)
        with pytest.raises(ConnectionResetError):
            await relay.read(other)

    run(scenario)


def test_a_server_that_refuses_resets_the_client(run):
    async def scenario(relay):
        relay.server.close()
        client = relay.client()
        await relay.loop.sock_sendall(client, b"hello")
        with pytest.raises(ConnectionResetError):
            await relay.read(client)

    run(scenario, max_connect_attempts=2)


def test_idle(run):
    async def scenario(relay):
        client, server = await relay.pair()
        for sock in (client, server):
            with pytest.raises(ConnectionResetError):
                await relay.read(sock)
        assert relay.listener.stats.value("downstream_cx_idle_timeout") == 1

    run(scenario, idle_timeout=100)
