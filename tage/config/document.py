"""YAML or JSON -> trees of `Node`, each of which knows the line where it stands.

The events of PyYAML's parser (libyaml's where it is built in) are composed here, because what a configuration needs
differs from what `yaml.safe_load` gives: lines for every field, duplicate keys refused, and plain scalars resolved as
in YAML 1.2's core schema (so `on`, `1:30` and `2024-01-01` stay strings; `true`, `80` and `0.5` do not). JSON is read
the same way, as the subset of YAML that it nearly is.

Everything is bounded: nesting, the number of nodes (aliases counted as often as they expand) and the text itself.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence

import yaml

from tage.config.errors import Problem

MAX_CHARACTERS = 64 << 20
MAX_DEPTH = 64
MAX_NODES = 2_000_000

Scalar = str | int | float | bool | None
Path = tuple[str | int, ...]
"""A field's way from the top: ("spec", "http", 0, "timeout")."""


class Node:
    """A value and its line (1-based; 0 for what never was text). A field's line is that of its key."""

    __slots__ = ("line", "value")

    def __init__(self, value: Scalar | list[Node] | dict[str, Node], line: int = 0) -> None:
        self.value = value
        self.line = line


def format_path(path: Path) -> str:
    """As users write it: `spec.http[0].match[1].headers.x-user`, `metadata.labels["a.b/c"]`."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        elif re.fullmatch(r"[\w-]+", step):
            text += f".{step}" if text else step
        else:
            text += f"[{json.dumps(step, ensure_ascii=False)}]"
    return text


def line_of(node: Node, path: Path) -> int:
    """The line of the field at `path` below `node`; of what would hold it, where it is not written."""
    for step in path:
        value = node.value
        if isinstance(step, int):
            if not isinstance(value, list) or step >= len(value):
                break
            node = value[step]
        else:
            if not isinstance(value, dict) or step not in value:
                break
            node = value[step]
    return node.line


def from_object(value: object, depth: int = 0) -> Node:
    """A tree of what a JSON or msgpack decoder returned; lines are 0. Raises `ValueError` when nested too deep."""
    if depth > MAX_DEPTH:
        raise ValueError(f"nested deeper than {MAX_DEPTH} levels")
    if isinstance(value, dict):
        return Node({str(key): from_object(item, depth + 1) for key, item in value.items()})
    if isinstance(value, (list, tuple)):
        return Node([from_object(item, depth + 1) for item in value])
    if value is None or isinstance(value, (str, int, float)):
        return Node(value)
    raise ValueError(f"{type(value).__name__} is not a JSON value")


_INTEGER = re.compile(r"[-+]?(?:0|[1-9][0-9]{0,18})")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|(?:0|[1-9][0-9]*)(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_WORDS: dict[str, bool | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}


def resolve_plain(text: str) -> Scalar:
    """What an unquoted scalar means."""
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.fullmatch(text):
        return int(text)
    if _FLOAT.fullmatch(text):
        return float(text)
    return text


def compose(text: str, file: str = "") -> tuple[list[Node], list[Problem]]:
    """The documents of `text`, empty ones left out, and what is wrong with it.

    After a syntax error the documents before it are returned; duplicate keys do not end the reading.
    """
    composer = _Composer(file)
    if len(text) > MAX_CHARACTERS:
        return [], [composer.problem(f"larger than {MAX_CHARACTERS >> 20} MiB", 0)]
    if bad := re.search("[\ud800-\udfff]", text):
        return [], [composer.problem("not valid Unicode: a lone surrogate", text.count("\n", 0, bad.start()) + 1)]
    if _is_json(text):
        text = _json_to_yaml(text)
    documents: list[Node] = []
    try:
        for document in composer.documents(yaml.parse(text, Loader=_PARSER)):
            if document.value is not None:
                documents.append(document)
    except _Stop as stop:
        composer.problems.append(stop.problem)
    except yaml.YAMLError as error:
        composer.problems.append(composer.problem(*_syntax_error(error, text)))
    return documents, composer.problems


_PARSER = yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader
_TAGS: dict[str, tuple[type, ...]] = {
    "tag:yaml.org,2002:str": (str,),
    "tag:yaml.org,2002:int": (int,),
    "tag:yaml.org,2002:float": (float, int),
    "tag:yaml.org,2002:bool": (bool,),
    "tag:yaml.org,2002:null": (type(None),),
}


def _is_json(text: str) -> bool:
    if not text.lstrip().startswith(("{", "[")):
        return False
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False  # YAML's flow style, or broken: the YAML parser says where
    return True


_ESCAPE = re.compile(r"\\(?:u([dD][89abAB][0-9a-fA-F]{2})\\u([dD][c-fC-F][0-9a-fA-F]{2})|.)")
_JSON_ONLY = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")
"""Strings of JSON may hold these; YAML refuses some and takes the others for line breaks."""


def _json_to_yaml(text: str) -> str:
    """Where JSON is not YAML: tabs between tokens, characters beyond the first plane that are escaped in two halves,
    and characters that YAML wants escaped."""

    def join(escape: re.Match[str]) -> str:
        if escape[1] is None:
            return escape[0]
        return chr(0x10000 + ((int(escape[1], 16) & 0x3FF) << 10) + (int(escape[2], 16) & 0x3FF))

    text = _ESCAPE.sub(join, text).replace("\t", " ")
    return _JSON_ONLY.sub(lambda character: f"\\u{ord(character[0]):04x}", text)


def _syntax_error(error: yaml.YAMLError, text: str) -> tuple[str, int]:
    if not isinstance(error, yaml.MarkedYAMLError):
        # A character that YAML does not allow at all; the parsers disagree about how they count its position.
        bad = yaml.reader.Reader.NON_PRINTABLE.search(text)
        if bad is None:
            return f"not valid YAML: {error}", 0
        return f"not valid YAML: character U+{ord(bad[0]):04X} is not allowed", text.count("\n", 0, bad.start()) + 1
    mark = error.problem_mark or error.context_mark
    line = mark.line + 1 if mark else 0
    if error.problem == "exceeded maximum nesting depth":
        # libyaml's own limit, a thousand, met while it looks ahead; ours is far below.
        return f"nested deeper than {MAX_DEPTH} levels", line
    message = f"not valid YAML: {error.problem or error.context}"
    since = error.context_mark.line + 1 if error.context_mark else line
    if error.context and error.problem and since != line:
        message += f" ({error.context} that begins in line {since})"
    lines = text.splitlines()
    if 0 < line <= len(lines) and "\t" in lines[line - 1][: len(lines[line - 1]) - len(lines[line - 1].lstrip())]:
        message += "; indent with spaces, not with tabs"
    return message, line


def _line(event: yaml.Event) -> int:
    return event.start_mark.line + 1 if event.start_mark is not None else 0


class _Stop(Exception):
    """Reading cannot go on."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem


