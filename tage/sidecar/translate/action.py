"""RouteAction: which clusters a request goes to, and as what."""

from __future__ import annotations

from typing import Any, NamedTuple

from envoy.config.core.v3 import base_pb2
from envoy.config.route.v3 import route_components_pb2

from tage.sidecar import plan
from tage.sidecar.translate import hash_policy, mutations, retry, upgrade
from tage.sidecar.translate.problem import Problems
from tage.sidecar.translate.shape import Only, Shape, leaf
from tage.sidecar.translate.values import FRACTION, REWRITE, fraction, header_value, milliseconds, rewrite

_LB = "envoy.lb"
METADATA_MATCH = Shape(
    "envoy.config.core.v3.Metadata",
    {"filter_metadata": leaf},
)
_WEIGHTED = Shape(
    "envoy.config.route.v3.WeightedCluster",
    {
        "clusters": Shape(
            "envoy.config.route.v3.WeightedCluster.ClusterWeight",
            {
                "name": leaf,
                "weight": leaf,
                "metadata_match": METADATA_MATCH,
                "host_rewrite_literal": leaf,
                **mutations.FIELDS,
            },
        ),
        "total_weight": leaf,
    },
    harmless={"runtime_key_prefix": "names runtime keys that override weights; there is no runtime to set them in"},
)
MIRROR = Shape(
    "envoy.config.route.v3.RouteAction.RequestMirrorPolicy",
    {"cluster": leaf, "runtime_fraction": FRACTION, "disable_shadow_host_suffix_append": leaf},
    harmless={"trace_sampled": "of the copy's span; tracing is refused where it would be switched on"},
)
ACTION = Shape(
    "envoy.config.route.v3.RouteAction",
    {
        "cluster": leaf,
        "cluster_header": leaf,
        "weighted_clusters": _WEIGHTED,
        "metadata_match": METADATA_MATCH,
        "timeout": leaf,
        "idle_timeout": leaf,
        "retry_policy": retry.RETRY_POLICY,
        "prefix_rewrite": leaf,
        "regex_rewrite": REWRITE,
        "host_rewrite_literal": leaf,
        "host_rewrite_header": leaf,
        "host_rewrite_path_regex": REWRITE,
        "auto_host_rewrite": Only(False),
        "append_x_forwarded_host": leaf,
        "upgrade_configs": upgrade.OF_ROUTE,
        "request_mirror_policies": MIRROR,
        "hash_policy": hash_policy.HASH_POLICY,
        "max_stream_duration": Shape(
            "envoy.config.route.v3.RouteAction.MaxStreamDuration", ("max_stream_duration", "grpc_timeout_header_max")
        ),
        "max_grpc_timeout": leaf,
    },
)


def grpc_timeout_max(action: route_components_pb2.RouteAction, path: str, problems: Problems) -> int | None:
    """Of its two fields, as in Envoy, the newer one makes the other one meaningless."""
    durations = action.max_stream_duration
    if action.HasField("max_stream_duration"):
        if not durations.HasField("grpc_timeout_header_max"):
            return None
        at = f"{path}.max_stream_duration.grpc_timeout_header_max"
        return milliseconds(durations.grpc_timeout_header_max, at, problems)
    if not action.HasField("max_grpc_timeout"):
        return None
    return milliseconds(action.max_grpc_timeout, f"{path}.max_grpc_timeout", problems)


class Rewrites(NamedTuple):
    """What of the path and the authority is changed."""

    prefix: str
    regex: plan.RegexRewrite | None
    host: str
    host_header: str
    host_path: plan.RegexRewrite | None


def clusters(action: route_components_pb2.RouteAction, path: str, problems: Problems) -> list[plan.WeightedCluster]:
    """None where a header names the cluster."""
    kind = action.WhichOneof("cluster_specifier")
    if kind == "cluster":
        if not action.cluster:
            problems.add(f"{path}.cluster", "is empty")
        return [plan.WeightedCluster(action.cluster)]
    if kind == "cluster_header":
        if not action.cluster_header:
            problems.add(f"{path}.cluster_header", "is empty")
        return []
    if kind != "weighted_clusters":
        if kind is None:
            problems.add(path, "needs one of cluster, cluster_header and weighted_clusters")
        return []
    at, weighted = f"{path}.weighted_clusters", action.weighted_clusters
    found = []
    for i, cluster in enumerate(weighted.clusters):
        one = _weighted(cluster, f"{at}.clusters[{i}]", problems)
        if one.weight:  # 0: it gets nothing
            found.append(one)
    total = sum(cluster.weight for cluster in found)
    if total not in range(1, 1 << 32):
        problems.add(at, "the weights must add up to a number from 1 to 4294967295")
    if weighted.HasField("total_weight") and weighted.total_weight.value != total:
        problems.add(f"{at}.total_weight", f"{weighted.total_weight.value}, but the weights add up to {total}")
    return found


