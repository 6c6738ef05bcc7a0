"""One row: the proxies in turn on one core, several rounds, medians.

The order in a round rotates, so that no proxy always comes first. First every round saturates (CPU time for a request,
requests a second); then, at one rate for all, half of the slowest one's maximum, come the latencies; last, where the
row has TLS, full handshakes. All proxies stay up throughout: an idle one costs nothing, and what it has warmed up stays
warm.
"""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from bench import dynamic, memory, nghttpd
from bench.backend import Backend, Speaks, start_backend
from bench.certificates import Certificates, Tls, make_certificates
from bench.load import Load, Paced, Target
from bench.processes import BenchError, wait_for
from bench.proxies import Running, start, version_of
from bench.rows import Row
from bench.rpc.serve import start_backend as start_rpc_backend
from bench.rpc.wires import CLUSTERS
from bench.sockets import connections_to

READY_SECONDS = 30.0
WARM_UP_SECONDS = 1
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
    handshake_cpu_us: list[float] = field(default_factory=list)
    """CPU for a new TLS connection with one request."""
    connections: int = 0
    """To the backend, after the load; 0 where a connection carries one request at a time."""
    failures: int = 0

    def median(self, values: Sequence[float]) -> float:
        return statistics.median(values) if values else 0.0


@dataclass(frozen=True)
class Started:
    """What runs during a row."""

    directory: Path
    backend: Backend
    proxies: list[Running]
    left_out: list[str]
    tls: Tls
    certificates: Certificates

    def target(self, proxy: Running) -> Target:
        certificates = None if self.tls is Tls.NONE else self.certificates
        return Target(proxy.port, True, certificates, proxy.proxy.adds, proxy.proxy.marks)

    def direct(self, load: Load) -> Target:
        """The backend, asked as the proxies ask it."""
        port = self.backend.ports[load.cluster]
        return Target(port, False, self.certificates if self.tls is Tls.MUTUAL else None)

    def ports(self, row: Row) -> list[int]:
        """Where connections that carry many requests at a time go."""
        return [self.backend.ports[cluster] for cluster in (CLUSTERS if row.rpc else (row.load.cluster,))]


@dataclass
class RowFigures:
    row: Row
    proxies: list[Figures]
    direct: Figures
    rate: float
    left_out: list[str]

    @property
    def failures(self) -> int:
        return sum(figure.failures for figure in [*self.proxies, self.direct])


def measure(row: Row, settings: Settings, say: Say) -> RowFigures:
    """Raises `BenchError` when nothing can be measured, or when the proxies would not do the same work."""
    if lacks := row.load.lacks():
        raise BenchError(f"the load generator is missing: {lacks}")
    with started(row, settings, say) as run:
        figures = {proxy.name: Figures(proxy.name, version_of(proxy.proxy)) for proxy in run.proxies}
        for proxy in run.proxies:
            figures[proxy.name].idle_mb = memory.settled_mb(proxy.process)
        if row.control_plane:
            say("memory under a control plane")
            found = dynamic.idle_mb(row.proxies, run.backend, run.directory, settings.proxy_core)
            for name, mb in found.items():
                figures[name].dynamic_mb = mb
        _saturate(row, run, figures, settings, say)
        paced = [proxy for proxy in run.proxies if row.is_paced(proxy.name)]
        rate, direct = 0.0, Figures(DIRECT)
        if paced:
            rate = _common_rate([figures[proxy.name] for proxy in paced], row)
            _pace(row, run, paced, figures, direct, rate, settings, say)
        if row.tls is not Tls.NONE:
            _shake_hands(row.load, run, figures, settings, say)
        for proxy in run.proxies:
            figures[proxy.name].loaded_mb = memory.settled_mb(proxy.process)
            if row.is_multiplexed:
                figures[proxy.name].connections = connections_to(proxy.process.pids(), run.ports(row))
    return RowFigures(row, list(figures.values()), direct, rate, run.left_out)


