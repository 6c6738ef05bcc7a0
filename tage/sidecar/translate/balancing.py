"""How a cluster is balanced -> `plan.LoadBalancing`.

The same settings stand in two places: in fields of Cluster (lb_policy and the *_lb_config of it, common_lb_config), and
in load_balancing_policy as a list of extensions, of which the first that is known counts. As in Envoy, the latter wins.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from envoy.config.cluster.v3 import cluster_pb2
from envoy.extensions.load_balancing_policies.least_request.v3 import least_request_pb2
from envoy.extensions.load_balancing_policies.maglev.v3 import maglev_pb2
from envoy.extensions.load_balancing_policies.random.v3 import random_pb2
from envoy.extensions.load_balancing_policies.ring_hash.v3 import ring_hash_pb2
from envoy.extensions.load_balancing_policies.round_robin.v3 import round_robin_pb2
from google.protobuf import struct_pb2

from tage.sidecar import plan
from tage.sidecar.translate.problem import Problems
from tage.sidecar.translate.shape import Only, Shape, leaf, type_name, unpack
from tage.sidecar.translate.values import milliseconds

_CLUSTER = "envoy.config.cluster.v3.Cluster"
_EXTENSIONS = "envoy.extensions.load_balancing_policies"
_LARGEST_RING = 8 * 1024 * 1024
_LARGEST_TABLE = 5_000_011

_RUNTIME_DOUBLE = Shape(
    "envoy.config.core.v3.RuntimeDouble",
    {"default_value": leaf},
    harmless={"runtime_key": "names a runtime key that overrides the value; there is no runtime to set it in"},
)


def _slow_start(message: str) -> Shape:
    return Shape(message, {"slow_start_window": leaf, "aggression": _RUNTIME_DOUBLE, "min_weight_percent": leaf})


def _locality(weighted: str, zone_aware: str) -> dict[str, Shape]:
    return {
        "locality_weighted_lb_config": Shape(weighted),
        "zone_aware_lb_config": Shape(zone_aware, ("fail_traffic_on_panic",)),
    }


_SUBSETS = Shape(
    f"{_CLUSTER}.LbSubsetConfig",
    {
        "fallback_policy": leaf,
        "default_subset": leaf,
        "subset_selectors": Shape(
            f"{_CLUSTER}.LbSubsetConfig.LbSubsetSelector", ("keys", "fallback_policy", "fallback_keys_subset")
        ),
        "locality_weight_aware": leaf,
        "panic_mode_any": leaf,
    },
)
FIELDS = {
    "lb_policy": Only("ROUND_ROBIN", "RANDOM", "LEAST_REQUEST", "RING_HASH", "MAGLEV", "LOAD_BALANCING_POLICY_CONFIG"),
    "round_robin_lb_config": Shape(
        f"{_CLUSTER}.RoundRobinLbConfig", {"slow_start_config": _slow_start(f"{_CLUSTER}.SlowStartConfig")}
    ),
    "least_request_lb_config": Shape(
        f"{_CLUSTER}.LeastRequestLbConfig",
        {
            "choice_count": leaf,
            "active_request_bias": _RUNTIME_DOUBLE,
            "slow_start_config": _slow_start(f"{_CLUSTER}.SlowStartConfig"),
        },
    ),
    "ring_hash_lb_config": Shape(
        f"{_CLUSTER}.RingHashLbConfig",
        {"minimum_ring_size": leaf, "maximum_ring_size": leaf, "hash_function": Only("XX_HASH")},
    ),
    "maglev_lb_config": Shape(f"{_CLUSTER}.MaglevLbConfig", ("table_size",)),
    "common_lb_config": Shape(
        f"{_CLUSTER}.CommonLbConfig",
        {
            "healthy_panic_threshold": leaf,
            "consistent_hashing_lb_config": Shape(
                f"{_CLUSTER}.CommonLbConfig.ConsistentHashingLbConfig",
                ("use_hostname_for_hashing", "hash_balance_factor"),
            ),
            **_locality(
                f"{_CLUSTER}.CommonLbConfig.LocalityWeightedLbConfig", f"{_CLUSTER}.CommonLbConfig.ZoneAwareLbConfig"
            ),
        },
    ),
    "lb_subset_config": _SUBSETS,
    "load_balancing_policy": Shape(
        "envoy.config.cluster.v3.LoadBalancingPolicy",
        {
            "policies": Shape(
                "envoy.config.cluster.v3.LoadBalancingPolicy.Policy",
                {
                    "typed_extension_config": Shape(
                        "envoy.config.core.v3.TypedExtensionConfig", ("name", "typed_config")
                    )
                },
            )
        },
    ),
}
"""Those of Cluster."""

_COMMON = f"{_EXTENSIONS}.common.v3"
_LOCALITY_LB = Shape(
    f"{_COMMON}.LocalityLbConfig",
    _locality(f"{_COMMON}.LocalityLbConfig.LocalityWeightedLbConfig", f"{_COMMON}.LocalityLbConfig.ZoneAwareLbConfig"),
)
_HASHING: Mapping[str, Any] = {
    "consistent_hashing_lb_config": Shape(
        f"{_COMMON}.ConsistentHashingLbConfig", ("use_hostname_for_hashing", "hash_balance_factor")
    ),
    "locality_weighted_lb_config": Shape(f"{_COMMON}.LocalityLbConfig.LocalityWeightedLbConfig"),
}
_POLICIES: dict[str, tuple[str, Any, Shape]] = {
    kind.DESCRIPTOR.full_name: (policy, kind, Shape(kind.DESCRIPTOR.full_name, fields))
    for policy, kind, fields in (
        (
            "round_robin",
            round_robin_pb2.RoundRobin,
            {"slow_start_config": _slow_start(f"{_COMMON}.SlowStartConfig"), "locality_lb_config": _LOCALITY_LB},
        ),
        ("random", random_pb2.Random, {"locality_lb_config": _LOCALITY_LB}),
        (
            "least_request",
            least_request_pb2.LeastRequest,
            {
                "choice_count": leaf,
                "active_request_bias": _RUNTIME_DOUBLE,
                "slow_start_config": _slow_start(f"{_COMMON}.SlowStartConfig"),
                "locality_lb_config": _LOCALITY_LB,
                "enable_full_scan": Only(False),
                "selection_method": Only("N_CHOICES"),
            },
        ),
        (
            "ring_hash",
            ring_hash_pb2.RingHash,
            {
                "hash_function": Only("DEFAULT_HASH", "XX_HASH"),
                "minimum_ring_size": leaf,
                "maximum_ring_size": leaf,
                "use_hostname_for_hashing": leaf,
                "hash_balance_factor": leaf,
                **_HASHING,
            },
        ),
        ("maglev", maglev_pb2.Maglev, {"table_size": leaf, **_HASHING}),
    )
}
POLICY_SHAPES = [shape for _, _, shape in _POLICIES.values()]

_OF_LB_POLICY = {
    cluster_pb2.Cluster.ROUND_ROBIN: "round_robin",
    cluster_pb2.Cluster.RANDOM: "random",
    cluster_pb2.Cluster.LEAST_REQUEST: "least_request",
    cluster_pb2.Cluster.RING_HASH: "ring_hash",
    cluster_pb2.Cluster.MAGLEV: "maglev",
}


def translate(message: cluster_pb2.Cluster, dot: str, problems: Problems) -> plan.LoadBalancing:
    """The walk is the caller's, but for extensions."""
    common = message.common_lb_config
    panic = 50
    if common.HasField("healthy_panic_threshold"):
        panic = _percent(common.healthy_panic_threshold, f"{dot}common_lb_config.healthy_panic_threshold", problems)
    if message.HasField("load_balancing_policy"):
        fields = _extension(message.load_balancing_policy, f"{dot}load_balancing_policy", problems)
        if message.HasField("lb_subset_config"):
            problems.add(f"{dot}lb_subset_config", "cannot stand beside load_balancing_policy")
    elif message.lb_policy == cluster_pb2.Cluster.LOAD_BALANCING_POLICY_CONFIG:
        problems.add(f"{dot}load_balancing_policy", "is missing")
        fields = {}
    else:
        policy = _OF_LB_POLICY.get(message.lb_policy, "round_robin")
        name = "random_lb_config" if policy == "random" else f"{policy}_lb_config"
        own = getattr(message, name, None)
        fields = {"policy": policy, **(_settings(own, f"{dot}{name}", problems) if own is not None else {})}
        fields |= _settings(common, f"{dot}common_lb_config", problems)
    lb = msgspec.structs.replace(plan.LoadBalancing(panic_threshold=panic), **fields)
    return msgspec.structs.replace(lb, subsets=_subsets(message.lb_subset_config, f"{dot}lb_subset_config", problems))


