from __future__ import annotations

import asyncio
import contextlib

import grpc
import pytest

from tage.config.load import load_text
from tage.pilot.control import ControlPlane
from tage.pilot.generate import CLUSTER, ENDPOINT, ROUTE
from tage.registry.model import Service
from tests.pilot.plane import AdsClient, MemoryRegistry, MemoryStore, running, until
from tests.pilot.samples import RATINGS, REVIEWS, instance, routing

NAMES = (f"outbound|80||{REVIEWS.fqdn}", f"outbound|9080||{RATINGS.fqdn}")


def reviews(number: int) -> Service:
    return Service("reviews", instances=(*REVIEWS.instances, instance(number)))


async def until_synced(plane: ControlPlane, count: int = 1) -> None:
    def synced() -> bool:
        types = [sidecar["types"] for sidecar in plane.sidecars()]
        return len(types) == count and all(of and all(t["synced"] for t in of.values()) for of in types)

    await until(synced)


def test_a_change_reaches_the_client_and_only_what_changed():
    async def run() -> None:
        registry = MemoryRegistry(REVIEWS, RATINGS)
        async with running(None, registry) as plane, AdsClient(plane.xds_port) as client:
            await client.join(*NAMES)
            await until_synced(plane)
            registry.change(reviews(7), RATINGS)
            response = await client.receive()
            assert response.type_url == ENDPOINT
            assert len(response.resources) == 1
            assert not plane.sidecars()[0]["types"]["EDS"]["synced"]
            await client.ack(response)
            await until_synced(plane)
            (state,) = plane.sidecars()
            assert state["id"] == client.node.id
            assert state["types"]["EDS"]["acked"] == response.version_info

    asyncio.run(run())


def test_changes_in_a_row_become_one_push():
    async def run() -> None:
        registry = MemoryRegistry(REVIEWS)
        async with running(None, registry) as plane, AdsClient(plane.xds_port) as client:
            await client.join(NAMES[0])
            for number in range(4, 20):
                registry.change(reviews(number))
                await asyncio.sleep(0.005)
            response = await client.receive()
            assert b"127.1.0.19" in response.resources[0].value
            await client.ack(response)
            await until_synced(plane)
            assert len(client.received) == 5

    asyncio.run(run())


def test_a_refusal_shows_in_the_status():
    async def run() -> None:
        store = MemoryStore()
        async with running(store) as plane, AdsClient(plane.xds_port) as client:
            await client.join(*NAMES)
            await store.apply(load_text(routing("[{timeout: 1s, route: [{destination: {host: reviews}}]}]")))
            response = await client.receive()
            assert response.type_url == ROUTE
            await client.refuse(response, "route is bad")
            await until(lambda: plane.sidecars()[0]["types"]["RDS"]["nacked"] == "route is bad")

    asyncio.run(run())


def test_a_client_that_does_not_read_keeps_nobody_waiting():
    async def run() -> None:
        many = [Service(f"s{n}", instances=tuple(instance(i) for i in range(1, 200))) for n in range(40)]
        registry = MemoryRegistry(*many)
        names = [f"outbound|80||{service.fqdn}" for service in many]
        async with running(None, registry) as plane, contextlib.AsyncExitStack() as stack:
            deaf = await stack.enter_async_context(AdsClient(plane.xds_port, "deaf"))
            client = await stack.enter_async_context(AdsClient(plane.xds_port, "good"))
            for type_url in (CLUSTER, ENDPOINT):
                await deaf.send(type_url, *(names if type_url == ENDPOINT else ()))
            await client.join(*names)
            for number in range(3):
                changed = Service("s0", instances=many[0].instances[number + 1 :])
                registry.change(changed, *many[1:])
                response = await client.receive()
                assert response.type_url == ENDPOINT
                await client.ack(response)
            states = {s["id"].split("~")[2]: s["types"]["EDS"]["synced"] for s in plane.sidecars()}
            assert not states["deaf.default"]

    asyncio.run(run())


def test_clients_rejoin_a_restarted_control_plane():
    async def run() -> None:
        async with running() as plane, AdsClient(plane.xds_port) as client:
            await client.join(*NAMES)
            versions = {response.type_url: response.version_info for response in client.received}
            port = plane.xds_port
            await plane.stop()
            assert await client.status() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED)
        async with running(xds_port=port) as plane, AdsClient(port) as client:
            await client.send(CLUSTER, version_info=versions[CLUSTER])
            response = await client.receive()
            assert response.version_info == versions[CLUSTER]
            await client.ack(response)
            await until_synced(plane)

    asyncio.run(run())


def test_a_client_that_left_is_forgotten():
    async def run() -> None:
        async with running() as plane:
            async with AdsClient(plane.xds_port) as client:
                await client.join(*NAMES)
                assert len(plane.sidecars()) == 1
            await until_synced(plane, 0)

    asyncio.run(run())


@pytest.mark.parametrize(("metadata", "words"), [({"APP_PORT": "x"}, "APP_PORT"), ({"LABELS": "x"}, "LABELS")])
def test_a_node_that_makes_no_sense_is_refused_with_the_reason(metadata: dict[str, str], words: str):
    async def run() -> None:
        async with running() as plane, AdsClient(plane.xds_port, **metadata) as client:
            await client.send(CLUSTER)
            assert await client.status() == grpc.StatusCode.INVALID_ARGUMENT
            assert words in await client.details()

    asyncio.run(run())


def test_a_request_without_a_type_ends_the_stream():
    async def run() -> None:
        async with running() as plane, AdsClient(plane.xds_port) as client:
            await client.send("")
            assert await client.status() == grpc.StatusCode.INVALID_ARGUMENT
            assert "type_url" in await client.details()

    asyncio.run(run())
