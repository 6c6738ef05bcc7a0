"""One row: the proxies in turn on one core, several rounds, medians.

The order in a round rotates, so that no proxy always comes first. First every round saturates (CPU time for a request,
requests a second); then, at one rate for all, half of the slowest one's maximum, come the latencies. All proxies stay
up throughout: an idle one costs nothing, and what it has warmed up stays warm.
"""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from bench import dynamic, memory
from bench.backend import Backend, start_backend
from bench.load import Load, Paced
from bench.processes import BenchError, wait_for
from bench.proxies import Running, start
from bench.rows import Row

READY_SECONDS = 30.0
WARM_UP_SECONDS = 1
GENERATOR_LIMIT = 12_000
"""Requests a second that the open-loop generator sends without being late itself; a higher rate would show the
generator. Only reached where no slow proxy is in the run."""
DIRECT = "direct"
"""Stands for the backend itself: the part of a latency that no proxy adds."""

Say = Callable[[str], None]


@dataclass(frozen=True)
class Settings:
    rounds: int = 5
    seconds: int = 5
    proxy_core: int = 0
    load_core: int = 1


@dataclass
class Figures:
    """What was measured of one proxy; a list holds one value a round."""

    name: str
    version: str = ""
    idle_mb: float = 0.0
    loaded_mb: float = 0.0
    dynamic_mb: float = 0.0
    """Idle under a control plane; 0 where the proxy speaks no xDS."""
    cpu_us: list[float] = field(default_factory=list)
    rps: list[float] = field(default_factory=list)
    paced: list[Paced] = field(default_factory=list)
    paced_cpu_us: list[float] = field(default_factory=list)
    failures: int = 0

    def median(self, values: Sequence[float]) -> float:
        return statistics.median(values) if values else 0.0


@dataclass
class RowFigures:
    row: Row
    proxies: list[Figures]
    direct: Figures
    rate: float
    left_out: list[str]


def measure(row: Row, settings: Settings, say: Say) -> RowFigures:
    """Raises `BenchError` when nothing can be measured, or when the proxies would not do the same work."""
    if lacks := row.load.lacks():
        raise BenchError(f"the load generator is missing: {lacks}")
    with _started(row, settings, say) as (directory, backend, running, left_out):
        figures = {proxy.name: Figures(proxy.name, _version(proxy)) for proxy in running}
        for proxy in running:
            figures[proxy.name].idle_mb = memory.settled_mb(proxy.process)
        say("memory under a control plane")
        for name, mb in dynamic.idle_mb(row.proxies, backend, directory, settings.proxy_core).items():
            figures[name].dynamic_mb = mb
        _saturate(row.load, running, figures, settings, say)
        rate = _common_rate(list(figures.values()))
        direct = Figures(DIRECT)
        _pace(row.load, running, figures, direct, backend, rate, settings, say)
        for proxy in running:
            figures[proxy.name].loaded_mb = memory.settled_mb(proxy.process)
    return RowFigures(row, list(figures.values()), direct, rate, left_out)


@contextmanager
def _started(row: Row, settings: Settings, say: Say) -> Iterator[tuple[Path, Backend, list[Running], list[str]]]:
    """The run's folder, the backend and each installed proxy of the row, ready and checked."""
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tage-bench-")))
        backend = start_backend(directory / "backend", settings.load_core)
        stack.enter_context(backend.process)
        wait_for(lambda: _answers(row.load, backend.ports["items"], False), READY_SECONDS, "backend", backend.process)
        running: list[Running] = []
        left_out: list[str] = []
        for proxy in row.proxies:
            if proxy.program() is None:
                left_out.append(proxy.name)
                continue
            say(f"starting {proxy.name}")
            one = start(proxy, backend, directory / proxy.name, settings.proxy_core)
            stack.enter_context(one.process)
            wait_for(one.accepts, READY_SECONDS, f"the start of {proxy.name}", one.process)
            _check(row.load, one)
            running.append(one)
        if not running:
            raise BenchError("none of the row's proxies is installed")
        yield directory, backend, running, left_out


def _answers(load: Load, port: int, proxied: bool) -> bool:
    try:
        load.verify(port, proxied)
    except BenchError:
        return False
    return True


def _check(load: Load, proxy: Running) -> None:
    try:
        load.verify(proxy.port)
    except BenchError as error:
        raise BenchError(f"{proxy.name}: {error}\nits output:\n{proxy.process.log_tail()}") from error


def _version(proxy: Running) -> str:
    program = proxy.proxy.program()
    return proxy.proxy.version(program) if program else ""


def _rounds(running: list[Running], rounds: int) -> Iterator[tuple[int, Running]]:
    for number in range(rounds):
        shift = number % len(running)
        for proxy in running[shift:] + running[:shift]:
            yield number + 1, proxy


def _saturate(load: Load, running: list[Running], figures: dict[str, Figures], settings: Settings, say: Say) -> None:
    for number, proxy in _rounds(running, settings.rounds):
        load.saturate(proxy.port, WARM_UP_SECONDS)
        before = proxy.process.cpu_seconds()
        result = load.saturate(proxy.port, settings.seconds)
        cpu_us = (proxy.process.cpu_seconds() - before) / result.requests * 1e6
        figure = figures[proxy.name]
        figure.rps.append(result.rps)
        figure.cpu_us.append(cpu_us)
        figure.failures += result.failures
        say(f"round {number}/{settings.rounds}  {proxy.name:8} {cpu_us:7.1f} us/request  {result.rps:9,.0f} requests/s")


def _common_rate(figures: list[Figures]) -> float:
    slowest = min(figure.median(figure.rps) for figure in figures)
    return min(max(100.0, slowest / 2 // 100 * 100), GENERATOR_LIMIT)


def _pace(
    load: Load,
    running: list[Running],
    figures: dict[str, Figures],
    direct: Figures,
    backend: Backend,
    rate: float,
    settings: Settings,
    say: Say,
) -> None:
    for number, proxy in _rounds(running, settings.rounds):
        before = proxy.process.cpu_seconds()
        result = load.paced(proxy.port, rate, settings.seconds)
        used = proxy.process.cpu_seconds() - before
        figure = figures[proxy.name]
        figure.paced.append(result)
        figure.paced_cpu_us.append(used / max(result.requests, 1) * 1e6)
        figure.failures += result.failures
        say(f"round {number}/{settings.rounds}  {proxy.name:8} at {rate:,.0f}/s: {_latencies(result)}")
        if len(direct.paced) < number:
            direct.paced.append(load.paced(backend.ports["items"], rate, settings.seconds))
            direct.failures += direct.paced[-1].failures
            say(f"round {number}/{settings.rounds}  {DIRECT:8} at {rate:,.0f}/s: {_latencies(direct.paced[-1])}")


def _latencies(result: Paced) -> str:
    return f"p50 {result.p50_us:7.0f} us  p99 {result.p99_us:7.0f} us  (generator {result.busy:.0%} busy)"