def _extension(message: cluster_pb2.LoadBalancingPolicy, path: str, problems: Problems) -> dict[str, Any]:
    """The first that is known."""
    for at, each in enumerate(message.policies):
        config, where = each.typed_extension_config.typed_config, f"{path}.policies[{at}].typed_extension_config"
        found = _POLICIES.get(type_name(config))
        if found is None:
            continue
        policy, kind, shape = found
        extension = unpack(config, kind, f"{where}.typed_config", problems)
        if extension is None:
            return {}
        shape.check(extension, f"{where}.typed_config", problems)
        return {"policy": policy, **_settings(extension, f"{where}.typed_config", problems)}
    names = " or ".join(sorted(_POLICIES))
    problems.add(f"{path}.policies", f"none of them is supported (only {names})")
    return {}


def _settings(message: Any, path: str, problems: Problems) -> dict[str, Any]:
    """What the old messages and the new ones call by the same names; each has some of it."""
    names = {field.name for field, _ in message.ListFields()}
    fields: dict[str, Any] = {}
    if "slow_start_config" in names:
        fields["slow_start"] = _slow(message.slow_start_config, f"{path}.slow_start_config", problems)
    if "choice_count" in names:
        fields["choice_count"] = message.choice_count.value
        if message.choice_count.value < 2:
            problems.add(f"{path}.choice_count", "must be at least 2")
    if "active_request_bias" in names:
        fields["active_request_bias"] = message.active_request_bias.default_value
        if message.active_request_bias.default_value < 0:
            problems.add(f"{path}.active_request_bias", "must not be negative")
    for name, field in (("minimum_ring_size", "min_ring_size"), ("maximum_ring_size", "max_ring_size")):
        if name in names:
            fields[field] = _number(getattr(message, name).value, 1, _LARGEST_RING, f"{path}.{name}", problems)
    least, most = fields.get("min_ring_size", 1024), fields.get("max_ring_size", _LARGEST_RING)
    if least > most:
        problems.add(f"{path}.minimum_ring_size", f"{least} is more than maximum_ring_size, which is {most}")
    if "table_size" in names:
        size = _number(message.table_size.value, 2, _LARGEST_TABLE, f"{path}.table_size", problems)
        fields["table_size"] = size
        if any(size % divisor == 0 for divisor in range(2, int(size**0.5) + 1)):
            problems.add(f"{path}.table_size", "must be a prime number")
    fields |= _hashing(message, names, path, problems)
    locality = message.locality_lb_config if "locality_lb_config" in names else message
    there = {field.name for field, _ in locality.ListFields()}
    if "locality_weighted_lb_config" in there:
        fields["locality_weighted"] = True
    if "zone_aware_lb_config" in there:
        fields["fail_on_panic"] = locality.zone_aware_lb_config.fail_traffic_on_panic
    return fields


