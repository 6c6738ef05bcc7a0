"""YAML or JSON -> resources, with file, line and field path in every error.

Text is composed into nodes that know their lines (`document`), nodes are converted into the kinds' structs (`convert`),
and the structs are validated (`validate`). All problems of a text are reported together, in one `ConfigError`; nothing
is returned then. The order of resources is that of the text.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path as FilePath

from tage.config import document
from tage.config.convert import Converter, suggestion
from tage.config.document import Node, Path, format_path, line_of
from tage.config.errors import ConfigError, Problem
from tage.config.model import KINDS, Kind, Metadata, Resource
from tage.config.networking import UNSUPPORTED
from tage.config.validate import validate

_RESOURCE_FIELDS = ("apiVersion", "kind", "metadata", "spec")

_SERVER_METADATA = frozenset(
    ("creationTimestamp", "generation", "managedFields", "resourceVersion", "selfLink", "uid", "ownerReferences")
)
"""What a Kubernetes API server adds to a resource that is read from it. It configures nothing, so it is dropped, as is
`status`."""


def load_text(text: str, file: str = "") -> list[Resource]:
    """The resources of YAML documents or JSON values, validated. `file` is what errors call the text.

    Raises `ConfigError`. Empty documents are skipped; the items of a `kind: List` stand for themselves.
    """
    nodes, problems = document.compose(text, file)
    return _Loader(file, problems).load([((), node) for node in nodes])


def load_file(path: str | FilePath) -> list[Resource]:
    """As `load_text`; a file that cannot be read is a `ConfigError` too."""
    return load_text(read_file(path), str(path))


def load_objects(items: Sequence[object], file: str = "", path: Path = ("items",)) -> list[Resource]:
    """As `load_text`, from values that a JSON decoder returned. Errors have no line, but a path below `path`."""
    nodes, problems = document.objects(items, file, path)
    return _Loader(file, problems).load([((*path, index), node) for index, node in enumerate(nodes)])


def read_file(path: str | FilePath) -> str:
    """A configuration file's text. Raises `ConfigError`."""
    try:
        raw = FilePath(path).read_bytes()
    except OSError as error:
        raise ConfigError(Problem(f"cannot be read: {error.strerror}", str(path))) from error
    return decode(raw, str(path))


def decode(raw: bytes, file: str = "") -> str:
    """A file's content as text. Raises `ConfigError`."""
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise ConfigError(Problem("is not UTF-8 text", file, line)) from error


class _Loader:
    """Makes the resources of one text."""

    def __init__(self, file: str, problems: Sequence[Problem]) -> None:
        self._file = file
        self._converter = Converter(file, UNSUPPORTED)
        self._converter.problems += problems
        self._lines: dict[tuple[str, str, str], int] = {}

    def load(self, nodes: Sequence[tuple[Path, Node]]) -> list[Resource]:
        resources: list[Resource] = []
        for top, top_node in nodes:
            for path, node in self._items(top, top_node):
                resource = self._resource(path, node)
                if resource is not None:
                    resources.append(resource)
        problems = self._converter.problems
        if problems:
            raise ConfigError(*sorted(problems, key=lambda problem: problem.line))
        return resources

    def _items(self, path: Path, node: Node) -> Iterator[tuple[Path, Node]]:
        """The node itself, or those that a `kind: List` holds."""
        fields = node.value
        if not isinstance(fields, dict) or "kind" not in fields or fields["kind"].value != "List":
            yield path, node
            return
        known = ("apiVersion", "kind", "metadata", "items")
        for name, field in fields.items():
            if name not in known:
                self._converter.unknown(field, (*path, name), known)
        items = fields.get("items", Node([], node.line))
        if not isinstance(items.value, list):
            self._converter.problem(items, (*path, "items"), "expected a list")
            return
        for index, item in enumerate(items.value):
            yield (*path, "items", index), item

    def _resource(self, path: Path, node: Node) -> Resource | None:
        problem = self._converter.problem
        fields = node.value
        if not isinstance(fields, dict):
            problem(node, path, f"expected a resource: a mapping with {', '.join(_RESOURCE_FIELDS)}")
            return None
        found = len(self._converter.problems)
        kind = self._kind(path, node)
        for name, field in fields.items():
            if name not in _RESOURCE_FIELDS and name != "status":
                self._converter.unknown(field, (*path, name), _RESOURCE_FIELDS)
        metadata = self._metadata(path, node)
        spec = None
        if "spec" not in fields:
            problem(node, (*path, "spec"), "is missing")
        elif kind is not None:
            spec = self._converter.convert(fields["spec"], kind.spec, (*path, "spec"))
        if kind is None or metadata is None or spec is None or len(self._converter.problems) > found:
            return None
        resource = Resource(str(fields["apiVersion"].value), kind.name, metadata, spec)
        for where, message in validate(resource):
            here = (*path, *where)
            self._converter.problems.append(Problem(message, self._file, line_of(node, where), format_path(here)))
        self._refuse_twice(resource, path, node)
        return resource

    def _kind(self, path: Path, node: Node) -> Kind | None:
        """The resource's kind, if `apiVersion` and `kind` are right."""
        convert, problem = self._converter.convert, self._converter.problem
        fields = node.value
        assert isinstance(fields, dict)
        values: dict[str, str | None] = {}
        for field in ("apiVersion", "kind"):
            if field in fields:
                values[field] = convert(fields[field], str, (*path, field))
            else:
                problem(node, (*path, field), "is missing")
                values[field] = None
        name, version = values["kind"], values["apiVersion"]
        if name is None:
            return None
        kind = KINDS.get(name)
        if kind is None:
            message = f"unknown kind '{name}'; {suggestion(name, KINDS, 'kinds')}"
            problem(fields["kind"], (*path, "kind"), message)
        elif version is not None and version not in kind.api_versions:
            known = ", ".join(kind.api_versions)
            problem(fields["apiVersion"], (*path, "apiVersion"), f"'{version}' has no {name}; write {known}")
        return kind

    def _metadata(self, path: Path, node: Node) -> Metadata | None:
        assert isinstance(node.value, dict)
        if "metadata" not in node.value:
            self._converter.problem(node, (*path, "metadata"), "is missing")
            return None
        field = node.value["metadata"]
        if isinstance(field.value, dict):
            kept = {name: value for name, value in field.value.items() if name not in _SERVER_METADATA}
            field = Node(kept, field.line)
        return self._converter.convert(field, Metadata, (*path, "metadata"))

    def _refuse_twice(self, resource: Resource, path: Path, node: Node) -> None:
        if resource.key in self._lines:
            kind, namespace, name = resource.key
            first = self._lines[resource.key]
            message = f"{kind} {namespace}/{name} is defined twice" + (f", first in line {first}" if first else "")
            self._converter.problem(node, (*path, "metadata", "name"), message)
        self._lines.setdefault(resource.key, node.line)
