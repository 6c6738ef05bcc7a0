"""What a check has found, and how it says so."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import NamedTuple

_SHOWN = 256
"""Bytes of a frame that are shown, around the place in question."""


class Outcome(StrEnum):
    OK = "ok"
    FAILED = "failed"
    SKIPPED = "skipped"


class Result(NamedTuple):
    """`what`: what was tried, what is wrong, or why nothing was tried. `data` are the bytes that show it, `at` the
    place in them; None where there are none."""

    check: str
    outcome: Outcome
    what: str
    data: bytes | None = None
    at: int | None = None


class NonconformanceError(AssertionError):
    """What a protocol fails; the message says of each check what is wrong, with the bytes."""


class Report:
    """All that was checked of `protocol`, in order."""

    def __init__(self, protocol: str, results: Sequence[Result]) -> None:
        self.protocol = protocol
        self.results = tuple(results)

    @property
    def ok(self) -> bool:
        return all(result.outcome is not Outcome.FAILED for result in self.results)

    def verify(self) -> None:
        """Raises NonconformanceError unless all is well."""
        failed = [result for result in self.results if result.outcome is Outcome.FAILED]
        if failed:
            raise NonconformanceError("\n".join(f"{self.protocol}: {told(result)}" for result in failed))


def told(result: Result) -> str:
    """The whole of it, the bytes included."""
    lines = [f"{result.check}: {result.what}"]
    if result.data is not None:
        lines += [f"  {line}" for line in hex_lines(result.data, result.at)]
    return "\n".join(lines)


def hex_lines(data: bytes, at: int | None = None) -> list[str]:
    """Sixteen bytes a line, with a caret under the one at `at`; of long data what is around it."""
    first = 0 if at is None else max(0, min(at, len(data)) // 16 * 16 - _SHOWN // 2)
    last = min(len(data), first + _SHOWN)
    lines = [] if first == 0 else [f"... {first} bytes"]
    for start in range(first, max(last, first + 1), 16):
        row = data[start : min(start + 16, last)]
        text = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in row)
        lines.append(f"{start:08x}  {row.hex(' '):47}  {text}")
        if at is not None and start <= at < start + 16:
            lines.append(f"{'':10}{'   ' * (at - start)}^^")
    if last < len(data):
        lines.append(f"... {len(data) - last} bytes more")
    return lines


class Failed(Exception):
    """Raised by a check: the protocol does not do this."""

    def __init__(self, what: str, data: bytes | None = None, at: int | None = None) -> None:
        super().__init__(what)
        self.what = what
        self.data = data
        self.at = at


class Skipped(Exception):
    """Raised by a check: the protocol has none of this, or offers no example of it."""
