"""Access logs of running sidecars: rotated under load, on disks and pipes that take nothing, beside a real Envoy's."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.backend import Answer, Backend, DeadPort, Request, mirror
from tests.e2e.bootstraps import bootstrap, cluster, listener, route, virtual_host
from tests.e2e.load import Load
from tests.e2e.ports import LOOPBACK, PATIENCE, free_port, until
from tests.e2e.sidecar import Sidecar, sidecar
from tests.e2e.wire import Client, head
from tests.pilot.test_envoy import ENVOY

pytestmark = pytest.mark.processes

TYPE = "type.googleapis.com/envoy.extensions.access_loggers"


def file_log(path: Path, text: str = "", content: dict[str, Any] | None = None) -> dict[str, Any]:
    form = {"json_format": content} if content is not None else {"text_format_source": {"inline_string": text}}
    logger = {"@type": f"{TYPE}.file.v3.FileAccessLog", "path": str(path)}
    return {"name": "file", "typed_config": {**logger, "log_format": form} if text or content else logger}


@pytest.fixture
def backend() -> Iterator[Backend]:
    running = Backend(mirror, "b")
    yield running
    running.close()


def logging(port: int, admin: int, backend: Backend, *logs: dict[str, Any]) -> dict[str, Any]:
    hosts = [virtual_host("*", route("b"))]
    return bootstrap(admin, [listener("l", port, hosts, access_log=list(logs))], [cluster("b", backend.port)])


def test_rotation_under_load_loses_no_line(tmp_path, backend):
    port = free_port()
    path = tmp_path / "access.log"
    config = logging(port, free_port(), backend, file_log(path, "%RESPONSE_CODE% %REQ(:PATH)%\n"))
    with sidecar(tmp_path, config, "--workers", "2") as running:
        with Load(port, "b") as load:
            for i in range(5):
                path.rename(tmp_path / f"rotated.{i}")
                running.send(signal.SIGUSR1)
                until(path.exists, "a new log")
                load.wait_more(200)
        assert load.failures == []
        assert running.stop() == 0
    files = [path, *tmp_path.glob("rotated.*")]
    assert len(files) == 6
    lines = [line for file in files for line in file.read_text().splitlines(keepends=True)]
    assert len(lines) == load.total
    assert all(re.fullmatch(r"200 /[^ ]*\n", line) for line in lines)


def test_a_worker_in_its_first_moments_survives_the_signal(tmp_path, backend):
    port = free_port()
    config = logging(port, free_port(), backend, file_log(tmp_path / "log", "a\n"))
    with sidecar(tmp_path, config) as running:
        former = running.kill("tage.sidecar.worker")
        while (worker := running.worker) in (0, former):
            running.send(signal.SIGUSR1)
        for _ in range(20):
            running.send(signal.SIGUSR1)
        until(lambda: answers(port), "an answer of the new worker")
        assert running.worker == worker


def answers(port: int) -> bool:
    try:
        with Client(port) as client:
            return client.get("b").status == 200
    except OSError:
        return False


def test_disks_and_pipes_that_take_nothing_stop_nobody(tmp_path, backend):
    port = free_port()
    os.mkfifo(tmp_path / "pipe")
    long = "x" * 16_384 + "\n"
    logs = [file_log(Path("/dev/full"), "a\n"), file_log(tmp_path / "pipe", long), file_log(tmp_path / "log", "a\n")]
    with sidecar(tmp_path, logging(port, free_port(), backend, *logs)) as running:
        with Load(port, "b") as load:
            until(lambda: running.stats().get("server.access_log_dropped"), "lines are dropped")
            until(lambda: running.stats().get("server.access_log_write_failed"), "writing fails")
            load.wait_more(100)
        assert load.failures == []
        assert running.log.count("access log /dev/full: No space left on device") == 1
        assert running.stop() == 0
    assert (tmp_path / "log").read_text() == "a\n" * load.total


def test_standard_output(tmp_path, backend):
    port = free_port()
    logger = {"name": "stdout", "typed_config": {"@type": f"{TYPE}.stream.v3.StdoutAccessLog"}}
    with sidecar(tmp_path, logging(port, free_port(), backend, logger)) as running:
        with Client(port) as client:
            assert client.get("b", "/seen").status == 200
        until(lambda: '"GET /seen HTTP/1.1" 200 - ' in running.log, "the line on standard output")


def test_a_log_that_cannot_be_opened_is_an_error_of_the_configuration(tmp_path, backend):
    file = tmp_path / "bootstrap.json"
    admin = free_port()
    file.write_text(json.dumps(logging(free_port(), admin, backend, file_log(tmp_path / "none" / "log"))))
    running = Sidecar(tmp_path, "--bootstrap", str(file), admin=(LOOPBACK, admin))
    try:
        assert running.wait() == 2
        assert "none/log' cannot be opened: No such file or directory" in running.log
    finally:
        running.discard()


# -- beside a real Envoy -----------------------------------------------------------------------------------------------

SAME = {
    "method": "%REQ(:METHOD)%",
    "path": "%REQ(:PATH)%",
    "original_path": "%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%",
    "authority": "%REQ(:AUTHORITY)%",
    "agent": "%REQ(USER-AGENT):4%",
    "protocol": "%PROTOCOL%",
    "code": "%RESPONSE_CODE%",
    "details": "%RESPONSE_CODE_DETAILS%",
    "flags": "%RESPONSE_FLAGS%",
    "long_flags": "%RESPONSE_FLAGS_LONG%",
    "received": "%BYTES_RECEIVED%",
    "sent": "%BYTES_SENT%",
    "backend": "%RESP(X-BACKEND)%",
    "upstream": "%UPSTREAM_HOST%",
    "cluster": "%UPSTREAM_CLUSTER%",
    "raw_cluster": "%UPSTREAM_CLUSTER_RAW%",
    "attempts": "%UPSTREAM_REQUEST_ATTEMPT_COUNT%",
    "route": "%ROUTE_NAME%",
    "virtual_cluster": "%VIRTUAL_CLUSTER_NAME%",
    "remote": "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%",
    "local": "%DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT%",
    "server_name": "%REQUESTED_SERVER_NAME%",
    "hostname": "%HOSTNAME%",
    "termination": "%CONNECTION_TERMINATION_DETAILS%",
    "list": ["%RESPONSE_CODE%", "<%REQ(NO)%> 100%%", 7, True, None, {"z": "%BYTES_SENT%", "a": "%REQ(NO)%"}],
}
"""What both have to say the same of, but for `ALIKE`."""
ALIKE = {
    "start": "%START_TIME%",
    "seconds": "%START_TIME(%s.%3f)%",
    "duration": "%DURATION%",
    "request": "%REQUEST_DURATION%",
    "response": "%RESPONSE_DURATION%",
    "sending": "%RESPONSE_TX_DURATION%",
    "service": "%RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)%",
    "remote_port": "%DOWNSTREAM_REMOTE_PORT%",
    "remote_address": "%DOWNSTREAM_REMOTE_ADDRESS%",
    "upstream_local": "%UPSTREAM_LOCAL_ADDRESS%",
    "id": "%REQ(X-REQUEST-ID)%",
}
"""Of the same type and the same form: digits are not compared."""

CHUNKED = b"5\r\nhello\r\n0\r\n\r\n"
POST = b"POST /form HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nhello"
REQUESTS: list[tuple[str, bytes, set[str]]] = [
    ("whole", head("GET", "/a?b=c", "a", user_agent="curl/8"), set()),
    ("no user agent", head("GET", "/", "a"), set()),
    ("body", POST, set()),
    ("chunked body", head("POST", "/form", "a", transfer_encoding="chunked") + CHUNKED, set()),
    ("chunked answer", head("GET", "/pieces", "a"), set()),
    ("HEAD", head("HEAD", "/", "a"), set()),
    ("another status", head("GET", "/missing", "a"), set()),
    ("rewritten", head("GET", "/old/x?y", "a"), set()),
    ("named route", head("GET", "/named", "a"), set()),
    # What is not forwarded gets no request id.
    ("direct", head("GET", "/direct", "a"), {"id"}),
    # The words of our own answers are ours, and so is how long they are.
    ("no route", head("GET", "/", "unknown"), {"sent", "list", "id"}),
    ("timeout", head("GET", "/slow", "a"), {"sent", "list"}),
    # Envoy adds how its connection failed; to find no host counts as an attempt there.
    ("refused", head("GET", "/dead", "a"), {"sent", "list", "details"}),
    ("no host", head("GET", "/empty", "a"), {"sent", "list", "attempts"}),
    ("malformed", b"NONSENSE\r\n\r\n", {"sent", "list", "details"}),
]


def handler(request: Request) -> Any:
    async def slow() -> Answer:
        await asyncio.sleep(1)
        return Answer()

    async def pieces() -> Any:
        for piece in (b"a", b"bc"):
            yield piece

    if request.target == "/slow":
        return slow()
    if request.target == "/pieces":
        return Answer(body=pieces())
    return Answer(404 if request.target == "/missing" else 200, b"body")


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, list[list[str]]]]:
    """By proxy, the lines of the default format, and of JSON."""
    if ENVOY is None:
        pytest.skip("no Envoy: set TAGE_ENVOY, or put `envoy` on PATH or into .tools/bin")
    directory = tmp_path_factory.mktemp("compared")
    backend, dead = Backend(handler, "b"), DeadPort()
    try:
        yield {
            "tage": _through_tage(directory, backend, dead.port),
            "envoy": _through_envoy(directory, backend, dead.port),
        }
    finally:
        backend.close()
        dead.close()


def _through_tage(directory: Path, backend: Backend, dead: int) -> list[list[str]]:
    port = free_port()
    with sidecar(directory, _compared(directory / "tage", port, free_port(), backend, dead)):
        _ask(port)
    return _read(directory / "tage")


def _through_envoy(directory: Path, backend: Backend, dead: int) -> list[list[str]]:
    port = free_port()
    config = directory / "envoy.json"
    config.write_text(json.dumps(_compared(directory / "envoy", port, free_port(), backend, dead)))
    assert ENVOY is not None
    argv = [ENVOY, "-c", str(config), "--concurrency", "1", "--use-dynamic-base-id", "-l", "error"]
    process = subprocess.Popen(argv)
    try:
        until(lambda: connects(port), "Envoy listens")
        _ask(port)
    finally:
        process.terminate()
        process.wait(PATIENCE)
    return _read(directory / "envoy")


def connects(port: int) -> bool:
    try:
        Client(port).close()
    except OSError:
        return False
    return True


def _compared(directory: Path, port: int, admin: int, backend: Backend, dead: int) -> dict[str, Any]:
    directory.mkdir()
    direct = {"match": {"prefix": "/direct"}, "direct_response": {"status": 418, "body": {"inline_string": "tea"}}}
    host = virtual_host(
        "a",
        direct,
        route("dead", "/dead"),
        route("empty", "/empty"),
        route("b", "/slow", timeout="0.1s"),
        route("b", "/old/", prefix_rewrite="/new/"),
        {**route("b", "/named"), "name": "the-route"},
        route("b"),
    )
    logs = [file_log(directory / "text"), file_log(directory / "json", content={**SAME, **ALIKE})]
    clusters = [cluster("b", backend.port), cluster("dead", dead), cluster("empty")]
    return bootstrap(admin, [listener("l", port, [host], access_log=logs)], clusters)


def _ask(port: int) -> None:
    """Each on a connection of its own: what Envoy logs of one may else come after the next."""
    for _, request, _ in REQUESTS:
        with Client(port) as client:
            client.send(request)
            if request.startswith(b"NONSENSE"):
                while client.socket.recv(1000):
                    pass
            else:
                client.response(request.split()[0].decode())


def _read(directory: Path) -> list[list[str]]:
    return [(directory / name).read_text().splitlines() for name in ("text", "json")]


@pytest.mark.parametrize("index", range(len(REQUESTS)), ids=[name for name, _, _ in REQUESTS])
def test_values_are_envoys(logs, index):
    _, _, ours = REQUESTS[index]
    tage, envoy = (json.loads(logs[proxy][1][index]) for proxy in ("tage", "envoy"))
    for key in SAME.keys() - ours:
        assert tage[key] == envoy[key], key
    for key in ALIKE.keys() - ours:
        assert form(tage[key]) == form(envoy[key]), key


def form(value: Any) -> Any:
    return digitless(value) if isinstance(value, str) else type(value)


def digitless(text: str) -> str:
    return re.sub(r"\d+", "0", re.sub(r"[0-9a-f]{8}-[-0-9a-f]{27}", "UUID", text))


def test_json_has_its_keys_in_the_same_order(logs):
    for tage, envoy in zip(logs["tage"][1], logs["envoy"][1], strict=True):
        assert list(json.loads(tage)) == list(json.loads(envoy))


def test_the_default_format_is_envoys(logs):
    for (name, _, ours), tage, envoy in zip(REQUESTS, logs["tage"][0], logs["envoy"][0], strict=True):
        if not ours:
            # The host's own address stands for a client on it in Envoy's x-forwarded-for.
            tage, envoy = (re.sub(r'(?<=[0-9-] )"[0-9.]+"', '"CLIENT"', line) for line in (tage, envoy))
            assert digitless(tage) == digitless(envoy), name
