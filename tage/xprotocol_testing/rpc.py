"""A world whose clients and hosts speak an RPC protocol: the data plane's own connections, over transports in memory.

with rpc_world(Ledger()) as world:
    call = world.call(request)              # a client of its own connects and sends it
    call.server.send(response_to(call))     # `call.server` has got `call.sent`, with the id `call.upstream_id`
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from tage.dataplane.protocols.xprotocol.settings import DownstreamSettings, UpstreamSettings
from tage.dataplane.streams.rpc_downstream import RpcDownstreamConnection
from tage.dataplane.streams.rpc_upstream import RpcUpstreamConnection
from tage.dataplane.upstream.cluster import Cluster
from tage.xprotocol import Kind, Protocol
from tage.xprotocol_testing import frames
from tage.xprotocol_testing.frames import REQUESTS, Told
from tage.xprotocol_testing.world import End, World

_MEMORY = "/dev/shm"
"""A statistics file on a disk takes longer to make than most checks."""


class Call(NamedTuple):
    """A request on its way: `frame` is what `client` sent with the id `id`; `sent` is what `server` got of it."""

    client: End
    id: int
    frame: bytes
    server: End
    upstream_id: int
    sent: bytes


class RpcWorld(World):
    """`failures` are what the protocol has raised."""

    def __init__(
        self,
        path: Path,
        protocol: Protocol,
        hosts: int = 1,
        *,
        names: bool | None = None,
        whole: int = frames.WHOLE,
        limit: int = frames.LIMIT,
        max_requests: int = 1024,
        mode: str = "",
        heartbeat_interval: int = -1,
        **settings: Any,
    ) -> None:
        """`names`: requests are read as far as their names, None: where the protocol has such; the others as in
        `DownstreamSettings` and `UpstreamSettings`. `settings` are the cluster's."""
        self.protocol = protocol
        self.failures: list[BaseException] = []
        failed = self.failures.append
        names = protocol.has_names if names is None else names
        self.upstream_settings = UpstreamSettings(protocol, mode, max_requests, heartbeat_interval, limit, failed)
        super().__init__(path, hosts, **settings)
        self.listener.speak(DownstreamSettings(protocol, names, whole, limit, max_requests, failed))

    def add_cluster(self, name: str, hosts: int = 1, **settings: Any) -> Cluster:
        cluster: Any = super().add_cluster(name, hosts, **settings)
        cluster.speak(self.upstream_settings)
        return cluster

    def upstream(self, host: Any) -> Any:
        return RpcUpstreamConnection(host, self.context)

    def downstream(self) -> Any:
        return RpcDownstreamConnection(self.listener)

    def accept_all(self) -> None:
        """Every connection that was asked for opens."""
        while self.opening:
            self.accept()

    def told(self, end: End) -> list[Told]:
        """The frames that came there since the last look. Raises AssertionError where it is something else."""
        data = end.takes()
        found, reader = frames.told(self.protocol, [data])
        assert not reader.buffered(), f"{reader.buffered()} bytes are not a whole frame: {data!r}"
        assert not any(each.error for each in found), (found[-1].error, data)
        return found

    def arrived(self) -> list[tuple[End, Told]]:
        """The requests that came to servers since the last look."""
        return [
            (server, each)
            for server in self.servers
            if not server.closed or server.transport.sent
            for each in self.told(server)
            if each.kind in REQUESTS
        ]

    def with_id(self, frame: bytes, id: int) -> bytes:
        """The frame as it is where it has no id."""
        shape = frames.first(self.protocol, frame).shape
        return frames.with_id(self.protocol, frame, shape, id) if shape.has_id else frame

    def call(self, frame: bytes, id: int = 1, client: End | None = None) -> Call:
        """A request is sent, by a client of its own without `client`, and comes to a server."""
        client = client or self.client()
        frame = self.with_id(frame, id)
        client.send(frame)
        self.accept_all()
        found = self.arrived()
        assert len(found) == 1, f"{len(found)} requests came to the servers, in place of one"
        [(server, sent)] = found
        return Call(client, id, frame, server, sent.id, sent.frame)

    def answer(self, call: Call, response: bytes) -> list[Told]:
        """The server answers; what the client got."""
        call.server.send(self.with_id(response, call.upstream_id))
        return self.told(call.client)


@contextmanager
def rpc_world(protocol: Protocol, hosts: int = 1, **settings: Any) -> Iterator[RpcWorld]:
    """At its end nothing may be left over; that is looked at where nothing else has failed."""
    with tempfile.TemporaryDirectory(dir=_MEMORY if os.access(_MEMORY, os.W_OK) else None) as directory:
        world = RpcWorld(Path(directory), protocol, hosts, **settings)
        yield world
        world.close()


def sample(protocol: Protocol, kind: Kind) -> bytes:
    """The protocol's own example. Raises LookupError where it offers none."""
    frame = protocol.example(kind)
    if frame is None:
        raise LookupError(f"{protocol.name} offers no example of {kind.name}")
    return frame
