"""Load balancing of clusters, from the fields of Cluster and from extensions."""

from __future__ import annotations

from typing import Any

import pytest

from tage.dataplane.upstream.balancing.settings import Settings
from tage.sidecar.plan import LoadBalancing, SlowStart, Subsets, SubsetSelector
from tests.sidecar.translate.build import problems, translate

EXTENSION = "load_balancing_policy.policies[0].typed_extension_config.typed_config"
SLOW = {
    "slow_start_window": "30s",
    "aggression": {"default_value": 2.0},
    "min_weight_percent": {"value": 25},
}


def extension(name: str, **fields: Any) -> dict[str, Any]:
    message = "".join(part.title() for part in name.split("_"))
    config = {"@type": f"type.googleapis.com/envoy.extensions.load_balancing_policies.{name}.v3.{message}", **fields}
    return {"load_balancing_policy": {"policies": [{"typed_extension_config": {"name": name, "typed_config": config}}]}}


def lb(**fields: Any) -> LoadBalancing:
    return translate("cluster", {"name": "c", **fields}).cluster.lb


def test_the_data_plane_has_the_same_settings() -> None:
    plain = LoadBalancing()
    for field in plain.__struct_fields__:
        assert getattr(Settings, field) == getattr(plain, field), field
    assert {name for name in vars(Settings) if not name.startswith("_")} == set(plain.__struct_fields__)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, LoadBalancing("round_robin", panic_threshold=50)),
        ({"lb_policy": "RANDOM"}, LoadBalancing("random")),
        (
            {"round_robin_lb_config": {"slow_start_config": SLOW}},
            LoadBalancing("round_robin", slow_start=SlowStart(30_000, 2.0, 0.25)),
        ),
        (
            {"lb_policy": "LEAST_REQUEST", "round_robin_lb_config": {"slow_start_config": SLOW}},
            LoadBalancing("least_request"),
        ),
        (
            {
                "lb_policy": "LEAST_REQUEST",
                "least_request_lb_config": {"choice_count": 5, "active_request_bias": {"default_value": 0.5}},
            },
            LoadBalancing("least_request", choice_count=5, active_request_bias=0.5),
        ),
        (
            {
                "lb_policy": "RING_HASH",
                "ring_hash_lb_config": {"minimum_ring_size": "100", "maximum_ring_size": "200"},
                "common_lb_config": {
                    "consistent_hashing_lb_config": {"use_hostname_for_hashing": True, "hash_balance_factor": 150}
                },
            },
            LoadBalancing("ring_hash", min_ring_size=100, max_ring_size=200, hash_hostname=True, balance_factor=150),
        ),
        ({"lb_policy": "MAGLEV", "maglev_lb_config": {"table_size": "13"}}, LoadBalancing("maglev", table_size=13)),
        ({"common_lb_config": {"healthy_panic_threshold": {}}}, LoadBalancing(panic_threshold=0)),
        ({"common_lb_config": {"healthy_panic_threshold": {"value": 33.5}}}, LoadBalancing(panic_threshold=34)),
        ({"common_lb_config": {"locality_weighted_lb_config": {}}}, LoadBalancing(locality_weighted=True)),
        (
            {"common_lb_config": {"zone_aware_lb_config": {"fail_traffic_on_panic": True}}},
            LoadBalancing(fail_on_panic=True),
        ),
        (extension("round_robin", slow_start_config=SLOW), LoadBalancing(slow_start=SlowStart(30_000, 2.0, 0.25))),
        (extension("random"), LoadBalancing("random")),
        (extension("least_request", choice_count=3), LoadBalancing("least_request", choice_count=3)),
        (
            extension("round_robin", locality_lb_config={"locality_weighted_lb_config": {}}),
            LoadBalancing(locality_weighted=True),
        ),
        (
            extension("ring_hash", minimum_ring_size="7", hash_function="XX_HASH", locality_weighted_lb_config={}),
            LoadBalancing("ring_hash", min_ring_size=7, locality_weighted=True),
        ),
        (
            extension("maglev", table_size="7", consistent_hashing_lb_config={"hash_balance_factor": 120}),
            LoadBalancing("maglev", table_size=7, balance_factor=120),
        ),
    ],
)
def test_settings(fields: dict[str, Any], expected: LoadBalancing) -> None:
    assert lb(**fields) == expected


def test_the_first_extension_that_is_known_counts() -> None:
    unknown, known = ({**extension(name)["load_balancing_policy"]["policies"][0]} for name in ("random", "maglev"))
    unknown["typed_extension_config"]["typed_config"] = {
        "@type": "type.googleapis.com/envoy.extensions.load_balancing_policies.cluster_provided.v3.ClusterProvided"
    }
    assert lb(load_balancing_policy={"policies": [unknown, known]}) == LoadBalancing("maglev")


