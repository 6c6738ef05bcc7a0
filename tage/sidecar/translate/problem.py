"""Problems of a configuration, each with the path of the field it is about."""

from __future__ import annotations

import msgspec


class Problem(msgspec.Struct, frozen=True, array_like=True):
    path: str
    """As ``static_resources.listeners[0].filter_chains[0]``; for a resource that came over xDS it begins with the
    resource: ``cluster[reviews].lb_policy``. Empty: the whole."""
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}" if self.path else self.message


class TranslateError(Exception):
    """A configuration that Tage does not carry out, or that makes no sense. Nothing of it was used."""

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = problems
        super().__init__("\n".join(str(problem) for problem in problems))


class Problems:
    """Collects problems in the order in which they are found; each once."""

    def __init__(self) -> None:
        self._found: dict[Problem, None] = {}

    def add(self, path: str, message: str) -> None:
        self._found[Problem(path, message)] = None

    def __bool__(self) -> bool:
        return bool(self._found)

    def list(self) -> list[Problem]:
        return list(self._found)

    def check(self) -> None:
        """Raises `TranslateError` unless there is none."""
        if self._found:
            raise TranslateError(self.list())
