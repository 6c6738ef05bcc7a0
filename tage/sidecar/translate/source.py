"""A configuration file, YAML or JSON -> a protobuf message.

Two things that protobuf's JSON reader lacks: the types that ``@type`` names are loaded on demand (Envoy's API has
hundreds, a process should know those that the file uses), and an error names the field as the file has it.
"""

from __future__ import annotations

import difflib
import importlib
import pkgutil
import re
from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml
from google.protobuf import descriptor_pool, json_format
from google.protobuf.message import Message

from tage.sidecar.translate.problem import Problem, Problems, TranslateError

MAX_SIZE = 64 << 20
"""Bytes of a file."""

_TYPE = re.compile(r"[a-z0-9_]+(\.[a-z0-9_]+)*(\.[A-Z][A-Za-z0-9]*)+")
_API_ROOTS = ("envoy", "xds", "udpa", "google.protobuf")
_STEP = re.compile(r"Failed to parse (\w+) field: ")
_AT = re.compile(r' at "?Bootstrap\.?(?P<path>[^"\n]*?)"?\.*(?=\n|$)')
_UNKNOWN = re.compile(
    r'Message type "(?P<type>[^"]*)" has no field named "(?P<field>[^"]*)" at "Bootstrap\.?(?P<path>[^"\n]*)"'
)


class _Loader(yaml.SafeLoader):
    """YAML as JSON sees it: no dates, and a key that stands twice is an error."""

    yaml_implicit_resolvers = {
        first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen = set()
        for key, _ in node.value:
            if key.tag != "tag:yaml.org,2002:merge" and key.value in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key '{key.value}' stands twice", key.start_mark
                )
            seen.add(key.value)
        return super().construct_mapping(node, deep)


def read(file: Path) -> dict[str, Any]:
    """The file's mapping. YAML takes in JSON. Raises `TranslateError`."""
    try:
        with file.open("rb") as stream:
            data = stream.read(MAX_SIZE + 1)
    except OSError as error:
        raise TranslateError([Problem("", error.strerror or str(error))]) from error
    if len(data) > MAX_SIZE:
        raise TranslateError([Problem("", f"is larger than {MAX_SIZE >> 20} MiB")])
    try:
        content = yaml.load(data, _Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f"line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise TranslateError([Problem(where, f"is not YAML or JSON: {error.problem}")]) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise TranslateError([Problem("", f"is not YAML or JSON: {error}")]) from error
    if not isinstance(content, dict):
        raise TranslateError([Problem("", "is not a mapping")])
    return content


def parse(content: dict[str, Any], message: Message) -> None:
    """Fills `message`, a Bootstrap. Raises `TranslateError`."""
    problems = Problems()
    _load_types(content, "", problems)
    problems.check()
    try:
        json_format.ParseDict(content, message)
    except json_format.ParseError as error:
        raise TranslateError([_readable(str(error), content)]) from error
    except (TypeError, AttributeError, ValueError) as error:  # keys that are no strings, mappings where text belongs
        raise TranslateError([Problem("", f"has a value of the wrong type: {error}")]) from error


def _load_types(value: Any, path: str, problems: Problems) -> None:
    if isinstance(value, list):
        for index, element in enumerate(value):
            _load_types(element, f"{path}[{index}]", problems)
        return
    if not isinstance(value, dict):
        return
    type_url = value.get("@type")
    if type_url is not None and not _known(str(type_url).rpartition("/")[2]):
        problems.add(path, f"unknown @type '{type_url}'")
    for key, element in value.items():
        _load_types(element, f"{path}.{key}" if path else str(key), problems)


def _known(name: str) -> bool:
    """Whether there is a message by that name, after loading the modules of its package.

    Only names below the API's own packages are looked for: a configuration must not choose what is imported.
    """
    if not _TYPE.fullmatch(name) or not name.startswith(tuple(f"{root}." for root in _API_ROOTS)):
        return False
    package = ".".join(part for part in name.split(".") if not part[0].isupper())
    try:
        module = importlib.import_module(package)
    except ImportError:
        return False
    for found in pkgutil.iter_modules(module.__path__):
        if found.name.endswith("_pb2"):
            importlib.import_module(f"{package}.{found.name}")
    try:
        descriptor_pool.Default().FindMessageTypeByName(name)
    except KeyError:
        return False
    return True


def _readable(error: str, content: dict[str, Any]) -> Problem:
    """Protobuf's ``Failed to parse a field: Failed to parse b field: REASON at "Bootstrap.a.b"`` as path and reason."""
    steps = _STEP.findall(error)
    reason = _STEP.sub("", error)
    if unknown := _UNKNOWN.search(reason):
        names = [_snake(name) for name in re.findall(r"'(\w+)'", reason[unknown.end() :])]
        close = difflib.get_close_matches(_snake(unknown["field"]), names, 1)
        path = f"{unknown['path']}.{unknown['field']}".lstrip(".")
        return Problem(path, f"{unknown['type']} has no such field" + (f"; is it {close[0]}?" if close else ""))
    if at := _AT.search(reason):
        reason = reason[: at.start()] + reason[at.end() :]
        return Problem(at["path"], reason.strip().rstrip("."))
    return Problem(_find(content, steps, reason), reason.strip().rstrip("."))


def _find(content: dict[str, Any], steps: list[str], reason: str) -> str:
    """The path of the value that `reason` quotes, in a field by the last step's name. Protobuf does not say where the
    wrong text for a number stands; where the file has several alike, this gives the field names alone."""
    found: list[str] = []

    def visit(value: Any, path: str) -> None:
        if isinstance(value, list):
            for index, element in enumerate(value):
                visit(element, f"{path}[{index}]")
        elif isinstance(value, dict):
            for key, element in value.items():
                at = f"{path}.{key}" if path else str(key)
                if steps and _snake(str(key)) == _snake(steps[-1]) and str(element) in reason:
                    found.append(at)
                visit(element, at)

    visit(content, "")
    return found[0] if len(found) == 1 else ".".join(steps)


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])([A-Z])", lambda found: f"_{found[1].lower()}", name)
