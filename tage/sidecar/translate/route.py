"""RouteConfiguration -> `plan.Routes`."""

from __future__ import annotations

from typing import Any

from envoy.config.core.v3 import base_pb2
from envoy.config.route.v3 import route_components_pb2, route_pb2
from envoy.extensions.retry.host.previous_hosts.v3 import previous_hosts_pb2

from tage.sidecar import plan
from tage.sidecar.translate import match, upgrade
from tage.sidecar.translate.draft import INHERIT
from tage.sidecar.translate.problem import Problems
from tage.sidecar.translate.shape import Extension, Only, Shape, leaf
from tage.sidecar.translate.values import milliseconds

RETRY_CONDITIONS = frozenset({
    "5xx", "gateway-error", "reset", "reset-before-request", "connect-failure", "refused-stream", "retriable-4xx",
    "retriable-status-codes", "cancelled", "deadline-exceeded", "internal", "resource-exhausted", "unavailable",
})  # fmt: skip

_RETRY_POLICY = Shape(
    "envoy.config.route.v3.RetryPolicy",
    {
        "retry_on": leaf,
        "num_retries": leaf,
        "per_try_timeout": leaf,
        "retriable_status_codes": leaf,
        "retry_back_off": Shape(
            "envoy.config.route.v3.RetryPolicy.RetryBackOff", {"base_interval": leaf, "max_interval": leaf}
        ),
        # Another host than the one that failed, if there is one: what Tage's retries look for, asked or not.
        "retry_host_predicate": Extension(
            "retry host predicate",
            Shape("envoy.config.route.v3.RetryPolicy.RetryHostPredicate", ("name", "typed_config")),
            (
                previous_hosts_pb2.PreviousHostsPredicate,
                Shape("envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate"),
            ),
        ),
    },
    harmless={
        "host_selection_retry_max_attempts": "how often to pick again for a host that was not tried before; Tage picks "
        "up to five times, and in both the request then goes to the last one picked"
    },
)
_WEIGHTED = Shape(
    "envoy.config.route.v3.WeightedCluster",
    {"clusters": Shape("envoy.config.route.v3.WeightedCluster.ClusterWeight", ("name", "weight"))},
    harmless={"runtime_key_prefix": "names runtime keys that override weights; there is no runtime to set them in"},
)
_ACTION = Shape(
    "envoy.config.route.v3.RouteAction",
    {
        "cluster": leaf,
        "weighted_clusters": _WEIGHTED,
        "timeout": leaf,
        "idle_timeout": leaf,
        "retry_policy": _RETRY_POLICY,
        "prefix_rewrite": leaf,
        "auto_host_rewrite": Only(False),
        "upgrade_configs": upgrade.OF_ROUTE,
        # No limit; any other is refused.
        "max_stream_duration": Shape(
            "envoy.config.route.v3.RouteAction.MaxStreamDuration", {"max_stream_duration": Only(0)}
        ),
    },
)
_DIRECT = Shape(
    "envoy.config.route.v3.DirectResponseAction",
    {
        "status": leaf,
        "body": Shape("envoy.config.core.v3.DataSource", ("inline_string", "inline_bytes")),
    },
)
_ROUTE = Shape(
    "envoy.config.route.v3.Route",
    {"name": leaf, "match": match.ROUTE_MATCH, "route": _ACTION, "direct_response": _DIRECT},
    harmless={
        "metadata": "read by filters and access logs that ask for it; those are refused",
        "decorator": "names spans; tracing is refused where it would be switched on",
        "stat_prefix": "names statistics; Tage counts each route under its own name",
    },
)
_VIRTUAL_HOST = Shape(
    "envoy.config.route.v3.VirtualHost",
    {"name": leaf, "domains": leaf, "routes": _ROUTE, "retry_policy": _RETRY_POLICY},
    harmless={"metadata": "read by filters and access logs that ask for it; those are refused"},
)
ROUTES = Shape(
    "envoy.config.route.v3.RouteConfiguration",
    {
        "name": leaf,
        "virtual_hosts": _VIRTUAL_HOST,
        "validate_clusters": leaf,
        "max_direct_response_body_size_bytes": leaf,
    },
    harmless={
        "metadata": "read by filters and access logs that ask for it; those are refused",
        "most_specific_header_mutations_wins": "orders header mutations; those are refused",
    },
)


