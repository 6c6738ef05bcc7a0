"""The worker's log files: opened when a plan is prepared, so that one that cannot be opened refuses the plan; kept as
long as any listener logs to them; opened anew on SIGUSR1, after they were moved away."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from tage.dataplane.telemetry.access_log.file import LogFile
from tage.dataplane.telemetry.access_log.format import compile_format
from tage.dataplane.telemetry.access_log.log import AccessLog
from tage.dataplane.telemetry.store import StatStore
from tage.sidecar import plan

OPEN_SECONDS = 3.0
"""For opening a file. The supervisor waits longer for an answer to Prepare."""
LAST_WORDS_SECONDS = 0.5
"""For writing what is left when the worker ends."""


class LogRefused(Exception):
    """An access log that cannot be; the message says which, and why."""


class LogFiles:
    """By path. What a plan that is not in force yet has opened stands aside until `commit` or `abort`."""

    def __init__(self, loop: asyncio.AbstractEventLoop, stats: StatStore) -> None:
        self._loop = loop
        self._stats = stats
        self._cells: dict[str, int] = {}
        self._live: dict[str, LogFile] = {}
        self._new: dict[str, LogFile] = {}

    async def prepare(self, logs: Sequence[plan.AccessLog]) -> list[AccessLog]:
        """Raises `LogRefused`."""
        result = []
        for log in logs:
            try:
                form = compile_format(log.text, log.json, log.omit_empty)
            except ValueError as error:
                raise LogRefused(f"access log {log.path!r}: {error}") from None
            result.append(AccessLog(form, await self._open(log.path)))
        return result

    async def _open(self, path: str) -> LogFile:
        known = self._live.get(path) or self._new.get(path)
        if known is not None:
            return known
        file = LogFile(path, self._loop, self._count)
        try:
            async with asyncio.timeout(OPEN_SECONDS):
                await asyncio.wrap_future(file.opened())
        except TimeoutError:
            file.close()
            raise LogRefused(f"access log {path!r} does not open within {OPEN_SECONDS:g} s") from None
        except OSError as error:
            raise LogRefused(f"access log {path!r} cannot be opened: {error.strerror}") from None
        self._new[path] = file
        return file

    def _count(self, name: str, n: int) -> None:
        if name not in self._cells:
            self._cells[name] = self._stats.counter("server", "", name)
        self._stats.count(self._cells[name], n)

    def abort(self) -> None:
        for file in self._new.values():
            file.close()
        self._new = {}

    def commit(self, used: set[str]) -> None:
        """Files that nobody logs to any more are closed when what they have is written."""
        self._live.update(self._new)
        self._new = {}
        for path in self._live.keys() - used:
            self._live.pop(path).close()

    def reopen(self) -> None:
        for file in self._live.values():
            file.reopen()

    def close(self) -> None:
        """Waits for what is left, within `LAST_WORDS_SECONDS` for all."""
        deadline = self._loop.time() + LAST_WORDS_SECONDS
        self.abort()
        for file in self._live.values():
            file.close()
        for file in self._live.values():
            file.wait(max(0.0, deadline - self._loop.time()))
