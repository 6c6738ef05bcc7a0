"""Filters in Python -> `plan.PythonFilter`. Envoy has no message for them, so they come as a TypedStruct (xds.type.v3,
or the older udpa.type.v1) whose type_url is `TYPE_URL`::

    - name: api-key
      typed_config:
        "@type": type.googleapis.com/xds.type.v3.TypedStruct
        type_url: type.googleapis.com/tage.filters.http.Python
        value: {class: "auth.py:ApiKey", config: {keys: [..]}, failure: closed, timeout: 5s, blocking_threshold: 10ms}

and for a route, with the same type_url, ``{disabled: true}`` or ``{config: {..}}``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from google.protobuf import struct_pb2
from google.protobuf.message import Message
from udpa.type.v1 import typed_struct_pb2 as udpa_typed_struct_pb2
from xds.type.v3 import typed_struct_pb2

from tage.config.duration import parse_duration_ms
from tage.sidecar import filter_code, plan
from tage.sidecar.secrets import SecretError, load
from tage.sidecar.translate.draft import DataSource, SecretDraft
from tage.sidecar.translate.filters.kind import FilterKind, Place
from tage.sidecar.translate.problem import Problems
from tage.sidecar.translate.shape import Shape

TYPE_URL = "type.googleapis.com/tage.filters.http.Python"
MAX_TIMEOUT = 3_600_000
MAX_BLOCKING = 60_000
"""ms, as `MAX_TIMEOUT`."""

_FIELDS = ("class", "config", "failure", "timeout", "blocking_threshold")
_ROUTE_FIELDS = ("disabled", "config")


def translate(message: Any, place: Place, path: str, problems: Problems) -> plan.PythonFilter:
    value = _value(message, _FIELDS, path, problems)
    at = f"{path}.value"
    failure = value.get("failure", "closed")
    if failure not in ("open", "closed"):
        problems.add(f"{at}.failure", f"{failure!r} is not one of open and closed")
    file, module, kind = _class(value, at, problems)
    return plan.PythonFilter(
        place.name,
        kind,
        file=file,
        module=module,
        config=_config(value, at, problems),
        fails_open=failure == "open",
        timeout=_duration(value, "timeout", 5_000, MAX_TIMEOUT, at, problems),
        blocking_threshold=_duration(value, "blocking_threshold", 10, MAX_BLOCKING, at, problems),
    )


def translate_route(message: Any, place: Place, path: str, problems: Problems) -> plan.AnyFilterSettings:
    value = _value(message, _ROUTE_FIELDS, path, problems)
    disabled = value.get("disabled", False)
    if not isinstance(disabled, bool):
        problems.add(f"{path}.value.disabled", f"{disabled!r} is not one of true and false")
    if disabled and "config" in value:
        problems.add(f"{path}.value", "disabled and config exclude one another; keep one")
    if disabled:
        return plan.FilterDisabled(place.name)
    if "config" not in value:
        problems.add(f"{path}.value", "needs one of disabled and config")
    return plan.PythonFilterRoute(place.name, _config(value, f"{path}.value", problems))


def _kind(message: type[Message]) -> FilterKind:
    shape = Shape(message.DESCRIPTOR.full_name, ("type_url", "value"))
    return FilterKind(message, shape, translate, message, shape, translate_route)


KINDS = (_kind(typed_struct_pb2.TypedStruct), _kind(udpa_typed_struct_pb2.TypedStruct))


def code(listener: plan.Listener) -> list[SecretDraft]:
    """The files that the listener's filters name, as they are now; each once. What cannot be read was told already."""
    files = {
        each.file: None
        for chain in listener.all_chains()
        if chain.http is not None
        for each in chain.http.filters
        if isinstance(each, plan.PythonFilter) and each.file
    }
    drafts = []
    for file in files:
        try:
            drafts.append(_read(file))
        except SecretError:
            continue
    return drafts


def _read(file: str) -> SecretDraft:
    return load(SecretDraft(plan.FilterCode(file, b""), {"source": DataSource(file)}))


def _value(message: Any, fields: tuple[str, ...], path: str, problems: Problems) -> dict[str, Any]:
    if message.type_url != TYPE_URL:
        problems.add(f"{path}.type_url", f"'{message.type_url}' is not supported (only {TYPE_URL})")
        return {}
    value = _plain(message.value)
    for field in value:
        if field not in fields:
            problems.add(f"{path}.value.{field}", f"unknown field; there are {', '.join(fields)}")
    return value


def _class(value: Mapping[str, Any], at: str, problems: Problems) -> tuple[str, str, str]:
    text = value.get("class")
    if not isinstance(text, str) or not text:
        problems.add(f"{at}.class", "is missing: give FILE.py:Class, or package.module:Class")
        return "", "", ""
    try:
        named = filter_code.parse(text)
        file = named.file
        if file and filter_code.reads():
            file = filter_code.find(file, filter_code.directories())
            _read(file)
    except (filter_code.CodeError, SecretError) as error:
        problems.add(f"{at}.class", str(error))
        return "", "", ""
    return file, named.module, named.name


def _config(value: Mapping[str, Any], at: str, problems: Problems) -> dict[str, Any]:
    config = value.get("config", {})
    if isinstance(config, dict):
        return config
    problems.add(f"{at}.config", f"has to be a mapping, not {config!r}")
    return {}


def _duration(value: Mapping[str, Any], field: str, default: int, most: int, at: str, problems: Problems) -> int:
    text = value.get(field)
    if text is None:
        return default
    try:
        found = parse_duration_ms(text) if isinstance(text, str) else -1
    except ValueError as error:
        problems.add(f"{at}.{field}", str(error))
        return default
    if not 0 < found <= most:
        problems.add(f"{at}.{field}", f"{text!r} has to be a duration from 1ms to {most // 1000}s")
        return default
    return found


def _plain(struct: struct_pb2.Struct) -> dict[str, Any]:
    """As YAML has it: numbers that are whole are int."""
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
