"""The file's layout, shared by writer and reader.

    header   magic, version, first name byte free, first cell free (one page)
    cells    64-bit unsigned, CELLS of them: counters, gauges, histogram buckets
    names    records, appended: b"G" group (layout, first cell, owner) or b"C" counter (cell, scope, owner, name)

The file is sparse: what no one counts costs nothing. A record is complete before the header's `names end` covers it,
so a reader never sees half of one.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

MAGIC = b"TAGESTAT"
VERSION = 5
HEADER = struct.Struct("<8sIIQQ")  # magic, version, pad, names end (bytes), cells end (cells)
CELLS_OFFSET = 4096
CELLS = 4 * 1024 * 1024
NAMES_OFFSET = CELLS_OFFSET + CELLS * 8
NAMES_SIZE = 16 * 1024 * 1024
FILE_SIZE = NAMES_OFFSET + NAMES_SIZE

GROUP_RECORD = struct.Struct("<cBIH")  # b"G", layout, first cell, size of owner
COUNTER_RECORD = struct.Struct("<cBIH")  # b"C", 0, cell, size of "scope\0owner\0name"

BUCKETS = 464
"""Log-linear: 16 buckets an octave (6 % wide), 1 us to 71 minutes."""


def bucket_floor(index: int) -> int:
    """The smallest value, in us, that falls into the bucket."""
    if index < 16:
        return index
    exponent = index // 16 + 3
    return (16 + index % 16) << (exponent - 4)


class Layout(NamedTuple):
    """A group of statistics with fixed names, as consecutive cells: counters, then gauges, then a histogram
    (`BUCKETS` cells and the sum in us), if it has one."""

    scope: str
    counters: tuple[str, ...]
    gauges: tuple[str, ...]
    histogram: str = ""
    alike: tuple[str, ...] = ()
    """Gauges that all workers have alike: they are not added up, the largest is all workers'."""

    @property
    def size(self) -> int:
        return len(self.counters) + len(self.gauges) + (BUCKETS + 1 if self.histogram else 0)

    def offset(self, name: str) -> int:
        return (self.counters + self.gauges).index(name)

    @property
    def histogram_offset(self) -> int:
        return len(self.counters) + len(self.gauges)


