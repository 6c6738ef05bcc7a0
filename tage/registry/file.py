"""A registry in a YAML or JSON file, watched: `services: [{name, namespace, port, protocol, interfaces,
instances: [...]}]`.

`tage up` writes one; it also serves hosts that have no registry. Whoever writes it should replace it by a rename. The
file is looked at every 100 ms (one `stat`); when it turns bad or goes away, the last good snapshot stays in force and
the reason is logged once. JSON is read far faster than YAML, so that is what programs should write.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import msgspec

from tage.config import document, files, names, protocols
from tage.config.convert import Converter
from tage.config.document import format_path, line_of
from tage.config.errors import ConfigError, Problem
from tage.config.load import decode
from tage.config.store import Subscribers
from tage.config.validate import Finding, interfaces, labels
from tage.registry.model import Instance, Service

log = logging.getLogger(__name__)

POLL_SECONDS = 0.1
_MAX_WEIGHT = 2**32 - 1


class _File(msgspec.Struct, forbid_unknown_fields=True):
    services: tuple[Service, ...]


class FileRegistry:
    """Implements `Registry`. `services()` is sorted by namespace and name."""

    def __init__(self, path: str | Path, poll_seconds: float = POLL_SECONDS) -> None:
        self.path = Path(path)
        self._poll_seconds = poll_seconds
        self._services: tuple[Service, ...] = ()
        self._seen: files.Signature | None = None
        self._subscribers = Subscribers()
        self._watcher: asyncio.Task[None] | None = None

    async def start(self) -> None:
        try:
            self._services = await asyncio.to_thread(self._read)
        except OSError as error:
            raise ConfigError(Problem(f"cannot be read: {error.strerror}", str(self.path))) from error
        self._watcher = asyncio.create_task(self._watch(), name=f"watch {self.path}")

    async def stop(self) -> None:
        if self._watcher is not None:
            self._watcher.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._watcher
            self._watcher = None

    def services(self) -> Sequence[Service]:
        return self._services

    def subscribe(self, changed: Callable[[], None]) -> None:
        self._subscribers.add(changed)

    async def _watch(self) -> None:
        unreadable = ""
        while True:
            await asyncio.sleep(self._poll_seconds)
            try:
                await self._refresh()
                unreadable = ""
            except OSError as error:
                if str(error) != unreadable:  # once, not ten times a second
                    unreadable = str(error)
                    log.error("%s: cannot be read: %s; its last state stays in force", self.path, error.strerror)
            except ConfigError as error:
                for problem in error.problems:
                    log.error("%s; the last good version stays in force", problem)

    async def _refresh(self) -> None:
        if files.signature(self.path.stat()) == self._seen:
            return
        services = await asyncio.to_thread(self._read)  # a large file takes its time
        if services != self._services:
            self._services = services
            self._subscribers.notify()

    def _read(self) -> tuple[Service, ...]:
        self._seen, content = files.read_watched(self.path)
        return load_services(decode(content, str(self.path)), str(self.path))


def load_services(text: str, file: str = "") -> tuple[Service, ...]:
    """The services of a registry file's text, sorted. Raises `ConfigError` with all problems, lines and paths."""
    content = _read_json(text)
    if content is None:
        content = _read_text(text, file)
    return tuple(sorted(content.services, key=lambda service: (service.namespace, service.name)))


def _read_json(text: str) -> _File | None:
    """The short way for JSON without problems. None: go the long way, which knows what is wrong and where."""
    try:
        content = msgspec.json.decode(text, type=_File)
    except (msgspec.DecodeError, UnicodeEncodeError):
        return None
    return None if any(_findings(content.services)) else content


def _read_text(text: str, file: str) -> _File:
    nodes, problems = document.compose(text, file)
    if not nodes and not problems:
        raise ConfigError(Problem("is empty; write 'services: []' for no services", file, 1))
    converter = Converter(file)
    converter.problems += problems
    for extra in nodes[1:]:
        converter.problem(extra, (), "a registry file holds one document; put all services into the first")
    content = converter.convert(nodes[0], _File) if nodes else None
    if content is not None:
        for path, message in _findings(content.services):
            converter.problems.append(Problem(message, file, line_of(nodes[0], path), format_path(path)))
    if content is None or converter.problems:
        raise ConfigError(*sorted(converter.problems, key=lambda problem: problem.line))
    return content


def _findings(services: Sequence[Service]) -> Iterator[Finding]:
    seen: set[str] = set()
    for index, service in enumerate(services):
        here = ("services", index)
        if service.fqdn in seen:
            yield (*here, "name"), f"service '{service.name}' is defined twice in namespace '{service.namespace}'"
        seen.add(service.fqdn)
        for field, wrong in (
            ("name", names.dns_label(service.name)),
            ("namespace", names.dns_label(service.namespace)),
            ("port", names.port(service.port)),
            ("protocol", protocols.wrong(service.protocol)),
        ):
            if wrong:
                yield (*here, field), wrong
        instance_names: set[str] = set()
        for number, instance in enumerate(service.instances):
            if instance.name in instance_names:
                yield (*here, "instances", number, "name"), f"instance '{instance.name}' is defined twice"
            instance_names.add(instance.name)
            for path, message in _instance(instance):
                yield (*here, "instances", number, *path), message
    yield from interfaces((service.protocol, service.interfaces) for service in services)


def _instance(instance: Instance) -> Iterator[Finding]:
    for field, wrong in (
        ("name", names.dns_subdomain(instance.name)),
        ("address", names.address(instance.address)),
        ("port", names.port(instance.port)),
        ("app_address", names.address(instance.app_address)),
        ("app_port", names.port(instance.app_port)),
        ("locality", names.locality(instance.locality) if instance.locality else ""),
    ):
        if wrong:
            yield (field,), wrong
    if not 1 <= instance.weight <= _MAX_WEIGHT:
        yield ("weight",), f"{instance.weight} is not possible; it must be between 1 and {_MAX_WEIGHT}"
    for path, message in labels(instance.labels):
        yield ("labels", *path), message
