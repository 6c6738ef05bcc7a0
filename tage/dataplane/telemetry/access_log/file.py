"""A log file, written without ever making its owner wait.

The worker's thread appends lines to a list; each second, or when there are 64 KiB, it hands the list to a thread of the
file's own, which does everything that may block: open, lock, write. What is handed over and not yet written is bounded
(`MAX_BUFFERED`); beyond that lines are dropped and counted. So a full disk, a hung one, or a pipe that nobody reads
costs lines of the log and nothing else, and one such file does not hold up another.

Several workers append to one file. Only whole lines appear in it: a batch is written under a lock on the file, and a
line that a full disk cut short is taken back; to a pipe each write is at most PIPE_BUF bytes, which is atomic. What
failed is tried again every second, and said on stderr when it begins and when it is over.
"""

import asyncio
import contextlib
import fcntl
import os
import queue
import select
import stat
import threading
from collections.abc import Callable
from concurrent.futures import Future

import cython

FLUSH_BYTES = cython.declare(cython.Py_ssize_t, 65_536)
FLUSH_SECONDS = cython.declare(cython.double, 1.0)
MAX_BUFFERED = cython.declare(cython.longlong, 4 * 1024 * 1024)
"""Bytes of a file, per worker: about a second of 16,000 requests a second."""
RETRY_SECONDS = 1.0
_STANDARD = {"/dev/stdout": 1, "/dev/stderr": 2}


class LogFile:
    """`count` is called with ("access_log_dropped" | "access_log_write_failed", how many) on the loop's thread.

    `opened()` tells when the file is open, or raises what went wrong. All methods are for the loop's thread.
    """

    def __init__(self, path: str, loop: asyncio.AbstractEventLoop, count: Callable[[str, int], None]) -> None:
        self.path = path
        self.dropped = 0
        self.failures = 0
        self._call_later = loop.call_later
        self._count = count
        self._due = self._flush_due
        self._lines = []
        self._size = 0
        self._handed = 0
        self._armed = False
        self._writer = _Writer(path, lambda: _call(loop, self._failed))
        self._writer.start()

    def opened(self) -> Future:
        return self._writer.opened

    def write(self, line):
        """One or more whole lines."""
        size: cython.Py_ssize_t = len(line)
        done: cython.longlong = self._writer.done
        if self._handed - done + self._size + size > MAX_BUFFERED:
            self.dropped += 1
            self._count("access_log_dropped", 1)
            return
        self._lines.append(line)
        self._size += size
        if self._size >= FLUSH_BYTES:
            self.flush()
        elif not self._armed:
            self._armed = True
            self._call_later(FLUSH_SECONDS, self._due)

    def flush(self):
        """Hands over what there is."""
        if self._size:
            self._handed += self._size
            self._writer.batches.put(self._lines)
            self._lines = []
            self._size = 0

    def _flush_due(self):
        self._armed = False
        self.flush()

    def _failed(self):
        self.failures += 1
        self._count("access_log_write_failed", 1)

    def reopen(self) -> None:
        """The file was moved away: what is written from now on goes to a new one of the same name."""
        self.flush()
        self._writer.reopen()

    def close(self) -> None:
        """Takes no more; what there is is written still, unless that fails. Does not wait."""
        self.flush()
        self._writer.finish()

    def wait(self, seconds: float) -> bool:
        """After `close`: whether all was written or given up within that time."""
        self._writer.join(seconds)
        return not self._writer.is_alive()


def _call(loop, callback) -> None:
    # A loop that has ended has nobody left who counts.
    with contextlib.suppress(RuntimeError):
        loop.call_soon_threadsafe(callback)


