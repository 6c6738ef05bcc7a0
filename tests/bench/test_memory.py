"""A group's memory does not depend on who else runs the same program, and counts what its processes share once."""

import os
import sys
from pathlib import Path

import pytest

from bench.memory import memory_mb
from bench.processes import Process, wait_for

pytestmark = pytest.mark.processes

IDLE = "print('up', flush=True)\nimport time\ntime.sleep(60)"
FORKED = "import os, time\nballast = bytes(range(256)) * 40960\nos.fork()\n" + IDLE
BALLAST_MB = 10


def started(directory: Path, code: str, ups: int = 1) -> Process:
    directory.mkdir()
    process = Process("python", [sys.executable, "-c", code], directory / "log", min(os.sched_getaffinity(0)))
    wait_for(lambda: process.log_tail().count("up") == ups, 20, "the start", process)
    return process


def test_memory_does_not_shrink_when_others_run_the_same_program(tmp_path):
    with started(tmp_path / "a", IDLE) as process:
        alone = memory_mb(process.pids())
        with started(tmp_path / "b", IDLE):
            assert memory_mb(process.pids()) == pytest.approx(alone, rel=0.01)
    assert alone > 2


def test_what_processes_of_the_group_share_counts_once(tmp_path):
    with started(tmp_path / "a", IDLE) as one, started(tmp_path / "b", FORKED, ups=2) as two:
        assert len(two.pids()) == 2
        shared = memory_mb(two.pids())
        assert BALLAST_MB < shared < memory_mb(one.pids()) + 1.5 * BALLAST_MB


def test_no_process_has_no_memory():
    assert memory_mb([]) == 0
