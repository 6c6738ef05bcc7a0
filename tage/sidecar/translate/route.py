"""RouteConfiguration -> `plan.Routes`."""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec
from envoy.config.route.v3 import route_components_pb2, route_pb2

from tage.sidecar import plan
from tage.sidecar.translate import action, answers, filters, hash_policy, match, mutations, retry, upgrade
from tage.sidecar.translate.draft import INHERIT
from tage.sidecar.translate.problem import Problems
from tage.sidecar.translate.shape import Only, Shape, leaf
from tage.sidecar.translate.values import optional_milliseconds

_NO_METADATA = "read by filters and access logs that ask for it; those are refused"
_PER_FILTER = filters.per_route()
_ROUTE = Shape(
    "envoy.config.route.v3.Route",
    {
        "name": leaf,
        "match": match.ROUTE_MATCH,
        "route": action.ACTION,
        "redirect": answers.REDIRECT,
        "direct_response": answers.DIRECT,
        "typed_per_filter_config": _PER_FILTER,
        **mutations.FIELDS,
    },
    harmless={
        "metadata": _NO_METADATA,
        "decorator": "names spans; tracing is refused where it would be switched on",
        "stat_prefix": "names statistics; Tage counts each route under its own name",
    },
)
_VIRTUAL_HOST = Shape(
    "envoy.config.route.v3.VirtualHost",
    {
        "name": leaf,
        "domains": leaf,
        "routes": _ROUTE,
        "require_tls": Only("NONE", "ALL"),
        "retry_policy": retry.RETRY_POLICY,
        "request_mirror_policies": action.MIRROR,
        "typed_per_filter_config": _PER_FILTER,
        **mutations.FIELDS,
    },
    harmless={"metadata": _NO_METADATA},
)
ROUTES = Shape(
    "envoy.config.route.v3.RouteConfiguration",
    {
        "name": leaf,
        "virtual_hosts": _VIRTUAL_HOST,
        "validate_clusters": leaf,
        "max_direct_response_body_size_bytes": leaf,
        "most_specific_header_mutations_wins": leaf,
        "ignore_port_in_host_matching": leaf,
        "request_mirror_policies": action.MIRROR,
        "typed_per_filter_config": _PER_FILTER,
        **mutations.FIELDS,
    },
    harmless={"metadata": _NO_METADATA},
)


class _Outer(NamedTuple):
    """What routes take over from what they stand in, where they say nothing themselves."""

    body_limit: int
    mirrors: list[plan.Mirror]
    scope: str
    """Its name, for what filters keep of it."""
    filters: filters.Settings
    retry: plan.RetryPolicy | None = None


def translate(message: route_pb2.RouteConfiguration, path: str, problems: Problems) -> plan.Routes:
    """An RDS resource. Routes without an idle_timeout get `draft.INHERIT`."""
    ROUTES.check(message, path, problems)
    dot = f"{path}." if path else ""
    if not message.name:
        problems.add(f"{dot}name", "is missing")
    if message.validate_clusters.value:
        problems.add(f"{dot}validate_clusters", "true is not supported for routes that come over xDS (only false)")
    return build(message, message.name, path, problems)


def build(
    message: route_pb2.RouteConfiguration, name: str, path: str, problems: Problems, *, exact: bool = False
) -> plan.Routes:
    """The section `name`; the walk is the caller's. `exact`: the case of domains counts."""
    dot = f"{path}." if path else ""
    limit = 4096
    if message.HasField("max_direct_response_body_size_bytes"):
        limit = message.max_direct_response_body_size_bytes.value
    outer = _Outer(
        limit,
        action.mirrors(message.request_mirror_policies, f"{dot}request_mirror_policies", problems),
        name,
        filters.settings(message.typed_per_filter_config, name, f"{dot}typed_per_filter_config", problems),
    )
    hosts = []
    names: set[str] = set()
    domains: set[str] = set()
    for i, host in enumerate(message.virtual_hosts):
        at = f"{dot}virtual_hosts[{i}]"
        if not host.name:
            problems.add(f"{at}.name", "is missing")
        elif host.name in names:
            problems.add(f"{at}.name", f"'{host.name}' is taken by another virtual host")
        names.add(host.name)
        _check_domains(host.domains, domains, at, problems, exact=exact)
        hosts.append(_virtual_host(host, outer, at, problems))
    return plan.Routes(
        name,
        hosts,
        mutations.request(message, path, problems),
        mutations.response(message, path, problems),
        message.most_specific_header_mutations_wins,
        message.ignore_port_in_host_matching,
    )


def _check_domains(domains: Any, taken: set[str], path: str, problems: Problems, *, exact: bool) -> None:
    if not domains:
        problems.add(f"{path}.domains", "is missing")
    for i, domain in enumerate(domains):
        at = f"{path}.domains[{i}]"
        key = domain if exact else domain.lower()
        if not domain:
            problems.add(at, "is empty")
        elif "*" in domain[1:-1] or (len(domain) > 1 and domain[0] == domain[-1] == "*"):
            problems.add(at, f"'{domain}': a * may stand at the beginning or at the end")
        elif key in taken:
            problems.add(at, f"'{domain}' is a domain of another virtual host, or stands twice")
        taken.add(key)


