from __future__ import annotations

import asyncio
import json
import signal
import socket
import subprocess
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from tage.config.errors import ConfigError
from tage.pilot.generate import CLUSTER, ENDPOINT
from tage.pilot.server import Options, registry, store
from tage.registry.file import FileRegistry
from tests.pilot.plane import AdsClient
from tests.pilot.process import Process, arguments, process
from tests.pilot.samples import SUBSETS, routing

REGISTRY = """
services:
- name: reviews
  instances:
  - {name: r1, address: 127.1.0.1, port: 15006, app_address: 127.1.0.1, app_port: 8080, labels: {version: v1}}
"""


def call(running: Process, method: str, path: str, body: Any = None) -> Any:
    request = urllib.request.Request(
        f"http://127.0.0.1:{running.http}{path}",
        json.dumps(body).encode() if body is not None else None,
        {"Content-Type": "application/json"},
        method=method,
    )
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=10) as response:
        return json.load(response)


def test_registries():
    assert isinstance(registry("file:/x"), FileRegistry)
    for wrong in ("zookeeper://x", "file:", "x"):
        with pytest.raises(ConfigError, match="file:PATH"):
            registry(wrong)


def test_a_wrong_mesh_file_is_refused(tmp_path: Path):
    mesh = tmp_path / "mesh.yaml"
    mesh.write_text(SUBSETS.replace("host:", "hots:"))
    with pytest.raises(ConfigError, match=r"mesh.yaml:\d+: spec.hots"):
        store(Options(tmp_path / "config", mesh))


@pytest.mark.processes
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_ends_with_0_within_2_seconds_even_with_a_sidecar_connected(tmp_path: Path, number: int):
    async def run(running: Process) -> None:
        async with AdsClient(running.xds) as client:
            await client.send(CLUSTER)
            await client.receive()
            code, seconds = await asyncio.to_thread(running.end, number)
            assert code == 0
            assert seconds < 2

    with process(tmp_path / "config") as running:
        asyncio.run(run(running))


@pytest.mark.processes
def test_sources_are_served_and_what_was_applied_survives_a_restart(tmp_path: Path):
    services, mesh, config = tmp_path / "services.yaml", tmp_path / "mesh.yaml", tmp_path / "new" / "config"
    services.write_text(REGISTRY)
    mesh.write_text(SUBSETS + "---" + routing())
    options = (config, "--mesh", str(mesh), "--registry", f"file:{services}")
    cluster = "outbound|80|v1|reviews.default.svc.cluster.local"

    async def endpoints(running: Process) -> None:
        async with AdsClient(running.xds) as client:
            await client.send(ENDPOINT, cluster)
            response = await client.receive()
            assert b"127.1.0.1" in response.resources[0].value
            await client.ack(response)
            changed = tmp_path / "changed.yaml"
            changed.write_text(REGISTRY.replace("127.1.0.1", "127.1.0.2"))
            changed.rename(services)
            response = await client.receive()
            assert b"127.1.0.2" in response.resources[0].value

    with process(*options) as running:
        asyncio.run(endpoints(running))
        (shown,) = call(running, "GET", "/v1/resources?kind=VirtualService")["items"]
        shown["spec"]["http"][0]["timeout"] = "3s"
        assert call(running, "POST", "/v1/resources", {"items": [shown]})["items"][0]["result"] == "configured"
        call(running, "DELETE", "/v1/resources/DestinationRule/default/reviews")
        assert running.end(signal.SIGKILL)[0] == -signal.SIGKILL
    with process(*options) as running:
        (shown,) = call(running, "GET", "/v1/resources")["items"]
        assert shown["spec"]["http"][0]["timeout"] == "3s"
        assert running.end()[0] == 0


@pytest.mark.processes
def test_exit_codes_and_messages(tmp_path: Path):
    def run(*more: str) -> tuple[int, str]:
        done = subprocess.run(arguments(tmp_path / "config", *more), capture_output=True, timeout=15, check=False)
        return done.returncode, done.stderr.decode()

    with socket.create_server(("127.0.0.1", 0)) as taken:
        number = taken.getsockname()[1]
        code, text = run("--xds-port", "0", "--http-port", str(number))
    assert code == 1
    assert f"127.0.0.1:{number} (HTTP API)" in text
    assert "Traceback" not in text
    for wrong in (("--address", "0.0.0.0"), ("--registry", "nacos://x"), ("--registry", f"file:{tmp_path}/none")):
        code, text = run("--xds-port", "0", "--http-port", "0", *wrong)
        assert (code, "Traceback" in text) == (2, False)
        assert len(text.strip().splitlines()) == 1
    assert run("--xds-port", "x")[0] == 2
