"""The control plane as a process, on free ports."""

from __future__ import annotations

import contextlib
import os
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

PATIENCE = 15.0


def arguments(directory: Path, *more: str) -> list[str]:
    return [sys.executable, "-m", "tage.pilot.server", "--config", str(directory), *more]


class Process:
    """`xds` and `http` are its ports."""

    def __init__(self, directory: Path, *more: str) -> None:
        command = arguments(directory, "--xds-port", "0", "--http-port", "0", *more)
        self._process = subprocess.Popen(command, stderr=subprocess.PIPE)
        self.log = b""
        found = re.search(rb"xDS on 127.0.0.1:(\d+), HTTP API on 127.0.0.1:(\d+)", self._read_until(b"HTTP API on"))
        assert found is not None, self.log.decode()
        self.xds, self.http = int(found[1]), int(found[2])

    def _read_until(self, text: bytes) -> bytes:
        assert self._process.stderr is not None
        descriptor = self._process.stderr.fileno()
        deadline = time.monotonic() + PATIENCE
        while text not in self.log or not self.log.endswith(b"\n"):
            ready, _, _ = select.select([descriptor], [], [], max(0.0, deadline - time.monotonic()))
            chunk = os.read(descriptor, 65536) if ready else b""
            assert chunk, f"it did not say {text!r}: {self.log.decode()}"
            self.log += chunk
        return self.log

    def end(self, number: int = signal.SIGTERM) -> tuple[int, float]:
        """The exit code, and how many seconds it took."""
        started = time.monotonic()
        self._process.send_signal(number)
        code = self._process.wait(PATIENCE)
        return code, time.monotonic() - started

    def close(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait(PATIENCE)
        assert self._process.stderr is not None
        self._process.stderr.close()


@contextlib.contextmanager
def process(directory: Path, *more: str) -> Iterator[Process]:
    running = Process(directory, *more)
    try:
        yield running
    finally:
        running.close()
