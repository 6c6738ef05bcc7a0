"""Outlier detection and active health checks in words."""

from __future__ import annotations

from collections.abc import Sequence

from tage.sidecar import plan
from tage.sidecar.explain.words import clauses, count, duration, listed, quoted


def outliers(cluster: plan.Cluster) -> str:
    """Those criteria that eject."""
    found = cluster.outlier_detection
    if found is None:
        return ""
    split = found.split_external_local_origin_errors
    criteria = [
        (found.enforcing_consecutive_5xx, f"{found.consecutive_5xx} times 5xx in a row"),
        (
            found.enforcing_consecutive_gateway_failure,
            f"{found.consecutive_gateway_failure} gateway failures in a row",
        ),
        (
            found.enforcing_consecutive_local_origin_failure if split else 0,
            f"{found.consecutive_local_origin_failure} failures to connect in a row",
        ),
        (found.enforcing_success_rate, _success_rate(found)),
        (
            found.enforcing_local_origin_success_rate if split else 0,
            f"the same of connecting: {_success_rate(found)}",
        ),
        (found.enforcing_failure_percentage, _failures(found)),
        (
            found.enforcing_failure_percentage_local_origin if split else 0,
            f"the same of connecting: {_failures(found)}",
        ),
    ]
    return clauses(
        *(text + (f" ({enforced} % of the time)" if enforced < 100 else "") for enforced, text in criteria if enforced),
        f"looked at every {duration(found.interval)}",
        _ejection(found),
        "failures to connect are counted apart" if split else "",
    )


def _success_rate(found: plan.OutlierDetection) -> str:
    return (
        f"a success rate {found.success_rate_stdev_factor / 1000:g} deviations below the mean of at least "
        f"{found.success_rate_minimum_hosts} endpoints with {found.success_rate_request_volume} requests"
    )


def _failures(found: plan.OutlierDetection) -> str:
    return (
        f"{found.failure_percentage_threshold} % of {found.failure_percentage_request_volume} or more requests failing "
        f"of {found.failure_percentage_minimum_hosts} endpoints or more"
    )


def _ejection(found: plan.OutlierDetection) -> str:
    jitter = f" and up to {duration(found.max_ejection_time_jitter)} more" if found.max_ejection_time_jitter else ""
    one = ", but one at least" if found.always_eject_one_host else ""
    back = "" if found.successful_active_health_check_uneject_host else "; a good health check does not bring it back"
    return (
        f"ejected for {duration(found.base_ejection_time)} a time it was, {duration(found.max_ejection_time)} at most"
        f"{jitter}; {found.max_ejection_percent} % of the endpoints at most{one}{back}"
    )


def health_check(cluster: plan.Cluster) -> str:
    found = cluster.health_check
    if found is None:
        return ""
    return clauses(
        _probe(found.check),
        f"every {duration(found.interval)}{_check_jitter(found)}, within {duration(found.timeout)}",
        f"{count(found.unhealthy_threshold, 'failure')} to be unhealthy, then again after "
        f"{duration(found.unhealthy_edge_interval)} and every {duration(found.unhealthy_interval)}",
        f"{count(found.healthy_threshold, 'success', 'successes')} to be healthy, then again after "
        f"{duration(found.healthy_edge_interval)}",
        f"every {duration(found.no_traffic_interval)}, healthy {duration(found.no_traffic_healthy_interval)}, while"
        " nothing is sent there",
        "" if found.reuse_connection else "each on a connection of its own",
        "every failure is logged" if found.always_log_failures else "",
        "every success is logged" if found.always_log_success else "",
    )


def _probe(check: plan.HttpCheck | plan.GrpcCheck | plan.TcpCheck) -> str:
    if isinstance(check, plan.HttpCheck):
        return _http_check(check)
    return _grpc_check(check) if isinstance(check, plan.GrpcCheck) else _tcp_check(check)


def _check_jitter(found: plan.HealthCheck) -> str:
    parts = [
        f"first within {duration(found.initial_jitter)}" if found.initial_jitter else "",
        f"up to {duration(found.interval_jitter)} later" if found.interval_jitter else "",
        f"up to {found.interval_jitter_percent} % later" if found.interval_jitter_percent else "",
    ]
    text = ", ".join(part for part in parts if part)
    return f" ({text})" if text else ""


def _http_check(check: plan.HttpCheck) -> str:
    headers = "".join(f", {name}: {value}" for name, value in check.headers)
    host = f" with host {check.host}" if check.host else ""
    expected = f", {_statuses(check.expected)} is healthy" if check.expected else ""
    retriable = f", {_statuses(check.retriable)} counts as one failure, others at once" if check.retriable else ""
    version = " over HTTP/2" if check.http2 else ""
    return f"{check.method} {check.path}{host}{version}{headers}{expected}{retriable}"


def _statuses(ranges: Sequence[tuple[int, int]]) -> str:
    return listed((str(first) if end == first + 1 else f"{first} to {end - 1}" for first, end in ranges), "or")


def _grpc_check(check: plan.GrpcCheck) -> str:
    metadata = "".join(f", {name}: {value}" for name, value in check.metadata)
    authority = f" with authority {check.authority}" if check.authority else ""
    return f"a call of gRPC, is {check.service or 'the server'} healthy{authority}{metadata}"


def _tcp_check(check: plan.TcpCheck) -> str:
    sent = f", sends {quoted(check.send)}" if check.send else ""
    awaited = f", waits for {listed(map(quoted, check.receive))}" if check.receive else ""
    return f"a connection{sent}{awaited}"
