"""`python -m bench.pauses`: how long Tage's worker pauses under load, and why.

Tage runs under its control plane on one core and carries the load of http1-32 at a fixed rate. A third of the way the
mesh grows from ten services to a thousand more, after two thirds they go again. Meanwhile a probe asks the worker every
millisecond for an answer that needs no backend (`bench.load.probe`); what takes it longer than a millisecond is listed
with its cause:

``collector``   Python's garbage collector ran for half of it (noted by ``inject/sitecustomize.py``)
``core``        the worker was ready, but something else had its core: the sidecar's own agent, mostly
``plan``        the worker ran, and a plan was being changed
``requests``    the worker ran, and none was
``probe``       the probe waited for its own core: no pause of the worker's
``unknown``     none of these for half of it; time stolen from the machine, for instance

The probe sees what a connection with something to read sees, the worker's other work included. Control plane, load,
backend and probe share the other core, the control plane at the lowest priority.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from bench import dynamic, machine, tables
from bench.backend import Backend, body_of, start_backend
from bench.certificates import make_certificates
from bench.load import openloop, probe
from bench.load.probe import Pause
from bench.processes import BenchError, Process, wait_for
from bench.proxies import TAGE, Running, start, version_of

INJECT = Path(__file__).with_name("inject")
SERVICES, MORE_SERVICES = 10, 1_000
CHANGE_SECONDS = 60.0
"""For a change to be in force."""
LISTED = 20
CAUSES = ("collector", "core", "plan", "requests", "probe", "unknown")
LOAD = "GET / HTTP/1.1\r\nHost: s0\r\n\r\n"
PROBE = "GET / HTTP/1.1\r\nHost: nobody.invalid\r\n\r\n"
HEADINGS = ("at s", "pause ms", "cause", "worker ran ms", "waited for its core ms", "collector ms", "probe waited ms")


@dataclass(frozen=True)
class Span:
    """Seconds of CLOCK_MONOTONIC."""

    begin: float
    end: float

    def overlap(self, other: Span) -> float:
        return max(0.0, min(self.end, other.end) - max(self.begin, other.begin))


@dataclass(frozen=True)
class Explained:
    pause: Pause
    collected: float
    """Seconds of the collector in it."""
    cause: str


@dataclass(frozen=True)
class Observed:
    begin: float
    probes: int
    pauses: list[Explained]
    collections: list[Span]
    changes: list[Span]
    load: dict[str, Any]
    """The fields of `openloop.Outcome`."""


def explain(pause: Pause, collections: Sequence[Span], changes: Sequence[Span]) -> Explained:
    """What took at least half of the pause."""
    span = Span(pause.at, pause.at + pause.seconds)
    collected = sum(span.overlap(one) for one in collections)
    half = pause.seconds / 2
    if pause.probe_waited >= half:
        cause = "probe"
    elif collected >= half:
        cause = "collector"
    elif pause.waited >= half:
        cause = "core"
    elif pause.ran >= half:
        cause = "plan" if any(span.overlap(change) for change in changes) else "requests"
    else:
        cause = "unknown"
    return Explained(pause, collected, cause)


# -- the run -----------------------------------------------------------------------------------------------------------


def observe(rate: float, seconds: float, proxy_core: int, load_core: int) -> Observed:
    """Raises `BenchError` when the run cannot take place."""
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tage-bench-")))
        notes = directory / "collector"
        notes.mkdir()
        backend = start_backend(directory / "backend", load_core, make_certificates(directory / "certificates"))
        stack.enter_context(backend.process)
        few, many = _services(backend, SERVICES), _services(backend, SERVICES + MORE_SERVICES)
        low = ("nice", "-n", "19")
        control = stack.enter_context(dynamic.control_plane(directory / "control", load_core, few, low))
        tage = stack.enter_context(_tage(backend, control, directory, proxy_core, notes))
        worker = _worker(tage.process)
        load = openloop.Plan(tage.port, LOAD, body_of("items").decode(), rate, seconds)
        asked = probe.Plan(tage.port, PROBE, worker, seconds)
        begin = time.monotonic()
        generators = [
            stack.enter_context(_generator("openloop", load)),
            stack.enter_context(_generator("probe", asked)),
        ]
        changes = []
        for part, services in ((1, many), (2, few)):
            time.sleep(max(0.0, begin + seconds * part / 3 - time.monotonic()))
            changes.append(_change(control, tage, services))
        answered, probed = (_result(generator, seconds) for generator in generators)
        collections = _collections(notes / str(worker))
    pauses = [explain(Pause(**pause), collections, changes) for pause in probed["pauses"]]
    return Observed(begin, probed["probes"], pauses, collections, changes, answered)


def _services(backend: Backend, count: int) -> list[dict[str, object]]:
    return [dynamic.service(number, [backend.ports["items"]]) for number in range(count)]


@contextmanager
def _tage(
    backend: Backend, control: dynamic.ControlPlane, directory: Path, core: int, notes: Path
) -> Iterator[Running]:
    """A sidecar under the control plane, which has its services, and notes its collector's work."""
    path = os.pathsep.join([str(INJECT), *filter(None, [os.environ.get("PYTHONPATH")])])
    running = start(
        TAGE,
        backend,
        directory / TAGE.name,
        core,
        template=TAGE.dynamic_template,
        values={"XDS_PORT": control.xds_port, "NAME": TAGE.name},
        env={"PYTHONPATH": path, "TAGE_BENCH_GC": str(notes)},
    )
    with running.process:
        wait_for(lambda: dynamic.answers(running.port, SERVICES), CHANGE_SECONDS, "the first plan", running.process)
        yield running


