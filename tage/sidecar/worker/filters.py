"""The plan's HTTP filters -> the data plane's, and the settings that routes have for them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from tage.dataplane.filters.filter import DISABLED, HttpFilter
from tage.dataplane.telemetry.store import StatStore
from tage.sidecar import plan


class Environment(NamedTuple):
    """What filters are made with."""

    stats: StatStore


class FilterKind(NamedTuple):
    """Both raise ValueError: the plan is refused with what it says."""

    make: Callable[[Any, Environment], HttpFilter]
    settings: Callable[[Any, Environment], Any]
    """What the filter is given as `settings` on the routes that have some."""


KINDS: dict[type[plan.HttpFilter], FilterKind] = {}


class Filters:
    def __init__(self, environment: Environment) -> None:
        self._environment = environment

    def chain(self, filters: Sequence[plan.HttpFilter]) -> list[HttpFilter] | None:
        """A listener's; None where there are none. Raises ValueError naming the filter."""
        made = []
        for each in filters:
            kind = KINDS.get(type(each))
            if kind is None:
                raise ValueError(f"filter {each.name!r}: {type(each).__name__} is nothing that a listener can have")
            made.append(self._named(each, kind.make))
        return made or None

    def settings(self, settings: Mapping[str, plan.HttpFilter]) -> dict[str, Any] | None:
        """A route's. Raises ValueError naming the filter."""
        if not settings:
            return None
        return {name: self._settings(each) for name, each in settings.items()}

    def _settings(self, each: plan.HttpFilter) -> Any:
        if isinstance(each, plan.FilterDisabled):
            return DISABLED
        return self._named(each, KINDS[type(each)].settings)

    def _named(self, each: plan.HttpFilter, function: Callable[[Any, Environment], Any]) -> Any:
        try:
            return function(each, self._environment)
        except ValueError as error:
            raise ValueError(f"filter {each.name!r}: {error}") from None
