"""The plan's HTTP filters -> the data plane's, and the settings that routes have for them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from tage.dataplane.filters.filter import DISABLED, HttpFilter
from tage.dataplane.telemetry.store import StatStore
from tage.sidecar import plan
from tage.sidecar.worker import native_filters
from tage.sidecar.worker.native_filters import NativeFilters

if TYPE_CHECKING:
    from tage.sidecar.worker.python_filters import PythonFilters


def _without_python() -> PythonFilters:
    raise ValueError("filters in Python have no place here")


class Environment(NamedTuple):
    """What filters are made with."""

    stats: StatStore
    native: NativeFilters
    python: Callable[[], PythonFilters] = _without_python
    stat_prefix: str = ""
    """The connection manager's; a route's settings have none."""


def config_key(config: Mapping[str, object]) -> bytes:
    """By which a route's settings find the instance of a filter in Python."""
    return msgspec.json.encode(config, order="deterministic")


def in_python(listener: plan.Listener) -> Iterator[tuple[plan.Http, plan.PythonFilter]]:
    """The listener's filters in Python, each with its connection manager."""
    for chain in listener.all_chains():
        if chain.http is not None:
            for each in chain.http.filters:
                if isinstance(each, plan.PythonFilter):
                    yield chain.http, each


class FilterKind(NamedTuple):
    """Both raise ValueError: the plan is refused with what it says."""

    make: Callable[[Any, Environment], HttpFilter]
    settings: Callable[[Any, Environment], Any]
    """What the filter is given as `settings` on the routes that have some."""


KINDS: dict[type[plan.HttpFilter], FilterKind] = {
    plan.Fault: FilterKind(
        lambda each, environment: environment.native.fault_filter(each, environment.stat_prefix),
        lambda each, _: native_filters.faults(each),
    ),
    plan.Cors: FilterKind(
        lambda each, environment: environment.native.cors_filter(each, environment.stat_prefix),
        lambda each, _: native_filters.cors_policy(each),
    ),
    plan.LocalRateLimit: FilterKind(
        lambda each, environment: environment.native.rate_limit_filter(each),
        lambda each, environment: environment.native.rate_limits(each),
    ),
    plan.PythonFilter: FilterKind(
        lambda each, environment: environment.python().make(each), lambda each, _: config_key(each.config)
    ),
}
"""The settings of a kind are those of its class in `plan`, or of its class for routes in `ROUTE_KINDS`."""
ROUTE_KINDS: dict[type[plan.HttpFilter], type[plan.HttpFilter]] = {
    plan.CorsPolicy: plan.Cors,
    plan.PythonFilterRoute: plan.PythonFilter,
}


class Filters:
    def __init__(self, environment: Environment) -> None:
        self._environment = environment

    def chain(self, filters: Sequence[plan.HttpFilter], stat_prefix: str = "") -> list[HttpFilter] | None:
        """A listener's; None where there are none. Raises ValueError naming the filter."""
        environment = self._environment._replace(stat_prefix=stat_prefix)
        made = []
        for each in filters:
            kind = KINDS.get(type(each))
            if kind is None:
                raise ValueError(f"filter {each.name!r}: {type(each).__name__} is nothing that a listener can have")
            made.append(_named(each, kind.make, environment))
        return made or None

    def settings(self, settings: Mapping[str, plan.HttpFilter]) -> dict[str, Any] | None:
        """A route's. Raises ValueError naming the filter."""
        if not settings:
            return None
        return {name: self._settings(each) for name, each in settings.items()}

    def _settings(self, each: plan.HttpFilter) -> Any:
        if isinstance(each, plan.FilterDisabled):
            return DISABLED
        kind = ROUTE_KINDS.get(type(each), type(each))
        return _named(each, KINDS[kind].settings, self._environment)


def _named(each: plan.HttpFilter, function: Callable[[Any, Environment], Any], environment: Environment) -> Any:
    try:
        return function(each, environment)
    except ValueError as error:
        raise ValueError(f"filter {each.name!r}: {error}") from None
