"""Durations as Istio writes them: Go's notation (`1.5s`, `250ms`, `1h30m`), in whole milliseconds."""

from __future__ import annotations

import re
from fractions import Fraction

_NANOSECONDS = {"ns": 1, "us": 10**3, "ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}
_TERM = re.compile(r"([0-9]{1,15}(?:\.[0-9]{0,15})?|\.[0-9]{1,15})(ns|us|ms|s|m|h)")
_WHOLE = re.compile(rf"(?:{_TERM.pattern})+")

MAX_MS = 315_576_000_000 * 1000
"""google.protobuf.Duration's limit, some 10,000 years."""


def parse_duration_ms(text: str) -> int:
    """Milliseconds. Raises `ValueError`, with the reason in the user's words, for anything but a duration that is not
    negative and a multiple of 1 ms. Source: Go's time.ParseDuration, Istio's ValidateDuration."""
    if text.startswith("-"):
        raise ValueError(f"'{text}' is negative")
    if not _WHOLE.fullmatch(text):
        raise ValueError(f"'{text}' is not a duration; write a number and a unit, as 1.5s, 250ms, 5m or 1h")
    nanoseconds = sum((Fraction(number) * _NANOSECONDS[unit] for number, unit in _TERM.findall(text)), Fraction())
    milliseconds = nanoseconds / 10**6
    if milliseconds.denominator != 1:
        raise ValueError(f"'{text}' is finer than 1ms; use whole milliseconds")
    if milliseconds > MAX_MS:
        raise ValueError(f"'{text}' is too long")
    return int(milliseconds)
