"""Which protocol is meant: `ledger.py`, `ledger.py:Ledger`, the name of a built-in, or of an installed one."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

from tage.cli.errors import CommandError
from tage.dataplane.filters.python.loader import LoadError, Modules, described
from tage.dataplane.protocols.xprotocol.registry import BUILTIN, builtin
from tage.xprotocol import Protocol, ProtocolError

GROUP = "tage.protocols"
"""The entry points by which installed packages bring protocols: name -> class."""


class Listed(NamedTuple):
    protocol: str
    """As a mesh file has it."""
    origin: str
    what: str
    """The first line of the class's docstring."""


def find(source: str) -> Protocol:
    """Raises CommandError, code 2: there is none such, its file cannot be run, or its class is refused."""
    file, class_name = _split(source)
    if file is not None:
        return _made(_class(_module(file), file, class_name), str(file))
    name = source.removeprefix("x-")
    known = builtin(name)
    if known is not None:
        return known
    for entry in metadata.entry_points(group=GROUP):
        if entry.name == name:
            return _installed(entry)
    there = ", ".join([*BUILTIN, *(f"x-{entry.name}" for entry in metadata.entry_points(group=GROUP))])
    raise CommandError(f"{source}: neither a file nor a protocol; there are {there}", 2)


def frame(file: Path) -> bytes:
    """A recorded frame. Raises CommandError."""
    try:
        return file.read_bytes()
    except OSError as error:
        raise CommandError(f"--frame {file}: cannot be read: {error.strerror}", 2) from error


def everything() -> list[Listed]:
    """Those that can be used by name alone. Raises CommandError where an installed one is broken."""
    found = [Listed(name, "built in", _what(type(builtin(name)))) for name in BUILTIN]
    for entry in sorted(metadata.entry_points(group=GROUP), key=lambda entry: entry.name):
        package = entry.dist.name if entry.dist is not None else entry.value
        found.append(Listed(f"x-{entry.name}", package, _what(type(_installed(entry)))))
    return found


def _what(cls: type) -> str:
    return (cls.__doc__ or "").strip().partition("\n")[0]


def _split(source: str) -> tuple[Path | None, str]:
    """(file, class or empty); no file where a protocol is named."""
    where, colon, class_name = source.rpartition(":")
    if colon and class_name.isidentifier() and not Path(source).exists():
        return Path(where), class_name
    if source.endswith(".py") or "/" in source or Path(source).is_file():
        return Path(source), ""
    return None, ""


def _module(file: Path) -> ModuleType:
    """Runs the file, as a sidecar does: what it imports has to be installed. Raises CommandError."""
    try:
        return Modules("protocol").load(str(file), file.read_bytes())
    except OSError as error:
        raise CommandError(f"{file}: cannot be read: {error.strerror}", 2) from error
    except LoadError as error:
        raise CommandError(str(error), 2) from error


def _class(module: ModuleType, file: Path, name: str) -> type[Protocol]:
    classes = {each.__name__: each for each in _classes(module)}
    if name:
        if name not in classes:
            raise CommandError(f"{file}: no protocol {name!r}; {_there(classes)}", 2)
        return classes[name]
    if len(classes) != 1:
        raise CommandError(f"{file}: {_there(classes)}" + ("; say FILE:CLASS" if classes else ""), 2)
    return next(iter(classes.values()))


def _classes(module: ModuleType) -> Iterator[type[Protocol]]:
    for value in vars(module).values():
        if isinstance(value, type) and issubclass(value, Protocol) and value.__module__ == module.__name__:
            yield value


def _there(classes: dict[str, type[Protocol]]) -> str:
    if not classes:
        return "it has no class derived from tage.xprotocol.Protocol"
    return f"its protocols: {', '.join(classes)}"


def _installed(entry: metadata.EntryPoint) -> Protocol:
    try:
        cls = entry.load()
    except Exception as error:
        raise CommandError(f"{entry.value}: {described(error)}", 2) from error
    if not (isinstance(cls, type) and issubclass(cls, Protocol)):
        raise CommandError(f"{entry.value}: not a class derived from tage.xprotocol.Protocol", 2)
    return _made(cls, entry.value)


def _made(cls: type[Protocol], where: str) -> Protocol:
    try:
        return cls()
    except ProtocolError as error:
        raise CommandError(f"{where}: {error}", 2) from error
    except Exception as error:
        raise CommandError(f"{where}: {described(error, where)}", 2) from error
