from __future__ import annotations

import asyncio
import http.client
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tage.pilot.control import ControlPlane
from tage.pilot.generate import CLUSTER, ENDPOINT, LISTENER, ROUTE
from tests.pilot.plane import AdsClient, MemoryStore, running
from tests.pilot.samples import REVIEWS, SUBSETS, routing

Call = Callable[..., Awaitable[tuple[int, dict[str, Any]]]]

ITEM = {
    "apiVersion": "networking.istio.io/v1",
    "kind": "VirtualService",
    "metadata": {"name": "reviews"},
    "spec": {"hosts": ["reviews"], "http": [{"route": [{"destination": {"host": "reviews"}}]}]},
}


def served(test: Callable[[Call, ControlPlane], Awaitable[None]], store: MemoryStore | None = None) -> None:
    """Runs `test` against a control plane; calls are made from a thread, as from another process."""

    async def run() -> None:
        async with running(store) as plane:

            def request(
                method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
            ) -> tuple[int, dict[str, Any]]:
                connection = http.client.HTTPConnection("127.0.0.1", plane.http_port, timeout=10)
                content = body if isinstance(body, bytes | None) else json.dumps(body).encode()
                sent = {"Content-Type": "application/json"} if content is not None else {}
                connection.request(method, path, content, {**sent, **(headers or {})})
                response = connection.getresponse()
                answer = json.loads(response.read())
                connection.close()
                return response.status, answer

            async def call(*args: Any, **kwargs: Any) -> tuple[int, dict[str, Any]]:
                return await asyncio.to_thread(request, *args, **kwargs)

            await test(call, plane)

    asyncio.run(run())


def test_ready():
    async def test(call: Call, plane: ControlPlane) -> None:
        assert await call("GET", "/healthz/ready") == (200, {"status": "ready"})
        plane.ready = False
        assert (await call("GET", "/healthz/ready"))[0] == 503

    served(test)


def test_resources_are_applied_shown_and_deleted():
    async def test(call: Call, _: ControlPlane) -> None:
        def applied(result: str) -> tuple[int, dict[str, Any]]:
            item = {"kind": "VirtualService", "namespace": "default", "name": "reviews", "result": result}
            return 200, {"items": [item]}

        assert await call("POST", "/v1/resources", {"items": [ITEM]}) == applied("created")
        assert await call("POST", "/v1/resources", {"items": [ITEM]}) == applied("unchanged")
        changed = {**ITEM, "spec": {"hosts": ["reviews", "other"], "http": ITEM["spec"]["http"]}}  # type: ignore[index]
        assert await call("POST", "/v1/resources", {"items": [changed]}) == applied("configured")
        status, shown = await call("GET", "/v1/resources?kind=VirtualService&namespace=default&name=reviews")
        assert status == 200
        assert shown["items"][0]["spec"]["hosts"] == ["reviews", "other"]
        assert shown["items"][0]["metadata"] == {"name": "reviews", "namespace": "default"}
        path = "/v1/resources/VirtualService/default/reviews"
        assert (await call("DELETE", path))[0] == 200
        status, answer = await call("DELETE", path)
        assert status == 404
        assert "VirtualService default/reviews" in answer["message"]
        assert await call("GET", "/v1/resources") == (200, {"items": []})

    served(test)


@pytest.mark.parametrize(
    ("query", "found"),
    [("", 2), ("?kind=DestinationRule", 1), ("?name=reviews", 2), ("?namespace=other", 0), ("?kind=&name=", 2)],
)
def test_filters(query: str, found: int):
    async def test(call: Call, _: ControlPlane) -> None:
        assert len((await call("GET", f"/v1/resources{query}"))[1]["items"]) == found

    served(test, MemoryStore(SUBSETS, routing()))


def test_wrong_filters_are_named():
    async def test(call: Call, _: ControlPlane) -> None:
        status, answer = await call("GET", "/v1/resources?kind=VirtualServise")
        assert status == 400
        assert "VirtualServise" in answer["message"]
        assert (await call("GET", "/v1/resources?nome=x"))[0] == 400

    served(test)


