"""Accounting for processes: CPU of the whole tree, and its end."""

import os
import sys

import pytest

from bench.processes import BenchError, Process, free_port, wait_for

pytestmark = pytest.mark.processes

WORK = "import time\nwhile time.process_time() < 0.3: pass\nprint('done', flush=True)\ntime.sleep(60)"
TREE = f"import subprocess, sys, time\nsubprocess.Popen([sys.executable, '-c', {WORK!r}])\ntime.sleep(60)"
CORE = min(os.sched_getaffinity(0))


def python(tmp_path, code: str) -> Process:
    return Process("python", [sys.executable, "-c", code], tmp_path / "log", CORE)


def test_cpu_and_end_of_a_whole_tree(tmp_path):
    with python(tmp_path, TREE) as process:
        wait_for(lambda: "done" in process.log_tail(), 20, "the child's work", process)
        assert process.cpu_seconds() >= 0.3
        pids = process.pids()
        assert len(pids) == 2
    assert process.ended()
    wait_for(lambda: not any(running(pid) for pid in pids), 5, "the end of the tree")


def running(pid: int) -> bool:
    """A zombie has no program any more."""
    return os.path.exists(f"/proc/{pid}/exe")


def test_waiting_ends_when_the_process_has(tmp_path):
    with python(tmp_path, "import sys; sys.exit('no such thing')") as process, pytest.raises(BenchError) as caught:
        wait_for(lambda: False, 20, "the start", process)
    assert "status 1" in str(caught.value)
    assert "no such thing" in str(caught.value)


def test_waiting_is_bounded():
    with pytest.raises(BenchError, match=r"nothing took longer than 0\.05 s"):
        wait_for(lambda: False, 0.05, "nothing")


def test_free_ports_are_ports():
    assert 1024 < free_port() < 65536