@contextmanager
def started(row: Row, settings: Settings, say: Say) -> Iterator[Started]:
    """The run's folder, the backend and each installed proxy of the row, ready and checked."""
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tage-bench-")))
        certificates = make_certificates(directory / "certificates")
        backend = start_backend(directory / "backend", settings.load_core, certificates, row.tls, row.speaks)
        stack.enter_context(backend.process)
        if row.rpc:
            rpc = start_rpc_backend(directory / "rpc-backend", settings.load_core)
            stack.enter_context(rpc.process)
            backend = rpc.beside(backend)
        if row.speaks is not Speaks.HTTP1:
            items = nghttpd.start_items(directory / "nghttpd", settings.load_core, row.speaks is Speaks.GRPC)
            stack.enter_context(items.process)
            backend = items.beside(backend)
        started = Started(directory, backend, [], [], row.tls, certificates)
        wait_for(lambda: _answers(row.load, started.direct(row.load)), READY_SECONDS, "backend", backend.process)
        for proxy in row.all_proxies:
            load = row.load_of(proxy.name)
            if proxy.program() is None or load.lacks():
                started.left_out.append(proxy.name)
                continue
            say(f"starting {proxy.name}")
            one = start(proxy, backend, directory / proxy.name, settings.proxy_core)
            stack.enter_context(one.process)
            wait_for(one.accepts, READY_SECONDS, f"the start of {proxy.name}", one.process)
            _check(load, one, started.target(one))
            started.proxies.append(one)
        if not started.proxies:
            raise BenchError("none of the row's proxies is installed")
        yield started


def _answers(load: Load, target: Target) -> bool:
    try:
        load.verify(target)
    except BenchError:
        return False
    return True


def _check(load: Load, proxy: Running, target: Target) -> None:
    try:
        load.verify(target)
    except BenchError as error:
        raise BenchError(f"{proxy.name}: {error}\nits output:\n{proxy.process.log_tail()}") from error


def _rounds(running: list[Running], rounds: int) -> Iterator[tuple[int, Running]]:
    for number in range(rounds):
        shift = number % len(running)
        for proxy in running[shift:] + running[:shift]:
            yield number + 1, proxy


def _saturate(row: Row, started: Started, figures: dict[str, Figures], settings: Settings, say: Say) -> None:
    for number, proxy in _rounds(started.proxies, settings.rounds):
        target, load = started.target(proxy), row.load_of(proxy.name)
        load.saturate(target, WARM_UP_SECONDS)
        before = proxy.process.cpu_seconds()
        result = load.saturate(target, settings.seconds)
        cpu_us = (proxy.process.cpu_seconds() - before) / result.requests * 1e6
        figure = figures[proxy.name]
        figure.rps.append(result.rps)
        figure.cpu_us.append(cpu_us)
        figure.failures += result.failures
        say(f"round {number}/{settings.rounds}  {proxy.name:8} {cpu_us:7.1f} us/request  {result.rps:9,.0f} requests/s")


def _common_rate(figures: list[Figures], row: Row) -> float:
    slowest = min(figure.median(figure.rps) for figure in figures)
    return min(max(100.0, slowest / 2 // 100 * 100), row.load.rate_limit(row.tls is not Tls.NONE))


def _pace(
    row: Row,
    started: Started,
    proxies: list[Running],
    figures: dict[str, Figures],
    direct: Figures,
    rate: float,
    settings: Settings,
    say: Say,
) -> None:
    for number, proxy in _rounds(proxies, settings.rounds):
        before = proxy.process.cpu_seconds()
        result = row.load_of(proxy.name).paced(started.target(proxy), rate, settings.seconds)
        used = proxy.process.cpu_seconds() - before
        figure = figures[proxy.name]
        figure.paced_cpu_us.append(used / max(result.requests, 1) * 1e6)
        _keep(figure, result, number, settings, say)
        if len(direct.paced) < number:
            _keep(direct, row.load.paced(started.direct(row.load), rate, settings.seconds), number, settings, say)


def _keep(figure: Figures, result: Paced, number: int, settings: Settings, say: Say) -> None:
    figure.paced.append(result)
    figure.failures += result.failures
    say(f"round {number}/{settings.rounds}  {figure.name:8} at {result.rate:,.0f}/s: {_latencies(result)}")
    if result.failures:
        say(f"{result.failures} failed; the first: {result.reason}")


def _shake_hands(load: Load, started: Started, figures: dict[str, Figures], settings: Settings, say: Say) -> None:
    for number, proxy in _rounds(started.proxies, settings.rounds):
        before = proxy.process.cpu_seconds()
        result = load.handshakes(started.target(proxy), settings.seconds)
        cpu_us = (proxy.process.cpu_seconds() - before) / result.connections * 1e6
        figure = figures[proxy.name]
        figure.handshake_cpu_us.append(cpu_us)
        figure.failures += result.failures
        say(f"round {number}/{settings.rounds}  {proxy.name:8} {cpu_us:7.0f} us for a connection with a full handshake")


def _latencies(result: Paced) -> str:
    latencies = f"p50 {result.p50_us:7.0f} us  p99 {result.p99_us:7.0f} us  max {result.max_us:7.0f} us"
    return f"{latencies}  (generator {result.busy:.0%} busy)"
