"""A worker, told what the supervisor tells it, with connections that outlive their listener."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path
from typing import Any

import pytest
import uvloop

from tage.dataplane.telemetry.store import StatStore
from tage.dataplane.upstream import shared_layout
from tage.dataplane.upstream.shared import SharedFile
from tage.sidecar import plan
from tage.sidecar.channel import AsyncChannel
from tage.sidecar.worker.process import Worker

PATIENCE = 20.0
KINDS = {cls: kind for kind, cls in plan.KINDS.items()}


class Supervised:
    """A worker on the running loop, and this end of its channel."""

    def __init__(self, directory: Path) -> None:
        ours, theirs = socket.socketpair()
        for end in (ours, theirs):
            end.setblocking(False)
        self.channel = AsyncChannel(ours)
        shared_layout.create(str(directory / "shared"), 1)
        shared = SharedFile(str(directory / "shared"), 0)
        self.worker = Worker(AsyncChannel(theirs), StatStore(directory / "stats"), shared)
        self.task = asyncio.get_running_loop().create_task(self.worker.run())
        self.version = 0

    async def apply(self, *sections: plan.Section, removed: Any = (), **sockets: socket.socket) -> None:
        self.version += 1
        upserts = [(KINDS[type(section)], section.name, plan.encode(section)) for section in sections]
        prepare = plan.Prepare(self.version, False, upserts, list(removed), list(sockets))
        await self.channel.send(prepare, [sock.fileno() for sock in sockets.values()])
        async with asyncio.timeout(PATIENCE):
            answer, _ = await self.channel.receive()
        assert answer == plan.Prepared(self.version)
        await self.channel.send(plan.Commit(self.version))

    async def drain(self, seconds: float) -> None:
        """Until it has ended."""
        await self.channel.send(plan.Drain(seconds))
        async with asyncio.timeout(PATIENCE):
            await self.task
        self.channel.close()


async def read(sock: socket.socket, size: int) -> bytes:
    async with asyncio.timeout(PATIENCE):
        return await asyncio.get_running_loop().sock_recv(sock, size)


def listening() -> socket.socket:
    made = socket.create_server(("127.0.0.1", 0))
    made.setblocking(False)
    return made


def test_connections_of_a_listener_that_is_gone_last_until_the_worker_ends(tmp_path):
    async def main() -> None:
        loop = asyncio.get_running_loop()
        supervised = Supervised(tmp_path)
        with listening() as origin, listening() as front, socket.socket() as client:
            client.setblocking(False)
            host, port = origin.getsockname()
            await supervised.apply(
                plan.Endpoints("c", [plan.Endpoint(host, port)]),
                plan.Cluster("c", "c"),
                plan.Listener(
                    "l", *front.getsockname(), chains=[plan.FilterChain(tcp=plan.Tcp([plan.WeightedCluster("c")]))]
                ),
                l=front,
            )
            await loop.sock_connect(client, front.getsockname())
            async with asyncio.timeout(PATIENCE):
                server, _ = await loop.sock_accept(origin)
            with server:
                await supervised.apply(removed=[("listener", "l")])
                await loop.sock_sendall(client, b"still")
                assert await read(server, 100) == b"still"
                await supervised.drain(0.1)
                for sock in (client, server):
                    with pytest.raises(ConnectionResetError):
                        await read(sock, 1)

    uvloop.run(main())
