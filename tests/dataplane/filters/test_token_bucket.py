"""Token buckets: what they give out, to one worker and to several; time is told."""

import contextlib
import multiprocessing
import random
import time
from fractions import Fraction

import pytest

from tage import _pure
from tage.dataplane.filters.token_bucket import MAX_FILL_MS, TokenBucket
from tage.dataplane.native import monotonic_us
from tage.dataplane.upstream import shared_layout
from tage.dataplane.upstream.cells import alone
from tage.dataplane.upstream.shared import SharedFile

SECOND = 1_000_000


def bucket(maximum, per_fill=1, interval=1000, cells=None):
    return TokenBucket(cells or alone(8), 0, maximum, per_fill, interval)


def taken(bucket, now, n=1_000):
    return sum(bucket.take(now) for _ in range(n))


@pytest.mark.parametrize("now", [0, 5, 7 * SECOND, 400 * 86_400 * SECOND])
def test_it_begins_full_whenever_it_begins(now):
    assert taken(bucket(10), now) == 10


def test_tokens_come_in_evenly():
    it = bucket(10, 5, 1000)
    assert taken(it, 0) == 10
    assert taken(it, 199_999) == 0
    assert taken(it, 200_000) == 1
    assert taken(it, 600_000) == 2
    assert taken(it, 600_000) == 0


def test_it_never_holds_more_than_its_maximum():
    it = bucket(10, 5, 1000)
    assert taken(it, 0) == 10
    assert taken(it, 3_600 * SECOND) == 10


def test_a_refused_request_costs_nothing():
    it = bucket(1, 1, 1000)
    assert it.take(0)
    assert not any(it.take(now) for now in range(0, SECOND, 1000))
    assert it.take(SECOND)


def test_what_remains_and_when_there_is_more():
    it = bucket(3, 2, 1000)
    assert (it.remaining(0), it.next_in(0)) == (3, 0)
    taken(it, 0)
    assert (it.remaining(0), it.next_in(0)) == (0, 500)
    assert (it.remaining(100_000), it.next_in(100_000)) == (0, 400)
    assert it.next_in(499_999) == 1
    assert (it.remaining(SECOND), it.next_in(SECOND)) == (2, 0)


def test_another_clock_that_is_behind_takes_nothing_it_should_not():
    """Two workers read their clocks a moment apart."""
    it = bucket(2, 1, 1000)
    assert taken(it, 5 * SECOND) == 2
    assert taken(it, 5 * SECOND - 3) == 0
    assert (it.remaining(0), it.next_in(5 * SECOND - 1000)) == (0, 1001)


@pytest.mark.parametrize(
    ("maximum", "per_fill", "interval"),
    [(1, 1, 50), (10, 3, 1000), (7, 7, 61), (1000, 999, 1000), (5, 1, 86_400_000), (4096, 1_000_000, 50)],
)
def test_never_more_than_the_maximum_and_the_rate_times_time(maximum, per_fill, interval):
    it = bucket(maximum, per_fill, interval)
    chance = random.Random(maximum)
    start = now = chance.randrange(10**13)
    given = 0
    for _ in range(3_000):
        now += chance.choice([0, 0, 1, interval * 1000 // per_fill, chance.randrange(1 + 20 * interval)])
        given += taken(it, now, 3)
        assert given <= maximum + Fraction(per_fill * (now - start), interval * 1000)


def test_a_steady_stream_gets_the_whole_rate():
    it = bucket(5, 333, 1000)
    taken(it, 0)
    given = sum(taken(it, now, 2) for now in range(0, 60 * SECOND, 500))
    assert 333 * 60 - 2 <= given <= 333 * 60 + 1


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ((0, 1, 1000), "at least one"),
        ((1, 0, 1000), "at least one"),
        ((1, 1, 0), "at least one"),
        ((2, 1, MAX_FILL_MS), "ten years"),
    ],
)
def test_what_makes_no_bucket(wrong, says):
    with pytest.raises(ValueError, match=says):
        bucket(*wrong)


def test_the_largest_one():
    it = bucket(1, 1, MAX_FILL_MS)
    assert taken(it, 400 * 86_400 * SECOND) == 1
    assert it.remaining(400 * 86_400 * SECOND) == 0


def _work(path, column, start, ends, results):
    shared = SharedFile(path, column)
    while shared.buckets.get("b") is None:
        with contextlib.suppress(BlockingIOError):  # another one claims
            shared.buckets.claim(["b"])
    it = bucket(100, 2_000, 1000, shared.buckets.get("b"))
    while time.monotonic() < start:
        pass
    given = 0
    while time.monotonic() < ends:
        given += it.take(monotonic_us())
    results.put((given, monotonic_us()))


@pytest.mark.processes
@pytest.mark.skipif(_pure.wanted(), reason="uncompiled, cells are atomic within a process only")
@pytest.mark.parametrize("workers", [1, 2, 4])
def test_workers_that_share_one_get_what_one_would(tmp_path, workers):
    path = str(tmp_path / "shared.bin")
    shared_layout.create(path, workers)
    first = SharedFile(path, 0)
    first.buckets.claim(["b"])
    context = multiprocessing.get_context("spawn")
    results = context.Queue()
    start = time.monotonic() + 3
    processes = [
        context.Process(target=_work, args=(path, column, start, start + 1.5, results)) for column in range(workers)
    ]
    for process in processes:
        process.start()
    began = int(start * SECOND)
    reports = [results.get(timeout=60) for _ in processes]
    for process in processes:
        process.join(10)
    first.close()
    given = sum(count for count, _ in reports)
    seconds = (max(ended for _, ended in reports) - began) / SECOND
    assert given <= 100 + 2_000 * seconds
    assert given >= 100  # and what came in while one of them ran: on a busy machine that may be little