class _Writer(threading.Thread):
    """`done` counts the bytes that are off its hands. A daemon: a write that never returns does not keep the process.
    """

    def __init__(self, path: str, failed: Callable[[], None]) -> None:
        super().__init__(name=f"log {path}", daemon=True)
        self.opened: Future[None] = Future()
        self.batches: queue.SimpleQueue[list[bytes] | None] = queue.SimpleQueue()
        self.done = 0
        self._path = path
        self._failed = failed
        self._descriptor = -1
        self._regular = False
        self._lockable = False
        self._reopen = False
        self._finishing = False
        self._hurry = threading.Event()
        self._failing = False

    # -- from the loop's thread ----------------------------------------------------------------------------------------

    def reopen(self) -> None:
        self._reopen = True
        self._hurry.set()
        self.batches.put([])

    def finish(self) -> None:
        self._finishing = True
        self._hurry.set()
        self.batches.put(None)

    # -- the thread ----------------------------------------------------------------------------------------------------

    def run(self) -> None:
        if not self.opened.set_running_or_notify_cancel():
            return
        try:
            self._open()
        except OSError as error:
            self.opened.set_exception(error)
            return
        self.opened.set_result(None)
        while (lines := self.batches.get()) is not None:
            batch = b"".join(lines)
            self._write(batch)
            self.done += len(batch)
        os.close(self._descriptor)

    def _open(self) -> None:
        descriptor = _open(self._path)
        mode = os.fstat(descriptor).st_mode
        if self._descriptor >= 0:
            os.close(self._descriptor)
        self._descriptor = descriptor
        self._regular = stat.S_ISREG(mode)
        self._lockable = self._regular or stat.S_ISFIFO(mode)

    def _write(self, batch: bytes) -> None:
        """Until all is written."""
        at = 0
        self._reopen_if_told()
        while at < len(batch):
            try:
                at += self._append(batch[at:] if at else batch)
            except OSError as error:
                self._failed()
                if self._finishing:
                    self._say(f"{error.strerror}; {len(batch) - at} bytes are lost")
                    return
                if not self._failing:
                    self._failing = True
                    self._say(f"{error.strerror}; tried again every second; beyond "
                              f"{MAX_BUFFERED >> 20} MiB lines are dropped")
                self._hurry.wait(RETRY_SECONDS)
                self._hurry.clear()
                self._reopen_if_told()
        if self._failing:
            self._failing = False
            self._say("is written again")

    def _reopen_if_told(self) -> None:
        if self._reopen:
            self._reopen = False
            try:
                self._open()
            except OSError as error:
                self._failed()
                self._say(f"cannot be opened anew: {error.strerror}; the former file is written on")

    def _append(self, data: bytes) -> int:
        """How much was written: all, or whole lines. Raises `OSError` where it is nothing."""
        written = 0
        self._lock(fcntl.LOCK_EX)
        try:
            while written < len(data):
                end = len(data) if self._regular else _piece(data, written)
                written += os.write(self._descriptor, data[written:end] if written or end < len(data) else data)
        except OSError:
            written = self._take_back(data, written)
            if not written:
                raise
        finally:
            self._lock(fcntl.LOCK_UN)
        return written

    def _take_back(self, data: bytes, written: int) -> int:
        """Removes the piece of a line at the file's end, so that no other writer continues it; what is left then."""
        whole = data.rfind(b"\n", 0, written) + 1
        if not self._regular or whole == written:
            return written
        end = os.lseek(self._descriptor, 0, os.SEEK_CUR)
        if os.fstat(self._descriptor).st_size != end:
            return written  # somebody who takes no lock has written behind it
        try:
            os.ftruncate(self._descriptor, end - (written - whole))
        except OSError:  # append-only (chattr +a): the rest of the line follows when it can
            return written
        return whole

    def _lock(self, operation: int) -> None:
        if self._lockable:
            try:
                fcntl.flock(self._descriptor, operation)
            except OSError:  # a file system without locks: then batches of several workers may cut into each other
                self._lockable = False

    def _say(self, text: str) -> None:
        # Not by way of sys.stderr, whose lock would be held while a full pipe keeps this thread waiting.
        with contextlib.suppress(OSError):
            os.write(2, f"worker: access log {self._path}: {text}\n".encode())


def _piece(data: bytes, at: int) -> int:
    """Where the next write to a pipe ends: whole lines as far as PIPE_BUF goes, else PIPE_BUF bytes."""
    end = at + select.PIPE_BUF
    if end >= len(data):
        return len(data)
    return data.rfind(b"\n", at, end) + 1 or end


def _open(path: str) -> int:
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOCTTY
    standard = _STANDARD.get(path)
    if standard is not None:
        # A description of its own, with its own lock; where that cannot be (a socket, another user's), a shared one.
        try:
            return os.open(path, flags & ~os.O_CREAT)
        except OSError:
            return os.dup(standard)
    try:
        if stat.S_ISFIFO(os.stat(path).st_mode):
            # Open on both sides: it neither waits for a reader to come nor fails when one goes.
            return os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        pass
    return os.open(path, flags, 0o644)
