from __future__ import annotations

from typing import Any

import pytest

from tage.pilot.generate import Caller, clusters
from tests.pilot.samples import REVIEWS, destination_rule, plain, snapshot

KEY = "httpHeaderName: x"


def cluster(load_balancer: str, more: str = "") -> dict[str, Any]:
    mesh = snapshot(destination_rule(f"{{host: reviews, trafficPolicy: {{loadBalancer: {load_balancer}{more}}}}}"))
    (built,) = clusters.outbound(REVIEWS, mesh.rule(REVIEWS, Caller()))
    return plain(built)


@pytest.mark.parametrize(
    ("hash", "policy", "config"),
    [
        (f"{{{KEY}}}", "RING_HASH", {"ring_hash_lb_config": {"minimum_ring_size": "1024"}}),
        (f"{{{KEY}, minimumRingSize: 7}}", "RING_HASH", {"ring_hash_lb_config": {"minimum_ring_size": "7"}}),
        (
            f"{{{KEY}, ringHash: {{minimumRingSize: 9}}}}",
            "RING_HASH",
            {"ring_hash_lb_config": {"minimum_ring_size": "9"}},
        ),
        (f"{{{KEY}, ringHash: {{}}}}", "RING_HASH", {"ring_hash_lb_config": {"minimum_ring_size": "1024"}}),
        (f"{{{KEY}, maglev: {{tableSize: 251}}}}", "MAGLEV", {"maglev_lb_config": {"table_size": "251"}}),
    ],
)
def test_consistent_hash(hash: str, policy: str, config: dict[str, Any]):
    built = cluster(f"{{consistentHash: {hash}}}")
    assert built["lb_policy"] == policy
    assert {name: value for name, value in built.items() if name.endswith("_lb_config")} == config


@pytest.mark.parametrize(
    ("warmup", "expected"),
    [
        ("warmupDurationSecs: 30s", {"slow_start_window": "30s"}),
        ("warmup: {duration: 1m}", {"slow_start_window": "60s"}),
        (
            "warmup: {duration: 1m, aggression: 1.5, minimumPercent: 5}",
            {
                "slow_start_window": "60s",
                "aggression": {"default_value": 1.5, "runtime_key": "warmup.aggression"},
                "min_weight_percent": {"value": 5.0},
            },
        ),
    ],
)
def test_warmup(warmup: str, expected: dict[str, Any]):
    assert cluster(f"{{{warmup}}}")["least_request_lb_config"] == {"slow_start_config": expected}
    built = cluster(f"{{simple: ROUND_ROBIN, {warmup}}}")
    assert built["round_robin_lb_config"] == {"slow_start_config": expected}


@pytest.mark.parametrize(
    ("setting", "outlier", "weighted"),
    [
        ("{}", "", False),
        ("{}", ", outlierDetection: {}", False),
        ("{distribute: [{from: a, to: {b: 100}}]}", "", True),
        ("{distribute: [{from: a, to: {b: 100}}], enabled: false}", "", False),
        ("{failover: [{from: a, to: b}]}", "", False),
        ("{failover: [{from: a, to: b}]}", ", outlierDetection: {}", True),
        ("{failoverPriority: [zone]}", ", outlierDetection: {}", True),
    ],
)
def test_localities_are_weighted_where_it_is_asked_for(setting: str, outlier: str, weighted: bool):
    common = cluster(f"{{localityLbSetting: {setting}}}", outlier).get("common_lb_config", {})
    assert ("locality_weighted_lb_config" in common) is weighted
