"""The aggregated discovery service over gRPC: `Session`s on streams.

Each stream has two tasks. One reads requests into the session; the other asks the session what is to be sent and writes
it, sleeping while there is nothing. A client that does not read stops its own writer only, and since a session computes
responses from the present state no queue grows meanwhile.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from datetime import datetime
from typing import Any

import grpc
import grpc.aio
from envoy.service.discovery.v3 import discovery_pb2

from tage.pilot import listen
from tage.pilot.generate import Node
from tage.pilot.session import ProtocolError, Session, utcnow
from tage.pilot.world import Own, World

log = logging.getLogger(__name__)

SERVICE = "envoy.service.discovery.v3.AggregatedDiscoveryService"

MAX_REQUEST = 32 * 1024 * 1024
"""Bytes. A request names every endpoint assignment that its sender wants."""

_OPTIONS = (
    # Two control planes on one port would share its sidecars between them at random.
    ("grpc.so_reuseport", 0),
    ("grpc.max_receive_message_length", MAX_REQUEST),
    # A sidecar whose machine vanished is noticed within 40 s.
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
)


class _Connection:
    """One stream. `wake` is set whenever the session may have something new to send."""

    def __init__(self, node: Node, peer: str, world: World, connected: datetime) -> None:
        self.node = node
        self.peer = peer
        self.connected = connected
        self.own = Own(node)
        self.session = Session(world.view(node, self.own))
        self.wake = asyncio.Event()


class AdsServer:
    """Serves `world` until `stop`. After changing the world call `publish`."""

    def __init__(self, world: World, clock: Callable[[], datetime] = utcnow) -> None:
        self._world = world
        self._clock = clock
        self._connections: dict[int, _Connection] = {}
        self._serial = 0
        self._server: grpc.aio.Server | None = None
        self.port = 0

    async def start(self, address: str, port: int) -> None:
        """Raises `ConfigError` for an address that is not loopback, `ListenError` for a port that cannot be had.
        Port 0: any; `port` then says which."""
        listen.require_loopback(address)
        server = grpc.aio.server(options=_OPTIONS)
        handler = grpc.stream_stream_rpc_method_handler(
            self._stream, request_deserializer=discovery_pb2.DiscoveryRequest.FromString, response_serializer=bytes
        )
        server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler(SERVICE, {"StreamAggregatedResources": handler}),)
        )
        where = f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
        try:
            self.port = server.add_insecure_port(where)
        except RuntimeError as error:
            raise listen.ListenError(listen.problem(address, port, "xDS", "--xds-port")) from error
        await server.start()
        self._server = server

    async def stop(self, grace: float = 0.2) -> None:
        """Ends all streams within `grace` seconds."""
        if self._server is not None:
            await self._server.stop(grace)
            self._server = None

    def publish(self) -> None:
        """Every sidecar is to have what the world holds now."""
        for connection in self._connections.values():
            connection.session.set_view(self._world.view(connection.node, connection.own))
            connection.wake.set()

    def nodes(self) -> list[Node]:
        """Of the connected sidecars."""
        return [connection.node for connection in self._connections.values()]

    def status(self) -> list[dict[str, Any]]:
        """The connected sidecars, by id; a sidecar has two entries while it reconnects."""
        return [
            {
                "id": connection.node.id,
                "address": connection.node.address,
                "connected_since": connection.connected.isoformat(timespec="milliseconds"),
                "types": connection.session.status(),
            }
            for connection in sorted(self._connections.values(), key=lambda c: (c.node.id, c.connected))
        ]

    async def _stream(self, _requests: Any, context: grpc.aio.ServicerContext) -> None:
        first = await context.read()
        if first is grpc.aio.EOF:
            return
        try:
            node = Node.from_proto(first.node)
        except ValueError as error:
            log.warning("refused a stream from %s: %s", context.peer(), error)
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
        connection = _Connection(node, context.peer(), self._world, self._clock())
        self._serial += 1
        serial = self._serial
        self._connections[serial] = connection
        log.info("%s: connected from %s", node.id, connection.peer)
        tasks = (
            asyncio.create_task(self._read(connection, first, context), name=f"ads-read-{serial}"),
            asyncio.create_task(self._write(connection, context), name=f"ads-write-{serial}"),
        )
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            del self._connections[serial]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            log.info("%s: disconnected", node.id)
        for task in done:
            await self._end(task.exception(), node, context)

    @staticmethod
    async def _end(error: BaseException | None, node: Node, context: grpc.aio.ServicerContext) -> None:
        if isinstance(error, ProtocolError):
            log.warning("%s: %s", node.id, error)
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
        # The client is gone: its stream has ended, and how it did matters to nobody.
        if error is not None and not isinstance(error, grpc.RpcError | grpc.aio.UsageError):
            raise error

    @staticmethod
    async def _read(
        connection: _Connection, request: discovery_pb2.DiscoveryRequest, context: grpc.aio.ServicerContext
    ) -> None:
        while request is not grpc.aio.EOF:
            reason = connection.session.on_request(request)
            if reason:
                log.warning("%s refused %s: %s", connection.node.id, request.type_url.rpartition(".")[2], reason)
            connection.wake.set()
            request = await context.read()

    @staticmethod
    async def _write(connection: _Connection, context: grpc.aio.ServicerContext) -> None:
        session, wake, clock = connection.session, connection.wake, asyncio.get_running_loop().time
        while True:
            wake.clear()
            while (response := session.next_response(clock())) is not None:
                await context.write(response)
            try:
                async with asyncio.timeout(session.wait(clock())):
                    await wake.wait()
            except TimeoutError:
                pass
