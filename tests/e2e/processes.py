"""The processes under test: how they are started, found, measured and ended.

Every one has a variable in its environment that its children inherit, so that what belongs to a test is found even
where its parent is gone. What a `Process` has started is looked for at its end: nothing may be left.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

from tests.e2e.ports import PATIENCE, until

MARK = "TAGE_E2E"
TAGE = (sys.executable, "-c", "from tage.cli import main; main()")
ROOT = Path(__file__).parents[2]


class Process:
    """`directory` is the test's own: working directory, XDG_RUNTIME_DIR, and where `log` is."""

    def __init__(self, directory: Path, *argv: str, name: str = "process", env: dict[str, str] | None = None) -> None:
        directory.chmod(0o700)
        self._mark = f"{directory}/{name}"
        self._log = directory / f"{name}.log"
        ours = {MARK: self._mark, "XDG_RUNTIME_DIR": str(directory)}
        inherited = {key: value for key, value in os.environ.items() if not key.lower().endswith("_proxy")}
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=directory,
                env={**inherited, "PYTHONPATH": str(ROOT), **(env or {}), **ours},
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def log(self) -> str:
        return self._log.read_text()

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    def family(self) -> dict[int, list[str]]:
        """Command lines by process id: this process and what it has started."""
        found = {}
        mark = f"\0{MARK}={self._mark}\0".encode()
        for entry in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if mark in b"\0" + (entry / "environ").read_bytes() and not _is_zombie(entry):
                    found[int(entry.name)] = (entry / "cmdline").read_bytes().decode().split("\0")
        return found

    def child(self, module: str) -> int:
        """The process id of the one child that runs `python -m module`; 0 if there is none."""
        pids = [pid for pid, words in self.family().items() if words[1:3] == ["-m", module]]
        assert len(pids) <= 1, f"{module} runs {len(pids)} times"
        return pids[0] if pids else 0

    def send(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def wait(self, seconds: float = PATIENCE) -> int:
        """The exit status; the whole family has ended by then."""
        try:
            status = self._process.wait(seconds)
            until(lambda: not self.family(), "the end of all its processes", seconds)
        except (subprocess.TimeoutExpired, AssertionError):
            raise AssertionError(f"still there: {self.family()}\n{self.log}") from None
        return status

    def stop(self) -> int:
        self.send(signal.SIGTERM)
        return self.wait()

    def discard(self) -> None:
        """Ends what is left of it, at once."""
        for pid in (self.pid, *self.family()):
            if pid != self.pid or self.running:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        self._process.wait(PATIENCE)


def _is_zombie(entry: Path) -> bool:
    return (entry / "stat").read_text().rpartition(")")[2].split()[0] == "Z"


class Memory:
    """How much a process takes at its peak, in KiB above what it had when this was made."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        Path(f"/proc/{pid}/clear_refs").write_text("5")  # VmHWM starts anew (proc(5))
        self._before = self._field("VmRSS")

    def growth(self) -> int:
        return self._field("VmHWM") - self._before

    def _field(self, name: str) -> int:
        for line in Path(f"/proc/{self._pid}/status").read_text().splitlines():
            if line.startswith(name + ":"):
                return int(line.split()[1])
        raise AssertionError(f"/proc/{self._pid}/status has no {name}")
