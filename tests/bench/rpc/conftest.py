"""Backend and generator, compiled elsewhere than in place, run as the processes that they are."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path

import pytest

from bench.build import MODULES
from bench.processes import Process, free_port, wait_for
from bench.rpc.generate import Outcome, Plan
from bench.rpc.wires import CLUSTERS
from tests.bench.server import listens

BUILD = """
import pathlib, sys
from bench.build import build
place, work = (pathlib.Path(path) for path in sys.argv[1:3])
build(place, work, tuple(sys.argv[3:]))
"""
RUN = """
import sys
import bench.rpc
bench.rpc.__path__.insert(0, sys.argv.pop(1))
from bench.rpc import {module}
{module}.main()
"""


@pytest.fixture(scope="session")
def compiled(tmp_path_factory) -> Path:
    """The folder of the compiled modules."""
    place = tmp_path_factory.mktemp("rpc")
    modules = [module for module in MODULES if module.startswith("bench.rpc.")]
    argv = [sys.executable, "-c", BUILD, str(place / "to"), str(place / "work"), *modules]
    subprocess.run(argv, check=True, timeout=500)
    return place / "to/bench/rpc"


@pytest.fixture
def backend(compiled, tmp_path) -> Iterator[dict[str, int]]:
    """Its ports, by cluster."""
    ports = {cluster: free_port() for cluster in CLUSTERS}
    argv = [sys.executable, "-c", RUN.format(module="serve"), str(compiled), *map(str, ports.values())]
    with Process("backend", argv, tmp_path / "backend.log", min(os.sched_getaffinity(0))) as process:
        wait_for(lambda: all(listens(port) for port in ports.values()), 30, "the start", process)
        yield ports
        assert not process.ended(), process.log_tail()


Generate = Callable[[Plan], Outcome]


@pytest.fixture
def generate(compiled) -> Generate:
    def run(plan: Plan) -> Outcome:
        argv = [sys.executable, "-c", RUN.format(module="generate"), str(compiled), json.dumps(asdict(plan))]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
        return Outcome(**json.loads(done.stdout))

    return run
