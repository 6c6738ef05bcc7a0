"""One worker's data plane with a test at each of its ends: clients, servers, and the clock.

The connections, streams, pools and limits are the real ones; sockets and time are not (`fakes`). A subclass says by
what connections clients come and hosts are reached.

world = SomeWorld(path)                      one listener, one route to the cluster "c", which has one host
client = world.client()                      a client connects
client.send(request)
server = world.accept()                      the connection that the pool asked for opens
assert server.takes() == request             what the server got since the last look
server.send(response)
assert client.takes() == response            what the client got
world.close()                                everything ends, and nothing may be left over
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tage.dataplane.net.timers import TimerWheel
from tage.dataplane.routing.build import build
from tage.dataplane.streams.context import Context, ListenerState
from tage.dataplane.telemetry import layout
from tage.dataplane.telemetry.store import StatStore
from tage.dataplane.upstream.cluster import Cluster
from tage.dataplane.upstream.connection import Failure
from tage.dataplane.upstream.limits import Limit
from tage.sidecar import plan
from tage.xprotocol_testing.fakes import FakeLoop, FakeTransport

SLOT_MS = 32
"""How late a timer may be."""


class End:
    """One end of a connection, as the test plays it."""

    def __init__(self, world: World, transport: FakeTransport, connection: Any) -> None:
        self.world = world
        self.transport = transport
        self.connection = connection

    def send(self, *data: bytes) -> None:
        for part in data:
            self.transport.feed(part)
            self.world.loop.settle()

    def send_bytewise(self, data: bytes) -> None:
        self.send(*(data[i : i + 1] for i in range(len(data))))

    def end(self) -> None:
        """Sends no more."""
        self.transport.feed_eof()
        self.world.loop.settle()

    def reset(self) -> None:
        self.transport.reset()
        self.world.loop.settle()

    def block(self) -> None:
        self.transport.block()
        self.world.loop.settle()

    def unblock(self) -> None:
        self.transport.unblock()
        self.world.loop.settle()

    def takes(self) -> bytes:
        """What came since the last look."""
        result = bytes(self.transport.sent)
        self.transport.sent.clear()
        return result

    @property
    def closed(self) -> bool:
        return self.transport.lost

    @property
    def reading(self) -> bool:
        return self.transport.reading


class Dialling:
    """A connection that one receiver asked for, neither accepted nor refused."""

    def __init__(self, world: World, host: Any, dial: Any) -> None:
        self.world = world
        self.host = host
        self.dial = dial
        world.dialling.append(self)

    def cancel(self) -> None:
        self.world.dialling.remove(self)

    def accept(self, capacity: int | None = None) -> End:
        """It opens."""
        self.world.dialling.remove(self)
        transport = FakeTransport(self.world.loop, (self.host.address, self.host.port))
        transport.capacity = capacity
        connection = (self.dial.make or self.world.upstream)(self.host)
        end = End(self.world, transport, connection)
        self.world.servers.append(end)
        transport.attach(connection)
        self.host.dialled(self.dial, connection)
        self.world.loop.settle()
        return end

    def refuse(self, failure: Failure = Failure.CONNECT_FAILURE, reason: str = "Connection refused") -> None:
        """It does not come."""
        self.world.dialling.remove(self)
        self.host.dial_failed(self.dial, failure, reason)
        self.world.loop.settle()


class World:
    def __init__(self, path: Path, hosts: int = 1, **settings: Any) -> None:
        """`settings` are the cluster's."""
        self.loop = FakeLoop()
        self.wheel = TimerWheel(self.loop.call_later, self.loop.clock)
        self.context = Context(self.wheel)
        self.store = StatStore(path / "stats")
        self.listener: Any = ListenerState(self.context, "l", self.store.group(layout.LISTENER, "l"))
        self.opening: list[Any] = []
        """Hosts to which a connection was asked for and neither accepted nor refused."""
        self.dialling: list[Dialling] = []
        self.clients: list[End] = []
        self.servers: list[End] = []
        self.gone: list[Cluster] = []
        self.closed = False
        self.forgotten = 0
        """Clients that are not in `clients` any more."""
        self.classless = 0
        """Answers with a status of 600 and more."""
        self.cluster = self.add_cluster("c", hosts, **settings)
        self.route(plan.Route(plan.RouteMatch(plan.StringMatch("prefix", "/")), clusters=[plan.WeightedCluster("c")]))

    # -- configuration -------------------------------------------------------------------------------------------------

    def add_cluster(self, name: str, hosts: int = 1, **settings: Any) -> Cluster:
        cluster = Cluster(name, self.store.group(layout.CLUSTER, name), self.wheel, self._connect)
        for key, value in settings.items():
            setattr(cluster, key, value)
        cluster.set_hosts([(f"10.0.0.{i + 1}", 80, 1, True) for i in range(hosts)])
        self.context.clusters = {**self.context.clusters, name: cluster}
        return cluster

    def _connect(self, host: Any, dial: Any = None) -> Dialling | None:
        if dial is not None:
            return Dialling(self, host, dial)
        self.opening.append(host)
        return None

    def remove_cluster(self, name: str) -> None:
        clusters = dict(self.context.clusters)
        cluster = clusters.pop(name)
        self.context.clusters = clusters
        self.gone.append(cluster)
        cluster.close()

    def route(self, *routes: plan.Route, domains: Iterable[str] = ("*",)) -> None:
        """The listener's only virtual host has these from now on."""
        host = plan.VirtualHost("v", list(domains), list(routes))
        self.listener.routes = build(plan.Routes("r", [host]), self._route_stats)

    def rule(self, **fields: Any) -> None:
        """One route for everything, to the cluster "c"."""
        fields.setdefault("clusters", [plan.WeightedCluster("c")])
        self.route(plan.Route(plan.RouteMatch(plan.StringMatch("prefix", "/")), **fields))

    def _route_stats(self, owner: str) -> Any:
        return self.store.group(layout.ROUTE, owner)

    # -- events --------------------------------------------------------------------------------------------------------

    def client(self, *sends: bytes, peer: tuple[str, int] | None = ("10.1.2.3", 40_000)) -> End:
        """A client connects, and sends."""
        transport = FakeTransport(self.loop, peer)
        connection = self.downstream()
        end = End(self, transport, connection)
        self.clients.append(end)
        transport.attach(connection)
        end.send(*sends)
        return end

    def upstream(self, host: Any) -> Any:
        """A pool's connection."""
        raise NotImplementedError

    def downstream(self) -> Any:
        """A client's connection."""
        raise NotImplementedError

    def accept(self, index: int = 0, capacity: int | None = None) -> End:
        """A connection that was asked for opens."""
        host = self.opening.pop(index)
        transport = FakeTransport(self.loop, (host.address, host.port))
        transport.capacity = capacity
        connection = self.upstream(host)
        end = End(self, transport, connection)
        self.servers.append(end)
        transport.attach(connection)
        host.connected(connection)
        self.loop.settle()
        return end

    def refuse(
        self, failure: Failure = Failure.CONNECT_FAILURE, reason: str = "Connection refused", index: int = 0
    ) -> None:
        """A connection that was asked for does not come."""
        self.opening.pop(index).connect_failed(failure, reason)
        self.loop.settle()

    def pass_time(self, ms: int) -> None:
        """A little more than that, as timers are."""
        self.loop.run(ms + SLOT_MS)

    # -- statistics ----------------------------------------------------------------------------------------------------

    def down(self, name: str) -> int:
        """A statistic of the listener, without its prefix."""
        return int(self.listener.stats.value(f"downstream_{name}"))

    def up(self, name: str, cluster: str = "c") -> int:
        """A statistic of a cluster, without its prefix."""
        return int(self.store.group(layout.CLUSTER, cluster).value(f"upstream_{name}"))

    def of_route(self, name: str, route: str = "0") -> int:
        return int(self.store.group(layout.ROUTE, f"r/v/{route}").value(name))

    # -- invariants ----------------------------------------------------------------------------------------------------

    def check_quiet(self) -> None:
        """No request is under way anywhere, and the books say so."""
        assert self.down("rq_active") == 0
        answered = sum(self.down(f"rq_{n}xx") for n in range(1, 6))
        # A client that goes while it is answered counts in both.
        answered += self.classless
        assert answered <= self.down("rq_total") <= answered + self.down("rq_rx_reset")
        for cluster in (*self.context.clusters.values(), *self.gone):
            for limit in (Limit.REQUESTS, Limit.PENDING, Limit.RETRIES):
                assert cluster.counts.own(limit) == 0, (cluster.name, limit)
            assert self.up("rq_active", cluster.name) == 0
            assert self.up("rq_pending_active", cluster.name) == 0
            for host in cluster.hosts:
                assert host.active == 0
        for end in self.clients + self.servers:
            if not end.transport.closing:
                assert end.reading, "reading was paused and not resumed"

    def forget(self) -> None:
        """Lets go of the clients and servers whose connections have ended."""
        self.forgotten += sum(1 for client in self.clients if client.closed)
        self.clients = [client for client in self.clients if not client.closed]
        self.servers = [server for server in self.servers if not server.closed]

    def close(self) -> None:
        """Everybody leaves; then nothing may be left."""
        if self.closed:
            return
        self.closed = True
        for client in self.clients:
            if not client.transport.closing:
                client.reset()
            client.transport.take_all()
        self.loop.settle()
        self.check_quiet()
        while self.opening:
            self.refuse()
        assert not self.dialling
        for server in self.servers:
            if not server.transport.closing:
                server.end()
            server.transport.take_all()
        self.loop.settle()
        assert all(end.closed for end in self.clients + self.servers)
        assert self.down("cx_active") == 0
        assert self.down("cx_total") == self.down("cx_destroy") == len(self.clients) + self.forgotten
        assert not self.listener.connections
        for cluster in (*self.context.clusters.values(), *self.gone):
            assert cluster.counts.idle()
            assert self.up("cx_active", cluster.name) == 0
            assert self.up("cx_total", cluster.name) == self.up("cx_destroy", cluster.name)
            for host in cluster.hosts:
                assert (host.connections, host.connecting, host.idle_connections()) == (0, 0, 0)
        assert self.wheel.count == 0
        self.loop.run(10_000_000)
        assert not self.loop.calls, "the loop is asked for calls on and on"
