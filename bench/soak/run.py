"""The schedule of a soak run.

    capacity (closed loop, a few seconds)
    begin    load at half of it; a change of weights every second
    1/4      SIGKILL to the control plane
    2/4      SIGKILL to the agent of the caller's sidecar
    3/4      SIGKILL to the agent of a callee's sidecar
    end      all sidecars in sync, no worker replaced, nothing retried; `tage up` ends and leaves nothing

What was killed is started again by what watches it: `tage up`, the sidecars' supervisors. Nobody here helps.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path

from bench.load.pacing import TIMEOUT
from bench.processes import BenchError
from bench.soak.changes import Changer
from bench.soak.load import Outcome, Plan
from bench.soak.mesh import CLIENT, SoakMesh, wait_until
from bench.soak.rude import Footprint, Rude
from bench.soak.verdict import Capacity, Kill, Load, Run

CAPACITY_SECONDS = 4.0
WARM_UP_SECONDS = 1.0
SHARE = 0.5
"""Of the capacity."""
LEAD = 1.5
"""Seconds for generators to start before their load begins."""
SYNC_SECONDS = 30.0
"""For all sidecars to be in sync after the end."""
CALLEE = "echo-v1-1"

Say = Callable[[str], None]


@dataclass(frozen=True)
class Settings:
    seconds: float = 60.0
    rate: float = 0.0
    """Requests a second; 0: half of the capacity, which is measured."""
    connections: int = 32
    generators: int = 1
    seed: int = 7


def soak(settings: Settings, say: Say) -> Run:
    """Raises `BenchError` when the run could not take place."""
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tage-soak-")))
        say("starting the mesh")
        mesh = stack.enter_context(SoakMesh(directory))
        capacity = None if settings.rate else _capacity(mesh, settings, say)
        rate = settings.rate if capacity is None else SHARE * capacity.rate
        say(f"load: {rate:,.0f} requests/s for {settings.seconds:g} s")
        run = _disturbed(mesh, settings, rate, capacity, say)
        if run.wrong or run.load.failures:
            say(mesh.log_tail())
        say("stopping the mesh")
        run.wrong += mesh.stop()
        if trace := mesh.first_traceback():
            run.wrong.append(f"a process of the mesh met an unexpected error:\n{trace}")
        return run


def _capacity(mesh: SoakMesh, settings: Settings, say: Say) -> Capacity:
    for seconds in (WARM_UP_SECONDS, CAPACITY_SECONDS):
        load = _collect(_start(mesh, settings, 0.0, time.monotonic() + LEAD, seconds), seconds)
    if load.failures:
        raise BenchError(f"{load.failures} requests failed in the undisturbed mesh: {load.reasons[:5]}")
    capacity = Capacity(load.requests / CAPACITY_SECONDS, load.busy / settings.generators)
    say(f"capacity: {capacity.rate:,.0f} requests/s")
    return capacity


def _disturbed(mesh: SoakMesh, settings: Settings, rate: float, capacity: Capacity | None, say: Say) -> Run:
    workers = mesh.worker_pids()
    before = Footprint.of(workers)
    begin = time.monotonic() + LEAD
    generators = _start(mesh, settings, rate, begin, settings.seconds)
    changer = Changer(mesh.control, mesh.client, begin, settings.seconds, settings.seed)
    rude = Rude(mesh.client, Plan.service, settings.seed)
    changer.start()
    rude.start()
    try:
        kills = _kill(mesh, begin, settings.seconds, say)
        load = _collect(generators, settings.seconds)
    finally:
        for thread in (changer, rude):
            thread.stop()
            thread.join()
        for generator in generators:
            generator.kill()
            generator.wait()
    if changer.defect is not None:
        raise changer.defect
    run = Run(
        capacity=capacity,
        rate=rate,
        seconds=settings.seconds,
        begin=begin,
        seed=settings.seed,
        connections=settings.connections,
        generators=settings.generators,
        load=load,
        changes=changer.changes,
        probes=changer.probes,
        kills=kills,
        retries=mesh.counted("upstream_rq_retry"),
        replays=mesh.counted("upstream_rq_replay"),
    )
    if wait_until(lambda: not mesh.out_of_sync(), SYNC_SECONDS) is None:
        run.wrong.append(f"not in sync {SYNC_SECONDS:g} s after the end: {mesh.out_of_sync()}")
    run.rude, run.footprints = rude.count, (before, Footprint.of(mesh.worker_pids()))
    if mesh.worker_pids() != workers:
        run.wrong.append(f"workers were replaced: {sorted(workers)} became {sorted(mesh.worker_pids())}")
    return run


def _kill(mesh: SoakMesh, begin: float, seconds: float, say: Say) -> list[Kill]:
    victims: list[tuple[str, Callable[[], int]]] = [
        ("the control plane", mesh.control_pid),
        ("the caller's agent", lambda: mesh.agent_pid(CLIENT)),
        ("a callee's agent", lambda: mesh.agent_pid(CALLEE)),
    ]
    kills = []
    for number, (what, find) in enumerate(victims, 1):
        time.sleep(max(0.0, begin + seconds * number / (len(victims) + 1) - time.monotonic()))
        victim = find()
        if not victim:
            raise BenchError(f"{what} does not run and cannot be killed:\n{mesh.log_tail()}")
        kill = Kill(what, time.monotonic())
        os.kill(victim, signal.SIGKILL)
        say(f"{kill.at - begin:5.1f} s  killed {what}")
        kills.append(kill)
        until = begin + seconds * (number + 1) / (len(victims) + 1)
        _watch_return(mesh, kill, find, victim, until)
    return kills


def _watch_return(mesh: SoakMesh, kill: Kill, find: Callable[[], int], victim: int, until: float) -> None:
    if wait_until(lambda: find() not in (0, victim), until - time.monotonic()) is None:
        return
    kill.replaced = time.monotonic() - kill.at
    if wait_until(lambda: not mesh.out_of_sync(), until - time.monotonic()) is not None:
        kill.in_sync = time.monotonic() - kill.at


# -- generators --------------------------------------------------------------------------------------------------------


def _start(
    mesh: SoakMesh, settings: Settings, rate: float, begin: float, seconds: float
) -> list[subprocess.Popen[bytes]]:
    host, port = mesh.client
    plans = [
        Plan(
            host=host,
            port=port,
            rate=rate / settings.generators,
            begin=begin,
            seconds=seconds,
            connections=-(-settings.connections // settings.generators),
            seed=settings.seed + number,
        )
        for number in range(settings.generators)
    ]
    return [
        subprocess.Popen(
            [sys.executable, "-m", "bench.soak.load", json.dumps(asdict(plan))],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            cwd=Path(__file__).parents[2],
        )
        for plan in plans
    ]


def _collect(generators: list[subprocess.Popen[bytes]], seconds: float) -> Load:
    """Waits for their ends and adds up what they have seen."""
    load = Load()
    for generator in generators:
        try:
            output, _ = generator.communicate(timeout=LEAD + seconds + 2 * TIMEOUT + 30)
        except subprocess.TimeoutExpired as error:
            generator.kill()
            raise BenchError("a load generator did not end") from error
        if generator.returncode:
            raise BenchError(f"a load generator ended with status {generator.returncode}, see above")
        outcome = Outcome(**json.loads(output))
        load.requests += outcome.requests
        load.failures += outcome.failures
        load.reasons += [(at, reason) for at, reason in outcome.reasons]
        load.latencies_us += outcome.latencies_us
        load.busy += outcome.busy
        for number, (v1, v2) in outcome.slots.items():
            one, two = load.slots.get(int(number), (0, 0))
            load.slots[int(number)] = (one + v1, two + v2)
    return load
