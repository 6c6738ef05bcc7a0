"""A finding: where, and what is wrong there."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

from tage.config.document import Path

T = TypeVar("T")

Finding = tuple[Path, str]
Findings = Iterator[Finding]

UINT32_MAX = 2**32 - 1
INT32_MAX = 2**31 - 1


def nested(step: str | int, findings: Iterable[Finding]) -> Findings:
    """`findings`, one step further down."""
    for path, message in findings:
        yield (step, *path), message


def each(field: str, items: Sequence[T], check: Callable[[T], Findings]) -> Findings:
    """What `check` finds in the items of a list."""
    for index, item in enumerate(items):
        yield from nested(field, nested(index, check(item)))


def optional(field: str, value: T | None, check: Callable[[T], Findings]) -> Findings:
    """What `check` finds in a field that may be absent."""
    if value is not None:
        yield from nested(field, check(value))


def named(path: Path, wrong: str) -> Findings:
    """One finding if `wrong`, the answer of a function of `tage.config.names`, says something."""
    if wrong:
        yield path, wrong


def not_carried(path: Path, what: str) -> Findings:
    """`what` is Istio's, and refused."""
    yield path, f"{what} is not carried out by Tage yet; take it out"


def at_most_one(path: Path, given: Sequence[str], what: str = "") -> Findings:
    """Of fields that exclude one another: `given` are those that are there."""
    if len(given) > 1:
        yield path, f"{' and '.join(given)} exclude one another; keep one{what}"
