"""Pauses: each has the cause that took half of it; the probe sees one whole; collections are noted."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time

import pytest

from bench import pauses
from bench.load import probe
from bench.load.probe import Clocks, Pause
from bench.pauses import INJECT, Observed, Span, explain

ANSWER = b"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno"
HOST = {"cpu": "c", "cores": 2, "kernel": "k", "python": "3", "date": "2026-01-01", "busy_before": 0.01}
LOAD = {"p50_us": 1.0, "p99_us": 2.0, "p999_us": 3.0, "max_us": 4.0, "failures": 0}


def pause(ran: float = 0.0, waited: float = 0.0, probe_waited: float = 0.0) -> Pause:
    """Of ten milliseconds, from 100 s on."""
    return Pause(100.0, 0.010, ran, waited, probe_waited)


COLLECTION, CHANGE = [Span(100.002, 100.008)], [Span(99.0, 101.0)]


@pytest.mark.parametrize(
    ("seen", "collections", "changes", "cause"),
    [
        (pause(ran=0.009), COLLECTION, CHANGE, "collector"),
        (pause(ran=0.009), [Span(100.008, 100.020)], CHANGE, "plan"),
        (pause(ran=0.009), [], [Span(90.0, 99.0)], "requests"),
        (pause(ran=0.002, waited=0.007), [], CHANGE, "core"),
        (pause(ran=0.002, waited=0.007, probe_waited=0.006), COLLECTION, CHANGE, "probe"),
        (pause(ran=0.002, waited=0.002), [], CHANGE, "unknown"),
    ],
)
def test_the_cause_is_what_took_half(seen, collections, changes, cause):
    assert explain(seen, collections, changes).cause == cause


def test_a_collection_counts_for_what_lies_in_the_pause():
    assert explain(pause(), [Span(99.0, 100.001), Span(100.009, 101.0)], []).collected == pytest.approx(0.002)


class Worker:
    """Answers each question; the twentieth only after a while."""

    def __init__(self, seconds: float) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._seconds = seconds
        self._serving = threading.Thread(target=self._serve)
        self._serving.start()

    def close(self) -> None:
        self._serving.join(10)
        self._listener.close()

    def _serve(self) -> None:
        connection, _ = self._listener.accept()
        count = 0
        with connection:
            while connection.recv(4096):
                count += 1
                if count == 20:
                    time.sleep(self._seconds)
                connection.sendall(ANSWER)


def test_a_pause_is_seen_once_and_whole():
    worker = Worker(0.2)
    # A machine with other work makes pauses too; only this one is as long.
    outcome = probe.probe(probe.Plan(worker.port, "GET / HTTP/1.1\r\nHost: a\r\n\r\n", os.getpid(), 0.5, 0.15))
    worker.close()
    assert outcome.probes >= 20
    assert sum(1 for one in outcome.pauses if one.seconds >= 0.2) == 1


def test_an_end_of_the_connection_is_an_error():
    listener = socket.create_server(("127.0.0.1", 0))
    closing = threading.Thread(target=lambda: listener.accept()[0].close())
    closing.start()
    with pytest.raises(OSError, match=r"ended|reset|Broken pipe"):
        probe.probe(probe.Plan(listener.getsockname()[1], "GET /", os.getpid(), 1.0))
    closing.join(5)
    listener.close()


def test_the_clocks_count_the_workers_cpu_time():
    clocks = Clocks(os.getpid())
    before, used = clocks.read(), time.process_time()
    while time.process_time() < used + 0.05:
        pass
    assert clocks.read()[0] - before[0] >= 0.05
    clocks.close()


@pytest.mark.processes
def test_collections_are_noted(tmp_path):
    code = "import gc, os, time; print(time.monotonic()); gc.collect(1); gc.collect(); print(time.monotonic())"
    environment = {**os.environ, "PYTHONPATH": str(INJECT), "TAGE_BENCH_GC": str(tmp_path)}
    argv = [sys.executable, "-c", f"import os; print(os.getpid()); {code}"]
    done = subprocess.run(argv, env=environment, capture_output=True, text=True, timeout=60, check=True)
    pid, began, ended = done.stdout.split()
    spans = pauses._collections(tmp_path / pid)
    inside = [span for span in spans if float(began) <= span.begin <= span.end <= float(ended) + 0.001]
    assert len(inside) >= 2
    assert pauses._collections(tmp_path / "none") == []


def test_what_is_shown():
    seen = [explain(pause(ran=0.009), COLLECTION, CHANGE), explain(pause(waited=0.009), [], [])]
    observed = Observed(99.5, 1000, seen, COLLECTION, CHANGE, LOAD)
    assert pauses.rows(observed)[0] == ["0.500", "10.0", "collector", "9.0", "0.0", "6.0", "0.0"]
    text = "\n".join(pauses.notes(observed, 4000, 30, HOST))
    assert "collector: 1 pauses, the longest 10.0 ms, 10 ms in all" in text
    assert "core: 1 pauses" in text
    assert "plan:" not in text
    assert "2 of 1,000 probes" in text
    assert "collector ran 1 times, at most 6.0 ms" in text
