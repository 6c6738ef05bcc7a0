"""Child processes: started in their own session, watched through a pidfd, restarted with back-off, never left behind.

Their own session keeps the terminal's Ctrl-C from them: `tage up` alone gets it and stops them in order. Two things
make sure that nothing stays:

- the kernel kills each child when `tage up` dies in whatever way (PR_SET_PDEATHSIG), and
- when a child has ended, what it started and left in its process group is killed. That happens while the child is a
  zombie, so that its id, which is the group's, cannot belong to anyone else yet.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import functools
import os
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tage.cli.up.console import LineSplitter

BACKOFF_FIRST = 0.1
BACKOFF_LIMIT = 10.0
BACKOFF_RESET = 30.0
"""Seconds: a child that ran for this long starts again with the first delay."""

_PR_SET_PDEATHSIG = 1
_READ_SIZE = 64 * 1024
_LAST_READS = 64
"""Reads after the exit: a pipe holds less, but a descendant that left the group may go on writing."""


@dataclass(frozen=True)
class Command:
    """`env` is the whole environment."""

    argv: Sequence[str]
    env: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    cwd: Path | None = None


class Process:
    """One run of a command; its standard output and error go to `on_line` line by line.

    The constructor starts it and raises OSError if it cannot be started. Belongs to the running event loop and, for
    PR_SET_PDEATHSIG's sake, to its thread: the kernel watches the thread that started a child.
    """

    def __init__(self, command: Command, on_line: Callable[[str], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._on_line = on_line
        self._lines = LineSplitter()
        self._exit: asyncio.Future[int] = self._loop.create_future()
        self._popen = subprocess.Popen(
            command.argv,
            env=command.env,
            cwd=command.cwd,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            # Safe here: this process has one thread, and the function only makes two system calls.
            preexec_fn=_die_with_parent(),
        )
        assert self._popen.stdout is not None
        self.pid = self._popen.pid
        self._output = self._popen.stdout.fileno()
        os.set_blocking(self._output, False)
        self._loop.add_reader(self._output, self._readable)
        self._pidfd = os.pidfd_open(self.pid)
        self._loop.add_reader(self._pidfd, self._exited)

    async def wait(self) -> int:
        """The exit code, or minus the signal's number."""
        return await asyncio.shield(self._exit)

    def terminate(self, group: bool) -> None:
        """SIGTERM to the process or to its whole group."""
        self._signal(signal.SIGTERM, group)

    def kill(self) -> None:
        """SIGKILL to its whole group."""
        self._signal(signal.SIGKILL, group=True)

    def _signal(self, number: signal.Signals, group: bool) -> None:
        if self._exit.done():
            return
        with contextlib.suppress(ProcessLookupError, PermissionError):
            (os.killpg if group else os.kill)(self.pid, number)

    def _readable(self) -> bool:
        """Read once; False when there is nothing more."""
        try:
            data = os.read(self._output, _READ_SIZE)
        except BlockingIOError:
            return False
        if not data:
            self._loop.remove_reader(self._output)
            return False
        for line in self._lines.feed(data):
            self._on_line(line)
        return True

    def _exited(self) -> None:
        self._loop.remove_reader(self._pidfd)
        os.close(self._pidfd)
        self._signal(signal.SIGKILL, group=True)
        code = self._popen.wait()
        self._loop.remove_reader(self._output)
        for _ in range(_LAST_READS):
            if not self._readable():
                break
        for line in self._lines.finish():
            self._on_line(line)
        assert self._popen.stdout is not None
        self._popen.stdout.close()
        self._exit.set_result(code)


class Keeper:
    """Keeps a command running until it is stopped.

    `changed` is called at once when the process has started or ended. `group` says whom SIGTERM goes to: an
    application's whole group, as Ctrl-C at a terminal does, or only the process, which then stops its own children.
    """

    def __init__(
        self,
        name: str,
        command: Command,
        on_line: Callable[[str], None],
        on_event: Callable[[str], None],
        changed: Callable[[], None] = lambda: None,
        group: bool = False,
    ) -> None:
        self.name = name
        self.restarts = 0
        self.last_code: int | None = None
        self.last_exit = ""
        """How the last run ended, in words; empty before."""
        self._command = command
        self._on_line = on_line
        self._on_event = on_event
        self._changed = changed
        self._group = group
        self._process: Process | None = None
        self._stop = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    @property
    def running(self) -> bool:
        return self._process is not None

    @property
    def pid(self) -> int:
        """0 when it does not run."""
        return self._process.pid if self._process else 0

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name=f"keep {self.name}")

    async def stop(self, grace: float) -> None:
        """SIGTERM, after `grace` seconds SIGKILL; returns when it has ended."""
        self._stop.set()
        if self._process is not None:
            self._process.terminate(self._group)
        if self._task is None:
            return
        _, pending = await asyncio.wait({self._task}, timeout=grace)
        if pending:
            self._on_event(f"still runs {grace:g} s after SIGTERM; killed")
            self.kill()
        await self._task

    def kill(self) -> None:
        """SIGKILL now; `finished` tells when it has ended."""
        self._stop.set()
        if self._process is not None:
            self._process.kill()

    async def finished(self) -> None:
        if self._task is not None:
            await self._task

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        delay = BACKOFF_FIRST
        while not self._stop.is_set():
            began = loop.time()
            await self._run_once()
            if self._stop.is_set():
                return
            if loop.time() - began >= BACKOFF_RESET:
                delay = BACKOFF_FIRST
            self.restarts += 1
            self._on_event(f"{self.last_exit}; starts again in {delay:g} s")
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stop.wait(), delay)
            delay = min(delay * 2, BACKOFF_LIMIT)

    async def _run_once(self) -> None:
        try:
            self._process = Process(self._command, self._on_line)
        except OSError as error:
            self.last_exit = f"cannot start {self._command.argv[0]}: {error.strerror}"
            return
        self._changed()
        self.last_code = await self._process.wait()
        self.last_exit = describe_exit(self.last_code)
        self._process = None
        self._changed()


def describe_exit(code: int) -> str:
    if code >= 0:
        return f"exited with code {code}"
    try:
        return f"killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"killed by signal {-code}"


@functools.cache
def _prctl() -> Callable[[int, int], int]:
    """libc's prctl, looked up before any fork."""
    return ctypes.CDLL(None).prctl


def _die_with_parent() -> Callable[[], None]:
    prctl, parent = _prctl(), os.getpid()

    def in_child() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # It died before prctl: no signal will come.
            os._exit(1)

    return in_child
