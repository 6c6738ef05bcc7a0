"""Calls of every kind, first from client to server, then through two sidecars: nothing may be different."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.e2e.bootstraps import route
from tests.e2e.ports import until
from tests.interop.java import Client, Failure, Server
from tests.interop.sdk import BUSINESS, RUNTIME, Sdk
from tests.interop.sidecars import Chain

pytestmark = [pytest.mark.interop, pytest.mark.processes]

LARGE = 1 << 20
ASYNCHRONOUS = ("future", "callback")


@pytest.fixture(scope="module")
def chains(directory: Path, servers: Callable[[str], dict[str, Server]]) -> Iterator[Callable[[Sdk], Chain]]:
    """By protocol: two sidecars in front of version v1."""
    running: dict[str, Chain] = {}
    stopped = []

    def of(sdk: Sdk) -> Chain:
        if sdk.protocol not in running:
            chain = Chain(sdk.protocol, sdk.service)
            chain.cluster("v1", chain.instance("v1", servers(sdk.module)["v1"].port))
            chain.scenario("plain", route("v1", timeout="0s"), service="*")
            context = chain.run(directory)
            context.__enter__()
            stopped.append(context)
            running[sdk.protocol] = chain
        return running[sdk.protocol]

    yield of
    for context in stopped:
        context.__exit__(None, None, None)


@pytest.fixture(params=["direct", "sidecars"])
def port(
    request: pytest.FixtureRequest,
    sdk: Sdk,
    servers: Callable[[str], dict[str, Server]],
    chains: Callable[[Sdk], Chain],
) -> int:
    """What the client dials."""
    return servers(sdk.module)["v1"].port if request.param == "direct" else chains(sdk).ports["plain"]


def test_values(client: Client, port: int) -> None:
    assert client.call(port, text="hello") == "v1 hello"
    assert client.call(port, text="") == "v1 "
    assert client.call(port, text="踏歌 " * 2000) == "v1 " + "踏歌 " * 2000
    assert client.call(port, "metadata", text="nothing") is None
    assert client.call(port, "order") == {"same": True}


@pytest.mark.parametrize("size", [0, 1, 65_535, 262_144, 300_000, LARGE])
def test_bytes(client: Client, port: int, size: int) -> None:
    assert client.call(port, "bytes", size=size) == {"length": size, "same": True}


def test_large_calls_side_by_side(client: Client, port: int) -> None:
    """Eight of 1 MiB each way, and small ones meanwhile: none waits for the large ones to end."""
    large = [client.start(port, "bytes", size=LARGE) for _ in range(8)]
    small = client.load(port, calls=200, threads=4)
    assert (small["values"], small["failures"]) == ({"v1 hello": 200}, {})
    for each in large:
        assert client.answer(each)["value"] == {"length": LARGE, "same": True}


@pytest.mark.parametrize(("method", "exception"), [("fail", BUSINESS), ("crash", RUNTIME)])
def test_exceptions(client: Client, port: int, method: str, exception: str) -> None:
    with pytest.raises(Failure) as failed:
        client.call(port, method, text="no stock")
    assert failed.value.exception == exception
    assert failed.value.message.partition("\n")[0] == "v1 no stock"


def test_declared_exceptions_of_asynchronous_calls(client: Client, port: int, sdk: Sdk) -> None:
    with pytest.raises(Failure) as failed:
        client.call(port, "fail", text="no stock", mode="callback")
    assert failed.value.exception == BUSINESS
    with pytest.raises(Failure) as failed:
        client.call(port, "fail", text="no stock", mode="future")
    sdk.assert_failed(failed.value, "declared, of a future")
    assert "v1 no stock" in failed.value.message


@pytest.mark.parametrize("mode", ASYNCHRONOUS)
def test_asynchronous_calls(client: Client, port: int, mode: str) -> None:
    assert client.call(port, mode=mode) == "v1 hello"


@pytest.mark.parametrize("mode", ["sync", *ASYNCHRONOUS])
def test_fast_answers_overtake_slow_ones(client: Client, port: int, mode: str) -> None:
    """All on one connection of the client."""
    slow = client.start(port, "slow", milliseconds=1500, mode=mode)
    assert client.load(port, calls=100, threads=2, mode=mode)["values"] == {"v1 hello": 100}
    answer = client.answer(slow)
    assert answer["value"] == "v1 1500"
    assert answer["ms"] >= 1500


def test_one_way_calls(client: Client, port: int, sdk: Sdk) -> None:
    """They are delivered once each, and calls on the same connection go on."""
    text = f"{sdk.name} {port}"
    for _ in range(20):
        assert client.call(port, "tell", text=text, mode="oneway") is None
    assert client.call(port) == "v1 hello"
    until(lambda: client.call(port, "told", text=text) == 20, "twenty one-way calls arrive")
    assert client.call(port, "told", text=text) == 20


def test_client_timeouts(client: Client, port: int, sdk: Sdk) -> None:
    """The caller gives up; the late answer is nobody's, and the connection goes on."""
    with pytest.raises(Failure) as failed:
        client.call(port, "slow", milliseconds=1200, timeout=300)
    sdk.assert_failed(failed.value, "timeout")
    assert 290 <= failed.value.ms < 1200
    with pytest.raises(Failure) as failed:
        client.call(port, "slow", milliseconds=1200, timeout=300, mode="future")
    sdk.assert_failed(failed.value, "timeout of a future")
    assert client.load(port, seconds=2, threads=2)["failures"] == {}  # while the late answers come


def test_load(client: Client, port: int) -> None:
    result = client.load(port, calls=3000, threads=8)
    assert result["values"] == {"v1 hello": 3000}
    assert result["failures"] == {}


def test_metadata(client: Client, port: int, sdk: Sdk) -> None:
    assert client.call(port, "metadata", text=sdk.caller) == "caller"


def test_unknown_services(client: Client, port: int, sdk: Sdk) -> None:
    """The server's own answer for a version that it does not have."""
    with pytest.raises(Failure) as failed:
        client.call(port, version="9.9")
    sdk.assert_failed(failed.value, "error")
