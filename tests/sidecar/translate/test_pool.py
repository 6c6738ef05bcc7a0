from __future__ import annotations

from typing import Any

import pytest

from tage.sidecar.plan import Cluster, RetryBudget, TcpKeepalive

from .build import problems, translate


def limited(**thresholds: Any) -> dict[str, Any]:
    return {"circuit_breakers": {"thresholds": [{"priority": "HIGH", "max_requests": 1}, thresholds]}}


def preconnect(**ratios: Any) -> dict[str, Any]:
    return {"preconnect_policy": ratios}


def keepalive(**values: Any) -> dict[str, Any]:
    return {"upstream_connection_options": {"tcp_keepalive": values}}


@pytest.mark.parametrize(
    ("content", "fields"),
    [
        (limited(max_requests=0), {"max_requests": 0}),
        (limited(retry_budget={}), {"retry_budget": RetryBudget(20.0, 3)}),
        (
            limited(retry_budget={"budget_percent": {"value": 12.5}, "min_retry_concurrency": 0}, max_retries=9),
            {"retry_budget": RetryBudget(12.5, 0), "max_retries": 9},
        ),
        (limited(track_remaining=True), {}),
        (preconnect(), {}),
        (preconnect(per_upstream_preconnect_ratio=1.5), {"per_upstream_preconnect": 1.5}),
        (preconnect(predictive_preconnect_ratio=3), {"predictive_preconnect": 3.0}),
        ({"upstream_connection_options": {}}, {}),
        (keepalive(), {"tcp_keepalive": TcpKeepalive()}),
        (
            keepalive(keepalive_probes=3, keepalive_time=60, keepalive_interval=5),
            {"tcp_keepalive": TcpKeepalive(3, 60, 5)},
        ),
        ({"common_http_protocol_options": {"max_connection_duration": "90.5s"}}, {"max_connection_duration": 90_500}),
    ],
)
def test_settings(content: dict[str, Any], fields: dict[str, Any]) -> None:
    assert translate("cluster", {"name": "c", **content}).cluster == Cluster("c", "c", **fields)


@pytest.mark.parametrize(
    ("content", "path", "message"),
    [
        (
            limited(retry_budget={"budget_percent": {"value": 101}}),
            "circuit_breakers.thresholds[1].retry_budget.budget_percent.value",
            "must be from 0 to 100",
        ),
        (
            limited(retry_budget={"budget_percent": {"value": "NaN"}}),
            "circuit_breakers.thresholds[1].retry_budget.budget_percent.value",
            "must be from 0 to 100",
        ),
        (limited(max_connection_pools=1), "circuit_breakers.thresholds[1].max_connection_pools", "not supported"),
        (
            {"circuit_breakers": {"per_host_thresholds": [{"max_connections": 1}]}},
            "circuit_breakers.per_host_thresholds",
            "not supported",
        ),
        (
            preconnect(per_upstream_preconnect_ratio=0.5),
            "preconnect_policy.per_upstream_preconnect_ratio",
            "must be from 1 to 3",
        ),
        (
            preconnect(predictive_preconnect_ratio="NaN"),
            "preconnect_policy.predictive_preconnect_ratio",
            "must be from 1 to 3",
        ),
        (
            keepalive(keepalive_probes=0),
            "upstream_connection_options.tcp_keepalive.keepalive_probes",
            "must be from 1 to 127",
        ),
        (
            keepalive(keepalive_time=40_000),
            "upstream_connection_options.tcp_keepalive.keepalive_time",
            "must be from 1 to 32767",
        ),
        (
            {"upstream_connection_options": {"set_local_interface_name_on_upstream_connections": True}},
            "upstream_connection_options.set_local_interface_name_on_upstream_connections",
            "not supported",
        ),
        (
            {"common_http_protocol_options": {"max_connection_duration": "0s"}},
            "common_http_protocol_options.max_connection_duration",
            "greater than zero",
        ),
    ],
)
def test_refused(content: dict[str, Any], path: str, message: str) -> None:
    [problem] = problems("cluster", {"name": "c", **content})
    assert problem.path == path
    assert message in problem.message
