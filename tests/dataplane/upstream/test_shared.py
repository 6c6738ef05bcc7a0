"""What workers share: each sees what all have counted, and none is in the way of another that is gone."""

import fcntl
import os
import shutil
import subprocess
import sys
import tempfile

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tage.dataplane.upstream import cells
from tage.dataplane.upstream import shared_layout as layout
from tage.dataplane.upstream.limits import Limit, alone
from tage.dataplane.upstream.shared import SharedFile

UNLIMITED = 0xFFFFFFFF


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "shared.bin")


@pytest.fixture
def pair(path):
    layout.create(path, 2)
    workers = [SharedFile(path, column) for column in range(2)]
    yield workers
    for worker in workers:
        worker.close()


def claimed(workers, *names):
    for worker in workers:
        worker.clusters.claim(names)
    return [worker.clusters.get(name) for name in names for worker in workers]


def test_the_sum_of_all_workers_is_what_is_limited(pair):
    a, b = claimed(pair, "c")
    a.up(Limit.REQUESTS)
    b.up(Limit.REQUESTS)
    b.up(Limit.REQUESTS)
    b.up(Limit.RETRIES)
    assert [each.own(Limit.REQUESTS) for each in (a, b)] == [1, 2]
    assert [each.total(Limit.REQUESTS) for each in (a, b)] == [3, 3]
    assert [a.below(Limit.REQUESTS, maximum) for maximum in (0, 2, 3, 4, UNLIMITED)] == [
        False,
        False,
        False,
        True,
        True,
    ]
    b.down(Limit.REQUESTS)
    assert a.total(Limit.REQUESTS) == 2
    assert [a.total(limit) for limit in Limit] == [0, 0, 2, 1]


def test_a_count_does_not_go_below_nothing(pair):
    a, b = claimed(pair, "c")
    b.up(Limit.PENDING)
    a.down(Limit.PENDING)
    assert (a.own(Limit.PENDING), a.total(Limit.PENDING)) == (0, 1)


def test_alone():
    a, b = alone(), alone()
    a.up(Limit.CONNECTIONS)
    assert (a.total(Limit.CONNECTIONS), b.total(Limit.CONNECTIONS)) == (1, 0)
    assert not a.below(Limit.CONNECTIONS, 1)
    assert (a.idle(), b.idle()) == (False, True)


def test_clusters_do_not_touch_each_other(pair):
    names = [f"outbound|{port}||{'service' * 40}.default" for port in range(300)]
    for worker in pair:
        worker.clusters.claim(names)
    for i, name in enumerate(names):
        for _ in range(i % 5):
            pair[i % 2].clusters.get(name).up(Limit.REQUESTS)
    assert [pair[1].clusters.get(name).total(Limit.REQUESTS) for name in names] == [i % 5 for i in range(300)]


def test_a_worker_that_has_ended_is_counted_out(path, pair):
    a, b = claimed(pair, "c")
    a.up(Limit.REQUESTS)
    b.up(Limit.REQUESTS)
    layout.clear(path, 0)
    assert b.total(Limit.REQUESTS) == 1
    replacement = SharedFile(path, 0)
    replacement.clusters.claim(["c"])
    assert replacement.clusters.get("c").total(Limit.REQUESTS) == 1
    replacement.close()


def test_what_is_under_way_keeps_a_cluster(pair):
    a, _ = claimed(pair, "gone")
    a.up(Limit.CONNECTIONS)
    for worker in pair:
        worker.clusters.keep([])
    assert pair[0].clusters.get("gone") is a
    assert pair[1].clusters.get("gone") is None
    pair[1].clusters.claim(["gone"])  # it comes back while the other worker still has a connection
    assert pair[1].clusters.get("gone").total(Limit.CONNECTIONS) == 1
    a.down(Limit.CONNECTIONS)
    pair[0].clusters.keep(["other"])
    assert pair[0].clusters.get("gone") is None
    a.up(Limit.CONNECTIONS)  # too late to count for anybody else
    assert pair[1].clusters.get("gone").total(Limit.CONNECTIONS) == 0
    assert (a.own(Limit.CONNECTIONS), a.total(Limit.CONNECTIONS)) == (1, 1)


def test_slots_are_used_again(pair):
    for worker in pair:
        worker.clusters.limit = 3
    claimed(pair, "a", "b", "c")
    with pytest.raises(OSError, match="3 clusters") as full:
        pair[0].clusters.claim(["d"])
    assert not isinstance(full.value, BlockingIOError)
    assert pair[0].clusters.get("d") is None
    pair[0].clusters.keep(["a", "c"])
    with pytest.raises(OSError, match="3 clusters"):
        pair[0].clusters.claim(["d"])  # the other still uses b
    pair[1].clusters.keep(["a", "c"])
    pair[0].clusters.claim(["b", "c", "a"])
    pair[0].clusters.keep(["a", "c"])
    pair[1].clusters.claim(["d"])
    with pytest.raises(OSError, match="3 clusters"):
        pair[0].clusters.claim(["d", "b"])
    pair[0].clusters.get("d").up(Limit.REQUESTS)
    assert pair[1].clusters.get("d").total(Limit.REQUESTS) == 1
    assert [pair[1].clusters.get(name).total(Limit.REQUESTS) for name in ("a", "c")] == [0, 0]


