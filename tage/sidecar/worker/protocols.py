"""The worker's RPC protocols, by name, and the settings with which connections speak them.

A name is looked for among what is built in, then among the entry points of installed packages (group `GROUP`, a name
and a class), then in the files of the plan (`plan.ProtocolCode`). All files are loaded whether anybody asks for what is
in them or not, and one that does not load, has no protocol, or has one whose name is taken refuses the plan.

What stays the same keeps its objects: a file with the same content its protocols, a chain or cluster that asks for the
same of the same protocol its settings. Whose settings are others gets other connections; those that are open keep the
protocol that they began with, and are drained.
"""

from __future__ import annotations

import ast
import importlib.metadata
import re
import traceback
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, NamedTuple

from tage.dataplane.filters.python.loader import CodeKey, LoadError, Modules, described
from tage.dataplane.filters.python.reports import Bound, Reporter
from tage.dataplane.protocols.xprotocol import registry
from tage.dataplane.protocols.xprotocol.settings import DownstreamSettings, UpstreamSettings
from tage.dataplane.telemetry.store import StatStore
from tage.sidecar import plan
from tage.sidecar.worker.listeners import keyed
from tage.sidecar.worker.loading import Loader
from tage.xprotocol import Protocol, ProtocolError

GROUP = "tage.protocols"
"""Of entry points."""
_NAME = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")

Sections = Mapping[plan.SectionKey, plan.Section]


class Failures:
    """What a protocol raises, which ends the connection where it does and nothing else: counted as
    ``x_protocol.NAME.exception``, and said on stderr, once a second at most."""

    def __init__(self, name: str, file: str, stats: StatStore, reporter: Reporter) -> None:
        self._title = f"protocol '{name}' ({file})"
        self._cell = stats.counter("x_protocol", name, "exception")
        self._stats = stats
        self._reporter = reporter
        self._bound = Bound()

    def failed(self, error: BaseException) -> None:
        self._stats.count(self._cell, 1)
        if self._bound.passes():
            told = "".join(traceback.TracebackException.from_exception(error, limit=-8).format()).rstrip()
            self._reporter.say(f"{self._title} failed{self._bound.take_unsaid()}: {told}")


class Known(NamedTuple):
    """A protocol that can be asked for."""

    protocol: Protocol
    failures: Failures


class Use(NamedTuple):
    """What a chain or cluster asks for, and what it got."""

    spec: plan.XProtocol | plan.XProtocolUpstream
    protocol: Protocol
    settings: Any
    """`DownstreamSettings` or `UpstreamSettings`."""


class ProtocolsDraft:
    """What is prepared and not in force."""

    def __init__(self) -> None:
        self.files: dict[CodeKey, dict[str, Known]] = {}
        self.chains: dict[tuple[str, str], Use] = {}
        """By listener and chain."""
        self.clusters: dict[str, Use] = {}
        self.touched: set[str] = set()
        """Listeners with a chain that is to be spoken otherwise than before."""
        self.inspected: dict[str, list[tuple[str, Callable[[bytes], int]]]] = {}
        """By listener: the application protocol of each, and its `matches`."""

    def downstream(self, listener: str, chain: str) -> DownstreamSettings | None:
        use = self.chains.get((listener, chain))
        return use.settings if use is not None else None

    def upstream(self, cluster: str) -> UpstreamSettings | None:
        use = self.clusters.get(cluster)
        return use.settings if use is not None else None


