"""What goes wrong in filters, on the worker's stderr: said by a thread, for a pipe that nobody reads must not hold up
the traffic; and no more than once a second of a kind, with how many more there were."""

from __future__ import annotations

import os
import queue
import threading
import time
from collections.abc import Callable

MAX_WAITING = 64
"""Reports that wait for a stderr that does not take them; then they are dropped, and how many is said later."""
QUIET_SECONDS = 1.0


class Reporter:
    """One a worker. The thread starts with the first report; a daemon, for its write may never return."""

    def __init__(self, write: Callable[[bytes], None] | None = None) -> None:
        self._write = write or _to_stderr
        self._waiting: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._dropped = 0
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()

    def say(self, text: str) -> None:
        """Whole lines without the last line's end. From any thread; never waits."""
        with self._lock:
            if self._waiting.qsize() >= MAX_WAITING:
                self._dropped += 1
                return
            if self._dropped:
                text += f"\n({self._dropped} reports before this one were dropped: stderr did not take them)"
                self._dropped = 0
            self._waiting.put(text)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="filter reports", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        while True:
            lines = self._waiting.get().splitlines()
            self._write("".join(f"worker: {line}\n" for line in lines).encode(errors="replace"))


def _to_stderr(data: bytes) -> None:
    # Not by way of sys.stderr, whose lock would be held while a full pipe keeps this thread waiting.
    try:
        while data:
            data = data[os.write(2, data) :]
    except OSError:
        return  # there is no stderr: nobody wants to know


class Bound:
    """Lets one report a second through; the next says how many it stands for."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._quiet_until = 0.0
        self._unsaid = 0

    def passes(self) -> bool:
        now = self._clock()
        if now < self._quiet_until:
            self._unsaid += 1
            return False
        self._quiet_until = now + QUIET_SECONDS
        return True

    def take_unsaid(self) -> str:
        """For the report's end; empty where it stands for itself alone."""
        unsaid, self._unsaid = self._unsaid, 0
        return f" ({unsaid} more before this one)" if unsaid else ""