def test_one_that_is_known_and_one_that_is_new_at_once(pair):
    """The new one does not get the place of the other, which nobody uses at this moment."""
    pair[0].clusters.claim(["known"])
    pair[0].clusters.keep([])
    pair[1].clusters.claim(["new", "known"])
    pair[1].clusters.get("new").up(Limit.REQUESTS)
    assert pair[1].clusters.get("known").total(Limit.REQUESTS) == 0


def test_no_disk(pair, monkeypatch):
    def fail(descriptor, offset, size):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.posix_fallocate", fail)
    with pytest.raises(OSError, match="No space left"):
        pair[0].clusters.claim(["c"])
    assert pair[0].clusters.get("c") is None
    monkeypatch.undo()
    pair[0].clusters.claim(["c"])
    assert pair[0].clusters.get("c").total(Limit.REQUESTS) == 0


def test_one_worker_at_a_time(path, pair):
    with open(path) as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(BlockingIOError):
            pair[0].clusters.claim(["c"])
        pair[0].clusters.claim([])  # nothing to do
    pair[0].clusters.claim(["c"])
    pair[1].clusters.claim(["c"])


@pytest.mark.parametrize(("content", "column"), [(b"", 0), (b"x" * 20, 0), (None, 2), (None, -1)])
def test_a_file_that_is_another(path, content, column):
    if content is None:
        layout.create(path, 2)
    else:
        with open(path, "wb") as file:
            file.write(content)
    with pytest.raises(ValueError, match=r"shared\.bin"):
        SharedFile(path, column)


def test_the_file_takes_no_more_than_it_needs(path):
    layout.create(path, 4)
    worker = SharedFile(path, 3)
    worker.clusters.claim(["c"])
    worker.close()
    assert os.stat(path).st_blocks * 512 <= 16 * layout.PAGE
    with pytest.raises(FileExistsError):
        layout.create(path, 4)


# -- hosts and buckets: cells that all use -----------------------------------------------------------------------------


@pytest.fixture(params=["hosts", "buckets"])
def regions(request, pair):
    return [getattr(worker, request.param) for worker in pair]


def test_all_workers_use_the_same_cells(regions):
    a, b = claimed_cells(regions, "h")
    assert a.add(0, 3) == 0
    assert b.add(0, 2) == 3
    assert (a.load(0), a.load(1)) == (5, 0)
    a.store(1, 7)
    assert b.exchange(1, 8) == 7
    assert not a.replace(1, 7, 9)
    assert a.replace(1, 8, 9)
    assert b.load(1) == 9
    assert a.set_bits(2, 5) == 0
    assert b.clear_bits(2, 4) == 5
    assert a.load(2) == 1
    assert a.add(2, 2**64 - 1) == 1
    assert b.load(2) == 0


def claimed_cells(regions, name):
    for region in regions:
        region.claim([name])
    return [region.get(name) for region in regions]


def test_each_has_cells_of_its_own(regions):
    names = [f"c\0 10.0.{i // 256}.{i % 256}\0 80" for i in range(300)]
    regions[0].claim(names)
    regions[1].claim(reversed(names))
    for i, name in enumerate(names):
        regions[i % 2].get(name).store(regions[0].kind.cells - 1, i + 1)
    assert [regions[0].get(name).load(regions[0].kind.cells - 1) for name in names] == list(range(1, 301))


def test_what_all_have_given_up_begins_anew(regions):
    a, b = claimed_cells(regions, "h")
    a.store(0, 5)
    regions[0].give_up(["h"])
    assert regions[0].get("h") is None
    a.store(0, 6)  # too late to count for anybody else
    assert (a.load(0), b.load(0)) == (6, 5)
    regions[0].claim(["h"])
    assert regions[0].get("h").load(0) == 5
    for region in regions:
        region.give_up(["h"])
    regions[1].claim(["h"])
    assert regions[1].get("h").load(0) == 0


def test_another_gets_a_free_slot_empty(regions):
    for region in regions:
        region.limit = 1
    _, b = claimed_cells(regions, "h")
    b.store(3, 5)
    regions[0].give_up(["h"])
    with pytest.raises(OSError, match="there are 1"):
        regions[0].claim(["other"])
    regions[1].give_up(["h"])
    regions[0].claim(["other"])
    assert regions[0].get("other").load(3) == 0
    with pytest.raises(OSError, match="there are 1"):
        regions[1].claim(["h"])
    regions[1].claim(["other"])
    regions[1].get("other").store(3, 4)
    assert regions[0].get("other").load(3) == 4


