"""Memory of idle keep-alive connections: each proxy alone, before any connection and while it holds them all.

Every connection has made one request. What counts is the growth of the PSS of all the proxy's processes (`memory`);
what the kernel keeps for sockets is the same for all and not in it. Plain text first, then the same behind TLS.
"""

from __future__ import annotations

import json
import resource
import sys
import tempfile
from dataclasses import asdict, dataclass, field
from pathlib import Path

from bench import memory
from bench.backend import Backend, body_of, start_backend
from bench.certificates import Certificates, Tls, make_certificates
from bench.load import Target, hold
from bench.load.http1 import CLUSTER, Http1Load
from bench.measure import Say
from bench.processes import BenchError, Process, wait_for
from bench.proxies import Proxy, Running, start, version_of
from bench.rows import IdleRow

READY_SECONDS = 30.0
HOLD_SECONDS = 300.0
"""For all connections to be made."""
SPARE_DESCRIPTORS = 1000


@dataclass
class Held:
    """Memory in MiB around the connections; 0 where it was not measured."""

    before_mb: float = 0.0
    after_mb: float = 0.0

    @property
    def growth_mb(self) -> float:
        return self.after_mb - self.before_mb


@dataclass
class IdleFigures:
    name: str
    version: str
    plain: Held = field(default_factory=Held)
    tls: Held = field(default_factory=Held)
    failures: int = 0
    """Connections that the proxy ended meanwhile."""


@dataclass
class IdleRowFigures:
    row: IdleRow
    proxies: list[IdleFigures]
    left_out: list[str]

    @property
    def failures(self) -> int:
        return sum(figure.failures for figure in self.proxies)


def measure(row: IdleRow, proxy_core: int, load_core: int, say: Say) -> IdleRowFigures:
    """Raises `BenchError` when nothing can be measured."""
    _raise_limit(row.connections + SPARE_DESCRIPTORS)
    installed = [proxy for proxy in row.proxies if proxy.program() is not None]
    left_out = [proxy.name for proxy in row.proxies if proxy not in installed]
    if not installed:
        raise BenchError("none of the row's proxies is installed")
    figures = {proxy.name: IdleFigures(proxy.name, version_of(proxy)) for proxy in installed}
    for tls in (Tls.NONE, Tls.DOWNSTREAM):
        with tempfile.TemporaryDirectory(prefix="tage-bench-") as place:
            directory = Path(place)
            certificates = make_certificates(directory / "certificates")
            backend = start_backend(directory / "backend", load_core, certificates, tls)
            with backend.process:
                for proxy in installed:
                    say(f"{proxy.name}: {row.connections:,} connections, TLS: {tls.value}")
                    one = _Held(row, directory, backend, None if tls is Tls.NONE else certificates)
                    held, closed = one.measure(proxy, proxy_core, load_core)
                    figure = figures[proxy.name]
                    figure.failures += closed
                    if tls is Tls.NONE:
                        figure.plain = held
                    else:
                        figure.tls = held
                    say(f"{proxy.name}: {held.before_mb:.1f} MiB, then {held.after_mb:.1f} MiB")
    return IdleRowFigures(row, list(figures.values()), left_out)


@dataclass(frozen=True)
class _Held:
    """One proxy at a time, with the connections."""

    row: IdleRow
    directory: Path
    backend: Backend
    certificates: Certificates | None

    def measure(self, proxy: Proxy, proxy_core: int, load_core: int) -> tuple[Held, int]:
        """Memory, and how many connections the proxy ended."""
        # HAProxy and nginx are told how many connections they may have; a quarter more is enough.
        limit = {"CONNECTIONS": self.row.connections * 5 // 4}
        running = start(proxy, self.backend, self.directory / proxy.name, proxy_core, values=limit)
        with running.process:
            wait_for(running.accepts, READY_SECONDS, f"the start of {proxy.name}", running.process)
            try:
                Http1Load().verify(Target(running.port, True, self.certificates))
            except BenchError as error:
                raise BenchError(f"{proxy.name}: {error}\nits output:\n{running.process.log_tail()}") from error
            before = memory.settled_mb(running.process)
            holder = self._holder(running, load_core)
            with holder:
                wanted = f"holds {self.row.connections}"
                wait_for(lambda: wanted in holder.log_tail(), HOLD_SECONDS, f"connections to {proxy.name}", holder)
                after = memory.settled_mb(running.process)
            return Held(before, after), closed_of(holder)

    def _holder(self, running: Running, load_core: int) -> Process:
        folder = "" if self.certificates is None else str(self.certificates.directory)
        plan = hold.Plan(running.port, self.row.connections, Http1Load().request, body_of(CLUSTER).decode(), folder)
        argv = [sys.executable, "-m", "bench.load.hold", json.dumps(asdict(plan))]
        return Process("hold", argv, self.directory / f"hold-{running.name}", load_core)


def closed_of(holder: Process) -> int:
    """What the holder said at its end."""
    said = holder.log_tail().split()
    if holder.returncode != 0 or said[-2:-1] != ["closed"]:
        raise BenchError(f"the connections' holder ended with status {holder.returncode}:\n{holder.log_tail()}")
    return int(said[-1])


def _raise_limit(descriptors: int) -> None:
    """Of this process and all that it starts, as far as it goes."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < descriptors:
        raise BenchError(f"{descriptors} open files are needed; the limit is {hard} (ulimit -Hn)")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
