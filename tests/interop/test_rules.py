"""What a mesh is for: rules of the sidecars in front of unmodified clients, and what these make of its own answers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.bootstraps import Json, route
from tests.e2e.ports import free_port, until
from tests.e2e.sidecar import Sidecar
from tests.interop.java import Client, Failure, Server
from tests.interop.sdk import SDKS, Sdk
from tests.interop.sidecars import Chain

pytestmark = [pytest.mark.interop, pytest.mark.processes]

HTTP = "type.googleapis.com/envoy.extensions.filters.http"
FILTERS = [
    {"name": "envoy.filters.http.fault", "typed_config": {"@type": f"{HTTP}.fault.v3.HTTPFault"}},
    {"name": "envoy.filters.http.router", "typed_config": {"@type": f"{HTTP}.router.v3.Router"}},
]
ALWAYS = {"numerator": 100, "denominator": "HUNDRED"}
CALLS = 400
SHARE = 0.2
"""Of version v2."""


def _fault(**fields: Any) -> Json:
    settings = {"@type": f"{HTTP}.fault.v3.HTTPFault", **fields}
    return {**route("v1"), "typed_per_filter_config": {"envoy.filters.http.fault": settings}}


def _method(service: str, name: str, cluster: str) -> Json:
    return {"match": {"path": f"/{service}/{name}"}, "route": {"cluster": cluster}}


def _scenarios(chain: Chain, servers: dict[str, Server], caller: str) -> None:
    for version in ("v1", "v2"):
        chain.cluster(version, chain.instance(version, servers[version].port))
    chain.cluster("empty")
    chain.cluster("refused", free_port())
    one = {"thresholds": [{"max_requests": 1}]}
    chain.cluster("one", chain.instance("one", servers["v1"].port), circuit_breakers=one)
    weights = [{"name": "v1", "weight": 80}, {"name": "v2", "weight": 20}]
    chain.scenario(
        "weighted", {"match": {"prefix": "/"}, "route": {"weighted_clusters": {"clusters": weights}, "timeout": "0s"}}
    )
    chain.scenario("by-method", _method(chain.service, "slow", "v2"), _method(chain.service, "echo", "v1"))
    from_caller = {"name": caller, "string_match": {"exact": "caller"}}
    chain.scenario(
        "by-metadata", {"match": {"prefix": "/", "headers": [from_caller]}, "route": {"cluster": "v2"}}, route("v1")
    )
    added = [{"header": {"key": "x-tage", "value": "was here"}}]
    chain.scenario("edited", {**route("v1"), "request_headers_to_add": added})
    chain.scenario("mirrored", route("v1", request_mirror_policies=[{"cluster": "v2"}]))
    chain.scenario("deadline", route("v1", timeout="0.3s"))
    chain.scenario("elsewhere", route("v1"), service="com.tage.interop.Other")
    chain.scenario("empty", route("empty"))
    chain.scenario("refused", route("refused"))
    chain.scenario("one", route("one", timeout="0s"))
    abort = {"http_status": 503, "percentage": ALWAYS}
    chain.scenario("aborted", _fault(abort=abort), http_filters=FILTERS)
    chain.scenario("delayed", _fault(delay={"fixed_delay": "0.5s", "percentage": ALWAYS}), http_filters=FILTERS)


@dataclass
class Mesh:
    ports: dict[str, int]
    front: Sidecar


@pytest.fixture(scope="module")
def meshes(directory: Path, servers: Callable[[str], dict[str, Server]]) -> Iterator[Callable[[Sdk], Mesh]]:
    """By protocol, with all scenarios."""
    running: dict[str, Mesh] = {}
    stopped = []

    def of(sdk: Sdk) -> Mesh:
        if sdk.protocol not in running:
            chain = Chain(sdk.protocol, sdk.service)
            _scenarios(chain, servers(sdk.module), sdk.caller)
            context = chain.run(directory)
            running[sdk.protocol] = Mesh(chain.ports, context.__enter__()[0])
            stopped.append(context)
        return running[sdk.protocol]

    yield of
    for context in stopped:
        context.__exit__(None, None, None)


@pytest.fixture
def mesh(meshes: Callable[[Sdk], Mesh], sdk: Sdk) -> Mesh:
    return meshes(sdk)


def _fails(client: Client, port: int, method: str = "echo", **fields: Any) -> Failure:
    with pytest.raises(Failure) as failed:
        client.call(port, method, **fields)
    return failed.value


def test_weights(client: Client, mesh: Mesh) -> None:
    result = client.load(mesh.ports["weighted"], calls=CALLS, threads=8)
    assert result["failures"] == {}
    assert sum(result["values"].values()) == CALLS
    assert CALLS * SHARE * 0.5 < result["values"]["v2 hello"] < CALLS * SHARE * 1.5


def test_methods_are_paths(client: Client, mesh: Mesh) -> None:
    assert client.call(mesh.ports["by-method"]) == "v1 hello"
    assert client.call(mesh.ports["by-method"], "slow", milliseconds=1) == "v2 1"


def test_metadata_are_headers(client: Client, mesh: Mesh) -> None:
    assert client.call(mesh.ports["by-metadata"]) == "v2 hello"
    assert client.call(mesh.ports["by-metadata"], mode="future") == "v2 hello"


def test_edited_headers_are_forwarded(client: Client, mesh: Mesh) -> None:
    """The server's framework reads what the route has added, beside all that was there."""
    assert client.call(mesh.ports["edited"], "metadata", text="x-tage") == "was here"
    assert client.call(mesh.ports["edited"], "bytes", size=300_000) == {"length": 300_000, "same": True}


