"""What the access log says of a TCP proxy's connections, beside a real Envoy."""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.bootstraps import Json, bootstrap, cluster, tcp_listener
from tests.e2e.ports import PATIENCE, free_port, until
from tests.e2e.raw import Origin, connect, ending, ending_of, read, reset
from tests.e2e.sidecar import sidecar
from tests.e2e.test_access_log import digitless, file_log, form
from tests.pilot.test_envoy import ENVOY

pytestmark = pytest.mark.processes

SAME = {
    "protocol": "%PROTOCOL%",
    "method": "%REQ(:METHOD)%",
    "code": "%RESPONSE_CODE%",
    "code_details": "%RESPONSE_CODE_DETAILS%",
    "flags": "%RESPONSE_FLAGS%",
    "long_flags": "%RESPONSE_FLAGS_LONG%",
    "received": "%BYTES_RECEIVED%",
    "sent": "%BYTES_SENT%",
    "upstream": "%UPSTREAM_HOST%",
    "cluster": "%UPSTREAM_CLUSTER%",
    "attempts": "%UPSTREAM_REQUEST_ATTEMPT_COUNT%",
    "route": "%ROUTE_NAME%",
    "server_name": "%REQUESTED_SERVER_NAME%",
    "remote": "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%",
    "local": "%DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT%",
    "termination": "%CONNECTION_TERMINATION_DETAILS%",
    "failure": "%UPSTREAM_TRANSPORT_FAILURE_REASON%",
}
"""What both have to say the same of."""
ALIKE = {
    "start": "%START_TIME%",
    "duration": "%DURATION%",
    "request_duration": "%REQUEST_DURATION%",
    "response_duration": "%RESPONSE_DURATION%",
    "remote_address": "%DOWNSTREAM_REMOTE_ADDRESS%",
    "upstream_local": "%UPSTREAM_LOCAL_ADDRESS%",
    "remote_port": "%DOWNSTREAM_REMOTE_PORT%",
    "upstream_port": "%UPSTREAM_REMOTE_PORT%",
}
"""Of the same type and the same form: digits are not compared."""

Scenario = Callable[[int, Origin], None]


def exchange(client: socket.socket, server: socket.socket) -> None:
    client.sendall(b"hello")
    assert read(server, 5) == b"hello"
    server.sendall(b"good day")
    assert read(client, 8) == b"good day"


def client_first(port: int, origin: Origin) -> None:
    with connect(port) as client, origin.accept() as server:
        exchange(client, server)
        client.shutdown(socket.SHUT_WR)
        assert ending(server) == "end"
        server.close()
        assert ending(client) == "end"


def server_first(port: int, origin: Origin) -> None:
    with connect(port) as client, origin.accept() as server:
        exchange(client, server)
        server.shutdown(socket.SHUT_WR)
        assert ending(client) == "end"


def client_resets(port: int, origin: Origin) -> None:
    with connect(port) as client, origin.accept() as server:
        exchange(client, server)
        reset(client)
        ending(server)


def server_resets(port: int, origin: Origin) -> None:
    with connect(port) as client, origin.accept() as server:
        exchange(client, server)
        reset(server)
        ending(client)


def lasts(port: int, origin: Origin) -> None:
    """Until the proxy ends it."""
    with connect(port) as client, origin.accept() as server:
        exchange(client, server)
        ending(client)


def nobody(port: int, origin: Origin) -> None:
    with contextlib.suppress(ConnectionError), connect(port) as client:  # the reset may be quicker than either
        client.sendall(b"hello")
        ending(client)


def overflow(port: int, origin: Origin) -> None:
    """The first has the cluster's only connection; it ends, and is logged, after the second."""
    with connect(port) as client, origin.accept() as server:
        exchange(client, server)
        ending_of(port)
        time.sleep(0.1)
        client.shutdown(socket.SHUT_WR)
        server.close()
        ending(client)


ENDED_BY_US = {"termination"}
"""Why, Envoy does not say there."""
UNCONNECTED = {"received", "failure", "upstream_port"}
"""Tage has read what came early, has the system's words alone, and names the host's port as it does the host."""

SCENARIOS: dict[str, tuple[str, Scenario, dict[str, Any], set[str]]] = {
    "client_first": ("app", client_first, {}, set()),
    "server_first": ("app", server_first, {}, set()),
    "client_resets": ("app", client_resets, {}, set()),
    "server_resets": ("app", server_resets, {}, set()),
    "idle": ("app", lasts, {"idle_timeout": "0.2s"}, ENDED_BY_US),
    "too_long": ("app", lasts, {"max_downstream_connection_duration": "0.2s"}, ENDED_BY_US),
    "refused": ("dead", nobody, {}, UNCONNECTED),
    "refused_thrice": ("dead", nobody, {"max_connect_attempts": 3}, UNCONNECTED),
    "no_cluster": ("unknown", nobody, {}, set()),
    "no_host": ("empty", nobody, {}, set()),
    "overflow": ("small", overflow, {}, set()),
}
"""Cluster, what happens, the proxy's fields, and in which values Tage differs."""


