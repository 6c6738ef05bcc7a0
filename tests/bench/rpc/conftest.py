"""Backend and generator, compiled, run as the processes that they are."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict

import pytest

from bench.processes import Process, free_port, wait_for
from bench.rpc.generate import Outcome, Plan
from bench.rpc.wires import CLUSTERS
from tests.bench.compiled import require_compiled
from tests.bench.server import listens


@pytest.fixture
def backend(tmp_path) -> Iterator[dict[str, int]]:
    """Its ports, by cluster."""
    require_compiled()
    ports = {cluster: free_port() for cluster in CLUSTERS}
    argv = [sys.executable, "-m", "bench.rpc.serve", *map(str, ports.values())]
    with Process("backend", argv, tmp_path / "backend.log", min(os.sched_getaffinity(0))) as process:
        wait_for(lambda: all(listens(port) for port in ports.values()), 30, "the start", process)
        yield ports
        assert not process.ended(), process.log_tail()


Generate = Callable[[Plan], Outcome]


@pytest.fixture
def generate() -> Generate:
    require_compiled()

    def run(plan: Plan) -> Outcome:
        argv = [sys.executable, "-m", "bench.rpc.generate", json.dumps(asdict(plan))]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
        return Outcome(**json.loads(done.stdout))

    return run