def test_one_wrong_resource_refuses_all_with_the_path():
    async def test(call: Call, plane: ControlPlane) -> None:
        wrong = {**ITEM, "metadata": {"name": "wrong"}, "spec": {"hosts": ["reviews"], "htp": []}}
        status, answer = await call("POST", "/v1/resources", {"items": [ITEM, wrong]})
        assert status == 400
        (error,) = answer["errors"]
        assert set(error) == {"message", "path", "file", "line"}
        assert error["path"] == "items[1].spec.htp"
        assert plane.store.list() == []

    served(test)


@pytest.mark.parametrize("body", [b"{", b"[]", {"items": {}}, {"item": []}, {"items": [], "more": 1}])
def test_bodies_that_are_no_list_of_resources(body: Any):
    async def test(call: Call, _: ControlPlane) -> None:
        status, answer = await call("POST", "/v1/resources", body)
        assert status == 400
        assert answer["errors"][0]["message"]

    served(test)


def test_too_large_a_body():
    async def test(call: Call, _: ControlPlane) -> None:
        status, answer = await call("POST", "/v1/resources", b" " * (17 * 1024 * 1024))
        assert status == 413
        assert "16 MiB" in answer["message"]

    served(test)


def test_web_pages_are_kept_out():
    async def test(call: Call, plane: ControlPlane) -> None:
        body = json.dumps({"items": [ITEM]}).encode()
        assert (await call("POST", "/v1/resources", body, {"Content-Type": "text/plain"}))[0] == 415
        assert (await call("GET", "/v1/resources", headers={"Host": "evil.example.com"}))[0] == 403
        assert (await call("GET", "/v1/resources", headers={"Host": f"localhost:{plane.http_port}"}))[0] == 200
        assert (await call("GET", "/v1/resources", headers={"Host": "[::1]"}))[0] == 200
        assert plane.store.list() == []

    served(test)


def test_a_store_that_fails():
    async def test(call: Call, plane: ControlPlane) -> None:
        assert isinstance(plane.store, MemoryStore)
        plane.store.failure = OSError(28, "No space left on device")
        status, answer = await call("POST", "/v1/resources", {"items": [ITEM]})
        assert status == 500
        assert "No space left on device" in answer["message"]

    served(test, MemoryStore())


def test_services_and_status():
    async def test(call: Call, _: ControlPlane) -> None:
        status, answer = await call("GET", "/v1/services")
        assert status == 200
        reviews = next(s for s in answer["services"] if s["name"] == "reviews")
        assert (reviews["namespace"], reviews["port"], len(reviews["instances"])) == ("default", 80, 3)
        assert reviews["instances"][0]["address"] == REVIEWS.instances[0].address
        assert await call("GET", "/v1/status") == (200, {"sidecars": []})

    served(test)


def test_unknown_paths_and_methods():
    async def test(call: Call, _: ControlPlane) -> None:
        assert (await call("GET", "/v2"))[0] == 404
        assert (await call("PUT", "/v1/resources", {}))[0] == 405

    served(test)


def test_preview():
    async def test(call: Call, plane: ControlPlane) -> None:
        assert await call("POST", "/v1/preview", {"sidecar": "x"}) == (404, {"message": "no sidecar is connected"})
        async with AdsClient(plane.xds_port) as ads:
            await ads.send(CLUSTER)
            await ads.receive()
            status, found = await call("POST", "/v1/preview", {"items": [ITEM]})
            assert (status, found["alike"], found["warnings"]) == (200, 0, [])
            assert set(found["resources"]) == {CLUSTER, ENDPOINT, LISTENER, ROUTE}
            assert (await call("GET", "/v1/resources"))[1] == {"items": []}, "nothing was applied"
            status, answer = await call("POST", "/v1/preview", {"sidecar": "x"})
            assert status == 404
            assert answer["message"].startswith("no sidecar 'x'; there are ")
            status, answer = await call("POST", "/v1/preview", {"address": "127.0.0.1:1"})
            assert status == 404
            status, answer = await call("POST", "/v1/preview", {"what": 1})
            assert (status, answer["errors"][0]["message"]) == (400, "Object contains unknown field `what`")
            status, answer = await call("POST", "/v1/preview", {"items": [{"kind": "None"}]})
            assert status == 400

    served(test)