def configuration(directory: Path, ports: dict[str, int], origin: Origin, dead: int) -> Json:
    directory.mkdir()
    listeners = []
    for name, (leads_to, _, fields, _) in SCENARIOS.items():
        logs = [file_log(directory / name, content={**SAME, **ALIKE}), file_log(directory / f"{name}.text")]
        listeners.append(tcp_listener(name, ports[name], leads_to, access_log=logs, **fields))
    limit = {"thresholds": [{"max_connections": 1}]}
    clusters = [
        cluster("app", origin.port),
        cluster("dead", dead),
        cluster("empty"),
        cluster("small", origin.port, circuit_breakers=limit),
    ]
    return bootstrap(free_port(), listeners, clusters)


def play(ports: dict[str, int], origin: Origin) -> None:
    for name, (_, scenario, _, _) in SCENARIOS.items():
        scenario(ports[name], origin)


def through_tage(directory: Path) -> dict[str, tuple[list[Any], list[str]]]:
    ports = {name: free_port() for name in SCENARIOS}
    with Origin() as origin:
        config = configuration(directory / "tage", ports, origin, free_port())
        with sidecar(directory, config):
            play(ports, origin)
    return lines(directory / "tage")


def through_envoy(directory: Path) -> dict[str, tuple[list[Any], list[str]]]:
    ports = {name: free_port() for name in SCENARIOS}
    with Origin() as origin:
        config = configuration(directory / "envoy", ports, origin, free_port())
        (directory / "envoy.json").write_text(json.dumps(config))
        assert ENVOY is not None
        options = ["--concurrency", "1", "--use-dynamic-base-id", "-l", "error"]
        process = subprocess.Popen([ENVOY, "-c", str(directory / "envoy.json"), *options])
        try:
            until(lambda: all_listen(set(ports.values())), "Envoy listens")
            play(ports, origin)
        finally:
            process.terminate()
            process.wait(PATIENCE)
    return lines(directory / "envoy")


def all_listen(ports: set[int]) -> bool:
    """By the kernel's account: a probe would be logged. The local address's port, in a state of 0A (proc(5))."""
    sockets = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return ports <= {int(words[1].rpartition(":")[2], 16) for words in sockets if words[3] == "0A"}


def lines(directory: Path) -> dict[str, tuple[list[Any], list[str]]]:
    """By scenario: JSON, and the default format."""
    return {
        name: (
            [json.loads(line) for line in (directory / name).read_text().splitlines()],
            (directory / f"{name}.text").read_text().splitlines(),
        )
        for name in SCENARIOS
    }


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Of both proxies."""
    if ENVOY is None:
        pytest.skip("no Envoy: set TAGE_ENVOY, or put `envoy` on PATH or into .tools/bin")
    directory = tmp_path_factory.mktemp("compared")
    return through_tage(directory), through_envoy(directory)


@pytest.mark.parametrize("name", SCENARIOS)
def test_values_are_envoys(logs, name):
    tage, envoy = (found[name][0] for found in logs)
    assert len(tage) == len(envoy) == (2 if name == "overflow" else 1)
    ours = SCENARIOS[name][3]
    for line, expected in zip(tage, envoy, strict=True):
        for key in SAME.keys() - ours:
            assert line[key] == (expected[key] if key != "upstream" else stand_in(expected[key], line[key])), key
        for key in ALIKE.keys() - ours:
            assert form(line[key]) == form(expected[key]), key


def stand_in(expected: Any, found: Any) -> Any:
    """Origins have other ports beside each proxy."""
    return found if form(expected) == form(found) else expected


@pytest.mark.parametrize("name", [name for name, entry in SCENARIOS.items() if "received" not in entry[3]])
def test_the_default_format_is_envoys(logs, name):
    tage, envoy = (found[name][1] for found in logs)
    assert [digitless(line) for line in tage] == [digitless(line) for line in envoy]


def test_why_tage_ended_a_connection(logs):
    tage, _ = logs
    assert tage["idle"][0][0]["termination"] == "idle_timeout"
    assert tage["too_long"][0][0]["termination"] == "max_downstream_connection_duration"
    assert tage["refused"][0][0]["failure"] == "Connection_refused"
