"""TypedStruct (xds.type.v3, or the older udpa.type.v1): what Envoy has no message for, as plain values with the name of
their type in `type_url`. Fields that the type does not have are problems under their path."""

from __future__ import annotations

from typing import Any

from google.protobuf import struct_pb2
from google.protobuf.message import Message
from udpa.type.v1 import typed_struct_pb2 as udpa_typed_struct_pb2
from xds.type.v3 import typed_struct_pb2

from tage.config.duration import parse_duration_ms
from tage.sidecar.translate.problem import Problems
from tage.sidecar.translate.shape import Shape

KINDS: tuple[type[Message], ...] = (typed_struct_pb2.TypedStruct, udpa_typed_struct_pb2.TypedStruct)
NAMES = {kind.DESCRIPTOR.full_name: kind for kind in KINDS}


def shape(kind: type[Message]) -> Shape:
    return Shape(kind.DESCRIPTOR.full_name, ("type_url", "value"))


def fields(message: Any, type_url: str, known: tuple[str, ...], path: str, problems: Problems) -> dict[str, Any]:
    """Its values as YAML has them: numbers that are whole are int. A struct of another type is a problem, and so is a
    field that is not `known`."""
    if message.type_url != type_url:
        problems.add(f"{path}.type_url", f"'{message.type_url}' is not supported (only {type_url})")
        return {}
    value = _plain(message.value)
    for field in value:
        if field not in known:
            problems.add(f"{path}.value.{field}", f"unknown field; there are {', '.join(known)}")
    return value


def duration(
    value: dict[str, Any], field: str, default: int, most: int, at: str, problems: Problems, *, zero: bool = False
) -> int:
    """ms, from 1 (0 where `zero` may be) to `most`; `default` where there is none."""
    text = value.get(field)
    if text is None:
        return default
    try:
        found = parse_duration_ms(text) if isinstance(text, str) else -1
    except ValueError as error:
        problems.add(f"{at}.{field}", str(error))
        return default
    if not (0 if zero else 1) <= found <= most:
        least = "0s" if zero else "1ms"
        problems.add(f"{at}.{field}", f"{text!r} has to be a duration from {least} to {most // 1000}s")
        return default
    return found


def number(value: dict[str, Any], field: str, default: int, least: int, most: int, at: str, problems: Problems) -> int:
    found = value.get(field, default)
    if isinstance(found, bool) or not isinstance(found, int) or not least <= found <= most:
        problems.add(f"{at}.{field}", f"{found!r} has to be a whole number from {least} to {most}")
        return default
    return found


def choice(
    value: dict[str, Any], field: str, default: str, choices: tuple[str, ...], at: str, problems: Problems
) -> str:
    """One of `choices`, which are upper case, as the names of an enumeration; in lower case, as the plan has it."""
    found = value.get(field, default)
    if found not in choices:
        problems.add(f"{at}.{field}", f"{found!r} is not one of {', '.join(choices)}")
        return default.lower()
    return str(found).lower()


def _plain(struct: struct_pb2.Struct) -> dict[str, Any]:
    return {name: _plain_value(value) for name, value in struct.fields.items()}


def _plain_value(value: struct_pb2.Value) -> Any:
    kind = value.WhichOneof("kind")
    if kind == "struct_value":
        return _plain(value.struct_value)
    if kind == "list_value":
        return [_plain_value(each) for each in value.list_value.values]
    if kind == "number_value":
        number = value.number_value
        return int(number) if number.is_integer() and abs(number) < 2**53 else number
    return getattr(value, kind) if kind in ("string_value", "bool_value") else None
