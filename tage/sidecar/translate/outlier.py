"""OutlierDetection -> `plan.OutlierDetection`."""

from __future__ import annotations

from typing import Any

from envoy.config.cluster.v3 import cluster_pb2, outlier_detection_pb2

from tage.sidecar import plan
from tage.sidecar.translate.problem import Problems
from tage.sidecar.translate.shape import Shape
from tage.sidecar.translate.values import milliseconds

_DURATIONS = ("interval", "base_ejection_time", "max_ejection_time", "max_ejection_time_jitter")
_PERCENTAGES = (
    "max_ejection_percent",
    "failure_percentage_threshold",
    "enforcing_consecutive_5xx",
    "enforcing_consecutive_gateway_failure",
    "enforcing_consecutive_local_origin_failure",
    "enforcing_success_rate",
    "enforcing_local_origin_success_rate",
    "enforcing_failure_percentage",
    "enforcing_failure_percentage_local_origin",
)
_COUNTS = (
    "consecutive_5xx",
    "consecutive_gateway_failure",
    "consecutive_local_origin_failure",
    "success_rate_minimum_hosts",
    "success_rate_request_volume",
    "success_rate_stdev_factor",
    "failure_percentage_minimum_hosts",
    "failure_percentage_request_volume",
)
_SWITCHES = ("always_eject_one_host", "successful_active_health_check_uneject_host")

FIELDS = {
    "outlier_detection": Shape(
        "envoy.config.cluster.v3.OutlierDetection",
        (*_DURATIONS, *_PERCENTAGES, *_COUNTS, *_SWITCHES, "split_external_local_origin_errors"),
    )
}
"""Of envoy.config.cluster.v3.Cluster."""


def translate(message: cluster_pb2.Cluster, path: str, problems: Problems) -> plan.OutlierDetection | None:
    """`path` is that of the field. All of the plan's names are the message's."""
    if not message.HasField("outlier_detection"):
        return None
    found = message.outlier_detection
    fields: dict[str, Any] = {"split_external_local_origin_errors": found.split_external_local_origin_errors}
    for name in _DURATIONS:
        if found.HasField(name):  # type: ignore[arg-type]
            jitter = name == "max_ejection_time_jitter"
            fields[name] = milliseconds(getattr(found, name), f"{path}.{name}", problems, zero=jitter)
    for name in _PERCENTAGES + _COUNTS + _SWITCHES:
        if found.HasField(name):  # type: ignore[arg-type]
            fields[name] = getattr(found, name).value
            if name in _PERCENTAGES and fields[name] > 100:
                problems.add(f"{path}.{name}", "must be at most 100")
    _check_longest(found, fields, path, problems)
    return plan.OutlierDetection(**fields)


def _check_longest(
    found: outlier_detection_pb2.OutlierDetection, fields: dict[str, Any], path: str, problems: Problems
) -> None:
    """The longest ejection is no shorter than the first; where it is not given, the longer of both is meant."""
    defaults = plan.OutlierDetection()
    base = fields.get("base_ejection_time", defaults.base_ejection_time)
    if not found.HasField("max_ejection_time"):
        fields["max_ejection_time"] = max(defaults.max_ejection_time, base)
    elif fields["max_ejection_time"] < base:
        problems.add(f"{path}.max_ejection_time", f"must not be shorter than base_ejection_time, {base} ms")
