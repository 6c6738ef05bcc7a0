"""The worker's filters in Python: made when a plan is prepared, so that one that does not load refuses the plan; kept
as long as the plan in force has the same class, code and configuration, and what they have cached with them.

What users wrote is loaded on a thread beside the traffic (`loading`). A request that is under way keeps the objects
that it began with.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from typing import NamedTuple

import msgspec

from tage.dataplane.filters.python.api import Filter
from tage.dataplane.filters.python.filter import PythonFilter
from tage.dataplane.filters.python.instance import FilterInstance
from tage.dataplane.filters.python.loader import (
    CodeKey,
    Modules,
    find_class,
    find_module,
    make,
)
from tage.dataplane.filters.python.reports import Reporter
from tage.dataplane.filters.python.watchdog import Watch
from tage.dataplane.telemetry.store import StatStore
from tage.sidecar import plan
from tage.sidecar.worker.filters import config_key, in_python
from tage.sidecar.worker.loading import Loader

Sections = Mapping[plan.SectionKey, plan.Section]


class Key(NamedTuple):
    """What an instance is made of: the same makes the same."""

    spec: bytes
    code: CodeKey | None


class Wanted(NamedTuple):
    """One instance that a plan needs; `source` is empty for an installed package."""

    key: Key
    spec: plan.PythonFilter
    source: bytes


class Made(NamedTuple):
    label: str
    file: str
    filter: Filter


class PythonFilters:
    """For the thread of the worker's loop, which makes it."""

    def __init__(self, stats: StatStore, reporter: Reporter | None = None) -> None:
        self._stats = stats
        self._reporter = reporter or Reporter()
        self._watch = Watch()
        self._modules = Modules()
        self._live: dict[Key, FilterInstance] = {}
        self._new: dict[Key, FilterInstance] = {}
        self._needs: dict[str, list[Wanted]] = {}
        """Of the plan in force, by listener."""
        self._draft_needs: dict[str, list[Wanted]] = {}
        self._loader = Loader("python filter")

    # -- preparing -----------------------------------------------------------------------------------------------------

    async def prepare(
        self, sections: Sections, changed: set[plan.SectionKey], pause: Callable[[], Awaitable[None]]
    ) -> set[str]:
        """Makes what the plan needs and is not there. The listeners whose chains have to be made anew, though they may
        not have changed themselves. Raises ValueError."""
        self._draft_needs = {}
        touched = set()
        for (kind, name), listener in sections.items():
            if kind != "listener" or not isinstance(listener, plan.Listener) or not any(in_python(listener)):
                continue
            if name in self._needs and not _depends(listener) & changed:
                self._draft_needs[name] = self._needs[name]
                continue
            touched.add(name)
            self._draft_needs[name] = []
            for wanted in _wanted(listener, sections):
                self._draft_needs[name].append(wanted)
                await pause()
        missing = {
            wanted.key: wanted
            for needs in self._draft_needs.values()
            for wanted in needs
            if wanted.key not in self._live and wanted.key not in self._new
        }
        if missing:
            await self._load(list(missing.values()))
        return touched

    def make(self, spec: plan.PythonFilter) -> PythonFilter:
        """For a chain of the plan that was prepared last."""
        own: FilterInstance | None = None
        routes: dict[bytes, FilterInstance] = {}
        for needs in self._draft_needs.values():
            for wanted in needs:
                if wanted.spec == spec:
                    own = self._instance(wanted.key)
                elif msgspec.structs.replace(wanted.spec, config=spec.config) == spec:
                    routes[config_key(wanted.spec.config)] = self._instance(wanted.key)
        assert own is not None, "prepare comes first"
        return PythonFilter(own, self._watch, routes)

    def _instance(self, key: Key) -> FilterInstance:
        return self._live.get(key) or self._new[key]

    async def _load(self, missing: list[Wanted]) -> None:
        made = await self._loader.run(lambda: [self._make(wanted) for wanted in missing])
        for wanted, each in zip(missing, made, strict=True):
            self._new[wanted.key] = self._with_policy(wanted.spec, each)

    def _make(self, wanted: Wanted) -> Made:
        """On the loading thread."""
        spec = wanted.spec
        self._loader.label = label = f"{spec.file or spec.module}:{spec.kind}"
        if spec.file:
            module = self._modules.load(spec.file, wanted.source)
        else:
            module = find_module(spec.module)
        kind = find_class(module, spec.kind, spec.file or spec.module)
        file = spec.file or getattr(module, "__file__", None) or spec.module
        return Made(label, file, make(kind, spec.config, label))

    def _with_policy(self, spec: plan.PythonFilter, made: Made) -> FilterInstance:
        return FilterInstance(
            spec.name,
            made.label,
            made.file,
            made.filter,
            self._stats,
            self._reporter,
            fails_open=spec.fails_open,
            timeout=spec.timeout,
            blocking=spec.blocking_threshold,
        )

    # -- swapping ------------------------------------------------------------------------------------------------------

    def abort(self) -> None:
        self._new = {}
        self._draft_needs = {}
        self._forget()

    def commit(self) -> None:
        """What was prepared is in force; instances that it does not need are let go with their last request."""
        self._needs, self._draft_needs = self._draft_needs, {}
        keys = {wanted.key for needs in self._needs.values() for wanted in needs}
        self._live = {key: self._instance(key) for key in keys}
        self._new = {}
        self._forget()
        self._watch.observe(self._live.values())

    def _forget(self) -> None:
        if self._loader.idle:
            self._modules.keep([key.code for key in self._live if key.code is not None])

    def close(self) -> None:
        self._watch.close()


def _depends(listener: plan.Listener) -> set[plan.SectionKey]:
    keys: set[plan.SectionKey] = {("listener", listener.name)}
    for http, spec in in_python(listener):
        keys.add(("routes", http.routes))
        if spec.file:
            keys.add(("filter_code", spec.file))
    return keys


def _wanted(listener: plan.Listener, sections: Sections) -> Iterator[Wanted]:
    """Raises ValueError for code that is not in the plan."""
    for http, spec in in_python(listener):
        source = b""
        if spec.file:
            section = sections.get(("filter_code", spec.file))
            if not isinstance(section, plan.FilterCode):
                raise ValueError(f"listener {listener.name!r}: the filter_code {spec.file!r} is not in the plan")
            source = section.source
        code = (spec.file, source) if spec.file else None
        yield Wanted(Key(_encoded(spec), code), spec, source)
        for config in _route_configs(sections.get(("routes", http.routes)), spec.name):
            own = msgspec.structs.replace(spec, config=config)
            yield Wanted(Key(_encoded(own), code), own, source)


def _route_configs(routes: plan.Section | None, name: str) -> Iterable[dict[str, object]]:
    assert isinstance(routes, plan.Routes), "a plan is closed"
    found: dict[bytes, dict[str, object]] = {}
    for host in routes.virtual_hosts:
        for route in host.routes:
            settings = route.filters.get(name)
            if isinstance(settings, plan.PythonFilterRoute):
                found[config_key(settings.config)] = settings.config
    return found.values()


def _encoded(spec: plan.PythonFilter) -> bytes:
    return msgspec.json.encode(spec, order="deterministic")
