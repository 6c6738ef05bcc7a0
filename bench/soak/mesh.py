"""A mesh under `tage up`, as a user starts it, in a runtime directory of its own.

Its processes are found by that directory's name in their environment, so that none is missed that lost its parent, and
told apart by their command lines.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from bench.processes import BenchError, all_pids
from tage.cli.client import ControlClient
from tage.cli.errors import CommandError
from tage.dataplane.telemetry import reader

NAME = "soak"
MESH_FILE = Path(__file__).with_name("mesh.yaml")
CLIENT = "client"
"""The caller's sidecar: `tage up`'s client entry."""

READY_SECONDS = 90.0
STOP_SECONDS = 60.0
POLL = 0.05

_LOG_LINES = 40
_CONTROL_MODULE = "tage.pilot.server"
_AGENT_MODULE = "tage.sidecar.agent"


@dataclass(frozen=True)
class Found:
    """A process of the mesh."""

    pid: int
    argv: tuple[str, ...]


class SoakMesh:
    """A context manager: ready when entered, stopped and gone when left; `stop` says how that went."""

    def __init__(self, directory: Path, mesh_file: Path = MESH_FILE) -> None:
        self._runtime = directory / "runtime"
        self._runtime.mkdir(mode=0o700)
        self._log = directory / "tage-up.log"
        self._mesh_file = mesh_file
        self._process: subprocess.Popen[bytes] | None = None
        self.control = ""
        self.client = ("", 0)

    def __enter__(self) -> SoakMesh:
        env = {name: value for name, value in os.environ.items() if name.lower() not in ("http_proxy", "tage_control")}
        env["XDG_RUNTIME_DIR"] = str(self._runtime)
        argv = [sys.executable, "-c", "from tage.cli import main; main()", "up", "--no-table", str(self._mesh_file)]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, env=env, start_new_session=True
            )
        try:
            self._wait_ready(self._process)
        except BaseException:
            self._kill_all()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._kill_all()

    def _wait_ready(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + READY_SECONDS
        while f"{NAME} is ready" not in self.log():
            if process.poll() is not None:
                raise BenchError(f"`tage up` ended with status {process.returncode}:\n{self.log_tail()}")
            if time.monotonic() > deadline:
                raise BenchError(f"the mesh was not ready within {READY_SECONDS:g} s:\n{self.log_tail()}")
            time.sleep(POLL)
        registered = json.loads((self._runtime / "tage" / f"{NAME}.json").read_bytes())
        self.control = registered["control"]
        host, _, port = registered["client"].rpartition(":")
        self.client = (host, int(port))

    # -- what it says --------------------------------------------------------------------------------------------------

    def log(self) -> str:
        """What `tage up` and its children have printed."""
        return self._log.read_text(errors="replace") if self._log.exists() else ""

    def log_tail(self) -> str:
        return "\n".join(self.log().splitlines()[-_LOG_LINES:])

    def first_traceback(self) -> str:
        """Of a child that met an error which it does not handle; empty if there was none."""
        lines = self.log().splitlines()
        first = next((number for number, line in enumerate(lines) if "Traceback (most recent call" in line), None)
        return "" if first is None else "\n".join(lines[max(0, first - 2) : first + _LOG_LINES])

    def out_of_sync(self) -> str:
        """Which sidecars do not have what the control plane last sent, in words; empty when all have."""
        try:
            sidecars = ControlClient(self.control, timeout=2.0).sidecars()
        except CommandError as error:
            return str(error)
        behind = [
            f"{sidecar['id']}: {name} {state['nacked'] or 'not acknowledged'}"
            for sidecar in sidecars
            for name, state in sidecar["types"].items()
            if not state["synced"]
        ]
        missing = self.sidecar_count() - len(sidecars)
        if missing > 0:
            behind.append(f"{missing} not connected")
        return "; ".join(behind)

    def sidecar_count(self) -> int:
        return sum(1 for _ in self._run_dir().glob("*/stats-0.bin"))

    def counted(self, name: str) -> int:
        """A counter of clusters, summed over all clusters of all sidecars."""
        snapshot = reader.read(self._run_dir().glob("*/stats-*.bin"))
        return sum(value for (scope, _, what), value in snapshot.counters.items() if (scope, what) == ("cluster", name))

    def _run_dir(self) -> Path:
        return self._runtime / "tage" / f"{NAME}.run"

    # -- its processes -------------------------------------------------------------------------------------------------

    def control_pid(self) -> int:
        """0 while there is none."""
        return self._pid_of(lambda argv: _CONTROL_MODULE in argv)

    def agent_pid(self, instance: str) -> int:
        """Of this instance's sidecar; 0 while there is none."""
        # The supervisor's command line holds the agent's behind its own; only the agent's begins with it.
        return self._pid_of(lambda argv: argv[1:3] == ("-m", _AGENT_MODULE) and _option(argv, "--instance") == instance)

    def worker_pids(self) -> set[int]:
        return {found.pid for found in self.processes() if found.argv[1:3] == ("-m", "tage.sidecar.worker")}

    def processes(self) -> list[Found]:
        """All processes that run with this runtime directory, `tage up` included."""
        marker = f"XDG_RUNTIME_DIR={self._runtime}".encode()
        found = []
        for pid in all_pids():
            try:
                if marker in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"):
                    argv = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
                    found.append(Found(pid, tuple(argv[:-1])))
            except OSError:
                continue  # it has ended, or is not ours
        return found

    def _pid_of(self, wanted: Callable[[tuple[str, ...]], bool]) -> int:
        return next((found.pid for found in self.processes() if wanted(found.argv)), 0)

    # -- the end -------------------------------------------------------------------------------------------------------

    def stop(self) -> list[str]:
        """Ends it as Ctrl-C does. What was not as it should be, in words: its exit, what it left behind."""
        process = self._process
        assert process is not None
        process.send_signal(signal.SIGINT)
        try:
            status = process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            return [f"`tage up` still ran {STOP_SECONDS:g} s after Ctrl-C"]
        wrong = [] if status == 0 else [f"`tage up` ended with status {status}"]
        wrong += [f"left running: {' '.join(found.argv)}" for found in self.processes()]
        wrong += [f"left behind: {path}" for path in self._runtime.rglob("*") if path.is_file()]
        return wrong

    def _kill_all(self) -> None:
        """Whatever still runs, each by its pid; `tage up` first, which would start others again."""
        assert self._process is not None
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        for found in self.processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(found.pid, signal.SIGKILL)


def _option(argv: tuple[str, ...], name: str) -> str:
    return argv[argv.index(name) + 1] if name in argv[:-1] else ""


def wait_until(condition: Callable[[], bool], seconds: float) -> float | None:
    """Seconds until `condition()` held; None if it did not within `seconds`."""
    began = time.monotonic()
    while not condition():
        if time.monotonic() - began > seconds:
            return None
        time.sleep(POLL)
    return time.monotonic() - began
