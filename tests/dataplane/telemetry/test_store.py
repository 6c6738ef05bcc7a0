"""Statistics: what the worker counts is what a reader sees, and a replacement counts on."""

import random
from itertools import pairwise

from tage.dataplane.telemetry import layout, reader
from tage.dataplane.telemetry.store import StatStore


def test_buckets_are_contiguous():
    floors = [layout.bucket_floor(i) for i in range(layout.BUCKETS + 1)]
    assert floors == sorted(set(floors))
    assert floors[:18] == [*range(16), 16, 17]
    assert max(b / a for a, b in pairwise(floors[16:])) < 1.07


def test_quantiles_within_a_bucket(tmp_path):
    store = StatStore(tmp_path / "s")
    group = store.group(layout.CLUSTER, "c")
    values = sorted(int(random.Random(1).lognormvariate(6, 2)) for _ in range(2000))
    for value in values:
        record(group, value)
    histogram = reader.read([tmp_path / "s"]).histograms[("cluster", "c", "upstream_rq_time")]
    assert histogram.count == 2000
    assert histogram.sum_us == sum(values)
    for q in (0.1, 0.5, 0.9, 0.99):
        exact = values[int(q * 2000) - 1]
        assert abs(histogram.quantile(q) - exact) <= max(1.0, exact * 0.07)
    assert histogram.cumulative([0.0, 1e12])[-1] == 2000


def test_a_replacement_counts_on_and_gauges_restart(tmp_path):
    path = tmp_path / "s"
    first = StatStore(path)
    group = first.group(layout.CLUSTER, "a|b")
    count(group, "upstream_rq_total", 3)
    count(group, "upstream_cx_active", 2)
    group.store_code(200, "-")
    group.store_code(503, "UF")
    second = StatStore(path)
    again = second.group(layout.CLUSTER, "a|b")
    count(again, "upstream_rq_total", 1)
    again.store_code(200, "-")
    snapshot = reader.read([path, tmp_path / "missing"])
    assert snapshot.counters[("cluster", "a|b", "upstream_rq_total")] == 4
    assert snapshot.gauges[("cluster", "a|b", "upstream_cx_active")] == 0
    assert snapshot.counters[("cluster", "a|b", "upstream_rq_code_200_-")] == 2
    assert snapshot.counters[("cluster", "a|b", "upstream_rq_code_503_UF")] == 1


def test_calls_of_grpc_are_counted_by_both_statuses(tmp_path):
    group = StatStore(tmp_path / "s").group(layout.GRPC, "a|b")
    for status, grpc, flags in [(200, 0, "-"), (200, 0, "-"), (200, 14, "-"), (200, 14, "UF"), (503, 14, "UF")]:
        group.store_grpc(status, grpc, flags)
    counters = reader.read([tmp_path / "s"]).counters
    assert {name: value for (scope, owner, name), value in counters.items() if scope == "cluster"} == {
        "upstream_rq_grpc_200_0_-": 2,
        "upstream_rq_grpc_200_14_-": 1,
        "upstream_rq_grpc_200_14_UF": 1,
        "upstream_rq_grpc_503_14_UF": 1,
    }


def test_workers_are_added_up(tmp_path):
    for name in ("s0", "s1"):
        group = StatStore(tmp_path / name).group(layout.LISTENER, "l")
        count(group, "downstream_rq_total", 5)
        record(group, 100)
    snapshot = reader.read([tmp_path / "s0", tmp_path / "s1"])
    assert snapshot.counters[("listener", "l", "downstream_rq_total")] == 10
    assert snapshot.histograms[("listener", "l", "downstream_rq_time")].count == 2


def test_a_full_file_counts_into_the_rest(tmp_path, monkeypatch):
    store = StatStore(tmp_path / "s")
    store.group(layout.CLUSTER, "first")
    store.names_end = layout.NAMES_SIZE - 10
    lost = store.group(layout.CLUSTER, "one too many")
    count(lost, "upstream_rq_total", 7)
    assert store.group(layout.CLUSTER, "(other)").value("upstream_rq_total") == 7


def record(group, value):
    group.record_us(value)


def count(group, name, n):
    group.count(name, n)


def test_gauges_that_all_workers_have_alike_are_not_added_up(tmp_path):
    for index, healthy in enumerate((3, 4)):
        group = StatStore(tmp_path / f"stats-{index}").group(layout.CLUSTER, "a")
        group.set("membership_total", 4)
        group.set("membership_healthy", healthy)
        group.set("upstream_cx_active", 2)
    gauges = reader.read([tmp_path / "stats-0", tmp_path / "stats-1"]).gauges
    assert [gauges["cluster", "a", f"membership_{name}"] for name in ("total", "healthy")] == [4, 4]
    assert gauges["cluster", "a", "upstream_cx_active"] == 4
