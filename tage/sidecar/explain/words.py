"""Settings in words.

A *topic* words one or more fields of a plan's struct. `lines` gives the words of all topics that have something to say,
and after them every further field that differs from its default, as it stands: a setting that nobody has found words
for is shown all the same. Tests change each field of each struct and expect different words.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any, NamedTuple

import msgspec

from tage.sidecar.explain.findings import Line

_UNITS = ((3_600_000, "h"), (60_000, "min"), (1_000, "s"), (1, "ms"))


class Topic(NamedTuple):
    label: str
    fields: tuple[str, ...]
    """Those that `words` looks at."""
    words: Callable[[Any], str]
    """Of the struct; nothing to say: empty."""


def lines(struct: msgspec.Struct, topics: Sequence[Topic], elsewhere: Collection[str] = ()) -> list[Line]:
    """`elsewhere`: fields that are shown in another place."""
    found = [Line(topic.label, text) for topic in topics if (text := topic.words(struct))]
    worded = {field for topic in topics for field in topic.fields}
    for field in unworded(type(struct), worded, elsewhere):
        value = getattr(struct, field.name)
        if value != _default(field):
            found.append(Line(field.name, str(msgspec.to_builtins(value, builtin_types=(bytes,)))))
    return found


def unworded(
    kind: type[msgspec.Struct], worded: Collection[str], elsewhere: Collection[str] = ()
) -> list[msgspec.structs.FieldInfo]:
    """The fields that no topic is for."""
    return [each for each in msgspec.structs.fields(kind) if each.name not in worded and each.name not in elsewhere]


def _default(field: msgspec.structs.FieldInfo) -> Any:
    if field.default_factory is not msgspec.NODEFAULT:
        return field.default_factory()
    return field.default


def is_address(text: str) -> bool:
    """An IP address, not a name."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def duration(ms: int) -> str:
    """`15 s`, `250 ms`, `1 h`, `90 s`: the largest unit that gives a whole number."""
    return next((f"{ms // size} {unit}" for size, unit in _UNITS if ms % size == 0 and ms >= size), f"{ms} ms")


def limit(ms: int, none: str = "no limit") -> str:
    return duration(ms) if ms else none


def percent(value: float) -> str:
    return f"{value:.4f}".rstrip("0").rstrip(".") + " %"


def size(count: int) -> str:
    """Bytes."""
    return f"{count // 1024} KiB" if count and count % 1024 == 0 else f"{count} bytes"


def count(number: int, one: str, many: str = "") -> str:
    """`1 rule`, `3 rules`."""
    return f"{number} {one if number == 1 else many or one + 's'}"


def listed(items: Iterable[str], last: str = "and") -> str:
    """`a`, `a and b`, `a, b and c`."""
    words = list(items)
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} {last} {words[-1]}" if words else ""


def clauses(*parts: str) -> str:
    """Those that say something, with semicolons."""
    return "; ".join(part for part in parts if part)


def quoted(text: str | bytes) -> str:
    """In double quotes, cut where it is very long, control characters escaped."""
    shown = text.decode("latin-1") if isinstance(text, bytes) else text
    if len(shown) > 200:
        shown = f"{shown[:200]}..."
    return '"' + "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in shown) + '"'
