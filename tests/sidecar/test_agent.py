"""The agent's process, with this test in the supervisor's place; and, for dynamic configuration, as control plane."""

from __future__ import annotations

import asyncio
import json
import socket
import sys
import urllib.error
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc.aio
import pytest
import yaml
from envoy.config.cluster.v3 import cluster_pb2
from envoy.config.endpoint.v3 import endpoint_pb2
from envoy.service.discovery.v3 import discovery_pb2
from google.protobuf import any_pb2, json_format

from tage.sidecar import plan
from tage.sidecar.ads_state import CLUSTER, ENDPOINTS, LISTENER
from tage.sidecar.agent import UsageError, controlled, parse
from tage.sidecar.channel import AsyncChannel
from tage.sidecar.xds import METHOD

from .test_bootstrap import static
from .translate.build import ADS, address, assignment

WAIT = 20.0
"""Seconds; bounds what takes a fraction of one."""


class Agent:
    """A process, its channel, and the plan that it made."""

    def __init__(self, process: asyncio.subprocess.Process, channel: AsyncChannel) -> None:
        self.process = process
        self.channel = channel
        self.plan: dict[plan.SectionKey, Any] = {}

    async def update(self, error: str = "") -> plan.Update:
        """The next update, answered as a supervisor with one worker would."""
        async with asyncio.timeout(WAIT):
            message, _ = await self.channel.receive()
        assert isinstance(message, plan.Update)
        if not error:
            if message.full:
                self.plan.clear()
            self.plan |= {(kind, name): plan.decode(kind, blob) for kind, name, blob in message.upserts}
            await self.channel.send(plan.WorkerState(1, message.version))
        await self.channel.send(plan.Result(message.version, error))
        return message

    async def ends(self) -> int:
        self.channel.close()
        async with asyncio.timeout(WAIT):
            return await self.process.wait()


@asynccontextmanager
async def agent(*arguments: str, in_force: int = 0, **streams: Any) -> AsyncIterator[Agent]:
    ours, theirs = socket.socketpair()
    with theirs:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tage.sidecar.agent", *arguments),
            env={"TAGE_CHANNEL_FD": str(theirs.fileno()), "PYTHONPATH": ":".join(filter(None, sys.path))},
            pass_fds=[theirs.fileno()],
            **streams,
        )
    channel = AsyncChannel(ours)
    try:
        await channel.send(plan.Hello(in_force, 1))
        await channel.send(plan.WorkerState(1, in_force))
        yield Agent(process, channel)
    finally:
        channel.close()
        if process.returncode is None:
            process.kill()
        await process.wait()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def get(port: int, path: str) -> tuple[int, str]:
    """A page of the admin API."""

    def fetch() -> tuple[int, str]:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=WAIT) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    return await asyncio.to_thread(fetch)


@pytest.mark.processes
def test_static(tmp_path: Path) -> None:
    async def play() -> None:
        port = free_port()
        content = static(admin={"address": address("127.0.0.1", port)}, node={"id": "n"})
        content["static_resources"]["clusters"].append(
            {
                "name": "d",
                "type": "STRICT_DNS",
                "dns_lookup_family": "V4_ONLY",
                "load_assignment": assignment({"endpoint": {"address": address("localhost", 81)}}),
            }
        )
        file = tmp_path / "bootstrap.yaml"
        file.write_text(yaml.safe_dump(content))
        async with agent("--bootstrap", str(file), "--run-dir", str(tmp_path), in_force=4) as running:
            update = await running.update()
            assert update.full
            assert update.version == 5
            assert running.plan["endpoints", "d"].endpoints == [plan.Endpoint("127.0.0.1", 81, hostname="localhost")]
            assert {kind for kind, _ in running.plan} == {"listener", "routes", "cluster", "endpoints"}
            status, body = await get(port, "/ready")
            assert (status, body) == (200, "LIVE\n")
            _, body = await get(port, "/config_dump")
            dump = json.loads(body)
            assert dump["version"] == 5
            assert dump["node"] == {"id": "n"}
            assert dump["sections"]["listener"]["l"]["port"] == 8080
            assert await running.ends() == 0

    asyncio.run(play())


@pytest.mark.processes
def test_wrong_configuration(tmp_path: Path) -> None:
    async def play() -> None:
        file = tmp_path / "bootstrap.json"
        file.write_text(json.dumps(static(tracing={})))
        arguments = ("--bootstrap", str(file), "--run-dir", str(tmp_path))
        async with agent(*arguments, stderr=asyncio.subprocess.PIPE) as running:
            async with asyncio.timeout(WAIT):
                _, error = await running.process.communicate()
            assert running.process.returncode == 2
            assert error.decode() == f"tage sidecar: {file}: tracing: not supported\n"

    asyncio.run(play())


@pytest.mark.processes
def test_a_static_plan_that_is_refused_at_the_start_is_a_wrong_configuration(tmp_path: Path) -> None:
    async def play() -> None:
        file = tmp_path / "bootstrap.json"
        file.write_text(json.dumps(static()))
        arguments = ("--bootstrap", str(file), "--run-dir", str(tmp_path))
        async with agent(*arguments, stderr=asyncio.subprocess.PIPE) as running:
            await running.update("listener 'l': cannot listen on 127.0.0.1:8080: address already in use")
            async with asyncio.timeout(WAIT):
                _, error = await running.process.communicate()
            assert running.process.returncode == 2
            assert "tage sidecar: listener 'l': cannot listen on 127.0.0.1:8080" in error.decode()
        # Later, what is in force stays there.
        async with agent(*arguments, in_force=1) as running:
            await running.update("a worker's reason")
            assert await running.ends() == 0

    asyncio.run(play())