CLUSTER = Layout(
    scope="cluster",
    counters=(
        "upstream_rq_total",
        "upstream_rq_1xx",
        "upstream_rq_2xx",
        "upstream_rq_3xx",
        "upstream_rq_4xx",
        "upstream_rq_5xx",
        "upstream_rq_timeout",
        "upstream_rq_per_try_timeout",
        "upstream_rq_per_try_idle_timeout",
        "upstream_rq_retry",
        "upstream_rq_retry_success",
        "upstream_rq_retry_overflow",
        "upstream_rq_replay",
        "upstream_rq_late_response",
        "upstream_rq_cancelled",
        "upstream_rq_pending_total",
        "upstream_rq_pending_overflow",
        "upstream_rq_rx_reset",
        "upstream_cx_total",
        "upstream_cx_connect_fail",
        "upstream_cx_connect_timeout",
        "upstream_cx_destroy",
        "upstream_cx_idle_timeout",
        "upstream_cx_max_requests",
        "upstream_cx_max_duration_reached",
        "upstream_cx_overflow",
        "upstream_cx_protocol_error",
        "upstream_cx_close_notify",
        "upstream_cx_rx_bytes_total",
        "upstream_cx_tx_bytes_total",
        "upstream_cx_none_healthy",
        "ssl.handshake",
        "ssl.connection_error",
        "ssl.fail_verify_error",
        "ssl.fail_verify_san",
        "upstream_cx_connect_attempts_exceeded",
    ),
    gauges=(
        "upstream_cx_active",
        "upstream_rq_active",
        "upstream_rq_pending_active",
        "membership_total",
        "membership_healthy",
    ),
    histogram="upstream_rq_time",
    alike=("membership_total", "membership_healthy"),
)
LISTENER = Layout(
    scope="listener",
    counters=(
        "downstream_rq_total",
        "downstream_rq_1xx",
        "downstream_rq_2xx",
        "downstream_rq_3xx",
        "downstream_rq_4xx",
        "downstream_rq_5xx",
        "downstream_rq_rx_reset",
        "downstream_rq_idle_timeout",
        "downstream_rq_header_timeout",
        "downstream_cx_total",
        "downstream_cx_destroy",
        "downstream_cx_idle_timeout",
        "downstream_cx_protocol_error",
        "downstream_cx_rx_bytes_total",
        "downstream_cx_tx_bytes_total",
        "no_route",
        "downstream_cx_refused",
        "downstream_pre_cx_timeout",
        "no_filter_chain_match",
        "ssl.handshake",
        "ssl.connection_error",
        "ssl.fail_verify_error",
        "ssl.fail_verify_no_cert",
        "ssl.fail_verify_san",
        "downstream_cx_no_route",
        "downstream_cx_max_duration_reached",
        "downstream_cx_max_requests_reached",
        "downstream_rq_max_duration_reached",
        "overload.shed",
    ),
    gauges=("downstream_cx_active", "downstream_rq_active"),
    histogram="downstream_rq_time",
)
ROUTE = Layout(
    scope="route",
    counters=("rq_total", "rq_1xx", "rq_2xx", "rq_3xx", "rq_4xx", "rq_5xx", "rq_retry", "rq_timeout"),
    gauges=(),
    histogram="rq_time",
)
TCP = Layout(
    scope="cluster",
    counters=("tcp_cx_opened", "tcp_cx_closed", "tcp_cx_rx_bytes_total", "tcp_cx_tx_bytes_total"),
    gauges=(),
    histogram="upstream_cx_length_ms",
)
"""Of a cluster, what a TCP proxy relayed to it (rx: from clients, tx: to them): for Istio's metrics."""
_EJECTIONS = (
    "consecutive_5xx",
    "consecutive_gateway_failure",
    "consecutive_local_origin_failure",
    "success_rate",
    "local_origin_success_rate",
    "failure_percentage",
    "local_origin_failure_percentage",
)
HEALTH = Layout(
    scope="cluster",
    counters=(
        "outlier_detection.ejections_enforced_total",
        "outlier_detection.ejections_overflow",
        *(f"outlier_detection.ejections_detected_{reason}" for reason in _EJECTIONS),
        *(f"outlier_detection.ejections_enforced_{reason}" for reason in _EJECTIONS),
        "outlier_detection.ejections_total",
        "outlier_detection.ejections_consecutive_5xx",
        "outlier_detection.ejections_success_rate",
        "health_check.attempt",
        "health_check.success",
        "health_check.failure",
        "health_check.passive_failure",
        "health_check.network_failure",
    ),
    gauges=("outlier_detection.ejections_active", "health_check.healthy"),
)
"""Of a cluster with outlier detection or active health checks. Names as in Envoy; three are deprecated there."""
FAULT = Layout(
    scope="http",
    counters=("fault.delays_injected", "fault.aborts_injected", "fault.faults_overflow"),
    gauges=("fault.active_faults",),
)
"""Of a connection manager's stat_prefix, as `CORS`."""
CORS = Layout(scope="http", counters=("cors.origin_valid", "cors.origin_invalid"), gauges=())
LOCAL_RATE_LIMIT = Layout(
    scope="",
    counters=(
        "http_local_rate_limit.enabled",
        "http_local_rate_limit.enforced",
        "http_local_rate_limit.rate_limited",
        "http_local_rate_limit.ok",
    ),
    gauges=(),
)
"""Of the rate limit's own stat_prefix."""
METHOD = Layout(
    scope="method",
    counters=("rq_total", "rq_1xx", "rq_2xx", "rq_3xx", "rq_4xx", "rq_5xx"),
    gauges=(),
    histogram="rq_time",
)
"""Of a cluster and the path of an RPC protocol's requests, see `methods`."""
GRPC = Layout(scope="cluster", counters=(), gauges=(), histogram="upstream_grpc_time")
"""Of a cluster, the calls of gRPC that it was given: their part of upstream_rq_time."""
LAYOUTS = (CLUSTER, LISTENER, ROUTE, TCP, HEALTH, FAULT, CORS, LOCAL_RATE_LIMIT, METHOD, GRPC)
"""Numbered by position: append only, or raise VERSION."""


def method_owner(cluster: str, path: bytes) -> str:
    """The owner of a METHOD group."""
    return f"{cluster} {path.decode('utf-8', 'backslashreplace')}"


def parted_method(owner: str) -> tuple[str, str, str]:
    """Of such an owner cluster, service and method; where the path has one name alone, that is the method's."""
    cluster, _, path = owner.rpartition(" ")
    service, _, method = path[1:].rpartition("/")
    return cluster, service, method
