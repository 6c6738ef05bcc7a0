"""Servers that are killed, restarted, ended and overloaded while a client calls through two sidecars."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.e2e.bootstraps import route
from tests.e2e.ports import until
from tests.interop.java import START, Client, Server
from tests.interop.sdk import SDKS, Sdk
from tests.interop.sidecars import MANY_RETRIES, RETRIES, Chain

pytestmark = [pytest.mark.interop, pytest.mark.processes]

LOAD = {"threads": 8, "seconds": 12}
SLOW = 6000
"""Milliseconds of a call, long beside what it takes to tell a caller that its call is lost."""
THREADS = 2
"""Of a server that is easily overloaded."""


@pytest.fixture(params=[each for each in SDKS if not each.arguments], ids=lambda each: each.name)
def sdk(request: pytest.FixtureRequest) -> Sdk:
    return request.param


@pytest.fixture
def pair(directory: Path, sdk: Sdk) -> Iterator[dict[str, Server]]:
    running: dict[str, Server] = {}
    try:
        for name in ("first", "second"):
            running[name] = Server(sdk.module, directory, name)
        yield running
    finally:
        for each in running.values():
            each.discard()


def _chain(sdk: Sdk, pair: dict[str, Server]) -> Chain:
    chain = Chain(sdk.protocol, sdk.service)
    chain.cluster(
        "pair", *(chain.instance(name, server.port) for name, server in pair.items()), circuit_breakers=MANY_RETRIES
    )
    chain.scenario("retried", route("pair", timeout="0s", retry_policy=RETRIES))
    chain.scenario("once", route("pair", timeout="0s"))
    return chain


def _restarted(server: Server, sdk: Sdk, directory: Path) -> Server:
    return Server(sdk.module, directory, server.version, port=server.port)


def test_killed_and_restarted_under_load(directory: Path, client: Client, sdk: Sdk, pair: dict[str, Server]) -> None:
    """With retries no call fails, not even those that were under way."""
    chain = _chain(sdk, pair)
    with chain.run(directory):
        port = chain.ports["retried"]
        assert set(client.load(port, calls=20)["values"]) == {"first hello", "second hello"}
        loading = client.start(port, do="load", **LOAD)
        until(lambda: client.call(port) == "first hello", "the first server is called")
        pair["first"].send(signal.SIGKILL)
        pair["first"].wait()
        pair["first"] = _restarted(pair["first"], sdk, directory)
        result = client.answer(loading)
        assert result["failures"] == {}
        assert sum(result["values"].values()) > 100
        until(lambda: client.call(port) == "first hello", "the first server is called again", START)


def test_killed_without_retries(directory: Path, client: Client, sdk: Sdk, pair: dict[str, Server]) -> None:
    """Only calls under way may fail: one a thread, and those sent before the sidecar has heard of it."""
    chain = _chain(sdk, pair)
    with chain.run(directory):
        port = chain.ports["once"]
        slow = [client.start(port, "slow", milliseconds=SLOW) for _ in range(8)]
        until(lambda: client.call(port) == "first hello", "the first server is called")
        pair["first"].send(signal.SIGKILL)
        pair["first"].wait()
        answers = [client.answer(each) for each in slow]
        survived = [each for each in answers if each["ok"]]
        assert survived
        assert all(each["value"] == f"second {SLOW}" for each in survived)
        lost = [each for each in answers if not each["ok"]]
        assert lost
        assert all(each["ms"] < SLOW for each in lost), "they were told at once"
        assert {(each["exception"], each["code"]) for each in lost} == {sdk.failures["unavailable"]}


def test_ended_under_load(directory: Path, client: Client, sdk: Sdk, pair: dict[str, Server]) -> None:
    """SIGTERM: Dubbo's servers say READONLY first, SOFARPC's close their connections. Retries hide both."""
    chain = _chain(sdk, pair)
    with chain.run(directory):
        port = chain.ports["retried"]
        loading = client.start(port, do="load", **LOAD)
        until(lambda: client.call(port) == "first hello", "the first server is called")
        pair["first"].send(signal.SIGTERM)
        pair["first"].wait(START)
        result = client.answer(loading)
        assert result["failures"] == {}


@pytest.mark.parametrize("sdk", [each for each in SDKS if each.protocol == "dubbo"], ids=lambda each: each.name)
def test_sidecar_ended_under_load(
    directory: Path, tmp_path: Path, client: Client, servers: Callable[[str], dict[str, Server]], sdk: Sdk
) -> None:
    """A client that knows two sidecars, of which one says READONLY and answers what it has taken: no call is lost."""
    chain, other = Chain(sdk.protocol, sdk.service), Chain(sdk.protocol, sdk.service)
    for each in (chain, other):
        each.cluster("v1", each.instance("v1", servers(sdk.module)["v1"].port))
        each.scenario("drained", route("v1", timeout="0s"))
    with chain.run(directory), other.run(tmp_path) as (drained, _):
        ports = other.ports["drained"], chain.ports["drained"]
        loading = client.start(ports[0], other=ports[1], do="load", **LOAD)
        requests = "cluster.v1.upstream_rq_total"
        until(lambda: drained.stats().get(requests, 0) > 20, "the sidecar is called")
        assert drained.stop() == 0
        result = client.answer(loading)
        assert result["failures"] == {}
        assert result["values"].keys() == {"v1 hello"}


def test_overloaded_servers(directory: Path, client: Client, sdk: Sdk) -> None:
    """The server's own answer when its threads are all busy comes through as it was."""
    server = Server(sdk.module, directory, "small", str(THREADS))
    try:
        chain = Chain(sdk.protocol, sdk.service)
        chain.cluster("small", chain.instance("small", server.port))
        chain.scenario("small", route("small", timeout="0s"))
        with chain.run(directory):
            for port in (server.port, chain.ports["small"]):
                assert client.call(port) == "small hello"
                started = [client.start(port, "slow", milliseconds=1000) for _ in range(4 * THREADS)]
                answers = [client.answer(each) for each in started]
                assert sum(each["ok"] for each in answers) >= THREADS
                refused = {(each["exception"], each["code"]) for each in answers if not each["ok"]}
                assert refused == {sdk.failures["busy"]}
    finally:
        server.discard()
