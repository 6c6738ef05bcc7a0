"""Connections that nothing is called on: heartbeats keep them, on both sides of the sidecars."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.e2e.bootstraps import route
from tests.e2e.sidecar import Sidecar
from tests.interop.java import Client, Server
from tests.interop.relay import Relay
from tests.interop.sdk import SDKS, Sdk
from tests.interop.sidecars import Chain

pytestmark = [pytest.mark.interop, pytest.mark.processes]

IDLE = 75
"""Seconds. By default SOFARPC's clients ask every 15 s, and close after three silences; Dubbo's ask after 60 s."""
SHORT = {"sofarpc": "-Dbolt.tcp.server.idle.interval=3000", "dubbo": "-Dheartbeat=1000"}
"""Servers that close a connection on which nothing has come for 3 s."""
SHORT_IDLE = 8


def _connections(front: Sidecar, listener: str) -> int:
    return front.stats()[f"listener.{listener}.downstream_cx_total"]


def test_clients_idle_for_more_than_a_minute(
    directory: Path, clients: Callable[[Sdk], Client], servers: Callable[[str], dict[str, Server]]
) -> None:
    """All clients at once, each with two connections: one through a relay to the server, one through two sidecars."""
    with ExitStack() as stack:
        watched = []
        for module, alike in itertools.groupby(SDKS, lambda each: each.module):
            sdks = list(alike)
            server = servers(module)["v1"].port
            chain = Chain(sdks[0].protocol, sdks[0].service)
            chain.cluster("v1", chain.instance("v1", server))
            for sdk in sdks:
                chain.scenario(f"idle-{sdk.name}", route("v1", timeout="0s"))
            front, _ = stack.enter_context(chain.run(directory))
            for sdk in sdks:
                relay = stack.enter_context(Relay(server))
                watched.append((sdk, clients(sdk), relay, front, chain.ports[f"idle-{sdk.name}"]))
        for _, client, relay, _, port in watched:
            assert client.call(relay.port) == "v1 hello"
            assert client.call(port) == "v1 hello"
        before = [_connections(front, f"idle-{sdk.name}") for sdk, _, _, front, _ in watched]
        time.sleep(IDLE)
        for _, client, relay, _, port in watched:
            assert client.call(relay.port) == "v1 hello"
            assert client.call(port) == "v1 hello"
            assert len(relay.conversations) == 1
        assert [_connections(front, f"idle-{sdk.name}") for sdk, _, _, front, _ in watched] == before


@pytest.mark.parametrize("sdk", [each for each in SDKS if not each.arguments], ids=lambda each: each.name)
def test_upstream_connections_outlive_the_servers_idle_timeout(directory: Path, client: Client, sdk: Sdk) -> None:
    """The back sidecar asks the server every second, whatever the client does; no connection is made anew."""
    server = Server(sdk.module, directory, "short", options=(SHORT[sdk.module],))
    try:
        chain = Chain(sdk.protocol, sdk.service)
        chain.cluster("short", chain.instance("short", server.port, heartbeat_interval="1s"))
        chain.scenario("short", route("short", timeout="0s"))
        with chain.run(directory) as (_, back):
            assert client.call(chain.ports["short"]) == "short hello"
            before = back.stats()["cluster.short.upstream_cx_total"]
            time.sleep(SHORT_IDLE)
            assert client.call(chain.ports["short"]) == "short hello"
            assert back.stats()["cluster.short.upstream_cx_total"] == before
        assert server.running
    finally:
        server.discard()


def test_dubbo_clients_with_short_heartbeats(
    directory: Path, clients: Callable[[Sdk], Client], servers: Callable[[str], dict[str, Server]]
) -> None:
    """It asks each second, and connects anew after three seconds of silence: it does not."""
    sdk = next(each for each in SDKS if each.name == "dubbo")
    chain = Chain(sdk.protocol, sdk.service)
    chain.cluster("v1", chain.instance("v1", servers(sdk.module)["v1"].port))
    chain.scenario("beating", route("v1", timeout="0s"))
    with chain.run(directory) as (front, _):
        client = clients(sdk)
        assert client.call(chain.ports["beating"], heartbeat=1000) == "v1 hello"
        before = _connections(front, "beating")
        time.sleep(SHORT_IDLE)
        assert client.call(chain.ports["beating"], heartbeat=1000) == "v1 hello"
        assert _connections(front, "beating") == before
