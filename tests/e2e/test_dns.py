"""Clusters by name: a DNS server on loopback says where the backends are, fails, and comes back."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.backend import Answer, Backend, Request, mirror
from tests.e2e.bootstraps import Json, address, bootstrap, cluster, listener, route, virtual_host
from tests.e2e.load import Load
from tests.e2e.ports import LOOPBACK, PATIENCE, free_port, until
from tests.e2e.sidecar import AGENT, Sidecar, sidecar
from tests.e2e.wire import Client
from tests.nameserver import Nameserver

pytestmark = pytest.mark.processes

ONE, TWO, THREE = "127.0.0.11", "127.0.0.12", "127.0.0.13"
NAME = "app.test"


@pytest.fixture(scope="module")
def backends() -> Iterator[dict[str, Backend]]:
    """By address; one port."""
    with contextlib.ExitStack() as stack:
        first = stack.enter_context(contextlib.closing(Backend(mirror, ONE, (ONE, 0))))
        made = {ONE: first}
        for each in (TWO, THREE):
            made[each] = stack.enter_context(contextlib.closing(Backend(mirror, each, (each, first.port))))
        yield made


@pytest.fixture
def server(backends: dict[str, Backend]) -> Iterator[Nameserver]:
    for backend in backends.values():
        backend.handler = mirror
    with Nameserver() as made:
        made.addresses[NAME] = [ONE]
        yield made


@pytest.fixture
def port() -> int:
    return free_port()


Start = Callable[..., Any]


@pytest.fixture
def start(tmp_path: Path, backends: dict[str, Backend], server: Nameserver, port: int) -> Start:
    """A sidecar whose cluster `dns` is by name, and `static` is not. `fields` are the former's."""

    def start(*options: str, access_log: Json | None = None, **fields: Any) -> Any:
        where = backends[ONE].port
        usual = {
            "type": "STRICT_DNS",
            "dns_lookup_family": "V4_ONLY",
            "dns_refresh_rate": "0.1s",
            "dns_resolvers": [address(LOOPBACK, server.port)],
        }
        by_name = fields if "cluster_type" in fields else {**usual, **fields}
        hosts = [virtual_host("dns", route("dns")), virtual_host("static", route("static"))]
        manager = {"access_log": [access_log]} if access_log else {}
        content = bootstrap(
            free_port(),
            [listener("l", port, hosts, **manager)],
            [cluster("dns", where, host=NAME, **by_name), cluster("static", where, host=THREE)],
        )
        return sidecar(tmp_path, content, *options)

    return start


def status(running: Sidecar) -> Json:
    def find() -> Json | None:  # a new agent knows of no plan at first
        every = running.json("/clusters?format=json")["cluster_statuses"] if running.is_ready() else []
        return next((each for each in every if each["name"] == "dns"), None)

    return until(find, "the cluster on the admin page")


def addresses(running: Sidecar) -> list[str]:
    """Of the cluster's endpoints in force."""
    found = status(running)
    return [host["address"]["socket_address"]["address"] for host in found["host_statuses"]]


def name(running: Sidecar) -> Json:
    """What is known of it."""
    [entry] = status(running)["dns"]
    return entry


def wait_addresses(running: Sidecar, *expected: str) -> None:
    until(lambda: addresses(running) == list(expected), f"the addresses {expected}")


def asked_more(server: Nameserver, count: int = 3) -> None:
    before = server.count(NAME)
    until(lambda: server.count(NAME) >= before + count, "more questions")


# -- STRICT_DNS --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("workers", ["1", "2"])
def test_addresses_change_under_load(start: Start, server: Nameserver, port: int, workers: str) -> None:
    with start("--workers", workers) as running, Load(port, "dns") as load:
        assert set(load.answers) == {ONE}
        server.addresses[NAME] = [ONE, TWO]
        until(lambda: load.answers[TWO], "answers of the second")
        server.addresses[NAME] = [THREE]
        wait_addresses(running, THREE)
        until(lambda: load.answers[THREE], "answers of the third")
        load.wait_more(200)
        before = load.answers.copy()
        load.wait_more(200)
        assert set((load.answers - before).keys()) == {THREE}
    assert load.failures == []


