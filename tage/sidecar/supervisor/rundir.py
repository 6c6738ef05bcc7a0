"""The run directory: one supervisor's at a time, and empty of its files afterwards.

Each worker makes `stats-<index>.bin` in it and a replacement goes on with the same file, so counters survive a worker.
`shared.bin` is what the workers share (circuit breakers' counts, hosts' health, rate limits); one that has ended is
counted out. They do not survive the supervisor, and what a killed one left behind is removed at the next start. The
lock is on the directory itself (flock), so there is no lock file, and a crash cannot leave it locked.
"""

from __future__ import annotations

import fcntl
import os

from tage.dataplane.upstream import shared_layout


class RunDirectoryError(Exception):
    """It cannot be used; the message says why."""


class RunDirectory:
    def __init__(self, path: str, workers: int) -> None:
        """Makes the directory (mode 0700) if it is not there. Raises `RunDirectoryError`."""
        self._path = os.path.abspath(path)
        self._made = not os.path.isdir(self._path)
        try:
            os.makedirs(self._path, mode=0o700, exist_ok=True)
            self._descriptor = os.open(self._path, os.O_RDONLY | os.O_DIRECTORY)
        except OSError as error:
            raise RunDirectoryError(f"run directory {self._path}: {error.strerror}") from error
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(self._descriptor)
            raise RunDirectoryError(f"run directory {self._path}: another supervisor uses it") from error
        self._clear()
        self.shared_file = os.path.join(self._path, "shared.bin")
        try:
            shared_layout.create(self.shared_file, workers)
        except OSError as error:
            self.close()
            raise RunDirectoryError(f"run directory {self._path}: shared.bin: {error.strerror}") from error

    def count_out(self, worker: int) -> None:
        """It has ended: what it had under way is not any more. Raises `OSError`."""
        shared_layout.clear(self.shared_file, worker)

    def stats_file(self, worker: int) -> str:
        return os.path.join(self._path, f"stats-{worker}.bin")

    def close(self) -> None:
        """Removes the files, and the directory if it was made here and holds nothing else."""
        self._clear()
        if self._made and not os.listdir(self._path):
            os.rmdir(self._path)
        os.close(self._descriptor)

    def _clear(self) -> None:
        for name in os.listdir(self._path):
            if name == "shared.bin" or (name.startswith("stats-") and name.endswith(".bin")):
                os.unlink(os.path.join(self._path, name))