class Protocols:
    """For the thread of the worker's loop."""

    def __init__(self, stats: StatStore, reporter: Reporter | None = None) -> None:
        self._stats = stats
        self._reporter = reporter or Reporter()
        self._modules = Modules("protocol")
        self._loader = Loader("protocol")
        self._installed: dict[str, Known] = {}
        """Built in or of installed packages: they stay what they are."""
        self._live = ProtocolsDraft()
        self._loaded: dict[CodeKey, dict[str, Known]] = {}
        """Of plans that are not in force, too."""

    # -- preparing -----------------------------------------------------------------------------------------------------

    async def prepare(
        self,
        sections: Sections,
        listeners: Iterable[plan.Listener],
        clusters: Iterable[plan.Cluster],
        pause: Callable[[], Awaitable[None]],
    ) -> ProtocolsDraft:
        """Loads what is new, and gives everybody what he asks for. Raises ValueError."""
        draft = ProtocolsDraft()
        files = [section for section in sections.values() if isinstance(section, plan.ProtocolCode)]
        wanted: dict[str, str] = {}
        """Who asks for a name, the first of them."""
        for listener in listeners:
            for who, name in _asked(listener):
                wanted.setdefault(name, who)
            await pause()
        for cluster in clusters:
            if cluster.x_protocol is not None:
                wanted.setdefault(cluster.x_protocol.protocol, f"cluster {cluster.name!r}")
        keys = [(file.name, file.source) for file in files]
        if {*keys} != self._live.files.keys() or wanted.keys() - self._names(self._live.files).keys():
            await self._loader.run(lambda: self._load(keys, wanted))
        draft.files = {key: self._loaded[key] for key in keys}
        names = self._names(draft.files)
        for name, who in wanted.items():
            if name not in names:
                raise ValueError(f"{who}: there is no protocol {name!r}; there are {', '.join(_there(names))}")
        for listener in listeners:
            self._of_listener(listener, names, draft)
            await pause()
        for cluster in clusters:
            if cluster.x_protocol is not None:
                draft.clusters[cluster.name] = self._upstream(cluster.name, cluster.x_protocol, names)
        return draft

    def _of_listener(self, listener: plan.Listener, names: Mapping[str, Known], draft: ProtocolsDraft) -> None:
        for key, chain in keyed(listener):
            if chain.http is not None and chain.http.x_protocol is not None:
                use = self._downstream((listener.name, key), chain.http.x_protocol, names)
                draft.chains[listener.name, key] = use
                if use is not self._live.chains.get((listener.name, key)):
                    draft.touched.add(listener.name)
        if listener.inspect_protocols:
            draft.inspected[listener.name] = [
                (f"x-{name}", _matcher(names[name]))
                for name in listener.inspect_protocols
                if names[name].protocol.discriminating
            ]

    def _downstream(self, key: tuple[str, str], spec: plan.XProtocol, names: Mapping[str, Known]) -> Use:
        known = names[spec.protocol]
        live = self._live.chains.get(key)
        if live is not None and live.spec == spec and live.protocol is known.protocol:
            return live
        settings = DownstreamSettings(
            known.protocol,
            names=spec.depth != "frame",
            limit=spec.max_frame_bytes,
            max_requests=spec.max_requests,
            failed=known.failures.failed,
        )
        return Use(spec, known.protocol, settings)

    def _upstream(self, name: str, spec: plan.XProtocolUpstream, names: Mapping[str, Known]) -> Use:
        known = names[spec.protocol]
        live = self._live.clusters.get(name)
        if live is not None and live.spec == spec and live.protocol is known.protocol:
            return live
        try:
            settings = UpstreamSettings(
                known.protocol,
                mode=spec.mode,
                max_requests=spec.max_requests,
                heartbeat_interval=spec.heartbeat_interval,
                limit=spec.max_frame_bytes,
                failed=known.failures.failed,
            )
        except ValueError as error:
            raise ValueError(f"cluster {name!r}: {error}") from None
        return Use(spec, known.protocol, settings)

    def _names(self, files: Mapping[CodeKey, Mapping[str, Known]]) -> dict[str, Known]:
        return {**{name: known for each in files.values() for name, known in each.items()}, **self._installed}

    # -- loading, on the loading thread --------------------------------------------------------------------------------

    def _load(self, files: Iterable[CodeKey], wanted: Iterable[str]) -> None:
        """Raises `LoadError`."""
        entries = {entry.name: entry for entry in importlib.metadata.entry_points(group=GROUP)}
        taken: dict[str, str] = dict.fromkeys(registry.BUILTIN, "one that is built in")
        for name, entry in entries.items():
            taken.setdefault(name, f"one of an installed package ({entry.value})")
        for key in files:
            self._loader.label = file = key[0]
            if key not in self._loaded:
                self._loaded[key] = self._load_file(*key)
            for name in self._loaded[key]:
                if name in taken:
                    raise LoadError(f"{file}: the name {name!r} is taken, by {taken[name]}")
                taken[name] = f"one of {file}"
        for name in wanted:
            self._loader.label = name
            if name in self._installed:
                continue
            if name in registry.BUILTIN:
                protocol = registry.builtin(name)
                assert protocol is not None, "it is one of them"
                self._installed[name] = self._known(protocol, name, "built in")
            elif name in entries:
                self._installed[name] = self._load_entry(entries[name])

    def _load_file(self, file: str, source: bytes) -> dict[str, Known]:
        module = self._modules.load(file, source)
        found: dict[str, Known] = {}
        for kind in vars(module).values():
            if not _is_protocol(kind) or kind.__module__ != module.__name__:
                continue
            where = f"{file}:{_line(source, kind.__name__)}"
            protocol = _made(kind, where, file)
            if protocol.name in found:
                raise LoadError(f"{where}: the name {protocol.name!r} stands twice in this file")
            found[protocol.name] = self._known(protocol, protocol.name, file)
        if not found:
            raise LoadError(f"{file}: has no protocol: no class derived from tage.xprotocol.Protocol")
        return found

    def _load_entry(self, entry: importlib.metadata.EntryPoint) -> Known:
        where = f"entry point {entry.name} = {entry.value}"
        try:
            kind = entry.load()
        except BaseException as error:  # SystemExit too
            raise LoadError(f"{where}: {described(error)}") from None
        if not _is_protocol(kind):
            raise LoadError(f"{where}: is no class derived from tage.xprotocol.Protocol")
        return self._known(_made(kind, where), entry.name, entry.value)

    def _known(self, protocol: Protocol, name: str, file: str) -> Known:
        return Known(protocol, Failures(name, file, self._stats, self._reporter))

    # -- swapping ------------------------------------------------------------------------------------------------------

    def abort(self) -> None:
        self._keep()

    def commit(self, draft: ProtocolsDraft) -> None:
        self._live = draft
        self._keep()

    def _keep(self) -> None:
        """Forgets the files of other plans; connections that are open have what they need in hand."""
        if self._loader.idle:
            self._loaded = dict(self._live.files)
            self._modules.keep(self._loaded)


