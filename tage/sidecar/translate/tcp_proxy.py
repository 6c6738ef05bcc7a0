"""The TCP proxy filter -> `plan.Tcp`."""

from __future__ import annotations

from typing import Any

from tage.sidecar import plan
from tage.sidecar.translate import access_log
from tage.sidecar.translate.problem import Problems
from tage.sidecar.translate.shape import Only, Shape, leaf
from tage.sidecar.translate.values import milliseconds

_NAME = "envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy"
TCP_PROXY = Shape(
    _NAME,
    {
        "stat_prefix": leaf,
        "cluster": leaf,
        "weighted_clusters": Shape(
            f"{_NAME}.WeightedCluster",
            {"clusters": Shape(f"{_NAME}.WeightedCluster.ClusterWeight", ("name", "weight"))},
        ),
        "idle_timeout": leaf,
        "max_connect_attempts": leaf,
        "max_downstream_connection_duration": leaf,
        "access_log": access_log.ACCESS_LOG,
        "upstream_connect_mode": Only("IMMEDIATE"),
    },
)
_MAX_WEIGHT = 4_294_967_295


def translate(message: Any, path: str, problems: Problems) -> plan.Tcp:
    """The walker has looked at the message already."""
    default = plan.Tcp([])
    idle_timeout, max_duration, attempts = default.idle_timeout, default.max_duration, default.max_connect_attempts
    if not message.stat_prefix:
        problems.add(f"{path}.stat_prefix", "is missing")
    if message.HasField("idle_timeout"):
        idle_timeout = milliseconds(message.idle_timeout, f"{path}.idle_timeout", problems)
    if message.HasField("max_downstream_connection_duration"):
        at = f"{path}.max_downstream_connection_duration"
        max_duration = milliseconds(message.max_downstream_connection_duration, at, problems, zero=False)
    if message.HasField("max_connect_attempts"):
        attempts = message.max_connect_attempts.value
        if attempts < 1:
            problems.add(f"{path}.max_connect_attempts", "must be at least 1")
    return plan.Tcp(
        clusters=_clusters(message, path, problems),
        stat_prefix=message.stat_prefix,
        idle_timeout=idle_timeout,
        max_duration=max_duration,
        max_connect_attempts=attempts,
        access_logs=access_log.translate(message.access_log, f"{path}.access_log", problems),
    )


def _clusters(message: Any, path: str, problems: Problems) -> list[plan.WeightedCluster]:
    kind = message.WhichOneof("cluster_specifier")
    if kind == "cluster":
        if not message.cluster:
            problems.add(f"{path}.cluster", "is empty")
        return [plan.WeightedCluster(message.cluster)]
    if kind is None:
        problems.add(path, "needs one of cluster and weighted_clusters")
        return []
    found = []
    at = f"{path}.weighted_clusters.clusters"
    for index, each in enumerate(message.weighted_clusters.clusters):
        if not each.name:
            problems.add(f"{at}[{index}].name", "is missing")
        if each.weight < 1:
            problems.add(f"{at}[{index}].weight", "must be at least 1")
        found.append(plan.WeightedCluster(each.name, each.weight))
    if not found:
        problems.add(at, "there must be at least one")
    if sum(each.weight for each in found) > _MAX_WEIGHT:
        problems.add(at, f"the weights must not add up to more than {_MAX_WEIGHT}")
    return found
