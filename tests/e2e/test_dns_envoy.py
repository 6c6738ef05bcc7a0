"""DNS clusters beside a real Envoy's: the same answers have to lead to the same endpoints."""

from __future__ import annotations

import contextlib
import http.client
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.bootstraps import Json, address, bootstrap, cluster
from tests.e2e.ports import LOOPBACK, PATIENCE, free_port, until
from tests.e2e.sidecar import sidecar
from tests.nameserver import Nameserver
from tests.pilot.test_envoy import ENVOY

pytestmark = [
    pytest.mark.processes,
    pytest.mark.skipif(ENVOY is None, reason="no Envoy: set TAGE_ENVOY, or put `envoy` on PATH or into .tools/bin"),
]

NAME = "app.test"
CLUSTERS = [
    (kind, family)
    for kind in ("STRICT_DNS", "LOGICAL_DNS")
    for family in ("AUTO", "V4_ONLY", "V6_ONLY", "V4_PREFERRED", "ALL")
]


def _changes(server: Nameserver) -> Iterator[str]:
    """One thing at a time, named. The addresses of one family failing with ALL are left out: there Tage keeps more."""
    server.addresses[NAME] = ["127.0.0.11", "127.0.0.12"]
    yield "two"
    server.addresses[NAME] = ["127.0.0.12", "127.0.0.11"]
    yield "in another order"
    server.addresses[NAME] = ["127.0.0.13", "::5"]
    yield "of both families"
    server.failure = "SERVFAIL"
    yield "SERVFAIL"
    server.failure = "REFUSED"
    yield "REFUSED"
    server.failure, server.addresses[NAME] = "", ["127.0.0.14"]
    yield "one"
    server.failure, server.failing_types = "SERVFAIL", {"A"}
    yield "SERVFAIL for A alone"
    server.failure, server.failing_types = "", set()
    del server.addresses[NAME]
    yield "NXDOMAIN"
    server.addresses[NAME] = ["::6"]
    yield "the other family"
    server.addresses[NAME] = []
    yield "empty"


def _config(server: Nameserver, admin: int) -> Json:
    cares = "type.googleapis.com/envoy.extensions.network.dns_resolver.cares.v3.CaresDnsResolverConfig"
    resolver = {"@type": cares, "resolvers": [address(LOOPBACK, server.port)]}
    clusters = [
        cluster(
            f"{kind} {family}",
            80,
            host=NAME,
            type=kind,
            dns_lookup_family=family,
            dns_refresh_rate="0.2s",
            typed_dns_resolver_config={"name": "envoy.network.dns_resolver.cares", "typed_config": resolver},
        )
        for kind, family in CLUSTERS
    ]
    return bootstrap(admin, [], clusters)


def _addresses(admin: int) -> dict[str, list[str]]:
    """Sorted, by cluster; empty while nobody answers."""
    connection = http.client.HTTPConnection(LOOPBACK, admin, timeout=PATIENCE)
    try:
        connection.request("GET", "/clusters?format=json")
        found = json.loads(connection.getresponse().read())["cluster_statuses"]
    except OSError:
        return {}
    finally:
        connection.close()
    return {
        each["name"]: sorted(host["address"]["socket_address"]["address"] for host in each.get("host_statuses", []))
        for each in found
    }


@contextlib.contextmanager
def _envoy(directory: Path, config: Json) -> Iterator[None]:
    assert ENVOY is not None
    file = directory / "envoy.json"
    file.write_text(json.dumps(config))
    process = subprocess.Popen([ENVOY, "-c", str(file), "--use-dynamic-base-id", "-l", "error"])
    try:
        yield
    finally:
        process.terminate()
        process.wait(PATIENCE)


def test_the_same_answers_lead_to_the_same_endpoints(tmp_path: Path) -> None:
    ours, theirs = free_port(), free_port()
    seen: dict[str, dict[str, list[str]]] = {}
    with Nameserver() as first, Nameserver() as second:
        changes = [_changes(first), _changes(second)]
        assert next(changes[0]) == next(changes[1])
        with sidecar(tmp_path, _config(first, ours)), _envoy(tmp_path, _config(second, theirs)):
            until(lambda: len(_addresses(theirs)) == len(CLUSTERS), "Envoy is there")
            for what, _ in zip(*changes, strict=True):
                before = [len(server.asked) for server in (first, second)]
                for server, count in zip((first, second), before, strict=True):
                    # Each cluster has asked more than once since.
                    until(lambda s=server, n=count: len(s.asked) >= n + 4 * len(CLUSTERS), "questions")  # type: ignore[misc]
                until(lambda: _addresses(ours) == _addresses(theirs), f"the same endpoints: {what}")
                seen[what] = _addresses(ours)
    assert seen["SERVFAIL"] == seen["REFUSED"] == seen["of both families"]
    assert seen["SERVFAIL for A alone"] == seen["one"]
    for what in ("NXDOMAIN", "empty"):
        assert {name.split()[0] for name, found in seen[what].items() if found} == {"LOGICAL_DNS"}
