"""The plan's route configurations -> tables. Not compiled: it runs when configuration changes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from tage.dataplane.routing.policy import RetryPolicy
from tage.dataplane.routing.table import HeaderMatcher, Route, RouteTable, StringMatcher, VirtualHost


def build(routes: Any, stats: Callable[[str], Any] | None = None) -> RouteTable:
    """A table from a `Routes` section. `stats` gives each route its statistics, by owner.

    Raises ValueError saying which virtual host and route is wrong, and why.
    """
    result = RouteTable(routes.name)
    for _ in build_in_steps(routes, result, stats):
        pass
    return result


def build_in_steps(routes: Any, result: RouteTable, stats: Callable[[str], Any] | None = None) -> Iterator[None]:
    """As `build`, one virtual host a step, so that a worker can carry traffic in between."""
    for host in routes.virtual_hosts:
        built = []
        for index, rule in enumerate(host.routes):
            name = rule.name or str(index)
            try:
                route = build_route(rule)
            except ValueError as error:
                where = f"routes {routes.name!r}, virtual host {host.name!r}, route {name!r}"
                raise ValueError(f"{where}: {error}") from None
            if stats is not None:
                route.stats = stats(f"{routes.name}/{host.name}/{name}")
            built.append(route)
        try:
            result.add(VirtualHost(host.name, built), host.domains)
        except ValueError as error:
            raise ValueError(f"routes {routes.name!r}: {error}") from None
        yield


def build_route(rule: Any) -> Route:
    """Raises ValueError."""
    route = Route(_string_matcher(rule.match.path), rule.name)
    route.headers = [_header_matcher(header) for header in rule.match.headers]
    if rule.direct is not None:
        if not 200 <= rule.direct.status <= 599:
            raise ValueError(f"a direct response's status has to be 200 to 599, not {rule.direct.status}")
        route.direct_status = rule.direct.status
        route.direct_body = rule.direct.body.encode()
    else:
        route.lead_to([c.name for c in rule.clusters], [c.weight for c in rule.clusters])
    route.timeout = rule.timeout
    route.idle_timeout = rule.idle_timeout
    if rule.retry is not None:
        retry = rule.retry
        route.retry = RetryPolicy(
            retry.on, retry.attempts, retry.per_try_timeout, retry.statuses, retry.backoff_base, retry.backoff_max
        )
    route.prefix_rewrite = rule.prefix_rewrite.encode()
    route.connect = rule.match.connect
    route.terminates = rule.connect_terminates
    route.upgrades = {name.encode(): enabled for name, enabled in rule.upgrades.items()}
    return route


def _string_matcher(match: Any) -> StringMatcher:
    return StringMatcher(match.kind, match.value.encode(), match.ignore_case)


def _header_matcher(match: Any) -> HeaderMatcher:
    value = StringMatcher("present") if match.value is None else _string_matcher(match.value)
    return HeaderMatcher(match.name.lower().encode(), value, match.invert)
