"""A control plane in the test's own loop, with sources in memory, and an ADS client for it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence

import grpc
import grpc.aio
from envoy.config.core.v3.base_pb2 import Node as NodeProto
from envoy.service.discovery.v3.discovery_pb2 import DiscoveryRequest, DiscoveryResponse

from tage.config.load import load_text
from tage.config.model import Resource
from tage.config.store import Applied, Key, Outcome, Subscribers
from tage.pilot.ads import SERVICE
from tage.pilot.control import ControlPlane
from tage.pilot.generate import CLUSTER, ENDPOINT, LISTENER, ROUTE
from tage.registry.model import Service
from tests.pilot.samples import RATINGS, REVIEWS

PATIENCE = 10.0
"""Seconds that a test waits for what must come."""


class MemoryStore:
    """Implements `Store`."""

    def __init__(self, *texts: str) -> None:
        self.resources: dict[Key, Resource] = {r.key: r for text in texts for r in load_text(text)}
        self.failure: OSError | None = None
        self._subscribers = Subscribers()

    async def start(self) -> None: ...

    async def stop(self) -> None: ...

    def list(self, kind: str | None = None) -> Sequence[Resource]:
        return [self.resources[key] for key in sorted(self.resources) if kind in (None, key[0])]

    async def apply(self, resources: Sequence[Resource]) -> Sequence[Applied]:
        if self.failure is not None:
            raise self.failure
        applied: list[Applied] = []
        for resource in resources:
            old = self.resources.get(resource.key)
            outcome: Outcome = "created" if old is None else "unchanged" if old == resource else "configured"
            applied.append((resource.key, outcome))
            self.resources[resource.key] = resource
        self._subscribers.notify()
        return applied

    async def delete(self, kind: str, namespace: str, name: str) -> bool:
        found = self.resources.pop((kind, namespace, name), None) is not None
        self._subscribers.notify()
        return found

    def subscribe(self, changed: Callable[[], None]) -> None:
        self._subscribers.add(changed)


class MemoryRegistry:
    """Implements `Registry`."""

    def __init__(self, *services: Service) -> None:
        self._services = services
        self._subscribers = Subscribers()

    async def start(self) -> None: ...

    async def stop(self) -> None: ...

    def services(self) -> Sequence[Service]:
        return self._services

    def subscribe(self, changed: Callable[[], None]) -> None:
        self._subscribers.add(changed)

    def change(self, *services: Service) -> None:
        self._services = services
        self._subscribers.notify()


async def until(condition: Callable[[], bool]) -> None:
    """Polls; at most `PATIENCE` seconds."""
    deadline = asyncio.get_running_loop().time() + PATIENCE
    while not condition():
        assert asyncio.get_running_loop().time() < deadline, "it did not come true in time"
        await asyncio.sleep(0.01)


@contextlib.asynccontextmanager
async def running(
    store: MemoryStore | None = None, *registries: MemoryRegistry, xds_port: int = 0
) -> AsyncIterator[ControlPlane]:
    plane = ControlPlane(store or MemoryStore(), registries or (MemoryRegistry(REVIEWS, RATINGS),))
    await plane.start("127.0.0.1", xds_port, 0)
    try:
        yield plane
    finally:
        await plane.stop()


class AdsClient:
    """One ADS stream. `run` behaves as Envoy does; tests that need something else use `send` and `receive`."""

    def __init__(self, port: int, name: str = "one", **metadata: object) -> None:
        self.node = NodeProto(id=f"sidecar~127.1.0.1~{name}.default~default.svc.cluster.local")
        self.node.metadata.update({"GENERATOR": "tage", **metadata})
        self._channel = grpc.aio.insecure_channel(f"127.0.0.1:{port}", [("grpc.use_local_subchannel_pool", 1)])
        self._call = self._channel.stream_stream(
            f"/{SERVICE}/StreamAggregatedResources",
            request_serializer=DiscoveryRequest.SerializeToString,
            response_deserializer=DiscoveryResponse.FromString,
        )()
        self._first = True
        self.names: dict[str, list[str]] = {}
        self.received: list[DiscoveryResponse] = []

    async def __aenter__(self) -> AdsClient:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        self._call.cancel()
        await self._channel.close()

    async def send(self, type_url: str, *names: str, **fields: str) -> None:
        self.names[type_url] = list(names)
        request = DiscoveryRequest(type_url=type_url, resource_names=names, **fields)
        if self._first:
            request.node.CopyFrom(self.node)
            self._first = False
        await self._call.write(request)

    async def receive(self) -> DiscoveryResponse:
        response = await asyncio.wait_for(self._call.read(), PATIENCE)
        assert response is not grpc.aio.EOF, await self._call.details()
        self.received.append(response)
        return response

    async def refuse(self, response: DiscoveryResponse, reason: str) -> None:
        request = DiscoveryRequest(
            type_url=response.type_url,
            resource_names=self.names[response.type_url],
            response_nonce=response.nonce,
        )
        request.error_detail.message = reason
        await self._call.write(request)

    async def ack(self, response: DiscoveryResponse) -> None:
        await self.send(
            response.type_url,
            *self.names[response.type_url],
            version_info=response.version_info,
            response_nonce=response.nonce,
        )

    async def status(self) -> grpc.StatusCode:
        return await asyncio.wait_for(self._call.code(), PATIENCE)

    async def details(self) -> str:
        return await self._call.details()

    async def join(self, *endpoints: str) -> None:
        """Subscribes to everything, and acknowledges it."""
        for type_url, names in ((CLUSTER, ()), (ENDPOINT, endpoints), (LISTENER, ()), (ROUTE, ("http_proxy",))):
            await self.send(type_url, *names)
            response = await self.receive()
            assert response.type_url == type_url
            await self.ack(response)