class ControlPlane:
    """Each message is checked by the test, in order."""

    def __init__(self) -> None:
        self.requests: asyncio.Queue[discovery_pb2.DiscoveryRequest] = asyncio.Queue()
        self.responses: asyncio.Queue[discovery_pb2.DiscoveryResponse] = asyncio.Queue()
        self.port = 0
        self._server: Any = None

    async def start(self, port: int = 0) -> None:
        self._server = grpc.aio.server()
        service, _, method = METHOD[1:].partition("/")
        handler = grpc.stream_stream_rpc_method_handler(
            self._stream,
            request_deserializer=discovery_pb2.DiscoveryRequest.FromString,
            response_serializer=discovery_pb2.DiscoveryResponse.SerializeToString,
        )
        self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, {method: handler}),))
        self.port = self._server.add_insecure_port(f"127.0.0.1:{port}")
        await self._server.start()

    async def stop(self) -> None:
        await self._server.stop(None)

    async def _stream(self, requests: Any, context: Any) -> None:
        async def read() -> None:
            async for request in requests:
                self.requests.put_nowait(request)

        reading = asyncio.create_task(read())
        try:
            while True:
                await context.write(await self.responses.get())
        finally:
            reading.cancel()

    async def next(self) -> discovery_pb2.DiscoveryRequest:
        async with asyncio.timeout(WAIT):
            return await self.requests.get()

    def send(self, type_url: str, nonce: str, *resources: Any) -> None:
        packed = []
        for resource in resources:
            packed.append(any_pb2.Any())
            packed[-1].Pack(resource)
        self.responses.put_nowait(
            discovery_pb2.DiscoveryResponse(type_url=type_url, version_info=f"v{nonce}", nonce=nonce, resources=packed)
        )


def cluster(name: str) -> cluster_pb2.Cluster:
    return json_format.ParseDict(
        {"name": name, "type": "EDS", "eds_cluster_config": {"eds_config": ADS}}, cluster_pb2.Cluster()
    )


def endpoints(name: str, port: int) -> endpoint_pb2.ClusterLoadAssignment:
    content = assignment({"endpoint": {"address": address(port=port)}}, name=name)
    return json_format.ParseDict(content, endpoint_pb2.ClusterLoadAssignment())


@pytest.mark.processes
def test_dynamic(tmp_path: Path) -> None:
    async def play() -> None:
        control = ControlPlane()
        await control.start()
        admin = free_port()
        arguments = [
            *("--control", f"127.0.0.1:{control.port}", "--run-dir", str(tmp_path), "--admin-port", str(admin)),
            *("--service", "reviews", "--version", "v1", "--instance", "reviews-v1-0", "--app", "127.0.0.1:8080"),
        ]
        async with agent(*arguments) as running:
            first = await control.next()
            assert first.type_url == CLUSTER
            assert first.node.id == "sidecar~127.0.0.1~reviews-v1-0.default~default.svc.cluster.local"
            assert first.node.metadata["LABELS"]["version"] == "v1"
            assert (await control.next()).type_url == LISTENER
            assert (await get(admin, "/ready"))[0] == 503

            control.send(CLUSTER, "1", cluster("a"))
            request = await control.next()
            assert (request.type_url, list(request.resource_names)) == (ENDPOINTS, ["a"])
            assert not request.HasField("node")
            control.send(ENDPOINTS, "2", endpoints("a", 1))
            await running.update()
            assert {(await control.next()).response_nonce, (await control.next()).response_nonce} == {"1", "2"}
            assert (await get(admin, "/ready"))[0] == 200

            broken = cluster("b")
            broken.lb_policy = cluster_pb2.Cluster.CLUSTER_PROVIDED
            control.send(CLUSTER, "3", broken)
            request = await control.next()
            assert request.version_info == "v1"
            assert request.response_nonce == "3"
            assert request.error_detail.message.startswith("cluster[b].lb_policy: CLUSTER_PROVIDED is not supported")

            control.send(ENDPOINTS, "4", endpoints("a", 2))
            await running.update("a worker's reason")
            assert (await control.next()).error_detail.message == "a worker's reason"

            # The control plane goes and comes back: nothing happens but that it is asked again.
            await control.stop()
            await control.start(control.port)
            request = await control.next()
            assert (request.type_url, request.version_info, request.response_nonce) == (CLUSTER, "v1", "")
            assert request.node.cluster == "reviews.default"
            assert (await get(admin, "/ready"))[0] == 200
            assert await running.ends() == 0
        await control.stop()

    asyncio.run(play())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--control", "nowhere"], "--control nowhere: give HOST:PORT"),
        (["--control", "10.0.0.1:15010"], "use a loopback address"),
        (["--control", "127.0.0.1:1", "--app", "127.0.0.1:1"], "which service"),
        (["--control", "127.0.0.1:1", "--label", "x"], "--label x: give NAME=VALUE"),
        (["--control", "127.0.0.1:1", "--locality", "r/z/s/x"], "--locality r/z/s/x: give REGION"),
        (["--control", "127.0.0.1:1", "--locality", "r//s"], "--locality r//s: give REGION"),
    ],
)
def test_wrong_arguments(arguments: list[str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        controlled(parse([*arguments, "--run-dir", "/r"]))


@pytest.mark.parametrize(
    ("locality", "expected"),
    [("", None), ("r", {"region": "r"}), ("r/z/s", {"region": "r", "zone": "z", "sub_zone": "s"})],
)
def test_where_it_is(locality: str, expected: dict[str, str] | None) -> None:
    node = controlled(parse(["--control", "127.0.0.1:1", "--locality", locality, "--run-dir", "/r"])).node
    assert node.get("locality") == expected
