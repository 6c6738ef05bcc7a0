"""What a plan names is shared by all workers, or is each worker's own, and that is said."""

import asyncio
import fcntl

import pytest

from tage.dataplane.telemetry import reader
from tage.dataplane.telemetry.store import StatStore
from tage.dataplane.upstream import shared_layout
from tage.dataplane.upstream.limits import Limit
from tage.dataplane.upstream.shared import SharedFile
from tage.sidecar.worker import shared
from tage.sidecar.worker.shared import Shared


@pytest.fixture
def path(tmp_path):
    path = str(tmp_path / "shared.bin")
    shared_layout.create(path, 2)
    return path


@pytest.fixture
def make(path, tmp_path):
    def make(column, limit=1000):
        file = SharedFile(path, column)
        for region in (file.clusters, file.hosts, file.buckets):
            region.limit = limit
        return Shared(file, StatStore(tmp_path / f"stats-{column}.bin"))

    return make


def prepare(worker, *names):
    asyncio.run(worker.clusters.prepare(names))
    return [worker.clusters.get(name) for name in names]


def not_shared(tmp_path):
    counters = reader.read([tmp_path / "stats-0.bin"]).counters
    return counters.get(("server", "", "circuit_breakers_not_shared"), 0)


def test_workers_count_together(make, tmp_path, capsys):
    (a,), (b,) = prepare(make(0), "c"), prepare(make(1), "c")
    a.up(Limit.REQUESTS)
    assert b.total(Limit.REQUESTS) == 1
    assert not_shared(tmp_path) == 0
    assert capsys.readouterr().err == ""


def test_a_plan_that_is_given_up_leaves_nothing(make):
    worker = make(0, 2)
    prepare(worker, "a")
    worker.clusters.keep(["a"])
    prepare(worker, "a", "b")
    worker.clusters.keep(["a"])
    (_, c) = prepare(worker, "a", "c")
    c.up(Limit.REQUESTS)
    assert prepare(make(1, 2), "c")[0].total(Limit.REQUESTS) == 1


def test_more_clusters_than_there_is_room_for(make, tmp_path, capsys):
    worker = make(0, 1)
    first, second, third = prepare(worker, "a", "b", "c")
    for each in (first, second, third):
        each.up(Limit.REQUESTS)
    assert [each.total(Limit.REQUESTS) for each in (first, second, third)] == [1, 1, 1]
    assert not_shared(tmp_path) == 2
    assert (
        "2 clusters' circuit breakers, 'b' first, hold for each worker alone: there are 1 clusters"
        in capsys.readouterr().err
    )


def test_another_worker_has_the_file(make, path, tmp_path, capsys, monkeypatch):
    worker = make(0)

    async def run(other, seconds):
        fcntl.flock(other, fcntl.LOCK_EX)
        asyncio.get_running_loop().call_later(seconds, fcntl.flock, other, fcntl.LOCK_UN)
        await worker.clusters.prepare(["c"])

    with open(path) as other:
        asyncio.run(run(other, 0.05))
        assert not_shared(tmp_path) == 0
        worker.clusters.keep([])
        monkeypatch.setattr(shared, "LOCK_SECONDS", 0.05)
        asyncio.run(run(other, 10))
    assert not_shared(tmp_path) == 1
    assert "another worker has kept the file locked" in capsys.readouterr().err


def test_without_a_file(tmp_path):
    worker = Shared(None, StatStore(tmp_path / "stats-0.bin"))
    (counts,) = prepare(worker, "c")
    counts.up(Limit.REQUESTS)
    assert counts.total(Limit.REQUESTS) == 1
    worker.clusters.keep([])


@pytest.mark.parametrize("kind", ["hosts", "buckets"])
def test_cells_are_the_same_for_all_or_ones_own(make, capsys, kind):
    a, b = (getattr(make(column, 300), kind) for column in range(2))
    names = [str(i) for i in range(300)]
    for claims in (a, b):
        asyncio.run(claims.prepare([*names, "one more"]))
    a.get("299").add(0, 1)
    assert b.get("299").add(0, 1) == 1
    a.get("one more").add(0, 1)
    assert (a.get("one more").load(0), b.get("one more").load(0)) == (1, 0)
    assert "'one more' first, hold for each worker alone" in capsys.readouterr().err
    for claims in (a, b):
        claims.give_up(["7", "one more"])
    for claims in (a, b):
        asyncio.run(claims.prepare(["one more"]))
    a.get("one more").add(0, 1)
    assert b.get("one more").load(0) == 1
    a.keep(["one more"])
    assert a.get("one more").load(0) == 1
