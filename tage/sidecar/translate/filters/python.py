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

from google.protobuf.message import Message

from tage.sidecar import filter_code, plan
from tage.sidecar.secrets import SecretError, load
from tage.sidecar.translate import typed_struct
from tage.sidecar.translate.draft import DataSource, SecretDraft
from tage.sidecar.translate.filters.kind import FilterKind, Place
from tage.sidecar.translate.problem import Problems

TYPE_URL = "type.googleapis.com/tage.filters.http.Python"
MAX_TIMEOUT = 3_600_000
MAX_BLOCKING = 60_000
"""ms, as `MAX_TIMEOUT`."""

_FIELDS = ("class", "config", "failure", "timeout", "blocking_threshold")
_ROUTE_FIELDS = ("disabled", "config")


def translate(message: Any, place: Place, path: str, problems: Problems) -> plan.PythonFilter:
    value = typed_struct.fields(message, TYPE_URL, _FIELDS, path, problems)
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
        timeout=typed_struct.duration(value, "timeout", 5_000, MAX_TIMEOUT, at, problems),
        blocking_threshold=typed_struct.duration(value, "blocking_threshold", 10, MAX_BLOCKING, at, problems),
    )


def translate_route(message: Any, place: Place, path: str, problems: Problems) -> plan.AnyFilterSettings:
    value = typed_struct.fields(message, TYPE_URL, _ROUTE_FIELDS, path, problems)
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
    shape = typed_struct.shape(message)
    return FilterKind(message, shape, translate, message, shape, translate_route)


KINDS = tuple(map(_kind, typed_struct.KINDS))


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
