from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest

from tage.cli.up.addresses import Addresses
from tage.cli.up.plan import plan
from tage.cli.up.table import plain, rows
from tage.cli.up.traffic import Traffic
from tage.config.mesh import Mesh, MeshInstance, MeshService
from tage.dataplane.telemetry import layout
from tage.dataplane.telemetry.reader import Histogram, Snapshot


class Sidecars:
    """What the statistics files would say, per run directory."""

    def __init__(self) -> None:
        self.answers: dict[str, dict[str, int]] = {}
        self.calls: dict[tuple[str, str], int] = {}
        """By cluster and counter."""

    def read(self, paths: Iterable[str | Path]) -> Snapshot:
        (path,) = paths
        counts = self.answers.get(Path(path).parent.name, {})
        snapshot = Snapshot()
        for name, count in counts.items():
            snapshot.counters["listener", "virtualInbound", f"downstream_rq_{name}"] = count
            snapshot.counters["listener", "http_proxy", f"downstream_rq_{name}"] = 1000
        snapshot.counters |= {("cluster", *key): count for key, count in self.calls.items()}
        buckets = [0] * layout.BUCKETS
        index = next(i for i in range(layout.BUCKETS) if layout.bucket_floor(i + 1) > 2000)
        buckets[index] = sum(counts.values())
        snapshot.histograms["listener", "virtualInbound", "downstream_rq_time"] = Histogram(buckets, 0)
        return snapshot


@pytest.fixture
def sidecars() -> Sidecars:
    return Sidecars()


@pytest.fixture
def traffic(tmp_path: Path, sidecars: Sidecars) -> Traffic:
    run_dirs = {name: tmp_path / name for name in ("a-v1-1", "a-v1-2", "a-v2-1")}
    for path in run_dirs.values():
        path.mkdir()
        (path / "stats-0.bin").touch()
    return Traffic(run_dirs, sidecars.read)


def test_calls_of_grpc_fail_with_a_status_of_200(traffic: Traffic, sidecars: Sidecars) -> None:
    traffic.sample(0)
    sidecars.answers = {"a-v1-1": {"2xx": 90, "5xx": 10}}
    counted = {"200_0_-": 60, "200_14_-": 8, "200_13_UF,URX": 2, "200_5_-": 20, "503_14_UF": 10}
    sidecars.calls = {
        (cluster, f"upstream_rq_grpc_{name}"): count
        for cluster in ("inbound|80||", "outbound|80||other")
        for name, count in counted.items()
    }
    traffic.sample(1)
    assert traffic.figures(["a-v1-1"]).success == pytest.approx(0.8)


def test_figures_are_differences_within_the_window(traffic: Traffic, sidecars: Sidecars) -> None:
    sidecars.answers = {"a-v1-1": {"2xx": 500, "5xx": 500}}
    traffic.sample(0)
    assert traffic.figures(["a-v1-1"]).success is None
    for second in range(1, 21):
        sidecars.answers = {"a-v1-1": {"2xx": 500 + 8 * second, "5xx": 500 + 2 * second, "4xx": 0}}
        traffic.sample(second)
    figures = traffic.figures(["a-v1-1", "a-v1-2"])
    assert figures.rate == pytest.approx(10)
    assert figures.success == pytest.approx(0.8)
    assert figures.p50 == pytest.approx(2, rel=0.1)
    assert traffic.figures(["a-v1-2"]).p50 is None


def test_counters_that_begin_anew_count_from_zero(traffic: Traffic, sidecars: Sidecars) -> None:
    sidecars.answers = {"a-v1-1": {"2xx": 1000}}
    traffic.sample(0)
    sidecars.answers = {"a-v1-1": {"2xx": 30}}
    traffic.sample(10)
    assert traffic.figures(["a-v1-1"]).rate == pytest.approx(3)


def test_table(traffic: Traffic, sidecars: Sidecars) -> None:
    services = [MeshService("a", instances=[MeshInstance("x", "v1", replicas=2), MeshInstance("x", "v2")])]
    addresses = Addresses("127.1.0.1", tuple(f"127.1.0.{host}" for host in range(2, 6)))
    mesh = plan("m", "default", Mesh(services), addresses, {})
    traffic.sample(0)
    sidecars.answers = {"a-v1-1": {"2xx": 99_999, "5xx": 1}, "a-v1-2": {}}
    traffic.sample(10)
    found = rows(mesh, {"a-v1-1": True, "a-v1-2": False, "a-v2-1": True}, traffic)
    header, first, second = (line.split() for line in plain(found).splitlines())
    assert header == ["SERVICE", "VERSION", "READY", "REQUESTS/S", "SUCCESS", "P50", "P99"]
    assert first[:5] == ["a", "v1", "1/2", "10000.0", "99.99%"]  # Never rounded up to 100.
    assert second == ["a", "v2", "1/1", "0.0", "-", "-", "-"]
