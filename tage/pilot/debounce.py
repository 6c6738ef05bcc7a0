"""Many changes in a row become one push."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

QUIET = 0.1
LONGEST = 10.0
"""Seconds; Istio's PILOT_DEBOUNCE_AFTER and PILOT_DEBOUNCE_MAX."""


class Debounce:
    """Calls `action` on the event loop once no `trigger` came for `quiet` seconds, or `longest` seconds after the first
    one that has not been acted on."""

    def __init__(self, action: Callable[[], None], quiet: float = QUIET, longest: float = LONGEST) -> None:
        self._action = action
        self._quiet = quiet
        self._longest = longest
        self._latest = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def trigger(self) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        if self._timer is None:
            self._latest = now + self._longest
        else:
            self._timer.cancel()
        self._timer = loop.call_at(min(now + self._quiet, self._latest), self._fire)

    def cancel(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _fire(self) -> None:
        self._timer = None
        self._action()