@pytest.mark.parametrize("kind", ["hosts", "buckets"])
def test_what_is_known_outlives_all_workers(path, kind):
    layout.create(path, 2)
    for column in range(2):
        worker = SharedFile(path, column)
        getattr(worker, kind).claim(["h", "gone"])
        getattr(worker, kind).get("h").add(0, 1)
        worker.close()
    layout.clear(path, 0)
    layout.clear(path, 1)
    replacement = SharedFile(path, 1)
    region = getattr(replacement, kind)
    region.claim(["h"])
    assert region.get("h").load(0) == 2
    # The other is of no plan any more: a worker that is in its place leaves nothing in use.
    region.limit = 2
    region.claim(["new"])
    assert region.get("new").load(0) == 0
    region.disown()
    region.give_up(["h"])
    region.claim(["h"])
    assert region.get("h").load(0) == 2  # worker 0 died with it, and nobody came in its place
    replacement.close()
    other = SharedFile(path, 0)
    getattr(other, kind).claim(["new"])
    getattr(other, kind).disown()
    getattr(other, kind).give_up(["new"])
    other.close()


def test_cells_alone():
    a, b = cells.alone(4), cells.alone(4)
    a.add(3, 2)
    assert (a.load(3), b.load(3), a.size) == (2, 0, 4)


@pytest.mark.processes
def test_nothing_is_lost_between_processes(path):
    layout.create(path, 4)
    script = """
import sys
from tage.dataplane.upstream.shared import SharedFile
worker = SharedFile(sys.argv[1], int(sys.argv[2]))
while True:
    try:
        worker.buckets.claim(["b"])
        break
    except BlockingIOError:
        pass
cells = worker.buckets.get("b")
cells.add(7, 1)
while cells.load(7) < 4:
    pass
for _ in range(20_000):
    cells.add(0, 1)
    before = cells.load(1)
    while not cells.replace(1, before, before + 1):
        before = cells.load(1)
"""
    children = [subprocess.Popen([sys.executable, "-c", script, path, str(column)]) for column in range(4)]
    assert [child.wait(60) for child in children] == [0] * 4
    worker = SharedFile(path, 0)
    worker.buckets.claim(["b"])
    assert [worker.buckets.get("b").load(index) for index in (0, 1)] == [80_000, 80_000]
    worker.close()


NAMES = [f"cluster {i}" for i in range(5)]


class Workers(RuleBasedStateMachine):
    """Workers that take on clusters, count, give them up, and are killed and replaced, in any order."""

    @initialize(columns=st.sampled_from([1, 2, 4]))
    def start(self, columns):
        self.directory = tempfile.mkdtemp(dir="/dev/shm")
        self.path = f"{self.directory}/shared.bin"
        layout.create(self.path, columns)
        self.files = [SharedFile(self.path, column) for column in range(columns)]
        self.model = [{} for _ in self.files]

    def teardown(self):
        for file in self.files:
            file.close()
        shutil.rmtree(self.directory)

    worker = st.integers(0, 3)
    names = st.sets(st.sampled_from(NAMES))
    limit = st.sampled_from(list(Limit))

    @rule(worker=worker, names=names)
    def claim(self, worker, names):
        worker %= len(self.files)
        self.files[worker].clusters.claim(names)
        for name in names:
            self.model[worker].setdefault(name, [0] * len(Limit))

    @rule(worker=worker, names=names)
    def keep(self, worker, names):
        worker %= len(self.files)
        self.files[worker].clusters.keep(names)
        held = self.model[worker]
        self.model[worker] = {name: counts for name, counts in held.items() if name in names or any(counts)}

    @rule(worker=worker, limit=limit, steps=st.lists(st.tuples(st.sampled_from(NAMES), st.booleans()), max_size=8))
    def count(self, worker, limit, steps):
        worker %= len(self.files)
        for name, up in steps:
            if name in self.model[worker]:
                counts = self.files[worker].clusters.get(name)
                (counts.up if up else counts.down)(limit)
                before = self.model[worker][name][limit]
                self.model[worker][name][limit] = before + 1 if up else max(0, before - 1)

    @rule(worker=worker)
    def killed(self, worker):
        worker %= len(self.files)
        self.files[worker].close()
        layout.clear(self.path, worker)
        self.files[worker] = SharedFile(self.path, worker)
        self.model[worker] = {}

    @invariant()
    def everybody_sees_the_sum(self):
        for worker, held in enumerate(self.model):
            for name in NAMES:
                counts = self.files[worker].clusters.get(name)
                assert (counts is not None) == (name in held)
                if counts is not None:
                    assert [counts.own(limit) for limit in Limit] == held[name]
                    expected = [sum(each[name][limit] for each in self.model if name in each) for limit in Limit]
                    assert [counts.total(limit) for limit in Limit] == expected


Workers.TestCase.settings = settings(
    max_examples=40, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
)
TestWorkers = Workers.TestCase
