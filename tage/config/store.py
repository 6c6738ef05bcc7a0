"""`Store`: where applied resources live.

A store holds one resource per key (kind, namespace, name) and tells its subscribers when the set changes. What it is
given has been loaded and validated (`tage.config.load`); a store checks only what concerns storing.

``directory``   the embedded store: one YAML file a resource
``seeded``      a layer over any store: resources that are there from the start and are never written
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Literal, Protocol

from tage.config.errors import ConfigError, Problem
from tage.config.model import Resource

log = logging.getLogger(__name__)

Key = tuple[str, str, str]
"""(kind, namespace, name), as `Resource.key`."""

Outcome = Literal["created", "configured", "unchanged"]

Applied = tuple[Key, Outcome]


class Store(Protocol):
    """All methods are called on the event loop's thread."""

    async def start(self) -> None:
        """Reads what is stored and begins to watch it. Raises `ConfigError` when it cannot be read or is not valid."""

    async def stop(self) -> None:
        """Ends the watch. What was applied stays."""

    def list(self, kind: str | None = None) -> Sequence[Resource]:
        """A snapshot, sorted by key; of one kind if given. Cheap; it does not change under the caller's hands."""
        ...

    async def apply(self, resources: Sequence[Resource]) -> Sequence[Applied]:
        """Stores all of them or none, durably before it returns; outcomes stand in the order of `resources`.

        Subscribers have been called when it returns, unless every outcome is "unchanged". Raises `ConfigError` for a
        batch that cannot be stored (the same key twice), `OSError` when the storage refuses; nothing is applied then.
        """
        ...

    async def delete(self, kind: str, namespace: str, name: str) -> bool:
        """Removes one resource, durably before it returns; False when there is none."""
        ...

    def subscribe(self, changed: Callable[[], None]) -> None:
        """`changed()` is called on the event loop after every change of the set, whoever made it. It must not block;
        it usually only wakes somebody who then calls `list`."""


class Subscribers:
    """Whom a store or registry tells of changes. One that fails is logged and does not keep the others from hearing."""

    def __init__(self) -> None:
        self._callbacks: list[Callable[[], None]] = []

    def add(self, callback: Callable[[], None]) -> None:
        self._callbacks.append(callback)

    def notify(self) -> None:
        for callback in tuple(self._callbacks):
            try:
                callback()
            except Exception:
                log.exception("a subscriber failed")


def refuse_duplicates(resources: Sequence[Resource]) -> None:
    """Raises `ConfigError` if two of them have the same key."""
    seen: set[Key] = set()
    for resource in resources:
        if resource.key in seen:
            kind, namespace, name = resource.key
            raise ConfigError(Problem(f"{kind} {namespace}/{name} is there twice; keep one of them"))
        seen.add(resource.key)
