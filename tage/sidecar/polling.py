"""Looking at files again and again: once a second is soon enough for what people change by hand."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

POLL_SECONDS = 1.0
"""Mounted secrets change by a symbolic link, which inotify on the file does not tell."""


class Poller:
    """`look` is called every `seconds`, between `start` and `close`."""

    def __init__(self, look: Callable[[], None], seconds: float, name: str) -> None:
        self._look = look
        self._seconds = seconds
        self._name = name
        self._task: asyncio.Task[None] | None = None

    @property
    def running(self) -> bool:
        return self._task is not None

    def start(self) -> None:
        if self._task is None:
            self._task = asyncio.create_task(self._poll(), name=self._name)

    def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            self._task = None

    async def _poll(self) -> None:
        while True:
            await asyncio.sleep(self._seconds)
            self._look()


class Complaints:
    """What was said last of each file that cannot be used: it is said once, until it is another or the file is well."""

    def __init__(self, logger: logging.Logger) -> None:
        self._logger = logger
        self._said: dict[str, str] = {}

    def say(self, name: str, error: Exception) -> None:
        if self._said.get(name) != str(error):
            self._said[name] = str(error)
            self._logger.warning("%s; what was there before stays in force", error)

    def forget(self, name: str) -> None:
        self._said.pop(name, None)
