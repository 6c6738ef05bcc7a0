"""Ring hash and maglev beside a real Envoy's: the same keys have to go to the same endpoints."""

from __future__ import annotations

import contextlib
import http.client
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.backend import Answer, Backend
from tests.e2e.bootstraps import Json, bootstrap, cluster, listener, route, virtual_host
from tests.e2e.ports import LOOPBACK, PATIENCE, free_port, until
from tests.e2e.sidecar import sidecar
from tests.pilot.test_envoy import ENVOY

pytestmark = [
    pytest.mark.processes,
    pytest.mark.skipif(ENVOY is None, reason="no Envoy: set TAGE_ENVOY, or put `envoy` on PATH or into .tools/bin"),
]

KEYS = 200
ENDPOINTS = 7
WEIGHTS = [1, 2, 3, 1, 1, 5, 1]
HASHING = {
    "ring": {"lb_policy": "RING_HASH"},
    "small-ring": {
        "lb_policy": "RING_HASH",
        "ring_hash_lb_config": {"minimum_ring_size": "10", "maximum_ring_size": "60"},
    },
    "maglev": {"lb_policy": "MAGLEV"},
    "small-table": {"lb_policy": "MAGLEV", "maglev_lb_config": {"table_size": "101"}},
}


def _clusters(ports: list[int]) -> list[Json]:
    clusters = []
    for name, fields in HASHING.items():
        for weighted in (False, True):
            made = cluster(f"{name}-{weighted}", *ports, type="STATIC", **fields)
            for at, endpoint in enumerate(made["load_assignment"]["endpoints"][0]["lb_endpoints"]):
                if weighted:
                    endpoint["load_balancing_weight"] = WEIGHTS[at]
            clusters.append(made)
    return clusters


def _config(admin: int, port: int, clusters: list[Json]) -> Json:
    hashes: dict[str, Any] = {"hash_policy": [{"header": {"header_name": "x-key"}}]}
    routes = [route(each["name"], f"/{each['name']}/", **hashes) for each in clusters]
    return bootstrap(admin, [listener("l", port, [virtual_host("*", *routes)])], clusters)


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


def _chosen(port: int, cluster_name: str) -> list[str]:
    """By key."""
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=PATIENCE)
    chosen = []
    with contextlib.closing(connection):
        for key in range(KEYS):
            connection.request("GET", f"/{cluster_name}/", headers={"x-key": f"user-{key}"})
            answer = connection.getresponse()
            assert answer.status == 200
            chosen.append(answer.read().decode())
    return chosen


def _answers(port: int) -> bool:
    with contextlib.suppress(OSError):
        _chosen(port, "maglev-False")
        return True
    return False


def test_the_same_keys_go_to_the_same_endpoints(tmp_path: Path) -> None:
    ours, theirs, admins = free_port(), free_port(), [free_port(), free_port()]
    with contextlib.ExitStack() as stack:
        backends = [
            stack.enter_context(
                contextlib.closing(Backend(lambda _, at=at: Answer(body=str(at).encode())))  # type: ignore[misc]
            )
            for at in range(ENDPOINTS)
        ]
        clusters = _clusters([backend.port for backend in backends])
        stack.enter_context(sidecar(tmp_path, _config(admins[0], ours, clusters)))
        stack.enter_context(_envoy(tmp_path, _config(admins[1], theirs, clusters)))
        until(lambda: _answers(theirs), "Envoy is there")
        for each in clusters:
            mine, expected = _chosen(ours, each["name"]), _chosen(theirs, each["name"])
            assert mine == expected, each["name"]
            assert len(set(mine)) > 2
