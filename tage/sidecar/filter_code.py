"""Where the code of Python filters may come from: installed packages, and directories that whoever runs the sidecar
has named (`tage sidecar --filters DIR`, TAGE_FILTERS). A configuration, whoever sends it, names code; it never brings
any along, and a file elsewhere is refused.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import NamedTuple

VARIABLE = "TAGE_FILTERS"
"""Directories, separated as in PATH. The agent and its translating child inherit it."""


_UNREAD = ContextVar("_UNREAD", default=False)


class CodeError(Exception):
    """The code cannot be had; the message says why."""


class ClassName(NamedTuple):
    """A class as a configuration names it: `auth.py:ApiKey`, `acme.filters.auth:ApiKey`. One of `file` and `module` is
    empty; `file` may be relative to one of the directories."""

    file: str
    module: str
    name: str


def parse(text: str) -> ClassName:
    """Raises `CodeError`."""
    where, colon, name = text.rpartition(":")
    if not colon or not where or not name.isidentifier():
        raise CodeError(f"'{text}' does not name a class; give FILE.py:Class, or package.module:Class")
    if where.endswith(".py"):
        return ClassName(where, "", name)
    if all(part.isidentifier() for part in where.split(".")):
        return ClassName("", where, name)
    raise CodeError(f"'{where}' is neither a file that ends with .py nor the name of a module")


def directories() -> list[str]:
    return [os.path.abspath(part) for part in os.environ.get(VARIABLE, "").split(os.pathsep) if part]


@contextmanager
def unread() -> Iterator[None]:
    """Files are taken as they are named: for whoever looks at a configuration, and neither has the code nor runs it."""
    token = _UNREAD.set(True)
    try:
        yield
    finally:
        _UNREAD.reset(token)


def reads() -> bool:
    """Whether files are looked for, and read."""
    return not _UNREAD.get()


def find(file: str, allowed: Sequence[str]) -> str:
    """The file's whole path. Raises `CodeError`."""
    if not allowed:
        raise CodeError(
            f"'{file}': no directory is allowed to hold filters; "
            f"name one with `tage sidecar --filters DIR` or {VARIABLE}"
        )
    for directory in allowed:
        path = os.path.normpath(os.path.join(directory, file))
        if _within(path, directory) and os.path.exists(path):
            return path
    listed = ", ".join(allowed)
    if any(_within(os.path.normpath(os.path.join(directory, file)), directory) for directory in allowed):
        raise CodeError(f"'{file}': there is no such file in {listed}")
    raise CodeError(f"'{file}' is outside of the directories that may hold filters ({listed})")


def _within(path: str, directory: str) -> bool:
    """Links followed: a directory's link to elsewhere is not a part of it. (That a file of a mounted volume is itself a
    link within the volume does no harm.)"""
    real, root = os.path.realpath(path), os.path.realpath(directory)
    return os.path.commonpath([real, root]) == root
