"""A plan's clusters get counts that all workers share, or are counted for each worker alone, and that is said."""

import asyncio
import fcntl

import pytest

from tage.dataplane.telemetry import reader
from tage.dataplane.telemetry.store import StatStore
from tage.dataplane.upstream import limits_layout
from tage.dataplane.upstream.limits import Limit, LimitsFile
from tage.sidecar.worker import limits
from tage.sidecar.worker.limits import Limits


@pytest.fixture
def path(tmp_path):
    path = str(tmp_path / "limits.bin")
    limits_layout.create(path, 2)
    return path


@pytest.fixture
def make(path, tmp_path):
    return lambda column: Limits(LimitsFile(path, column), StatStore(tmp_path / f"stats-{column}.bin"))


def prepare(worker, *names):
    asyncio.run(worker.prepare(names))
    return [worker.counts(name) for name in names]


def not_shared(tmp_path):
    counters = reader.read([tmp_path / "stats-0.bin"]).counters
    return counters.get(("server", "", "circuit_breakers_not_shared"), 0)


def test_workers_count_together(make, tmp_path, capsys):
    (a,), (b,) = prepare(make(0), "c"), prepare(make(1), "c")
    a.up(Limit.REQUESTS)
    assert b.total(Limit.REQUESTS) == 1
    assert not_shared(tmp_path) == 0
    assert capsys.readouterr().err == ""


def test_a_plan_that_is_given_up_leaves_nothing(make, monkeypatch):
    monkeypatch.setattr(limits_layout, "SLOTS", 2)
    worker = make(0)
    prepare(worker, "a")
    worker.settle(["a"])
    prepare(worker, "a", "b")
    worker.settle(["a"])
    (_, c) = prepare(worker, "a", "c")
    c.up(Limit.REQUESTS)
    assert prepare(make(1), "c")[0].total(Limit.REQUESTS) == 1


def test_more_clusters_than_there_is_room_for(make, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(limits_layout, "SLOTS", 1)
    worker = make(0)
    first, second, third = prepare(worker, "a", "b", "c")
    for each in (first, second, third):
        each.up(Limit.REQUESTS)
    assert [each.total(Limit.REQUESTS) for each in (first, second, third)] == [1, 1, 1]
    assert not_shared(tmp_path) == 2
    assert (
        "the limits of 2 clusters, 'b' first, hold for each worker alone: there are 1 clusters"
        in capsys.readouterr().err
    )


def test_another_worker_has_the_file(make, path, tmp_path, capsys, monkeypatch):
    worker = make(0)

    async def run(other, seconds):
        fcntl.flock(other, fcntl.LOCK_EX)
        asyncio.get_running_loop().call_later(seconds, fcntl.flock, other, fcntl.LOCK_UN)
        await worker.prepare(["c"])

    with open(path) as other:
        asyncio.run(run(other, 0.05))
        assert not_shared(tmp_path) == 0
        worker.settle([])
        monkeypatch.setattr(limits, "LOCK_SECONDS", 0.05)
        asyncio.run(run(other, 10))
    assert not_shared(tmp_path) == 1
    assert "another worker has kept the file locked" in capsys.readouterr().err


def test_without_a_file(tmp_path):
    worker = Limits(None, StatStore(tmp_path / "stats-0.bin"))
    (counts,) = prepare(worker, "c")
    counts.up(Limit.REQUESTS)
    assert counts.total(Limit.REQUESTS) == 1
    worker.settle([])