def test_subsets() -> None:
    config = {
        "fallback_policy": "DEFAULT_SUBSET",
        "default_subset": {"stage": "prod"},
        "subset_selectors": [
            {"keys": ["version", "stage"], "fallback_policy": "KEYS_SUBSET", "fallback_keys_subset": ["stage"]},
            {"keys": ["stage"], "fallback_policy": "ANY_ENDPOINT"},
            {"keys": ["zone"]},
        ],
        "panic_mode_any": True,
    }
    assert lb(lb_subset_config=config).subsets == Subsets(
        [
            SubsetSelector(["stage", "version"], "keys", ["stage"]),
            SubsetSelector(["stage"], "any"),
            SubsetSelector(["zone"]),
        ],
        "default",
        {"stage": "prod"},
        panic_any=True,
    )
    assert lb(lb_subset_config={"fallback_policy": "ANY_ENDPOINT"}).subsets is None, "without selectors, as in Envoy"


SUBSETS = "lb_subset_config"


@pytest.mark.parametrize(
    ("fields", "path", "message"),
    [
        (
            {"common_lb_config": {"healthy_panic_threshold": {"value": 101}}},
            "common_lb_config.healthy_panic_threshold",
            "",
        ),
        ({"common_lb_config": {"update_merge_window": "1s"}}, "common_lb_config.update_merge_window", "not supported"),
        (
            {"common_lb_config": {"zone_aware_lb_config": {"min_cluster_size": "1"}}},
            "common_lb_config.zone_aware_lb_config.min_cluster_size",
            "not supported",
        ),
        (
            {"common_lb_config": {"ignore_new_hosts_until_first_hc": True}},
            "common_lb_config.ignore_new_hosts_until_first_hc",
            "not supported",
        ),
        (
            {"lb_policy": "LEAST_REQUEST", "least_request_lb_config": {"choice_count": 1}},
            "least_request_lb_config.choice_count",
            "at least 2",
        ),
        (
            {"round_robin_lb_config": {"slow_start_config": {"slow_start_window": "0s"}}},
            "round_robin_lb_config.slow_start_config.slow_start_window",
            "greater than zero",
        ),
        (
            {"lb_policy": "RING_HASH", "ring_hash_lb_config": {"hash_function": "MURMUR_HASH_2"}},
            "ring_hash_lb_config.hash_function",
            "MURMUR_HASH_2 is not supported",
        ),
        (
            {"lb_policy": "RING_HASH", "ring_hash_lb_config": {"maximum_ring_size": "1000"}},
            "ring_hash_lb_config.minimum_ring_size",
            "1024 is more than maximum_ring_size, which is 1000",
        ),
        (
            {"lb_policy": "MAGLEV", "maglev_lb_config": {"table_size": "1000"}},
            "maglev_lb_config.table_size",
            "prime",
        ),
        ({"lb_policy": "LOAD_BALANCING_POLICY_CONFIG"}, "load_balancing_policy", "is missing"),
        ({"load_balancing_policy": {}}, "load_balancing_policy.policies", "none of them is supported"),
        (extension("least_request", selection_method="FULL_SCAN"), f"{EXTENSION}.selection_method", "FULL_SCAN"),
        (
            {SUBSETS: {"subset_selectors": [{"keys": ["a"], "single_host_per_subset": True}]}},
            f"{SUBSETS}.subset_selectors[0].single_host_per_subset",
            "not supported",
        ),
        ({SUBSETS: {"subset_selectors": [{}]}}, f"{SUBSETS}.subset_selectors[0].keys", "is missing"),
        (
            {SUBSETS: {"subset_selectors": [{"keys": ["a"]}], "default_subset": {"a": 1}}},
            f'{SUBSETS}.default_subset["a"]',
            "only text",
        ),
        (
            {SUBSETS: {"subset_selectors": [{"keys": ["a"], "fallback_policy": "KEYS_SUBSET"}], "list_as_any": True}},
            f"{SUBSETS}.list_as_any",
            "not supported",
        ),
        (
            {
                SUBSETS: {
                    "subset_selectors": [
                        {"keys": ["a"], "fallback_policy": "KEYS_SUBSET", "fallback_keys_subset": ["a"]}
                    ]
                }
            },
            f"{SUBSETS}.subset_selectors[0].fallback_keys_subset",
            "and not all",
        ),
    ],
)
def test_refused(fields: dict[str, Any], path: str, message: str) -> None:
    found = problems("cluster", {"name": "c", **fields})
    assert [problem.path for problem in found][:1] == [path]
    assert message in found[0].message