class _Composer:
    """Turns the parser's events into nodes by recursive descent; its depth is `MAX_DEPTH` at most."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.problems: list[Problem] = []
        self._nodes = 0
        self._anchors: dict[str, tuple[Node, int] | None] = {}
        """Name -> the node and how many it stands for; None while it is being read."""

    def problem(self, message: str, line: int, path: Path = ()) -> Problem:
        return Problem(message, self.file, line, format_path(path))

    def documents(self, events: Iterator[yaml.Event]) -> Iterator[Node]:
        for event in events:
            if isinstance(event, yaml.DocumentStartEvent):
                self._anchors = {}
                yield self._node(next(events), events, ())

    def _node(self, event: yaml.Event, events: Iterator[yaml.Event], path: Path) -> Node:
        assert isinstance(event, yaml.NodeEvent)
        line = _line(event)
        if isinstance(event, yaml.AliasEvent):
            return self._alias(str(event.anchor), line, path)
        before = self._nodes
        self._count(1, line, path)
        if len(path) > MAX_DEPTH:
            raise _Stop(self.problem(f"nested deeper than {MAX_DEPTH} levels", line))
        if event.anchor is not None:
            self._anchors[event.anchor] = None
        if isinstance(event, yaml.ScalarEvent):
            node = Node(self._scalar(event, line, path), line)
        elif isinstance(event, yaml.SequenceStartEvent):
            node = Node(self._sequence(events, path), line)
        else:
            node = Node(self._mapping(events, path), line)
        if event.anchor is not None:
            self._anchors[event.anchor] = (node, self._nodes - before)
        return node

    def _count(self, more: int, line: int, path: Path) -> None:
        self._nodes += more
        if self._nodes > MAX_NODES:
            raise _Stop(self.problem(f"more than {MAX_NODES:,} values, aliases expanded", line, path))

    def _alias(self, anchor: str, line: int, path: Path) -> Node:
        if anchor not in self._anchors:
            raise _Stop(self.problem(f"alias *{anchor} has no anchor &{anchor} before it", line, path))
        anchored = self._anchors[anchor]
        if anchored is None:
            raise _Stop(self.problem(f"alias *{anchor} stands inside of what it names", line, path))
        node, size = anchored
        self._count(size, line, path)
        return Node(node.value, line)

    def _scalar(self, event: yaml.ScalarEvent, line: int, path: Path) -> Scalar:
        text: str = event.value
        if event.tag is None or event.tag == "!":
            return resolve_plain(text) if event.implicit[0] else text
        if event.tag not in _TAGS:
            self.problems.append(self.problem(f"tag {event.tag} is not allowed", line, path))
            return text
        value = text if event.tag.endswith(":str") else resolve_plain(text)
        if not isinstance(value, _TAGS[event.tag]):
            self.problems.append(self.problem(f"{text!r} does not fit the tag {event.tag}", line, path))
        return value

    def _sequence(self, events: Iterator[yaml.Event], path: Path) -> list[Node]:
        items: list[Node] = []
        for event in events:
            if isinstance(event, yaml.SequenceEndEvent):
                break
            items.append(self._node(event, events, (*path, len(items))))
        return items

    def _mapping(self, events: Iterator[yaml.Event], path: Path) -> dict[str, Node]:
        fields: dict[str, Node] = {}
        for event in events:
            if isinstance(event, yaml.MappingEndEvent):
                break
            line = _line(event)
            if not isinstance(event, yaml.ScalarEvent):
                raise _Stop(self.problem("a key must be a plain word or a string", line, path))
            key: str = event.value
            value = self._node(next(events), events, (*path, key))
            if key in fields:
                message = f"is written twice, first in line {fields[key].line}"
                self.problems.append(self.problem(message, line, (*path, key)))
                continue
            if value.line != line:
                value = Node(value.value, line)
            fields[key] = value
        return fields


def objects(items: Sequence[object], file: str = "", path: Path = ()) -> tuple[list[Node], list[Problem]]:
    """`from_object` for each of `items`; what is no JSON value becomes a problem."""
    nodes: list[Node] = []
    problems: list[Problem] = []
    for index, item in enumerate(items):
        try:
            nodes.append(from_object(item))
        except ValueError as error:
            nodes.append(Node(None))
            problems.append(Problem(str(error), file, 0, format_path((*path, index))))
    return nodes, problems
