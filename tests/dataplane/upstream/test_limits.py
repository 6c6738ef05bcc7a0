"""Counts that workers share: each sees what all have counted, and none is in the way of another that is gone."""

import fcntl
import os
import shutil
import tempfile

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tage.dataplane.upstream import limits_layout as layout
from tage.dataplane.upstream.limits import Limit, LimitsFile, alone

UNLIMITED = 0xFFFFFFFF


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "limits.bin")


@pytest.fixture
def pair(path):
    layout.create(path, 2)
    workers = [LimitsFile(path, column) for column in range(2)]
    yield workers
    for worker in workers:
        worker.close()


def claimed(workers, *names):
    for worker in workers:
        worker.claim(names)
    return [worker.counts(name) for name in names for worker in workers]


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
        worker.claim(names)
    for i, name in enumerate(names):
        for _ in range(i % 5):
            pair[i % 2].counts(name).up(Limit.REQUESTS)
    assert [pair[1].counts(name).total(Limit.REQUESTS) for name in names] == [i % 5 for i in range(300)]


def test_a_worker_that_has_ended_is_counted_out(path, pair):
    a, b = claimed(pair, "c")
    a.up(Limit.REQUESTS)
    b.up(Limit.REQUESTS)
    layout.clear(path, 0)
    assert b.total(Limit.REQUESTS) == 1
    replacement = LimitsFile(path, 0)
    replacement.claim(["c"])
    assert replacement.counts("c").total(Limit.REQUESTS) == 1
    replacement.close()


def test_what_is_under_way_keeps_a_cluster(pair):
    a, _ = claimed(pair, "gone")
    a.up(Limit.CONNECTIONS)
    for worker in pair:
        worker.keep([])
    assert pair[0].counts("gone") is a
    assert pair[1].counts("gone") is None
    pair[1].claim(["gone"])  # it comes back while the other worker still has a connection
    assert pair[1].counts("gone").total(Limit.CONNECTIONS) == 1
    a.down(Limit.CONNECTIONS)
    pair[0].keep(["other"])
    assert pair[0].counts("gone") is None
    a.up(Limit.CONNECTIONS)  # too late to count for anybody else
    assert pair[1].counts("gone").total(Limit.CONNECTIONS) == 0
    assert (a.own(Limit.CONNECTIONS), a.total(Limit.CONNECTIONS)) == (1, 1)


def test_slots_are_used_again(pair, monkeypatch):
    monkeypatch.setattr(layout, "SLOTS", 3)
    claimed(pair, "a", "b", "c")
    with pytest.raises(OSError, match="3 clusters") as full:
        pair[0].claim(["d"])
    assert not isinstance(full.value, BlockingIOError)
    assert pair[0].counts("d") is None
    pair[0].keep(["a", "c"])
    with pytest.raises(OSError, match="3 clusters"):
        pair[0].claim(["d"])  # the other still uses b
    pair[1].keep(["a", "c"])
    pair[0].claim(["b", "c", "a"])
    pair[0].keep(["a", "c"])
    pair[1].claim(["d"])
    with pytest.raises(OSError, match="3 clusters"):
        pair[0].claim(["d", "b"])
    pair[0].counts("d").up(Limit.REQUESTS)
    assert pair[1].counts("d").total(Limit.REQUESTS) == 1
    assert [pair[1].counts(name).total(Limit.REQUESTS) for name in ("a", "c")] == [0, 0]


def test_one_that_is_known_and_one_that_is_new_at_once(pair):
    """The new one does not get the place of the other, which nobody uses at this moment."""
    pair[0].claim(["known"])
    pair[0].keep([])
    pair[1].claim(["new", "known"])
    pair[1].counts("new").up(Limit.REQUESTS)
    assert pair[1].counts("known").total(Limit.REQUESTS) == 0


def test_no_disk(pair, monkeypatch):
    def fail(descriptor, offset, size):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.posix_fallocate", fail)
    with pytest.raises(OSError, match="No space left"):
        pair[0].claim(["c"])
    assert pair[0].counts("c") is None
    monkeypatch.undo()
    pair[0].claim(["c"])
    assert pair[0].counts("c").total(Limit.REQUESTS) == 0


def test_one_worker_at_a_time(path, pair):
    with open(path) as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(BlockingIOError):
            pair[0].claim(["c"])
        pair[0].claim([])  # nothing to do
    pair[0].claim(["c"])
    pair[1].claim(["c"])


@pytest.mark.parametrize(("content", "column"), [(b"", 0), (b"x" * 20, 0), (None, 2), (None, -1)])
def test_a_file_that_is_another(path, content, column):
    if content is None:
        layout.create(path, 2)
    else:
        with open(path, "wb") as file:
            file.write(content)
    with pytest.raises(ValueError, match=r"limits\.bin"):
        LimitsFile(path, column)


def test_the_file_takes_no_more_than_it_needs(path):
    layout.create(path, 4)
    worker = LimitsFile(path, 3)
    worker.claim(["c"])
    worker.close()
    assert os.stat(path).st_blocks * 512 <= 16 * layout.PAGE
    with pytest.raises(FileExistsError):
        layout.create(path, 4)


NAMES = [f"cluster {i}" for i in range(5)]


class Workers(RuleBasedStateMachine):
    """Workers that take on clusters, count, give them up, and are killed and replaced, in any order."""

    @initialize(columns=st.sampled_from([1, 2, 4]))
    def start(self, columns):
        self.directory = tempfile.mkdtemp(dir="/dev/shm")
        self.path = f"{self.directory}/limits.bin"
        layout.create(self.path, columns)
        self.files = [LimitsFile(self.path, column) for column in range(columns)]
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
        self.files[worker].claim(names)
        for name in names:
            self.model[worker].setdefault(name, [0] * len(Limit))

    @rule(worker=worker, names=names)
    def keep(self, worker, names):
        worker %= len(self.files)
        self.files[worker].keep(names)
        held = self.model[worker]
        self.model[worker] = {name: counts for name, counts in held.items() if name in names or any(counts)}

    @rule(worker=worker, limit=limit, steps=st.lists(st.tuples(st.sampled_from(NAMES), st.booleans()), max_size=8))
    def count(self, worker, limit, steps):
        worker %= len(self.files)
        for name, up in steps:
            if name in self.model[worker]:
                counts = self.files[worker].counts(name)
                (counts.up if up else counts.down)(limit)
                before = self.model[worker][name][limit]
                self.model[worker][name][limit] = before + 1 if up else max(0, before - 1)

    @rule(worker=worker)
    def killed(self, worker):
        worker %= len(self.files)
        self.files[worker].close()
        layout.clear(self.path, worker)
        self.files[worker] = LimitsFile(self.path, worker)
        self.model[worker] = {}

    @invariant()
    def everybody_sees_the_sum(self):
        for worker, held in enumerate(self.model):
            for name in NAMES:
                counts = self.files[worker].counts(name)
                assert (counts is not None) == (name in held)
                if counts is not None:
                    assert [counts.own(limit) for limit in Limit] == held[name]
                    expected = [sum(each[name][limit] for each in self.model if name in each) for limit in Limit]
                    assert [counts.total(limit) for limit in Limit] == expected


Workers.TestCase.settings = settings(
    max_examples=40, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
)
TestWorkers = Workers.TestCase
