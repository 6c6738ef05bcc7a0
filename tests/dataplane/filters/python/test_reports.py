"""Reports are bounded in number and never wait for stderr."""

from __future__ import annotations

import threading
import time

from tage.dataplane.filters.python.reports import MAX_WAITING, Bound, Reporter

PATIENCE = 30.0


def test_lines_begin_with_who_says_them():
    written: list[bytes] = []
    done = threading.Event()
    Reporter(lambda data: (written.append(data), done.set())).say("one\ntwo")
    assert done.wait(PATIENCE)
    assert written == [b"worker: one\nworker: two\n"]


def test_a_stderr_that_takes_nothing_costs_reports_and_no_time():
    goes_on = threading.Event()
    written: list[bytes] = []

    def write(data: bytes) -> None:
        goes_on.wait(PATIENCE)
        written.append(data)

    reporter = Reporter(write)
    reporter.say("first")
    began = time.monotonic()
    for number in range(MAX_WAITING * 3):
        reporter.say(str(number))
    assert time.monotonic() - began < PATIENCE / 2
    goes_on.set()
    deadline = time.monotonic() + PATIENCE
    while len(written) < MAX_WAITING and time.monotonic() < deadline:
        time.sleep(0.005)
    reporter.say("last")
    while b"worker: last" not in b"".join(written) and time.monotonic() < deadline:
        time.sleep(0.005)
    assert MAX_WAITING <= len(written) <= MAX_WAITING + 3
    assert b"reports before this one were dropped" in written[-1]


def test_one_a_second_and_how_many_it_stands_for():
    now = [100.0]
    bound = Bound(lambda: now[0])
    assert bound.passes()
    assert bound.take_unsaid() == ""
    for _ in range(5):
        assert not bound.passes()
    now[0] += 1.0
    assert bound.passes()
    assert bound.take_unsaid() == " (5 more before this one)"
    assert bound.take_unsaid() == ""
