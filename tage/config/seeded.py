"""A layer over a store: resources that are there from the start (the mesh file's) and are never written.

What was applied wins over the seed of the same key. Deleting a seeded resource leaves a tombstone, so that the seed
does not come back with the next start; applying it again brings it back. Both survive restarts, and a changed seed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from tage.config.errors import ConfigError, Problem
from tage.config.files import replace_durably
from tage.config.model import Resource
from tage.config.store import Applied, Key, Outcome, Store, Subscribers, refuse_duplicates


class _Tombstones(msgspec.Struct, forbid_unknown_fields=True):
    deleted: list[Key]


class SeededStore:
    """Implements `Store`. `tombstones` is a file; it need not exist, its directory must once `base` has started.

    Raises `ConfigError` if two of `seeds` have the same key.
    """

    def __init__(self, base: Store, seeds: Sequence[Resource], tombstones: str | Path) -> None:
        refuse_duplicates(seeds)
        self._base = base
        self._seeds = {resource.key: resource for resource in seeds}
        self._file = Path(tombstones)
        self._deleted: set[Key] = set()
        self._subscribers = Subscribers()
        self._changing = asyncio.Lock()
        base.subscribe(self._subscribers.notify)

    async def start(self) -> None:
        await self._base.start()
        try:
            raw = await asyncio.to_thread(self._file.read_bytes)
            self._deleted = set(msgspec.json.decode(raw, type=_Tombstones).deleted)
        except FileNotFoundError:
            self._deleted = set()
        except (OSError, msgspec.DecodeError) as error:
            await self._base.stop()
            raise ConfigError(Problem(f"cannot be read: {error}", str(self._file))) from error

    async def stop(self) -> None:
        await self._base.stop()

    def list(self, kind: str | None = None) -> Sequence[Resource]:
        resources = self._visible_seeds() | {resource.key: resource for resource in self._base.list()}
        return [resources[key] for key in sorted(resources) if kind is None or key[0] == kind]

    async def apply(self, resources: Sequence[Resource]) -> Sequence[Applied]:
        refuse_duplicates(resources)
        async with self._changing:
            visible = self._visible_seeds()
            applied_keys = {resource.key for resource in self._base.list()}
            for key in applied_keys:
                visible.pop(key, None)
            # What equals its seed need not be written: it stays as it is.
            changed = [resource for resource in resources if visible.get(resource.key) != resource]
            outcomes: dict[Key, Outcome] = dict(await self._base.apply(changed)) if changed else {}
        for key, outcome in outcomes.items():
            if outcome == "created" and key in visible:
                outcomes[key] = "configured"
        return [(resource.key, outcomes.get(resource.key, "unchanged")) for resource in resources]

    async def delete(self, kind: str, namespace: str, name: str) -> bool:
        key = (kind, namespace, name)
        async with self._changing:
            hides = key in self._visible_seeds()
            if hides:
                # First: a crash between the two must not bring the seed back in place of what was applied.
                await asyncio.to_thread(self._write, self._deleted | {key})
                self._deleted.add(key)
            deleted = await self._base.delete(kind, namespace, name)
        if hides and not deleted:
            self._subscribers.notify()  # the base has told them otherwise
        return hides or deleted

    def subscribe(self, changed: Callable[[], None]) -> None:
        self._subscribers.add(changed)

    def _visible_seeds(self) -> dict[Key, Resource]:
        return {key: resource for key, resource in self._seeds.items() if key not in self._deleted}

    def _write(self, deleted: set[Key]) -> None:
        replace_durably(self._file, msgspec.json.encode(_Tombstones(sorted(deleted))))