def _weighted(cluster: Any, path: str, problems: Problems) -> plan.WeightedCluster:
    if not cluster.name:
        problems.add(f"{path}.name", "is missing")
    if not cluster.HasField("weight"):
        problems.add(f"{path}.weight", "is missing")
    return plan.WeightedCluster(
        cluster.name,
        cluster.weight.value,
        mutations.request(cluster, path, problems),
        mutations.response(cluster, path, problems),
        header_value(cluster.host_rewrite_literal, f"{path}.host_rewrite_literal", problems),
        metadata_match(cluster.metadata_match, f"{path}.metadata_match", problems),
    )


def metadata_match(metadata: base_pb2.Metadata, path: str, problems: Problems) -> dict[str, str]:
    """What endpoints must have under `envoy.lb`; the metadata of other filters choose no endpoint."""
    found: dict[str, str] = {}
    if _LB not in metadata.filter_metadata:
        return found
    for key, value in sorted(metadata.filter_metadata[_LB].fields.items()):
        if value.WhichOneof("kind") != "string_value":
            problems.add(f'{path}.filter_metadata["{_LB}"]["{key}"]', "only text is supported")
        found[key] = value.string_value
    return found


def rewrites(action: route_components_pb2.RouteAction, connect: bool, path: str, problems: Problems) -> Rewrites:
    """`connect`: of a route for CONNECT requests, which have no path."""
    path_fields = [field for field in ("prefix_rewrite", "regex_rewrite") if _is_set(action, field)]
    if len(path_fields) > 1:
        problems.add(f"{path}.regex_rewrite", "only one of it and prefix_rewrite may be there")
    if connect and path_fields:
        problems.add(f"{path}.{path_fields[0]}", "is not supported with connect_matcher: CONNECT has no path")
    header_value(action.prefix_rewrite, f"{path}.prefix_rewrite", problems)
    regex = host_path = None
    if action.HasField("regex_rewrite"):
        regex = rewrite(action.regex_rewrite, f"{path}.regex_rewrite", problems)
    if action.HasField("host_rewrite_path_regex"):
        host_path = rewrite(action.host_rewrite_path_regex, f"{path}.host_rewrite_path_regex", problems)
    return Rewrites(
        action.prefix_rewrite,
        regex,
        header_value(action.host_rewrite_literal, f"{path}.host_rewrite_literal", problems),
        action.host_rewrite_header.lower(),
        host_path,
    )


def _is_set(action: route_components_pb2.RouteAction, field: str) -> bool:
    return bool(action.prefix_rewrite) if field == "prefix_rewrite" else action.HasField("regex_rewrite")


def mirrors(policies: Any, path: str, problems: Problems) -> list[plan.Mirror]:
    """`path` is that of the list."""
    found = []
    for i, policy in enumerate(policies):
        if not policy.cluster:
            problems.add(f"{path}[{i}].cluster", "is missing")
        share = plan.Fraction(100)
        if policy.HasField("runtime_fraction"):
            share = fraction(policy.runtime_fraction.default_value)
        found.append(plan.Mirror(policy.cluster, share, not policy.disable_shadow_host_suffix_append))
    return found


def terminates(action: route_components_pb2.RouteAction, path: str, problems: Problems) -> bool:
    """Whether CONNECT ends here. `path` is that of upgrade_configs."""
    result = False
    for i, config in enumerate(action.upgrade_configs):
        if config.HasField("connect_config"):
            result = True
            if config.upgrade_type.upper() != "CONNECT":
                problems.add(f"{path}[{i}].connect_config", "only an upgrade_type CONNECT may have it")
    return result