def test_a_failing_resolver_keeps_the_last_addresses(start: Start, server: Nameserver, port: int) -> None:
    with start() as running, Load(port, "dns") as load:
        for failure in ("SERVFAIL", "REFUSED"):
            server.failure = failure
            asked_more(server)
            until(lambda: name(running)["error"], "the error on the admin page")
            load.wait_more(200)
        assert addresses(running) == [ONE]
        assert name(running)["addresses"] == [ONE]
    assert load.failures == []
    assert set(load.answers) == {ONE}


def test_a_resolver_that_does_not_answer_keeps_the_last_addresses(start: Start, server: Nameserver, port: int) -> None:
    with start() as running, Load(port, "dns") as load:
        server.failure = "silent"
        until(lambda: name(running)["error"], "the error on the admin page")
        load.wait_more(200)
        assert addresses(running) == [ONE]
    assert load.failures == []


@pytest.mark.parametrize("failure", ["SERVFAIL", "silent"])
def test_a_resolver_that_recovers_is_believed_again(start: Start, server: Nameserver, port: int, failure: str) -> None:
    with start() as running, Load(port, "dns") as load:
        server.failure = failure
        until(lambda: name(running)["error"], "the error on the admin page")
        server.addresses[NAME] = [TWO]
        server.failure = ""
        wait_addresses(running, TWO)
        until(lambda: load.answers[TWO], "answers of the second")
        assert name(running)["error"] == ""
    assert load.failures == []


def test_a_name_that_is_gone_takes_its_endpoints(start: Start, server: Nameserver, port: int) -> None:
    with start() as running, Client(port) as client:
        assert client.get("dns").status == 200
        del server.addresses[NAME]
        wait_addresses(running)
        until(lambda: client.get("dns").status == 503, "no host")
        assert client.get("static").status == 200
        server.addresses[NAME] = [TWO]
        until(lambda: client.get("dns").status == 200, "the name is back")


def test_ttl_and_the_first_family(start: Start, server: Nameserver, port: int) -> None:
    """The rate would be an hour, the TTL says a second; IPv6 first, and its absence falls back to IPv4."""
    server.ttl = 1
    with start(respect_dns_ttl=True, dns_refresh_rate="3600s", dns_lookup_family="AUTO") as running:
        assert [kind for asked, kind, _ in server.asked if asked == NAME][:2] == ["AAAA", "A"]
        server.addresses[NAME] = [TWO]
        wait_addresses(running, TWO)
        assert name(running)["ttl"] == 1
        server.addresses[NAME] = [TWO, "::1"]
        wait_addresses(running, "::1")


def test_answers_that_are_truncated(start: Start, server: Nameserver, port: int) -> None:
    server.truncate = True
    server.addresses[NAME] = [ONE, TWO]
    with start() as running, Client(port) as client:
        assert addresses(running) == [ONE, TWO]
        assert client.get("dns").status == 200
        assert "tcp" in {transport for _, _, transport in server.asked}


# -- starting ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("failure", ["SERVFAIL", "silent"])
def test_a_sidecar_starts_while_the_resolver_fails(start: Start, server: Nameserver, port: int, failure: str) -> None:
    server.failure = failure
    with start() as running, Client(port) as client:
        assert client.get("static").status == 200
        assert client.get("dns").status == 503
        assert addresses(running) == []
        server.failure = ""
        until(lambda: client.get("dns").status == 200, "the name is known")


def test_a_sidecar_starts_while_nobody_is_there(start: Start, port: int) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind((LOOPBACK, 0))
        unreachable = probe.getsockname()[1]
    with start(dns_resolvers=[address(LOOPBACK, unreachable)]) as running, Client(port) as client:
        assert client.get("static").status == 200
        assert client.get("dns").status == 503
        assert name(running)["error"]


def test_a_plan_need_not_wait_for_names(start: Start, server: Nameserver, port: int) -> None:
    server.failure = "silent"
    with start(wait_for_warm_on_init=False) as running, Client(port) as client:
        assert client.get("static").status == 200
        assert name(running)["last_tried"] == ""  # ready before the first lookup was over
        server.failure = ""
        until(lambda: client.get("dns").status == 200, "the name is known")