def translate(message: route_pb2.RouteConfiguration, path: str, problems: Problems) -> plan.Routes:
    """An RDS resource. Routes without an idle_timeout get `draft.INHERIT`."""
    ROUTES.check(message, path, problems)
    dot = f"{path}." if path else ""
    if not message.name:
        problems.add(f"{dot}name", "is missing")
    if message.validate_clusters.value:
        problems.add(f"{dot}validate_clusters", "true is not supported for routes that come over xDS (only false)")
    return build(message, message.name, path, problems)


def build(message: route_pb2.RouteConfiguration, name: str, path: str, problems: Problems) -> plan.Routes:
    """The section `name`; the walk is the caller's."""
    dot = f"{path}." if path else ""
    limit = 4096
    if message.HasField("max_direct_response_body_size_bytes"):
        limit = message.max_direct_response_body_size_bytes.value
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
        _check_domains(host.domains, domains, at, problems)
        routes = [_route(route, host, limit, f"{at}.routes[{j}]", at, problems) for j, route in enumerate(host.routes)]
        hosts.append(plan.VirtualHost(host.name, list(host.domains), routes))
    return plan.Routes(name, hosts)


def _check_domains(domains: Any, taken: set[str], path: str, problems: Problems) -> None:
    if not domains:
        problems.add(f"{path}.domains", "is missing")
    for i, domain in enumerate(domains):
        at = f"{path}.domains[{i}]"
        if not domain:
            problems.add(at, "is empty")
        elif "*" in domain[1:-1] or (len(domain) > 1 and domain[0] == domain[-1] == "*"):
            problems.add(at, f"'{domain}': a * may stand at the beginning or at the end")
        elif domain.lower() in taken:
            problems.add(at, f"'{domain}' is a domain of another virtual host, or stands twice")
        taken.add(domain.lower())


def _route(
    message: route_components_pb2.Route,
    host: route_components_pb2.VirtualHost,
    body_limit: int,
    path: str,
    host_path: str,
    problems: Problems,
) -> plan.Route:
    found = match.translate(message, path, problems)
    if message.HasField("direct_response"):
        direct = _direct(message.direct_response, body_limit, f"{path}.direct_response", problems)
        if found.connect and 200 <= direct.status < 300:
            problems.add(f"{path}.direct_response.status", "would tell the client of CONNECT that its tunnel is open")
        return plan.Route(found, message.name, direct=direct, idle_timeout=INHERIT)
    if not message.HasField("route"):
        if message.WhichOneof("action") is None:
            problems.add(path, "needs one of route and direct_response")
        return plan.Route(found, message.name)
    action, at = message.route, f"{path}.route"
    if action.prefix_rewrite and message.match.WhichOneof("path_specifier") not in ("prefix", "path"):
        problems.add(f"{at}.prefix_rewrite", "is not supported with this match (only with prefix or path)")
    retry = None
    if action.HasField("retry_policy"):
        retry = _retry(action.retry_policy, f"{at}.retry_policy", problems)
    elif host.HasField("retry_policy"):
        retry = _retry(host.retry_policy, f"{host_path}.retry_policy", problems)
    return plan.Route(
        found,
        message.name,
        clusters=_clusters(action, at, problems),
        timeout=_timeout(action, "timeout", 15_000, at, problems),
        idle_timeout=_timeout(action, "idle_timeout", INHERIT, at, problems),
        retry=retry,
        prefix_rewrite=action.prefix_rewrite,
        upgrades=upgrade.translate(action.upgrade_configs, f"{at}.upgrade_configs", problems),
        connect_terminates=_terminates(action, f"{at}.upgrade_configs", problems),
    )


