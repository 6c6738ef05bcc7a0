"""What a cluster says of its connections and limits -> fields of `plan.Cluster`."""

from __future__ import annotations

import math
from typing import Any

from envoy.config.cluster.v3 import circuit_breaker_pb2, cluster_pb2
from envoy.config.core.v3 import base_pb2

from tage.sidecar import plan
from tage.sidecar.translate.problem import Problems
from tage.sidecar.translate.shape import Shape, leaf

_THRESHOLDS = Shape(
    "envoy.config.cluster.v3.CircuitBreakers.Thresholds",
    {
        **dict.fromkeys(("priority", "max_connections", "max_pending_requests", "max_requests", "max_retries"), leaf),
        "retry_budget": Shape(
            "envoy.config.cluster.v3.CircuitBreakers.Thresholds.RetryBudget",
            {"budget_percent": Shape("envoy.type.v3.Percent", ("value",)), "min_retry_concurrency": leaf},
        ),
    },
    harmless={"track_remaining": "only adds statistics"},
)


def _thresholds(field: Any, value: Any, path: str, problems: Problems) -> None:
    # No request can have priority HIGH, for RouteAction.priority is refused: its limits are never reached.
    if value.priority != base_pb2.HIGH:
        _THRESHOLDS.check(value, path, problems)


FIELDS = {
    "circuit_breakers": Shape("envoy.config.cluster.v3.CircuitBreakers", {"thresholds": _thresholds}),
    "preconnect_policy": Shape(
        "envoy.config.cluster.v3.Cluster.PreconnectPolicy",
        ("per_upstream_preconnect_ratio", "predictive_preconnect_ratio"),
    ),
    "upstream_connection_options": Shape(
        "envoy.config.cluster.v3.UpstreamConnectionOptions",
        {
            "tcp_keepalive": Shape(
                "envoy.config.core.v3.TcpKeepalive", ("keepalive_probes", "keepalive_time", "keepalive_interval")
            )
        },
    ),
}
"""Of envoy.config.cluster.v3.Cluster."""

_KEEPALIVE = (
    ("keepalive_probes", "probes", 127),
    ("keepalive_time", "time", 32_767),
    ("keepalive_interval", "interval", 32_767),
)
"""Field, the plan's name for it, and the most that Linux takes."""


def fields(message: cluster_pb2.Cluster, dot: str, problems: Problems) -> dict[str, Any]:
    """Keyword arguments of `plan.Cluster`."""
    return {
        **_limits(message, f"{dot}circuit_breakers", problems),
        **_preconnect(message.preconnect_policy, f"{dot}preconnect_policy", problems),
        "tcp_keepalive": _keepalive(message, f"{dot}upstream_connection_options.tcp_keepalive", problems),
    }


def _limits(message: cluster_pb2.Cluster, path: str, problems: Problems) -> dict[str, Any]:
    """Of the default priority; of several, the first, as in Envoy. 4294967295 stands as it is: never reached."""
    for index, found in enumerate(message.circuit_breakers.thresholds):
        if found.priority == base_pb2.DEFAULT:
            limits: dict[str, Any] = {
                ours: getattr(found, theirs).value
                for theirs, ours in (
                    ("max_connections", "max_connections"),
                    ("max_pending_requests", "max_pending"),
                    ("max_requests", "max_requests"),
                    ("max_retries", "max_retries"),
                )
                if found.HasField(theirs)  # type: ignore[arg-type]
            }
            if found.HasField("retry_budget"):
                at = f"{path}.thresholds[{index}].retry_budget"
                limits["retry_budget"] = _retry_budget(found.retry_budget, at, problems)
            return limits
    return {}


def _retry_budget(
    message: circuit_breaker_pb2.CircuitBreakers.Thresholds.RetryBudget, path: str, problems: Problems
) -> plan.RetryBudget:
    budget: dict[str, Any] = {}
    if message.HasField("budget_percent"):
        budget["percent"] = message.budget_percent.value
        if not 0 <= message.budget_percent.value <= 100:
            problems.add(f"{path}.budget_percent.value", "must be from 0 to 100")
    if message.HasField("min_retry_concurrency"):
        budget["min_concurrency"] = message.min_retry_concurrency.value
    return plan.RetryBudget(**budget)


def _preconnect(message: cluster_pb2.Cluster.PreconnectPolicy, path: str, problems: Problems) -> dict[str, float]:
    ratios = {}
    for theirs, ours in (
        ("per_upstream_preconnect_ratio", "per_upstream_preconnect"),
        ("predictive_preconnect_ratio", "predictive_preconnect"),
    ):
        if message.HasField(theirs):  # type: ignore[arg-type]
            ratio = getattr(message, theirs).value
            if math.isnan(ratio) or not 1 <= ratio <= 3:
                problems.add(f"{path}.{theirs}", "must be from 1 to 3")
            ratios[ours] = ratio
    return ratios


def _keepalive(message: cluster_pb2.Cluster, path: str, problems: Problems) -> plan.TcpKeepalive | None:
    if not message.upstream_connection_options.HasField("tcp_keepalive"):
        return None
    keepalive = message.upstream_connection_options.tcp_keepalive
    values = {}
    for theirs, ours, most in _KEEPALIVE:
        if keepalive.HasField(theirs):  # type: ignore[arg-type]
            values[ours] = getattr(keepalive, theirs).value
            if not 1 <= values[ours] <= most:
                problems.add(f"{path}.{theirs}", f"must be from 1 to {most}")
    return plan.TcpKeepalive(**values)