def _hashing(message: Any, names: set[str], path: str, problems: Problems) -> dict[str, Any]:
    """The message's own are deprecated, and not looked at beside consistent_hashing_lb_config."""
    where = path
    if "consistent_hashing_lb_config" in names:
        message, where = message.consistent_hashing_lb_config, f"{path}.consistent_hashing_lb_config"
        names = {field.name for field, _ in message.ListFields()}
    fields: dict[str, Any] = {}
    if "use_hostname_for_hashing" in names:
        fields["hash_hostname"] = message.use_hostname_for_hashing
    if "hash_balance_factor" in names:
        fields["balance_factor"] = message.hash_balance_factor.value
        if message.hash_balance_factor.value < 100:
            problems.add(f"{where}.hash_balance_factor", "must be at least 100")
    return fields


def _slow(message: Any, path: str, problems: Problems) -> plan.SlowStart | None:
    if not message.HasField("slow_start_window"):
        problems.add(f"{path}.slow_start_window", "is missing")
        return None
    window = milliseconds(message.slow_start_window, f"{path}.slow_start_window", problems, zero=False)
    aggression, minimum = 1.0, 0.1
    if message.HasField("aggression"):
        aggression = message.aggression.default_value
        if not aggression > 0:
            problems.add(f"{path}.aggression", "must be greater than 0")
            aggression = 1.0
    if message.HasField("min_weight_percent"):
        minimum = message.min_weight_percent.value / 100
        if not 0 <= minimum <= 1:
            problems.add(f"{path}.min_weight_percent", "must be from 0 to 100")
    return plan.SlowStart(window, aggression, minimum)