@pytest.mark.parametrize("waits", [True, False])
def test_a_new_agent_that_cannot_resolve_keeps_the_last_addresses(
    start: Start, server: Nameserver, port: int, waits: bool
) -> None:
    with start(wait_for_warm_on_init=waits) as running:
        wait_addresses(running, ONE)
        with Load(port, "dns") as load:
            server.failure = "SERVFAIL"
            asked_more(server)
            running.wait_replaced(AGENT, running.kill(AGENT))
            until(lambda: name(running)["error"], "the new agent has tried")
            asked_more(server)
            load.wait_more(200)
            assert addresses(running) == [ONE]
            server.addresses[NAME] = [TWO]
            server.failure = ""
            wait_addresses(running, TWO)
            until(lambda: load.answers[TWO], "answers of the second")
    assert load.failures == []


# -- LOGICAL_DNS -------------------------------------------------------------------------------------------------------


class Gate:
    """A handler that holds requests for /held until it is opened."""

    def __init__(self) -> None:
        self.held = threading.Event()
        self.opened = threading.Event()

    async def __call__(self, request: Request) -> Answer:
        if request.target == "/held":
            self.held.set()
            assert await asyncio.to_thread(self.opened.wait, PATIENCE)
        return mirror(request)


@pytest.mark.parametrize("form", ["type", "cluster_type"])
def test_logical_dns_moves_new_connections_only(
    start: Start, server: Nameserver, backends: dict[str, Backend], port: int, tmp_path: Path, form: str
) -> None:
    log = tmp_path / "access.log"
    text = {"inline_string": "%REQ(:PATH)% %UPSTREAM_HOST%\n"}
    kind = "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog"
    access_log = {
        "name": "file",
        "typed_config": {"@type": kind, "path": str(log), "log_format": {"text_format_source": text}},
    }
    gate = backends[ONE].handler = Gate()
    fields: Json = {"type": "LOGICAL_DNS"}
    if form == "cluster_type":
        fields = _dns_cluster(server, all_addresses_in_single_endpoint=True)
    server.addresses[NAME] = [ONE, TWO]
    with start(access_log=access_log, **fields) as running, Client(port) as first, Client(port) as second:
        assert first.get("dns", "/1").headers["x-backend"] == ONE
        assert addresses(running) == [ONE]
        server.addresses[NAME] = [TWO, ONE]
        wait_addresses(running, TWO)
        assert first.get("dns", "/2").headers["x-backend"] == ONE  # on the connection that is there
        slow = threading.Thread(target=first.get, args=("dns", "/held"))
        slow.start()
        assert gate.held.wait(PATIENCE)
        assert second.get("dns", "/3").headers["x-backend"] == TWO  # it needs a new one
        gate.opened.set()
        slow.join(PATIENCE)
        del server.addresses[NAME]
        asked_more(server)
        assert addresses(running) == [TWO]
        assert second.get("dns", "/4").status == 200
    where = dict(line.split() for line in log.read_text().splitlines())
    backend = backends[ONE].port
    assert [where[path] for path in ("/1", "/2", "/held", "/3")] == [
        f"{host}:{backend}" for host in (ONE, ONE, ONE, TWO)
    ]


def _dns_cluster(server: Nameserver, **fields: Any) -> Json:
    prefix = "type.googleapis.com/envoy.extensions"
    resolver = {
        "name": "envoy.network.dns_resolver.cares",
        "typed_config": {
            "@type": f"{prefix}.network.dns_resolver.cares.v3.CaresDnsResolverConfig",
            "resolvers": [address(LOOPBACK, server.port)],
        },
    }
    config = {
        "@type": f"{prefix}.clusters.dns.v3.DnsCluster",
        "dns_refresh_rate": "0.1s",
        "dns_lookup_family": "V4_ONLY",
        "typed_dns_resolver_config": resolver,
        **fields,
    }
    return {"cluster_type": {"name": "envoy.clusters.dns", "typed_config": config}}
