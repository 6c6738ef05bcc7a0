from __future__ import annotations

from typing import Any

import pytest

from tage.sidecar.plan import AccessLog, FilterChain, Tcp, WeightedCluster

from .build import address, problems, translate

TCP = "type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy"
LOGGER = "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog"
AT = "filter_chains[0].filters[0].typed_config"


def listener(**fields: Any) -> dict[str, Any]:
    """With this TCP proxy; to the cluster `c` unless it says otherwise."""
    if not {"cluster", "weighted_clusters"} & set(fields):
        fields["cluster"] = "c"
    config = {"@type": TCP, "stat_prefix": "s", **fields}
    chain = {"filters": [{"name": "envoy.filters.network.tcp_proxy", "typed_config": config}]}
    return {"name": "l", "address": address(), "filter_chains": [chain]}


def weighted(*clusters: dict[str, Any]) -> dict[str, Any]:
    return {"weighted_clusters": {"clusters": list(clusters)}}


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, {}),
        ({"idle_timeout": "0s"}, {"idle_timeout": 0}),
        ({"idle_timeout": "1.5s"}, {"idle_timeout": 1500}),
        ({"max_connect_attempts": 3}, {"max_connect_attempts": 3}),
        ({"max_downstream_connection_duration": "60s"}, {"max_duration": 60_000}),
        ({"upstream_connect_mode": "IMMEDIATE"}, {}),
        (
            {"access_log": [{"name": "f", "typed_config": {"@type": LOGGER, "path": "/log"}}]},
            {"access_logs": [AccessLog("/log")]},
        ),
        (
            weighted({"name": "a", "weight": 3}, {"name": "b", "weight": 1}),
            {"clusters": [WeightedCluster("a", 3), WeightedCluster("b", 1)]},
        ),
    ],
)
def test_what_is_carried_out(fields, expected):
    draft = translate("listener", listener(**fields))
    assert draft.listener.chains == [
        FilterChain(tcp=Tcp(**{"clusters": [WeightedCluster("c")], "stat_prefix": "s", **expected}))
    ]
    assert [(chain.routes, chain.rds) for chain in draft.chains] == [(None, None)]


@pytest.mark.parametrize(
    ("fields", "path", "words"),
    [
        ({"stat_prefix": ""}, "stat_prefix", "is missing"),
        ({"cluster": ""}, "cluster", "is empty"),
        ({"idle_timeout": "-1s"}, "idle_timeout", "must not be negative"),
        ({"max_connect_attempts": 0}, "max_connect_attempts", "at least 1"),
        ({"max_downstream_connection_duration": "0s"}, "max_downstream_connection_duration", "greater than zero"),
        (weighted(), "weighted_clusters.clusters", "at least one"),
        (weighted({"name": "a", "weight": 0}), "weighted_clusters.clusters[0].weight", "at least 1"),
        (weighted({"weight": 1}), "weighted_clusters.clusters[0].name", "is missing"),
        (
            weighted({"name": "a", "weight": 4_000_000_000}, {"name": "b", "weight": 4_000_000_000}),
            "weighted_clusters.clusters",
            "not add up",
        ),
        (
            weighted({"name": "a", "weight": 1, "metadata_match": {}}),
            "weighted_clusters.clusters[0].metadata_match",
            "not supported",
        ),
        ({"metadata_match": {}}, "metadata_match", "not supported"),
        ({"hash_policy": [{"source_ip": {}}]}, "hash_policy", "not supported"),
        ({"tunneling_config": {"hostname": "a"}}, "tunneling_config", "not supported"),
        ({"on_demand": {}}, "on_demand", "not supported"),
        ({"downstream_idle_timeout": "1s"}, "downstream_idle_timeout", "not supported"),
        ({"access_log_options": {"flush_access_log_on_connected": True}}, "access_log_options", "not supported"),
        ({"upstream_connect_mode": "ON_DOWNSTREAM_DATA"}, "upstream_connect_mode", "only IMMEDIATE"),
        ({"max_early_data_bytes": 5}, "max_early_data_bytes", "not supported"),
    ],
)
def test_what_is_refused(fields, path, words):
    assert [(problem.path, words in problem.message) for problem in problems("listener", listener(**fields))] == [
        (f"{AT}.{path}", True)
    ]


def test_no_cluster_at_all():
    config = listener()
    del config["filter_chains"][0]["filters"][0]["typed_config"]["cluster"]
    assert [str(problem) for problem in problems("listener", config)] == [
        f"{AT}: needs one of cluster and weighted_clusters"
    ]