def _number(value: int, least: int, most: int, path: str, problems: Problems) -> int:
    if not least <= value <= most:
        problems.add(path, f"must be from {least} to {most}")
        return least
    return value


def _percent(value: Any, path: str, problems: Problems) -> int:
    if not 0 <= value.value <= 100:
        problems.add(path, "must be from 0 to 100")
        return 0
    return int(value.value + 0.5)


# -- subsets -----------------------------------------------------------------------------------------------------------

_Config = cluster_pb2.Cluster.LbSubsetConfig
_Selector = _Config.LbSubsetSelector
_FALLBACK = {_Config.NO_FALLBACK: "none", _Config.ANY_ENDPOINT: "any", _Config.DEFAULT_SUBSET: "default"}
_SELECTOR_FALLBACK = {
    _Selector.NOT_DEFINED: "",
    _Selector.NO_FALLBACK: "none",
    _Selector.ANY_ENDPOINT: "any",
    _Selector.DEFAULT_SUBSET: "default",
    _Selector.KEYS_SUBSET: "keys",
}


def _subsets(config: Any, path: str, problems: Problems) -> plan.Subsets | None:
    """None without selectors: then the rest of it counts for nothing, as in Envoy."""
    selectors = []
    for at, selector in enumerate(config.subset_selectors):
        where = f"{path}.subset_selectors[{at}]"
        fallback = _SELECTOR_FALLBACK.get(selector.fallback_policy)
        if fallback is None:
            problems.add(f"{where}.fallback_policy", f"{selector.fallback_policy} is not supported")
            continue
        if not selector.keys:
            problems.add(f"{where}.keys", "is missing")
        keys = set(selector.fallback_keys_subset)
        if fallback == "keys" and not keys < set(selector.keys):
            problems.add(f"{where}.fallback_keys_subset", "must be some of keys, and not all")
        if fallback != "keys" and keys:
            problems.add(f"{where}.fallback_keys_subset", "only with fallback_policy KEYS_SUBSET")
        selectors.append(plan.SubsetSelector(sorted(set(selector.keys)), fallback, sorted(keys)))  # type: ignore[arg-type]
    if not selectors:
        return None
    general = _FALLBACK.get(config.fallback_policy)
    if general is None:
        problems.add(f"{path}.fallback_policy", f"{config.fallback_policy} is not supported")
        general = "none"
    default = texts(config.default_subset, f"{path}.default_subset", problems)
    return plan.Subsets(selectors, general, default, config.locality_weight_aware, config.panic_mode_any)  # type: ignore[arg-type]


def texts(message: struct_pb2.Struct, path: str, problems: Problems) -> dict[str, str]:
    """A struct whose values are text."""
    found = {}
    for key, value in sorted(message.fields.items()):
        if value.WhichOneof("kind") != "string_value":
            problems.add(f'{path}["{key}"]', "only text is supported")
        found[key] = value.string_value
    return found
