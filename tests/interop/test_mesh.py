"""A mesh by `tage up`: its instances are servers on a JVM, its rules Istio's, its callers clients of the frameworks."""

from __future__ import annotations

import json
import shlex
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.e2e.ports import until
from tests.e2e.processes import TAGE, Process
from tests.interop import java
from tests.interop.java import Client
from tests.interop.sdk import SDKS, Sdk

pytestmark = [pytest.mark.interop, pytest.mark.processes]

START = 180.0
"""Seconds: four JVMs and five sidecars at once."""
CALLS = 400
MESH = """
apiVersion: tage.dev/v1alpha1
kind: Mesh
metadata: {name: interop}
spec:
  services:
  - name: echo-sofarpc
    protocol: bolt
    interfaces: ["%(sofarpc)s"]
    instances:
    - {version: v1, command: "sh serve sofarpc v1"}
    - {version: v2, command: "sh serve sofarpc v2"}
  - name: echo-dubbo
    protocol: dubbo
    interfaces: ["%(dubbo)s"]
    instances:
    - {version: v1, command: "sh serve dubbo v1"}
    - {version: v2, command: "sh serve dubbo v2"}
"""
RULES = """
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: %(host)s}
spec:
  host: %(host)s
  subsets:
  - {name: v1, labels: {version: v1}}
  - {name: v2, labels: {version: v2}}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: %(host)s}
spec:
  hosts: [%(host)s]
  http:
  - match: [{uri: {exact: "/%(service)s/slow"}}]
    route: [{destination: {host: %(host)s, subset: v2}}]
  - route:
    - {destination: {host: %(host)s, subset: v1}, weight: 75}
    - {destination: {host: %(host)s, subset: v2}, weight: 25}
"""


def _script(directory: Path) -> str:
    """What runs a server at $HOST:$PORT, by a name, for Dubbo would bind every address instead of one of 127.x."""
    lines = ['echo "$HOST callee" >hosts-$HOST', "case $1 in"]
    for module in java.MODULES:
        words = shlex.join(java.command(module, "Server", directory, "-Djdk.net.hosts.file=hosts-HOST"))
        lines.append(f"{module}) exec {words.replace('hosts-HOST', 'hosts-$HOST')} callee $PORT $2;;")
    return "\n".join([*lines, "esac", ""])


@pytest.fixture(scope="module")
def addresses(directory: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Where callers go to, by protocol: HOST:PORT of their sidecar."""
    home = tmp_path_factory.mktemp("mesh")
    services = {sdk.module: sdk.service for sdk in SDKS}
    rules = "".join(RULES % {"host": f"echo-{module}", "service": service} for module, service in services.items())
    (home / "mesh.yaml").write_text(MESH % services + rules)
    (home / "serve").write_text(_script(home))
    mesh = Process(home, *TAGE, "up", "mesh.yaml", name="mesh")
    try:
        until(lambda: "interop is ready" in mesh.log or not mesh.running, "the mesh is ready", START)
        assert mesh.running, mesh.log
        yield json.loads((home / "tage" / "interop.json").read_text())["clients"]
        mesh.send(signal.SIGINT)
        assert mesh.wait(START) == 0, mesh.log
    finally:
        mesh.discard()


def test_a_mesh_of_java_servers(
    addresses: dict[str, str], directory: Path, clients: Callable[[Sdk], Client], sdk: Sdk
) -> None:
    address, _, port = addresses[sdk.protocol].partition(":")
    client, host = clients(sdk), java.named(directory, address, "caller-sidecar")
    assert client.call(int(port), "slow", host=host, milliseconds=1) == "v2 1"
    assert client.call(int(port), "bytes", host=host, size=1 << 20) == {"length": 1 << 20, "same": True}
    result = client.load(int(port), host=host, calls=CALLS, threads=8)
    assert result["failures"] == {}
    assert CALLS * 0.12 < result["values"]["v2 hello"] < CALLS * 0.38
    assert result["values"]["v1 hello"] + result["values"]["v2 hello"] == CALLS
