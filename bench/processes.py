"""Processes under measurement: started on a given core, accounted for with all their descendants, stopped by pid.

CPU time is `utime + stime` of /proc/PID/stat, and that of descendants that have ended (`cutime + cstime`). The kernel
derives the sum from the scheduler's run time in nanoseconds and only rounds it to ticks (10 ms) when it is read, so
over a round of seconds on a busy core the error is a few thousandths. (/proc/PID/schedstat has nanoseconds, but forgets
threads that have ended.)
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path

TICK = os.sysconf("SC_CLK_TCK")
SBIN = ("/usr/sbin", "/usr/local/sbin", "/sbin")


class BenchError(Exception):
    """Something that the user has to know and can act on; its text is the whole message."""


def find_program(name: str) -> str | None:
    """A program's path, also where only root's PATH would look."""
    return shutil.which(name) or shutil.which(name, path=os.pathsep.join(SBIN))


def free_port() -> int:
    """A loopback port that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(condition: Callable[[], bool], seconds: float, what: str, alive: Process | None = None) -> None:
    """Polls until `condition()`; raises `BenchError` after `seconds`, or at once when `alive` has ended."""
    deadline = time.monotonic() + seconds
    while not condition():
        if alive is not None and alive.ended():
            raise BenchError(f"{alive.name} ended with status {alive.returncode}:\n{alive.log_tail()}")
        if time.monotonic() > deadline:
            tail = "" if alive is None else f"\n{alive.log_tail()}"
            raise BenchError(f"{what} took longer than {seconds:g} s{tail}")
        time.sleep(0.02)


class Process:
    """One started program with its descendants; its output goes to `log`. A context manager that stops it."""

    def __init__(self, name: str, argv: Sequence[str], log: Path, core: int, env: dict[str, str] | None = None) -> None:
        self.name = name
        self._log = log
        with log.open("wb") as output:
            self._child = subprocess.Popen(
                ["taskset", "-c", str(core), *argv],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, **(env or {})},
                start_new_session=True,
            )
        self.pid = self._child.pid

    def __enter__(self) -> Process:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.stop()

    @property
    def returncode(self) -> int | None:
        return self._child.poll()

    def ended(self) -> bool:
        return self._child.poll() is not None

    def log_tail(self, lines: int = 15) -> str:
        return "\n".join(self._log.read_text(errors="replace").splitlines()[-lines:])

    def pids(self) -> list[int]:
        """It and its descendants, as they are now."""
        return descendants(self.pid)

    def cpu_seconds(self) -> float:
        return sum(_cpu_ticks(pid) for pid in self.pids()) / TICK

    def stop(self, seconds: float = 15.0) -> None:
        """SIGTERM; what is left after `seconds` is killed, each by its pid."""
        pids = self.pids()
        if not self.ended():
            self._child.terminate()
            try:
                self._child.wait(seconds)
            except subprocess.TimeoutExpired:
                self._child.kill()
                self._child.wait()
        for pid in pids[1:]:
            if _session(pid) is not None and _is_ours(pid, self.pid):
                os.kill(pid, signal.SIGKILL)


# -- /proc -------------------------------------------------------------------------------------------------------------


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat from the third (state) on; the second may hold spaces and parentheses.
    Empty when the process has ended."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return []
    return text.rpartition(")")[2].split()


def _session(pid: int) -> int | None:
    fields = _stat(pid)
    return int(fields[3]) if fields and fields[0] != "Z" else None


def _is_ours(pid: int, leader: int) -> bool:
    """Whether `pid` still belongs to the session that `leader` began, and is not a later process of the same number."""
    return _session(pid) == leader


def _cpu_ticks(pid: int) -> int:
    fields = _stat(pid)
    return sum(int(field) for field in fields[11:15])  # utime, stime, cutime, cstime


def descendants(root: int) -> list[int]:
    """`root` first, then all that descend from it."""
    children: dict[int, list[int]] = defaultdict(list)
    for pid in all_pids():
        fields = _stat(pid)
        if fields:
            children[int(fields[1])].append(pid)
    found = [root]
    for pid in found:
        found.extend(children[pid])
    return found


def all_pids() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]