def _virtual_host(
    host: route_components_pb2.VirtualHost, outer: _Outer, path: str, problems: Problems
) -> plan.VirtualHost:
    if host.request_mirror_policies:
        at = f"{path}.request_mirror_policies"
        outer = outer._replace(mirrors=action.mirrors(host.request_mirror_policies, at, problems))
    scope = f"{outer.scope}/{host.name}"
    own = filters.settings(host.typed_per_filter_config, scope, f"{path}.typed_per_filter_config", problems)
    outer = outer._replace(scope=scope, filters=filters.merged(outer.filters, own))
    if host.HasField("retry_policy"):
        outer = outer._replace(retry=retry.translate(host.retry_policy, f"{path}.retry_policy", problems))
    return plan.VirtualHost(
        host.name,
        list(host.domains),
        [_route(route, outer, f"{path}.routes[{i}]", problems) for i, route in enumerate(host.routes)],
        mutations.request(host, path, problems),
        mutations.response(host, path, problems),
        host.require_tls == route_components_pb2.VirtualHost.ALL,
    )


def _route(message: route_components_pb2.Route, outer: _Outer, path: str, problems: Problems) -> plan.Route:
    scope = f"{outer.scope}/{message.name or path.rpartition('.')[2]}"
    own = filters.settings(message.typed_per_filter_config, scope, f"{path}.typed_per_filter_config", problems)
    return msgspec.structs.replace(_rule(message, outer, path, problems), filters=filters.merged(outer.filters, own))


def _rule(message: route_components_pb2.Route, outer: _Outer, path: str, problems: Problems) -> plan.Route:
    found = match.translate(message, path, problems)
    headers = (mutations.request(message, path, problems), mutations.response(message, path, problems))
    if message.HasField("direct_response"):
        direct = answers.direct(message.direct_response, outer.body_limit, f"{path}.direct_response", problems)
        if found.connect and 200 <= direct.status < 300:
            problems.add(f"{path}.direct_response.status", "would tell the client of CONNECT that its tunnel is open")
        return _answered(found, message.name, headers, direct=direct)
    if message.HasField("redirect"):
        redirect = answers.redirect(message.redirect, f"{path}.redirect", problems)
        if found.connect:
            problems.add(f"{path}.redirect", "is not supported with connect_matcher: CONNECT has no path")
        return _answered(found, message.name, headers, redirect=redirect)
    if not message.HasField("route"):
        if message.WhichOneof("action") is None:
            problems.add(path, "needs one of route, redirect and direct_response")
        return plan.Route(found, message.name)
    return _forwarded(message, found, headers, outer, f"{path}.route", problems)


Headers = tuple[plan.HeaderMutations | None, plan.HeaderMutations | None]


def _answered(found: plan.RouteMatch, name: str, headers: Headers, **how: Any) -> plan.Route:
    return plan.Route(found, name, idle_timeout=INHERIT, request_headers=headers[0], response_headers=headers[1], **how)


def _forwarded(
    message: route_components_pb2.Route,
    found: plan.RouteMatch,
    headers: Headers,
    outer: _Outer,
    path: str,
    problems: Problems,
) -> plan.Route:
    """`path` is that of its `route`."""
    how = message.route
    rewrites = action.rewrites(how, found.connect, path, problems)
    policy = outer.retry
    if how.HasField("retry_policy"):
        policy = retry.translate(how.retry_policy, f"{path}.retry_policy", problems)
    mirrors = action.mirrors(how.request_mirror_policies, f"{path}.request_mirror_policies", problems)
    return plan.Route(
        found,
        message.name,
        clusters=action.clusters(how, path, problems),
        timeout=optional_milliseconds(how, "timeout", 15_000, path, problems),
        idle_timeout=optional_milliseconds(how, "idle_timeout", INHERIT, path, problems),
        retry=policy,
        prefix_rewrite=rewrites.prefix,
        upgrades=upgrade.translate(how.upgrade_configs, f"{path}.upgrade_configs", problems),
        connect_terminates=action.terminates(how, f"{path}.upgrade_configs", problems),
        cluster_header=how.cluster_header.lower(),
        regex_rewrite=rewrites.regex,
        host_rewrite=rewrites.host,
        host_rewrite_header=rewrites.host_header,
        host_rewrite_path=rewrites.host_path,
        append_forwarded_host=how.append_x_forwarded_host,
        request_headers=headers[0],
        response_headers=headers[1],
        mirrors=mirrors or outer.mirrors,
        hash_policies=hash_policy.translate(how.hash_policy, f"{path}.hash_policy", problems),
        metadata_match=action.metadata_match(how.metadata_match, f"{path}.metadata_match", problems),
        max_stream_duration=optional_milliseconds(
            how.max_stream_duration, "max_stream_duration", -1, f"{path}.max_stream_duration", problems
        ),
        grpc_timeout_max=action.grpc_timeout_max(how, path, problems),
    )
