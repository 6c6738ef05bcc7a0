"""The embedded store: a directory with one YAML file a resource, `<Kind>.<namespace>.<name>.yaml`.

The directory is the truth: what stands there is what `list` returns. Batches are applied by `files.change_durably`.
Files may also be edited by hand: the directory is looked at every 500 ms, and a file that an edit broke is logged with
its line while the last good version stays in force. A lock keeps a second control plane out.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import logging
import os
from collections.abc import Callable, Sequence
from pathlib import Path

from tage.config import files
from tage.config.dump import dump
from tage.config.errors import ConfigError, Problem
from tage.config.load import decode, load_text
from tage.config.model import Resource
from tage.config.store import Applied, Key, Outcome, Subscribers, refuse_duplicates

log = logging.getLogger(__name__)

POLL_SECONDS = 0.5
_LOCK = ".lock"
_SUFFIX = ".yaml"
_SUFFIXES = (_SUFFIX, ".yml", ".json")
"""Files with the latter are looked at only to say how they must be named."""
_MAX_FILE_NAME = 240
"""Linux allows 255 bytes; the rest is for what `files` adds while it writes."""


class DirectoryStore:
    """Implements `Store`. The directory is created by `start` if need be."""

    def __init__(self, path: str | Path, poll_seconds: float = POLL_SECONDS) -> None:
        self.path = Path(path)
        self._poll_seconds = poll_seconds
        self._resources: dict[Key, Resource] = {}
        self._seen: dict[str, files.Signature] = {}
        """File name -> its signature when it was last read or written, broken ones included."""
        self._broken: dict[str, Sequence[Problem]] = {}
        """File name -> what is wrong with it; its last good version, if there was one, is in `_resources`."""
        self._subscribers = Subscribers()
        self._changing = asyncio.Lock()
        """Held by whoever reads or writes the files."""
        self._watcher: asyncio.Task[None] | None = None
        self._lock_descriptor = -1

    async def start(self) -> None:
        """A broken file is a `ConfigError`: without its last good version there is nothing safe to go on with."""
        try:
            await asyncio.to_thread(self._open)
        except OSError as error:
            raise ConfigError(Problem(f"cannot be used as a store: {error.strerror}", str(self.path))) from error
        except ValueError as error:
            raise ConfigError(str(error)) from error
        self._resources, self._seen, self._broken = {}, {}, {}
        try:
            async with self._changing:
                await self._take_in()
        except OSError as error:
            self._unlock()
            raise ConfigError(Problem(f"cannot be read: {error.strerror}", str(self.path))) from error
        if self._broken:
            self._unlock()
            raise ConfigError(*(problem for name in sorted(self._broken) for problem in self._broken[name]))
        self._watcher = asyncio.create_task(self._watch(), name=f"watch {self.path}")

    async def stop(self) -> None:
        if self._watcher is not None:
            self._watcher.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._watcher
            self._watcher = None
        async with self._changing:
            self._unlock()

    def list(self, kind: str | None = None) -> Sequence[Resource]:
        return [self._resources[key] for key in sorted(self._resources) if kind is None or key[0] == kind]

    async def apply(self, resources: Sequence[Resource]) -> Sequence[Applied]:
        refuse_duplicates(resources)
        # Shielded: a caller that goes away must not leave a thread that writes behind a lock that is free again.
        return await asyncio.shield(asyncio.create_task(self._apply(tuple(resources))))

    async def delete(self, kind: str, namespace: str, name: str) -> bool:
        return await asyncio.shield(asyncio.create_task(self._delete((kind, namespace, name))))

    def subscribe(self, changed: Callable[[], None]) -> None:
        self._subscribers.add(changed)

    async def _apply(self, resources: Sequence[Resource]) -> Sequence[Applied]:
        async with self._changing:
            edited = await self._take_in()
            applied = [(resource.key, self._outcome(resource)) for resource in resources]
            changed = [
                resource for resource, (_, outcome) in zip(resources, applied, strict=True) if outcome != "unchanged"
            ]
            if changed:
                contents = {_file_name(resource.key): dump(resource).encode() for resource in changed}
                await asyncio.to_thread(self._change, contents, ())
                self._resources |= {resource.key: resource for resource in changed}
        if changed or edited:
            self._subscribers.notify()
        return applied

    def _outcome(self, resource: Resource) -> Outcome:
        present = self._resources.get(resource.key)
        if present is None:
            return "created"
        # A file that an edit broke is to be mended even if its last good version is the same.
        return "unchanged" if present == resource and _file_name(resource.key) not in self._broken else "configured"

    async def _delete(self, key: Key) -> bool:
        async with self._changing:
            edited = await self._take_in()
            present = key in self._resources
            if present:
                await asyncio.to_thread(self._change, {}, (_file_name(key),))
                del self._resources[key]
        if present or edited:
            self._subscribers.notify()
        return present

    def _change(self, contents: dict[str, bytes], removals: Sequence[str]) -> None:
        files.recover(self.path)  # what a failing disk left undone
        files.change_durably(self.path, contents, removals)
        for name in contents:
            with contextlib.suppress(FileNotFoundError):  # removed by hand just now: the next look will see it
                self._seen[name] = files.signature(os.stat(self.path / name))
        for name in (*contents, *removals):
            self._broken.pop(name, None)
        for name in removals:
            self._seen.pop(name, None)

    def _open(self) -> None:
        """Takes the lock and finishes what a crash interrupted."""
        self.path.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self.path / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            files.recover(self.path)
        except BlockingIOError:
            os.close(descriptor)
            raise ValueError(
                f"{self.path}: in use by another control plane; stop that one or choose another directory"
            ) from None
        except (OSError, ValueError):
            os.close(descriptor)
            raise
        self._lock_descriptor = descriptor

    def _unlock(self) -> None:
        if self._lock_descriptor >= 0:
            os.close(self._lock_descriptor)
            self._lock_descriptor = -1

    async def _watch(self) -> None:
        unreadable = ""
        while True:
            await asyncio.sleep(self._poll_seconds)
            try:
                await asyncio.shield(asyncio.create_task(self._refresh()))
                unreadable = ""
            except OSError as error:
                if str(error) != unreadable:  # once, not every half second
                    unreadable = str(error)
                    log.error("%s: cannot be read: %s; its last state stays in force", self.path, error.strerror)

    async def _refresh(self) -> None:
        async with self._changing:
            edited = await self._take_in()
        if edited:
            self._subscribers.notify()

    async def _take_in(self) -> bool:
        """Reads what was edited in the directory; True if the resources are others now. Needs the lock."""
        names, read = await asyncio.to_thread(self._look)
        resources = {key: resource for key, resource in self._resources.items() if _file_name(key) in names}
        for name in self._seen.keys() - names:
            del self._seen[name]
            self._broken.pop(name, None)
        for name, (seen, content) in read.items():
            self._seen[name] = seen
            self._broken.pop(name, None)
            try:
                resource = self._load(name, content)
            except ConfigError as error:
                self._broken[name] = error.problems
                if self._watcher is not None:  # else `start` raises it
                    for problem in error.problems:
                        log.error("%s; the last good version stays in force", problem)
            else:
                resources[resource.key] = resource
        changed = resources != self._resources
        self._resources = resources
        return changed

    def _look(self) -> tuple[set[str], dict[str, tuple[files.Signature, bytes]]]:
        """The names of all files, and the content of those that are new or changed."""
        names: set[str] = set()
        read: dict[str, tuple[files.Signature, bytes]] = {}
        with os.scandir(self.path) as entries:
            for entry in entries:
                if entry.name.startswith(".") or not entry.name.endswith(_SUFFIXES):
                    continue
                try:
                    if self._seen.get(entry.name) != files.signature(entry.stat()):
                        read[entry.name] = files.read_watched(self.path / entry.name)
                except FileNotFoundError:
                    continue  # removed since the directory was listed
                names.add(entry.name)
        return names, read

    def _load(self, name: str, content: bytes) -> Resource:
        file = str(self.path / name)
        resources = load_text(decode(content, file), file)
        if len(resources) != 1:
            raise ConfigError(Problem(f"must hold one resource, holds {len(resources)}", file, 1))
        expected = _file_name(resources[0].key)
        if name != expected:
            raise ConfigError(Problem(f"holds what belongs into a file named {expected}; rename it", file, 1))
        return resources[0]


def _file_name(key: Key) -> str:
    """Raises `ConfigError` for a resource whose names together are too long for a file's."""
    kind, namespace, name = key
    file_name = f"{kind}.{namespace}.{name}{_SUFFIX}"
    if len(file_name) > _MAX_FILE_NAME:
        raise ConfigError(Problem(f"{kind} {namespace}/{name} cannot be stored: choose a shorter name"))
    return file_name