def test_mirrors(client: Client, mesh: Mesh, servers: Callable[[str], dict[str, Server]], sdk: Sdk) -> None:
    text = f"mirrored {sdk.name}"
    port = mesh.ports["mirrored"]
    assert client.call(port, "tell", text=text) is None
    assert client.call(port, "told", text=text) == 1
    version2 = servers(sdk.module)["v2"].port
    until(lambda: client.call(version2, "told", text=text) == 1, "the mirrored call arrives")
    assert client.call(port) == "v1 hello"  # the mirror's answer is nobody's


def test_deadlines(client: Client, mesh: Mesh, sdk: Sdk) -> None:
    """The route's, shorter than the client's: the exception is that of the SDK's own timeouts."""
    failure = _fails(client, mesh.ports["deadline"], "slow", milliseconds=2000)
    sdk.assert_failed(failure, "timeout")
    assert 290 <= failure.ms < 1900
    sdk.assert_failed(
        _fails(client, mesh.ports["deadline"], "slow", milliseconds=2000, mode="future"), "timeout of a future"
    )
    assert client.call(mesh.ports["deadline"]) == "v1 hello"


@pytest.mark.parametrize("mode", ["sync", "future", "callback"])
def test_no_route(client: Client, mesh: Mesh, sdk: Sdk, mode: str) -> None:
    failure = _fails(client, mesh.ports["elsewhere"], mode=mode)
    assert failure.ms < 5000  # nobody has waited for a timeout


def test_no_route_says_so(client: Client, mesh: Mesh, sdk: Sdk) -> None:
    sdk.assert_failed(_fails(client, mesh.ports["elsewhere"]), "no route")


def test_no_healthy_host(client: Client, mesh: Mesh, sdk: Sdk) -> None:
    sdk.assert_failed(_fails(client, mesh.ports["empty"]), "unavailable")


def test_nobody_listens(client: Client, mesh: Mesh, sdk: Sdk) -> None:
    sdk.assert_failed(_fails(client, mesh.ports["refused"]), "unavailable")


def test_faults(client: Client, mesh: Mesh, sdk: Sdk) -> None:
    sdk.assert_failed(_fails(client, mesh.ports["aborted"]), "unavailable")
    value = client.answer(client.start(mesh.ports["delayed"]))
    assert value["value"] == "v1 hello"
    assert value["ms"] >= 490


def test_circuit_breakers(client: Client, mesh: Mesh, sdk: Sdk) -> None:
    """One call at a time: the second is told so at once, and the first goes on."""
    overflows = "cluster.one.upstream_rq_pending_overflow"
    before = mesh.front.stats()[overflows]
    slow = client.start(mesh.ports["one"], "slow", milliseconds=2000)
    until(lambda: mesh.front.stats()["cluster.one.upstream_rq_active"] == 1, "the first call is under way")
    failure = _fails(client, mesh.ports["one"])
    sdk.assert_failed(failure, "unavailable")
    assert failure.ms < 1500
    assert client.answer(slow)["value"] == "v1 2000"
    assert mesh.front.stats()[overflows] > before


def test_one_way_calls_without_a_host(client: Client, mesh: Mesh) -> None:
    """Nothing is answered to them, and what follows on the connection is."""
    for _ in range(3):
        assert client.call(mesh.ports["empty"], "tell", text="nobody", mode="oneway") is None
    assert _fails(client, mesh.ports["empty"]).ms < 5000


def test_all_clients_at_once(clients: Callable[[Sdk], Client], meshes: Callable[[Sdk], Mesh]) -> None:
    """Two clients of one protocol share the sidecar's connections, with ids that clash."""
    with ThreadPoolExecutor() as executor:
        running = [executor.submit(clients(sdk).load, meshes(sdk).ports["deadline"], calls=1000) for sdk in SDKS]
        for each in running:
            assert each.result()["values"] == {"v1 hello": 1000}