def _asked(listener: plan.Listener) -> Iterable[tuple[str, str]]:
    """Who asks for which protocol."""
    for key, chain in keyed(listener):
        if chain.http is not None and chain.http.x_protocol is not None:
            yield f"listener {listener.name!r}: filter chain {key!r}", chain.http.x_protocol.protocol
    for name in listener.inspect_protocols:
        yield f"listener {listener.name!r}: inspect_protocols", name


def _there(names: Iterable[str]) -> list[str]:
    return sorted({*names, *registry.BUILTIN, *(entry.name for entry in importlib.metadata.entry_points(group=GROUP))})


def _is_protocol(kind: object) -> bool:
    return isinstance(kind, type) and issubclass(kind, Protocol) and kind is not Protocol


def _made(kind: type[Protocol], where: str, file: str = "") -> Protocol:
    """An object of a user's class. Raises `LoadError`."""
    try:
        protocol = kind()
    except ProtocolError as error:
        raise LoadError(f"{where}: {error}") from None
    except BaseException as error:
        raise LoadError(f"{where}: {described(error, file)}") from None
    name = protocol.name
    if not isinstance(name, str) or not _NAME.fullmatch(name) or name.startswith("x-"):
        raise LoadError(f"{where}: name is {name!r}: give lower-case letters, digits and hyphens, and no x- in front")
    return protocol


def _matcher(known: Known) -> Callable[[bytes], int]:
    """`matches`, of which what it raises is a no."""

    def matches(prefix: bytes) -> int:
        try:
            return int(known.protocol.matches(prefix))
        except Exception as error:
            known.failures.failed(error)
            return 0

    return matches


def _line(source: bytes, name: str) -> int:
    """Of a class in a module's text; 1 where it is not made by a class statement there."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ClassDef) and node.name == name:
            return node.lineno
    return 1
