"""Lines on standard error about what happens to traffic, never so many that they fill a disk."""

from __future__ import annotations

import sys
from collections.abc import Callable

PER_SECOND = 20


class Notices:
    """`now()` is in ms."""

    def __init__(self, now: Callable[[], int]) -> None:
        self._now = now
        self._second = 0
        self._said = 0
        self._left_out = 0

    def __call__(self, text: str) -> None:
        """What is beyond `PER_SECOND` is left out, and said how many that were with the next one that is not."""
        second = self._now() // 1000
        if second != self._second:
            self._second, self._said = second, 0
        if self._said >= PER_SECOND:
            self._left_out += 1
            return
        self._said += 1
        if self._left_out:
            text = f"{text} ({self._left_out} other lines were left out)"
            self._left_out = 0
        print(f"worker: {text}", file=sys.stderr, flush=True)
