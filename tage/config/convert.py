"""`Node` trees -> msgspec structs, with all that is wrong and where.

One generic walker over the structs' field types. It does what `msgspec.convert` does, but goes on after a problem, so
that a user sees all of them at once, each with line and field path. Absent and null are the same, as in Kubernetes.
"""

from __future__ import annotations

import difflib
import functools
import math
import types
import typing
from collections.abc import Iterable, Mapping
from typing import Any, Literal, TypeVar, get_args, get_origin

import msgspec

from tage.config.document import Node, Path, format_path
from tage.config.errors import Problem

T = TypeVar("T")


class _Invalid:
    """Stands for a value that could not be made; never leaves this module."""


_INVALID = _Invalid()


class Converter:
    """Makes values of a type from nodes and collects `problems`. One serves one file.

    `unsupported` names, for a struct, fields that exist where it comes from but are not carried out: they are refused
    in other words than a misspelt one.
    """

    def __init__(self, file: str = "", unsupported: Mapping[type, Iterable[str]] = types.MappingProxyType({})) -> None:
        self.problems: list[Problem] = []
        self._file = file
        self._unsupported = unsupported

    def convert(self, node: Node, wanted: type[T], path: Path = ()) -> T | None:
        """None when anything in it is wrong; then `problems` says what."""
        value = self._value(node, wanted, path)
        return None if value is _INVALID else typing.cast(T, value)

    def problem(self, node: Node, path: Path, message: str) -> None:
        self.problems.append(Problem(message, self._file, node.line, format_path(path)))

    def unknown(self, node: Node, path: Path, known: Iterable[str], owner: type | None = None) -> None:
        """Reports the field at `path` as one that is not among `known`."""
        name = str(path[-1])
        if owner is not None and name in self._unsupported.get(owner, ()):
            self.problem(node, path, "is not carried out by Tage yet; take it out")
        else:
            self.problem(node, path, f"unknown field; {suggestion(name, known, 'fields here')}")

    def _value(self, node: Node, wanted: Any, path: Path) -> Any:
        origin = get_origin(wanted)
        if origin in (typing.Union, types.UnionType):
            if node.value is None:
                return None
            # Optional is the only union there is in the models.
            wanted = next(arm for arm in get_args(wanted) if arm is not type(None))
            return self._value(node, wanted, path)
        if origin is list or origin is tuple:
            return self._sequence(node, get_args(wanted)[0], path, origin)
        if origin is dict:
            return self._dict(node, get_args(wanted)[1], path)
        if origin is Literal:
            if node.value in get_args(wanted):
                return node.value
            return self._wrong(node, path, f"expected one of {', '.join(map(repr, get_args(wanted)))}")
        if isinstance(wanted, type) and issubclass(wanted, msgspec.Struct):
            return self._struct(node, wanted, path)
        if wanted is Any:
            return _plain(node)
        return self._scalar(node, wanted, path)

    def _wrong(self, node: Node, path: Path, expected: str, hint: str = "") -> _Invalid:
        self.problem(node, path, f"{expected}, got {describe(node)}" + (f"; {hint}" if hint else ""))
        return _INVALID

    def _scalar(self, node: Node, wanted: type, path: Path) -> Any:
        value = node.value
        if wanted is str:
            if isinstance(value, str):
                return value
            return self._wrong(node, path, "expected a string", "put it in quotes" if _is_scalar(value) else "")
        if wanted is bool:
            return value if isinstance(value, bool) else self._wrong(node, path, "expected true or false")
        if wanted is int:
            if isinstance(value, int) and not isinstance(value, bool):
                return value
            quoted = isinstance(value, str) and value.lstrip("-").isdecimal()
            return self._wrong(node, path, "expected a whole number", "write it without quotes" if quoted else "")
        if wanted is float:
            if isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value):
                return float(value)
            return self._wrong(node, path, "expected a number")
        raise TypeError(f"no conversion to {wanted!r}")

    def _sequence(self, node: Node, item_type: Any, path: Path, origin: type) -> Any:
        if not isinstance(node.value, list):
            hint = "begin each entry with '- '" if isinstance(node.value, dict) else ""
            return self._wrong(node, path, "expected a list", hint)
        items = [self._value(item, item_type, (*path, index)) for index, item in enumerate(node.value)]
        return _INVALID if any(item is _INVALID for item in items) else origin(items)

    def _dict(self, node: Node, item_type: Any, path: Path) -> Any:
        if not isinstance(node.value, dict):
            return self._wrong(node, path, "expected a mapping (name: value)")
        items = {key: self._value(item, item_type, (*path, key)) for key, item in node.value.items()}
        return _INVALID if any(item is _INVALID for item in items.values()) else items

    def _struct(self, node: Node, wanted: type[msgspec.Struct], path: Path) -> Any:
        fields = _fields(wanted)
        if not isinstance(node.value, dict):
            return self._wrong(node, path, f"expected a mapping with {_names(fields)}")
        values: dict[str, Any] = {}
        valid = True
        for key, item in node.value.items():
            if (field := fields.get(key)) is None:
                self.unknown(item, (*path, key), fields, wanted)
                valid = False
            elif item.value is not None or _allows_null(field.type):
                values[field.name] = self._value(item, field.type, (*path, key))
        for field in fields.values():
            if field.required and field.name not in values:
                self.problem(node, (*path, field.encode_name), "is missing")
                valid = False
        if not valid or any(value is _INVALID for value in values.values()):
            return _INVALID
        return wanted(**values)


def _plain(node: Node) -> Any:
    """What stands there, whatever it is."""
    if isinstance(node.value, dict):
        return {key: _plain(item) for key, item in node.value.items()}
    if isinstance(node.value, list):
        return [_plain(item) for item in node.value]
    return node.value


@functools.cache
def _fields(struct: type[msgspec.Struct]) -> dict[str, msgspec.structs.FieldInfo]:
    return {field.encode_name: field for field in msgspec.structs.fields(struct)}


def _allows_null(wanted: Any) -> bool:
    return type(None) in get_args(wanted)


def _is_scalar(value: object) -> bool:
    return isinstance(value, (bool, int, float))


def _names(names: Iterable[str]) -> str:
    return ", ".join(names)


def suggestion(word: str, known: Iterable[str], what: str) -> str:
    """`did you mean 'x'?`, or the list of what is known when nothing is near."""
    known = list(known)
    folded = {name.lower(): name for name in known}
    near = difflib.get_close_matches(word.replace("_", "").lower(), folded, n=1, cutoff=0.7)
    if near:
        return f"did you mean '{folded[near[0]]}'?"
    return f"{what}: {_names(known)}"


def describe(node: Node) -> str:
    """What stands there, for the end of a sentence."""
    value = node.value
    if value is None:
        return "nothing (null)"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return f"the number {value}"
    if isinstance(value, str):
        shown = value if len(value) <= 40 else value[:37] + "..."
        return f"the string '{shown}'"
    return "a list" if isinstance(value, list) else "a mapping"
