"""A filter's code: source -> module -> class -> object. All of it runs what the user wrote, so everything it can raise
becomes a `LoadError` that says where.

A file's module has a name of its own for each content, so a new version never meets the objects of the one before. It
stands in `sys.modules` while it is used, for dataclasses and pickles look there for a class's module.
"""

from __future__ import annotations

import copy
import importlib
import importlib.abc
import importlib.util
import inspect
import itertools
import sys
import traceback
from collections.abc import Iterable
from pathlib import PurePath
from types import ModuleType
from typing import Any

from tage.dataplane.filters.python.api import Filter

_METHODS = ("on_request", "on_response")
CodeKey = tuple[str, bytes]
"""A file and its content."""
_serials = itertools.count(1)


class LoadError(Exception):
    """The filter cannot be used; the message says what of it is wrong, and where."""


class Modules:
    """The modules that were made from files. May be used by several threads, for each module by one at a time. `what`
    is a part of their names."""

    def __init__(self, what: str = "filter") -> None:
        self._what = what
        self._modules: dict[CodeKey, ModuleType] = {}

    def load(self, file: str, source: bytes) -> ModuleType:
        """Raises `LoadError`."""
        key = (file, source)
        known = self._modules.get(key)
        if known is not None:
            return known
        name = f"tage_{self._what}_{PurePath(file).stem}_{next(_serials)}"
        spec = importlib.util.spec_from_loader(name, _Source(file, source), origin=file)
        assert spec is not None
        spec.has_location = True  # gives the module its __file__
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        try:
            assert spec.loader is not None
            spec.loader.exec_module(module)
        except BaseException as error:  # SystemExit too
            sys.modules.pop(name, None)
            raise LoadError(f"{file}: {described(error, file)}") from None
        self._modules[key] = module
        return module

    def keep(self, keys: Iterable[CodeKey]) -> None:
        """Forgets all others. Who still uses one of those has it in hand."""
        wanted = set(keys)
        for key in [key for key in self._modules if key not in wanted]:
            sys.modules.pop(self._modules.pop(key).__name__, None)

    def __len__(self) -> int:
        return len(self._modules)


class _Source(importlib.abc.InspectLoader):
    """Gives the source that the plan brought, whatever the file holds by now."""

    def __init__(self, file: str, source: bytes) -> None:
        self._file = file
        self._source = source

    def get_source(self, fullname: str) -> str:
        return importlib.util.decode_source(self._source)

    def get_code(self, fullname: str) -> Any:
        return self.source_to_code(self._source, self._file)

    def is_package(self, fullname: str) -> bool:
        return False


def find_module(name: str) -> ModuleType:
    """One of an installed package. Raises `LoadError`; the standard library's and Tage's own are none, and looking for
    filters there would only run code that is none."""
    root = name.partition(".")[0]
    if root in sys.stdlib_module_names or root in sys.builtin_module_names or root == "tage":
        raise LoadError(f"module {name!r} has no filters: it is a part of {'Tage' if root == 'tage' else 'Python'}")
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and (name == error.name or name.startswith(f"{error.name}.")):
            raise LoadError(f"no module {name!r} is installed for the sidecar's Python ({sys.executable})") from None
        raise LoadError(f"module {name!r}: {described(error)}") from None
    except BaseException as error:
        raise LoadError(f"module {name!r}: {described(error)}") from None


def find_class(module: ModuleType, name: str, where: str) -> type[Filter]:
    """`where` is what the user knows the module by. Raises `LoadError`."""
    found = getattr(module, name, None)
    if found is None:
        known = sorted(each for each, value in vars(module).items() if _is_filter(value))
        raise LoadError(f"{where} has no {name!r}" + (f"; its filters: {', '.join(known)}" if known else ""))
    if not _is_filter(found):
        raise LoadError(f"{where}: {name} is not a class derived from tage.Filter")
    _check_methods(found, f"{where}:{name}")
    return found


def _is_filter(value: object) -> bool:
    return isinstance(value, type) and issubclass(value, Filter) and value is not Filter


def _check_methods(kind: type[Filter], label: str) -> None:
    strange = sorted(name for name in dir(kind) if name.startswith("on_") and name not in _METHODS)
    if strange:
        raise LoadError(f"{label}: nothing calls {strange[0]}; a filter has on_request and on_response")
    if kind.on_request is Filter.on_request and kind.on_response is Filter.on_response:
        raise LoadError(f"{label}: has neither on_request nor on_response: it would do nothing")
    for name, arguments in (("on_request", ("request",)), ("on_response", ("response", "request"))):
        method = getattr(kind, name)
        if inspect.isasyncgenfunction(method) or inspect.isgeneratorfunction(method):
            raise LoadError(f"{label}: {name} is a generator: it answers with return, not with yield")
        try:
            inspect.signature(method).bind(None, *arguments)
        except TypeError:
            raise LoadError(f"{label}: {name} has to take (self, {', '.join(arguments)})") from None


def make(kind: type[Filter], config: dict[str, Any], label: str) -> Filter:
    """Raises `LoadError`: with what `__init__` says in a ValueError, or with where it broke."""
    try:
        return kind(copy.deepcopy(config))
    except ValueError as error:
        raise LoadError(f"{label}: {error}") from None
    except BaseException as error:
        raise LoadError(f"{label}: __init__: {described(error)}") from None


def described(error: BaseException, file: str = "") -> str:
    """In one line, with the innermost line of the user's code: of `file`, or the last one."""
    text = "".join(traceback.format_exception_only(error)).strip().splitlines()[-1]
    if isinstance(error, SyntaxError):
        return f"line {error.lineno}: {text}"
    frames = traceback.extract_tb(error.__traceback__)
    frame = next((frame for frame in reversed(frames) if not file or frame.filename == file), None)
    return f"{text} ({frame.filename}:{frame.lineno})" if frame is not None else text