def _terminates(action: route_components_pb2.RouteAction, path: str, problems: Problems) -> bool:
    result = False
    for i, config in enumerate(action.upgrade_configs):
        if config.HasField("connect_config"):
            result = True
            if config.upgrade_type.upper() != "CONNECT":
                problems.add(f"{path}[{i}].connect_config", "only an upgrade_type CONNECT may have it")
    return result


def _timeout(message: Any, field: str, default: int, path: str, problems: Problems) -> int:
    if not message.HasField(field):
        return default
    return milliseconds(getattr(message, field), f"{path}.{field}", problems)


def _clusters(action: route_components_pb2.RouteAction, path: str, problems: Problems) -> list[plan.WeightedCluster]:
    kind = action.WhichOneof("cluster_specifier")
    if kind == "cluster":
        if not action.cluster:
            problems.add(f"{path}.cluster", "is empty")
        return [plan.WeightedCluster(action.cluster)]
    if kind != "weighted_clusters":
        if kind is None:
            problems.add(path, "needs one of cluster and weighted_clusters")
        return []
    found = []
    for i, cluster in enumerate(action.weighted_clusters.clusters):
        at = f"{path}.weighted_clusters.clusters[{i}]"
        if not cluster.name:
            problems.add(f"{at}.name", "is missing")
        if not cluster.HasField("weight"):
            problems.add(f"{at}.weight", "is missing")
        elif cluster.weight.value:  # 0: it gets nothing
            found.append(plan.WeightedCluster(cluster.name, cluster.weight.value))
    if sum(cluster.weight for cluster in found) not in range(1, 1 << 32):
        problems.add(f"{path}.weighted_clusters", "the weights must add up to a number from 1 to 4294967295")
    return found


def _retry(message: route_components_pb2.RetryPolicy, path: str, problems: Problems) -> plan.RetryPolicy | None:
    """None where nothing is retried."""
    conditions = [part.strip() for part in message.retry_on.split(",") if part.strip()]
    for condition in conditions:
        if condition not in RETRY_CONDITIONS:
            problems.add(f"{path}.retry_on", f"'{condition}' is not supported")
    for i, status in enumerate(message.retriable_status_codes):
        if not 100 <= status <= 599:
            problems.add(f"{path}.retriable_status_codes[{i}]", f"{status} is not an HTTP status")
    base, longest = 25, 250
    if message.HasField("retry_back_off"):
        at, back_off = f"{path}.retry_back_off", message.retry_back_off
        if not back_off.HasField("base_interval"):
            problems.add(f"{at}.base_interval", "is missing")
        base = milliseconds(back_off.base_interval, f"{at}.base_interval", problems, zero=False)
        longest = base * 10
        if back_off.HasField("max_interval"):
            longest = milliseconds(back_off.max_interval, f"{at}.max_interval", problems, zero=False)
            if longest < base:
                problems.add(f"{at}.max_interval", "must not be shorter than base_interval")
    attempts = message.num_retries.value if message.HasField("num_retries") else 1
    per_try = _timeout(message, "per_try_timeout", 0, path, problems)
    if not conditions or not attempts:
        return None
    return plan.RetryPolicy(conditions, attempts, per_try, list(message.retriable_status_codes), base, longest)


def _direct(
    message: route_components_pb2.DirectResponseAction, limit: int, path: str, problems: Problems
) -> plan.DirectResponse:
    if not 200 <= message.status <= 599:
        problems.add(f"{path}.status", f"{message.status} is not an HTTP status from 200 to 599")
    return plan.DirectResponse(message.status, _body(message.body, limit, f"{path}.body", problems))


def _body(body: base_pb2.DataSource, limit: int, path: str, problems: Problems) -> str:
    data = body.inline_bytes or body.inline_string.encode()
    if len(data) > limit:
        problems.add(path, f"{len(data)} bytes: at most {limit} (max_direct_response_body_size_bytes)")
    try:
        return data.decode()
    except UnicodeDecodeError:
        problems.add(path, "is not UTF-8 text")
        return ""
