"""The plan's route configurations -> tables. Not compiled: it runs when configuration changes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from tage.dataplane.routing.hash_policy import HashPolicies, HashPolicy, cookie_attributes
from tage.dataplane.routing.index import PathIndex
from tage.dataplane.routing.matcher import HeaderMatcher, QueryMatcher, StringMatcher
from tage.dataplane.routing.mutations import HeaderMutation, HeaderMutations, MutationSet
from tage.dataplane.routing.policy import RetryPolicy
from tage.dataplane.routing.redirect import Redirect
from tage.dataplane.routing.regex import RegexRewrite
from tage.dataplane.routing.route import ClusterShare, Fraction, Mirror, Route
from tage.dataplane.routing.table import INDEXED, RouteTable, VirtualHost


def build(
    routes: Any, stats: Callable[[str], Any] | None = None, settings: Callable[[Any], Any] | None = None
) -> RouteTable:
    """A table from a `Routes` section. `stats` gives each route its statistics, by owner; `settings` makes what filters
    are given from what the route says for them.

    Raises ValueError saying which virtual host and route is wrong, and why.
    """
    result = RouteTable(routes.name)
    for _ in build_in_steps(routes, result, stats, settings):
        pass
    return result


def build_in_steps(
    routes: Any,
    result: RouteTable,
    stats: Callable[[str], Any] | None = None,
    settings: Callable[[Any], Any] | None = None,
) -> Iterator[None]:
    """As `build`, one rule a step, so that a worker can carry traffic in between."""
    result.ignore_port = routes.ignore_port
    result.exact = routes.exact
    where = f"routes {routes.name!r}"
    try:
        levels = Levels(routes)
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from None
    for host in routes.virtual_hosts:
        try:
            of_host = levels.of(host)
        except ValueError as error:
            raise ValueError(f"{where}, virtual host {host.name!r}: {error}") from None
        built = []
        paths = PathIndex() if len(host.routes) > INDEXED else None
        for index, rule in enumerate(host.routes):
            name = rule.name or str(index)
            try:
                route = build_route(rule, of_host)
                if settings is not None:
                    route.filters = settings(rule.filters)
            except ValueError as error:
                raise ValueError(f"{where}, virtual host {host.name!r}, route {name!r}: {error}") from None
            if stats is not None:
                route.stats = stats(f"{routes.name}/{host.name}/{name}")
            built.append(route)
            if paths is not None and not route.connect:
                paths.add(route)
            yield
        if paths is not None:
            paths.finish()
        try:
            result.add(VirtualHost(host.name, built, _to_https() if host.require_tls else None, paths), host.domains)
        except ValueError as error:
            raise ValueError(f"{where}: {error}") from None
        yield


def _to_https() -> Route:
    route = Route(StringMatcher("prefix"))
    route.redirect = Redirect(301, b"https")
    return route


class Levels:
    """The header mutations of a table and a virtual host, made once for all their routes."""

    def __init__(self, routes: Any = None) -> None:
        self._most_specific_wins = routes is not None and routes.most_specific_wins
        self._request = mutation_sets(routes.request_headers) if routes is not None else []
        self._response = mutation_sets(routes.response_headers) if routes is not None else []

    def of(self, host: Any) -> Levels:
        """With those of a virtual host."""
        result = Levels()
        result._most_specific_wins = self._most_specific_wins
        result._request = self._request + mutation_sets(host.request_headers)
        result._response = self._response + mutation_sets(host.response_headers)
        return result

    def request(self, rule: Any) -> HeaderMutations | None:
        """With those of a route, in the order in which they are applied."""
        return self._ordered(self._request, mutation_sets(rule.request_headers))

    def response(self, rule: Any) -> HeaderMutations | None:
        return self._ordered(self._response, mutation_sets(rule.response_headers))

    def _ordered(self, outer: list[MutationSet], own: list[MutationSet]) -> HeaderMutations | None:
        sets = [*outer, *own]
        if not self._most_specific_wins:  # the last one to speak wins: Envoy's default is the table
            sets.reverse()
        return HeaderMutations(sets) if sets else None


def mutation_sets(mutations: Any) -> list[MutationSet]:
    """From `plan.HeaderMutations`, or None. Raises ValueError."""
    if mutations is None:
        return []
    added = [HeaderMutation(each.name.encode(), each.value, each.action, each.keep_empty) for each in mutations.add]
    return [MutationSet(added, [name.encode() for name in mutations.remove])]


def build_route(rule: Any, levels: Levels | None = None) -> Route:
    """Raises ValueError."""
    levels = levels or Levels()
    route = Route(string_matcher(rule.match.path), rule.name)
    route.headers = [header_matcher(header) for header in rule.match.headers]
    route.query = [query_matcher(parameter) for parameter in rule.match.query]
    if rule.match.fraction is not None:
        route.fraction = _fraction(rule.match.fraction)
    _lead(route, rule)
    _rewrite(route, rule)
    route.request_edits = levels.request(rule)
    route.response_edits = levels.response(rule)
    route.timeout = rule.timeout
    route.idle_timeout = rule.idle_timeout
    route.max_stream_duration = rule.max_stream_duration
    route.grpc_timeout_max = -1 if rule.grpc_timeout_max is None else rule.grpc_timeout_max
    if rule.retry is not None:
        route.retry = _retry(rule.retry)
    if rule.mirrors:
        route.mirrors = [Mirror(each.cluster, _fraction(each.fraction), each.append_suffix) for each in rule.mirrors]
    if rule.hash_policies:
        route.hash_policies = HashPolicies([_hash_policy(policy) for policy in rule.hash_policies])
    route.metadata_match = _criteria(rule.metadata_match)
    route.connect = rule.match.connect
    route.terminates = rule.connect_terminates
    route.upgrades = {name.encode(): enabled for name, enabled in rule.upgrades.items()}
    route.needs_headers = _needs_headers(route, rule)
    return route


_NAMES = (b":method", b":authority", b":path", b":scheme", b"host")
"""What is known of a request before its headers are."""


def _needs_headers(route: Route, rule: Any) -> bool:
    """What a protocol that reads headers only where somebody asks has to know of it."""
    named = [route.cluster_header, route.host_rewrite_header, *(header.name for header in route.headers)]
    changes = [route.request_edits, route.response_edits, route.prefix_rewrite, route.regex_rewrite, route.host_rewrite]
    for share in filter(None, route.shares or ()):
        changes += [share.request_edits, share.response_edits, share.host_rewrite]
    named += [policy.name.encode() for policy in rule.hash_policies if policy.kind == "header"]
    changes += [policy for policy in rule.hash_policies if policy.kind == "cookie"]
    if route.retry is not None:
        named += [header.name for header in (*route.retry.headers, *route.retry.request_headers)]
    return (
        any(name and name not in _NAMES for name in named)
        or any(changes)
        or route.host_rewrite_path is not None
        or route.append_forwarded_host
    )


def _lead(route: Route, rule: Any) -> None:
    if rule.direct is not None:
        if not 200 <= rule.direct.status <= 599:
            raise ValueError(f"a direct response's status has to be 200 to 599, not {rule.direct.status}")
        route.direct_status = rule.direct.status
        route.direct_body = rule.direct.body.encode()
    elif rule.redirect is not None:
        route.redirect = _redirect(rule.redirect)
    elif rule.cluster_header:
        route.cluster_header = rule.cluster_header.encode()
    else:
        route.lead_to([c.name for c in rule.clusters], [c.weight for c in rule.clusters])
        shares = [_share(cluster, rule) for cluster in rule.clusters]
        if any(share is not None for share in shares):
            route.shares = shares


def _share(cluster: Any, rule: Any) -> ClusterShare | None:
    """None where the cluster has nothing of its own."""
    request, response = mutation_sets(cluster.request_headers), mutation_sets(cluster.response_headers)
    if not (request or response or cluster.host_rewrite or cluster.metadata_match):
        return None
    share = ClusterShare(cluster.name, cluster.weight)
    share.request_edits = HeaderMutations(request) if request else None
    share.response_edits = HeaderMutations(response) if response else None
    share.host_rewrite = cluster.host_rewrite.encode()
    share.metadata_match = _criteria({**rule.metadata_match, **cluster.metadata_match})
    return share


def _rewrite(route: Route, rule: Any) -> None:
    if rule.prefix_rewrite and rule.regex_rewrite is not None:
        raise ValueError("the path is rewritten by prefix or by expression, not by both")
    route.prefix_rewrite = rule.prefix_rewrite.encode()
    route.regex_rewrite = _regex_rewrite(rule.regex_rewrite)
    route.host_rewrite = rule.host_rewrite.encode()
    route.host_rewrite_header = rule.host_rewrite_header.encode()
    route.host_rewrite_path = _regex_rewrite(rule.host_rewrite_path)
    route.append_forwarded_host = rule.append_forwarded_host


def _redirect(redirect: Any) -> Redirect:
    if redirect.status not in (301, 302, 303, 307, 308):
        raise ValueError(f"a redirect's status has to be 301, 302, 303, 307 or 308, not {redirect.status}")
    return Redirect(
        redirect.status,
        redirect.scheme.encode(),
        redirect.host.encode(),
        redirect.port,
        redirect.path.encode(),
        redirect.prefix.encode(),
        _regex_rewrite(redirect.regex),
        redirect.strip_query,
    )


def _retry(retry: Any) -> RetryPolicy:
    policy = RetryPolicy(
        retry.on, retry.attempts, retry.per_try_timeout, retry.statuses, retry.backoff_base, retry.backoff_max
    )
    policy.headers = [header_matcher(header) for header in retry.headers]
    policy.request_headers = [header_matcher(header) for header in retry.request_headers]
    policy.per_try_idle_timeout = retry.per_try_idle_timeout
    return policy


def _hash_policy(policy: Any) -> HashPolicy:
    attributes = cookie_attributes(policy.ttl, policy.path, policy.attributes) if policy.ttl >= 0 else None
    return HashPolicy(policy.kind, policy.name.encode(), policy.terminal, _regex_rewrite(policy.rewrite), attributes)


def _criteria(metadata: dict[str, str]) -> tuple[tuple[str, str], ...] | None:
    """Sorted by key: what is alike is equal."""
    return tuple(sorted(metadata.items())) or None


def _fraction(fraction: Any) -> Fraction:
    return Fraction(fraction.numerator, fraction.denominator)


def _regex_rewrite(rewrite: Any) -> RegexRewrite | None:
    return None if rewrite is None else RegexRewrite(rewrite.pattern.encode(), rewrite.substitution.encode())


def string_matcher(match: Any) -> StringMatcher:
    """From a `plan.StringMatch`. Raises ValueError."""
    return StringMatcher(match.kind, match.value.encode(), match.ignore_case)


def header_matcher(match: Any) -> HeaderMatcher:
    """From a `plan.HeaderMatch`. Raises ValueError."""
    value = StringMatcher("present") if match.value is None else string_matcher(match.value)
    return HeaderMatcher(match.name.lower().encode(), value, match.invert, match.missing_is_empty, match.range)


def query_matcher(match: Any) -> QueryMatcher:
    """From a `plan.QueryMatch`. Raises ValueError."""
    value = None if match.value is None else string_matcher(match.value)
    return QueryMatcher(match.name.encode(), value, match.absent)