def _worker(sidecar: Process) -> int:
    """The process id of the sidecar's only worker."""
    for pid in sidecar.pids():
        argv = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        if argv[1:3] == [b"-m", b"tage.sidecar.worker"]:
            return pid
    raise BenchError(f"the sidecar has no worker:\n{sidecar.log_tail()}")


def _change(control: dynamic.ControlPlane, tage: Running, services: list[dict[str, object]]) -> Span:
    """Registers these, and waits until the last of all services is there, or is not."""
    last = f"s{SERVICES + MORE_SERVICES - 1}"
    wanted = len(services) > SERVICES
    began = time.monotonic()
    control.register(services)
    wait_for(
        lambda: (dynamic.status_of(tage.port, "/", last) == 200) is wanted,
        CHANGE_SECONDS,
        f"the change to {len(services)} services",
        tage.process,
    )
    return Span(began, time.monotonic())


@contextmanager
def _generator(module: str, plan: openloop.Plan | probe.Plan) -> Iterator[subprocess.Popen[str]]:
    argv = [sys.executable, "-m", f"bench.load.{module}", json.dumps(asdict(plan))]
    generator = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    try:
        yield generator
    finally:
        generator.kill()
        generator.wait()


def _result(generator: subprocess.Popen[str], seconds: float) -> dict[str, Any]:
    try:
        output, _ = generator.communicate(timeout=seconds + 60)
    except subprocess.TimeoutExpired as error:
        raise BenchError(f"{generator.args!s} did not end") from error
    if generator.returncode:
        raise BenchError(f"{generator.args!s} ended with status {generator.returncode}, see above")
    found: dict[str, Any] = json.loads(output)
    return found


def _collections(notes: Path) -> list[Span]:
    """What the worker's collector did; nothing is noted before its first work."""
    if not notes.exists():
        return []
    lines = [line.split() for line in notes.read_text().splitlines()]
    return [Span(float(begin), float(begin) + float(seconds)) for begin, seconds, _ in lines]


# -- what is shown -----------------------------------------------------------------------------------------------------


def rows(observed: Observed) -> list[list[str]]:
    """The longest pauses, longest first."""
    longest = sorted(observed.pauses, key=lambda one: -one.pause.seconds)[:LISTED]
    return [
        [
            f"{one.pause.at - observed.begin:.3f}",
            f"{one.pause.seconds * 1e3:.1f}",
            one.cause,
            f"{one.pause.ran * 1e3:.1f}",
            f"{one.pause.waited * 1e3:.1f}",
            f"{one.collected * 1e3:.1f}",
            f"{one.pause.probe_waited * 1e3:.1f}",
        ]
        for one in longest
    ]


def notes(observed: Observed, rate: float, seconds: float, host: dict[str, object]) -> list[str]:
    """Counts by cause, the changes, the load's own view."""
    spans = ", ".join(
        f"{change.begin - observed.begin:.2f}-{change.end - observed.begin:.2f} s" for change in observed.changes
    )
    found = [tables.machine_note(host)]
    for cause in CAUSES:
        mine = [one.pause.seconds * 1e3 for one in observed.pauses if one.cause == cause]
        if mine:
            found.append(f"{cause}: {len(mine)} pauses, the longest {max(mine):.1f} ms, {sum(mine):.0f} ms in all")
    load = observed.load
    collected = [(one.end - one.begin) * 1e3 for one in observed.collections]
    if collected:
        found.append(f"the worker's collector ran {len(collected)} times, at most {max(collected):.1f} ms")
    found += [
        f"{len(observed.pauses)} of {observed.probes:,} probes took longer than a millisecond; what each cause means: "
        "bench/pauses.py",
        f"{MORE_SERVICES:,} services came and went; registered until in force: {spans}",
        f"load: {rate:,.0f} requests/s for {seconds:g} s, p50 {load['p50_us']:.0f} us, p99 {load['p99_us']:.0f} us, "
        f"p99.9 {load['p999_us']:.0f} us, max {load['max_us']:.0f} us, {load['failures']} failed",
    ]
    return found + tables.caveats([], host)


def main() -> int:
    """0: measured; 1: some request failed; 2: could not measure."""
    parser = argparse.ArgumentParser(prog="bench.pauses", description="Lists the pauses of Tage's worker under load.")
    parser.add_argument("--rate", type=float, default=4000.0, help="requests a second (default 4000)")
    parser.add_argument("--seconds", type=float, default=30.0, help="how long (default 30)")
    parser.add_argument("--commit", action="store_true", help="write the page bench/results/pauses.md too")
    arguments = parser.parse_args()
    console = Console(width=None if sys.stdout.isatty() else 160)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was started is stopped
    usable = sorted(os.sched_getaffinity(0))
    try:
        if len(usable) < 2:
            raise BenchError("two CPU cores are needed: one for the proxy, one for load and backend")
        os.sched_setaffinity(0, {usable[1]})
        host = machine.describe()
        observed = observe(arguments.rate, arguments.seconds, usable[0], usable[1])
    except BenchError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    lines = notes(observed, arguments.rate, arguments.seconds, host)
    title = f"The {LISTED} longest pauses of the worker, Tage {version_of(TAGE)}"
    tables.show(f"pauses: {title}", HEADINGS, rows(observed), lines, console)
    if arguments.commit:
        page = [*tables.markdown(HEADINGS, rows(observed)), "", *(f"- {line}" for line in lines), ""]
        console.print(f"written: {tables.write_page('pauses', title, 'pauses.md', page)}")
    return 1 if observed.load["failures"] else 0


if __name__ == "__main__":
    sys.exit(main())
