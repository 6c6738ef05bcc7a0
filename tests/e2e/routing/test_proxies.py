"""The cases through a sidecar, and through an Envoy that has the same bootstrap: the same comes of them."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.e2e.bootstraps import Json, bootstrap
from tests.e2e.ports import LOOPBACK, PATIENCE, free_port, until
from tests.e2e.processes import Process
from tests.e2e.routing.asking import Asking
from tests.e2e.routing.case import Case, File, load
from tests.e2e.routing.rules import book
from tests.e2e.routing.services import Backends
from tests.e2e.sidecar import sidecar
from tests.pilot.test_envoy import ENVOY

pytestmark = pytest.mark.processes

CASES = [(file, case) for file in load() for case in file.cases]
IDS = [case.id for _, case in CASES]


@pytest.fixture(scope="module")
def backends() -> Iterator[Backends]:
    running = Backends()
    yield running
    running.close()


def _bootstrap(ports: dict[str, int], *, refused: bool) -> Json:
    """`refused`: with the cases too that Tage does not carry out, if there are rules for them at all."""
    rules = book().rules
    chosen = {file: [case for case in file.cases if refused or not rules[case.id].refused] for file in book().files}
    listeners = [book().listener(file, ports[file.name], cases) for file, cases in chosen.items() if cases]
    clusters = book().of_cases([case for cases in chosen.values() for case in cases])
    return bootstrap(free_port(), listeners, clusters)


@pytest.fixture(scope="module")
def tage(backends: Backends, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asking]:
    ports = {file.name: free_port() for file in book().files}
    with sidecar(tmp_path_factory.mktemp("tage"), _bootstrap(ports, refused=False)) as running:
        asking = Asking("tage", ports, backends)
        yield asking
        asking.close()
        assert "Traceback" not in running.log


@pytest.fixture(scope="module")
def envoy(backends: Backends, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asking]:
    if ENVOY is None:
        pytest.skip("no Envoy: set TAGE_ENVOY, or put `envoy` on PATH or into .tools/bin")
    ports = {file.name: free_port() for file in book().files}
    with ExitStack() as stack:
        stack.enter_context(_envoy(tmp_path_factory.mktemp("envoy"), _bootstrap(ports, refused=True)))
        asking = Asking("envoy", ports, backends)
        stack.callback(asking.close)
        yield asking


@contextmanager
def _envoy(directory: Path, content: Json) -> Iterator[None]:
    assert ENVOY is not None
    file = directory / "envoy.json"
    file.write_text(json.dumps(content))
    argv = (ENVOY, "-c", str(file), "--use-dynamic-base-id", "--concurrency", "1", "-l", "error")
    running = Process(directory, *argv, name="envoy")
    admin = content["admin"]["address"]["socket_address"]["port_value"]
    try:
        until(lambda: _is_live(admin) or not running.running, "Envoy is ready")
        assert running.running, f"Envoy refused the bootstrap: {running.log}"
        yield
        assert running.stop() == 0, running.log
    finally:
        running.discard()


def _is_live(admin: int) -> bool:
    connection = http.client.HTTPConnection(LOOPBACK, admin, timeout=PATIENCE)
    try:
        connection.request("GET", "/ready")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


@pytest.mark.parametrize(("file", "case"), CASES, ids=IDS)
def test_tage(tage: Asking, file: File, case: Case) -> None:
    if case.pending:
        pytest.skip(f"pending: {case.pending}")
    assert not book().rules[case.id].refused
    wrong = tage.case(file.name, case)
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(("file", "case"), CASES, ids=IDS)
def test_envoy(envoy: Asking, file: File, case: Case) -> None:
    if not book().rules[case.id].virtual_hosts:
        pytest.skip(f"pending: {case.pending}")
    wrong = envoy.case(file.name, case)
    assert not wrong, "\n".join(wrong)
