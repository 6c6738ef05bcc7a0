from __future__ import annotations

import re

from tage.dataplane.telemetry.layout import BUCKETS
from tage.dataplane.telemetry.reader import Histogram, Snapshot
from tage.sidecar.metrics import Workload, prometheus, stats_json, stats_text

NODE = {
    "cluster": "productpage.default",
    "metadata": {"SERVICE": "productpage", "NAMESPACE": "default", "LABELS": {"app": "productpage", "version": "v1"}},
}
LABELS = {
    "out": {
        "destination_service": "reviews.default.svc.cluster.local",
        "destination_service_name": "reviews",
        "destination_service_namespace": "default",
    },
    "in": {"destination_service_name": "productpage"},
}
WORKLOAD = Workload(NODE, lambda name: LABELS.get(name, {}), {"in"}.__contains__)


def histogram(*microseconds: int) -> Histogram:
    """Of values below 16, which have a bucket each."""
    counts = [0] * BUCKETS
    for value in microseconds:
        counts[value] += 1
    return Histogram(counts, sum(microseconds))


def test_istio_requests_total() -> None:
    snapshot = Snapshot(
        {("cluster", "out", "upstream_rq_code_503_UF"): 2, ("cluster", "in", "upstream_rq_code_200_-"): 7}
    )
    text = prometheus(snapshot, WORKLOAD)
    source = next(line for line in text.splitlines() if line.startswith("istio_requests_total") and "503" in line)
    assert source.endswith(" 2")
    for label in (
        'reporter="source"',
        'source_workload="productpage"',
        'source_version="v1"',
        'destination_workload="unknown"',
        'destination_service="reviews.default.svc.cluster.local"',
        'destination_service_name="reviews"',
        'destination_service_namespace="default"',
        'request_protocol="http"',
        'response_code="503"',
        'response_flags="UF"',
    ):
        assert label in source
    target = next(line for line in text.splitlines() if line.startswith("istio_requests_total") and "200" in line)
    assert 'reporter="destination"' in target
    assert 'destination_workload="productpage"' in target
    assert 'source_workload="unknown"' in target
    assert 'envoy_cluster_upstream_rq{envoy_response_code="503",envoy_cluster_name="out"} 2\n' in text


def test_calls_of_grpc_are_told_apart_by_their_status() -> None:
    snapshot = Snapshot(
        {
            ("cluster", "out", "upstream_rq_code_200_-"): 1,
            ("cluster", "out", "upstream_rq_grpc_200_0_-"): 5,
            ("cluster", "out", "upstream_rq_grpc_200_14_UF,URX"): 2,
        },
        histograms={
            ("cluster", "out", "upstream_rq_time"): histogram(3, 5, 9),
            ("cluster", "out", "upstream_grpc_time"): histogram(5, 9),
            ("cluster", "in", "upstream_rq_time"): histogram(5),
            ("cluster", "in", "upstream_grpc_time"): histogram(5),
        },
    )
    text = prometheus(snapshot, WORKLOAD)
    requests = [line for line in text.splitlines() if line.startswith("istio_requests_total")]
    assert [line.rpartition(" ")[2] for line in requests] == ["1", "5", "2"]
    assert 'request_protocol="http"' in requests[0]
    assert "grpc_response_status" not in requests[0]
    assert 'request_protocol="grpc"' in requests[1]
    assert 'response_code="200",response_flags="-",grpc_response_status="0"' in requests[1]
    assert 'response_code="200",response_flags="UF,URX",grpc_response_status="14"' in requests[2]
    assert 'envoy_cluster_upstream_rq{envoy_response_code="200",envoy_cluster_name="out"} 8\n' in text
    durations = [line for line in text.splitlines() if line.startswith("istio_request_duration_milliseconds_count")]
    found = {(line.split('reporter="')[1].partition('"')[0], "grpc" in line): line[-1] for line in durations}
    assert found == {("source", True): "2", ("source", False): "1", ("destination", True): "1"}


def test_istio_tcp_metrics() -> None:
    names = ("tcp_cx_opened", "tcp_cx_closed", "tcp_cx_rx_bytes_total", "tcp_cx_tx_bytes_total")
    text = prometheus(Snapshot({("cluster", "out", name): n for n, name in enumerate(names)}), WORKLOAD)
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    assert [(line.partition("{")[0], line[-1]) for line in lines] == [
        ("istio_tcp_connections_closed_total", "1"),
        ("istio_tcp_connections_opened_total", "0"),
        ("istio_tcp_received_bytes_total", "2"),
        ("istio_tcp_sent_bytes_total", "3"),
    ]
    for line in lines:
        assert 'request_protocol="tcp"' in line
        assert 'destination_service_name="reviews"' in line
        assert "response_code" not in line


def test_subsets_of_a_service_are_one_series() -> None:
    workload = Workload(NODE, lambda name: LABELS["out"], lambda name: False)
    snapshot = Snapshot(
        {("cluster", subset, "upstream_rq_code_200_-"): 2 for subset in ("v1", "v2")},
        histograms={("cluster", subset, "upstream_rq_time"): histogram(5) for subset in ("v1", "v2")},
    )
    lines = [line for line in prometheus(snapshot, workload).splitlines() if line.startswith("istio_")]
    assert len(lines) == len({line.rpartition(" ")[0] for line in lines})
    assert any(line.startswith("istio_requests_total") and line.endswith(" 4") for line in lines)
    assert any(line.startswith("istio_request_duration_milliseconds_count") and line.endswith(" 2") for line in lines)


