from __future__ import annotations

from typing import Any

import pytest

from tage.sidecar.plan import OutlierDetection

from .build import problems, translate


def detected(**fields: Any) -> dict[str, Any]:
    return {"name": "c", "outlier_detection": fields}


def test_defaults_are_envoy_s() -> None:
    assert translate("cluster", detected()).cluster.outlier_detection == OutlierDetection()
    assert translate("cluster", {"name": "c"}).cluster.outlier_detection is None


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        (
            {
                "consecutive_5xx": 0,
                "interval": "2.5s",
                "base_ejection_time": "60s",
                "max_ejection_time": "90s",
                "max_ejection_time_jitter": "0s",
                "max_ejection_percent": 100,
                "always_eject_one_host": True,
                "consecutive_gateway_failure": 7,
                "split_external_local_origin_errors": True,
                "consecutive_local_origin_failure": 8,
                "successful_active_health_check_uneject_host": False,
            },
            OutlierDetection(
                consecutive_5xx=0,
                interval=2_500,
                base_ejection_time=60_000,
                max_ejection_time=90_000,
                max_ejection_percent=100,
                always_eject_one_host=True,
                consecutive_gateway_failure=7,
                split_external_local_origin_errors=True,
                consecutive_local_origin_failure=8,
                successful_active_health_check_uneject_host=False,
            ),
        ),
        (
            {f"success_rate_{name}": 1 for name in ("minimum_hosts", "request_volume", "stdev_factor")},
            OutlierDetection(success_rate_minimum_hosts=1, success_rate_request_volume=1, success_rate_stdev_factor=1),
        ),
        (
            {f"failure_percentage_{name}": 2 for name in ("minimum_hosts", "request_volume", "threshold")},
            OutlierDetection(
                failure_percentage_minimum_hosts=2,
                failure_percentage_request_volume=2,
                failure_percentage_threshold=2,
            ),
        ),
        # Without a longest ejection, the first one is no longer than that.
        ({"base_ejection_time": "600s"}, OutlierDetection(base_ejection_time=600_000, max_ejection_time=600_000)),
    ],
)
def test_fields(fields: dict[str, Any], expected: OutlierDetection) -> None:
    assert translate("cluster", detected(**fields)).cluster.outlier_detection == expected


def test_each_enforcement() -> None:
    names = [name for name in OutlierDetection.__struct_fields__ if name.startswith("enforcing_")]
    assert len(names) == 7
    for name in names:
        assert translate("cluster", detected(**{name: 33})).cluster.outlier_detection == OutlierDetection(**{name: 33})


@pytest.mark.parametrize(
    ("fields", "path", "message"),
    [
        ({"interval": "0s"}, "interval", "must be greater than zero"),
        ({"base_ejection_time": "0s"}, "base_ejection_time", "must be greater than zero"),
        ({"max_ejection_percent": 101}, "max_ejection_percent", "must be at most 100"),
        ({"enforcing_success_rate": 101}, "enforcing_success_rate", "must be at most 100"),
        ({"max_ejection_time": "1s"}, "max_ejection_time", "must not be shorter than base_ejection_time, 30000 ms"),
        ({"monitors": [{"name": "m"}]}, "monitors", "not supported"),
    ],
)
def test_refused(fields: dict[str, Any], path: str, message: str) -> None:
    [problem] = problems("cluster", detected(**fields))
    assert problem.path == f"outlier_detection.{path}"
    assert message in problem.message
