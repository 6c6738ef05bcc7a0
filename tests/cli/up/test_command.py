"""`tage up` as a process of its own, with programs that stand in for control plane and sidecar: its signals, and that
it leaves nothing behind."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.cli.up.fakes import FakePrograms

pytestmark = pytest.mark.processes

LIMIT = 20.0

DRIVER = """
import sys
from pathlib import Path
import tage.cli.up
from tests.cli.up.fakes import FakePrograms
tage.cli.up.TagePrograms = lambda: FakePrograms(Path(sys.argv[1]))
from tage.cli import main
main(["up", *sys.argv[2:]])
"""


class Up:
    def __init__(self, tmp_path: Path, *options: str) -> None:
        log = tmp_path / "log"
        self.mesh_file = tmp_path / "mesh.yaml"
        self.mesh_file.write_text(
            "apiVersion: tage.dev/v1alpha1\nkind: Mesh\nmetadata: {name: test-command}\nspec:\n  services:\n"
            f"  - {{name: web, instances: [{{replicas: 2, command: '{FakePrograms(log).application('web')}'}}]}}\n"
        )
        self.output = tmp_path / "output"
        with self.output.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-c", DRIVER, str(log), str(self.mesh_file), *options],
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=Path(__file__).parents[3],
            )

    def text(self) -> str:
        return self.output.read_text()

    def ready(self) -> None:
        until(lambda: "test-command is ready" in self.text() or self.process.poll() is not None)
        assert "test-command is ready: 1 service, 2 instances" in self.text()

    def children(self) -> list[int]:
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if int((entry / "stat").read_text().rpartition(")")[2].split()[1]) == self.process.pid:
                    found.append(int(entry.name))
        return found


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + LIMIT
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.fixture
def up(tmp_path: Path) -> Iterator[Up]:
    run = Up(tmp_path)
    yield run
    run.process.kill()
    run.process.wait(LIMIT)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_stops_it_and_nothing_stays(up: Up, number: signal.Signals, runtime_directory: Path) -> None:
    up.ready()
    children = up.children()
    assert len(children) == 6  # control plane, client entry, two applications, two sidecars
    up.process.send_signal(number)
    assert up.process.wait(LIMIT) == 0
    assert not any(map(alive, children))
    assert not runtime_directory.exists()


def test_sigkill_leaves_no_process_and_the_next_run_clears_up(up: Up, tmp_path: Path, runtime_directory: Path) -> None:
    up.ready()
    children = up.children()
    up.process.kill()
    up.process.wait(LIMIT)
    until(lambda: not any(map(alive, children)))
    assert (runtime_directory / "test-command.json").exists()
    again = Up(tmp_path)
    try:
        again.ready()
        again.process.terminate()
        assert again.process.wait(LIMIT) == 0
    finally:
        again.process.kill()
        again.process.wait(LIMIT)
    assert not runtime_directory.exists()


def test_a_second_one_of_the_same_mesh_is_refused(up: Up) -> None:
    up.ready()
    result = subprocess.run(
        [sys.executable, "-c", "from tage.cli import main; main()", "up", str(up.mesh_file)],
        capture_output=True,
        text=True,
        timeout=LIMIT,
        cwd=Path(__file__).parents[3],
    )
    assert result.returncode == 1
    assert re.fullmatch(
        rf"tage: mesh test-command already runs here \(pid {up.process.pid}\); stop it first\n", result.stderr
    )
    assert up.process.poll() is None


def test_quiet_leaves_out_what_children_print(tmp_path: Path) -> None:
    run = Up(tmp_path, "--quiet", "--no-table")
    try:
        run.ready()
        assert "listens" not in run.text()
        os.kill(run.process.pid, signal.SIGINT)
        assert run.process.wait(LIMIT) == 0
    finally:
        run.process.kill()
        run.process.wait(LIMIT)