def test_counters_by_class_and_gauges() -> None:
    snapshot = Snapshot(
        {("listener", "l", "downstream_rq_2xx"): 1, ("server", "", "plans"): 4},
        {("listener", "l", "downstream_cx_active"): 3},
    )
    assert prometheus(snapshot, WORKLOAD) == (
        "# TYPE envoy_listener_downstream_cx_active gauge\n"
        'envoy_listener_downstream_cx_active{envoy_listener_name="l"} 3\n'
        "# TYPE envoy_listener_downstream_rq_xx counter\n"
        'envoy_listener_downstream_rq_xx{envoy_response_code_class="2",envoy_listener_name="l"} 1\n'
        "# TYPE envoy_server_plans counter\n"
        "envoy_server_plans 4\n"
    )


def test_histograms() -> None:
    text = prometheus(
        Snapshot(histograms={("cluster", 'o"\n', "upstream_rq_time"): histogram(5, 9, 11)}),
        WORKLOAD,
    )
    name = 'envoy_cluster_upstream_rq_time_bucket{envoy_cluster_name="o\\"\\n",le='
    assert f'{name}"0.5"}} 3\n' in text
    assert f'{name}"+Inf"}} 3\n' in text
    assert 'envoy_cluster_upstream_rq_time_sum{envoy_cluster_name="o\\"\\n"} 0.025\n' in text
    assert "# TYPE istio_request_duration_milliseconds histogram\n" in text
    assert re.search(r"^istio_request_duration_milliseconds_count\{.*\} 3$", text, re.MULTILINE)


def test_all_samples_of_a_metric_stand_together_and_are_well_formed() -> None:
    snapshot = Snapshot(
        {("cluster", owner, name): 1 for owner in ("a", "b") for name in ("upstream_rq_total", "upstream_rq_2xx")},
        histograms={("route", "r/v/0", "rq_time"): histogram(1)},
    )
    seen: list[str] = []
    for line in prometheus(snapshot, WORKLOAD).splitlines():
        if line.startswith("# TYPE "):
            seen.append(line.split()[2])
        else:
            assert re.fullmatch(r'[a-z_]+(\{([a-z_]+="[^"]*",?)+\})? [0-9.e+-]+', line)
            assert line.startswith(seen[-1])
    assert len(seen) == len(set(seen)) == 3


def test_envoys_formats() -> None:
    snapshot = Snapshot(
        {("cluster", "a", "b"): 1, ("server", "", "c"): 0},
        histograms={("cluster", "a", "t"): histogram(5), ("cluster", "b", "t"): histogram()},
    )
    text = stats_text(snapshot, lambda name: True)
    assert text.startswith("cluster.a.b: 1\nserver.c: 0\ncluster.a.t: P0(0.005) P25(")
    assert text.endswith("cluster.b.t: No recorded values\n")
    assert stats_text(snapshot, "server.c".__eq__, used_only=True) == ""
    found = stats_json(snapshot, lambda name: True, used_only=True)["stats"]
    assert found[0] == {"name": "cluster.a.b", "value": 1}
    assert [each["name"] for each in found[1]["histograms"]["computed_quantiles"]] == ["cluster.a.t"]


RPC = Workload(NODE, lambda name: LABELS.get(name, {}), {"in"}.__contains__, {"out": "bolt"}.get)  # type: ignore[arg-type]


def test_rpc_is_told_by_service_and_method() -> None:
    text = prometheus(
        Snapshot(
            {
                ("cluster", "out", "upstream_rq_code_200_-"): 3,
                ("method", "out /com.a.Stock/count", "rq_total"): 2,
                ("method", "out /com.a.Stock/count", "upstream_rq_code_200_-"): 2,
                ("method", "out /com.a.Stock/sell", "upstream_rq_code_503_UF"): 1,
            },
            histograms={
                ("cluster", "out", "upstream_rq_time"): histogram(5),
                ("method", "out /com.a.Stock/count", "rq_time"): histogram(5, 6),
            },
        ),
        RPC,
    )
    requests = [line for line in text.splitlines() if line.startswith("istio_requests_total")]
    assert len(requests) == 2, "each request is counted once"
    for label in (
        'reporter="source"',
        'destination_service="reviews.default.svc.cluster.local"',
        'request_protocol="bolt"',
        'rpc_service="com.a.Stock"',
        'rpc_method="count"',
        'response_code="200"',
        'response_flags="-"',
    ):
        assert label in requests[0]
    assert requests[0].endswith(" 2")
    assert 'rpc_method="sell"' in requests[1]
    assert 'response_code="503",response_flags="UF"' in requests[1]
    assert 'envoy_cluster_upstream_rq{envoy_response_code="200",envoy_cluster_name="out"} 3\n' in text
    durations = [line for line in text.splitlines() if line.startswith("istio_request_duration_milliseconds_count")]
    assert len(durations) == 1
    assert 'rpc_method="count"' in durations[0]
    assert durations[0].endswith(" 2")
    assert "envoy_method" not in text
