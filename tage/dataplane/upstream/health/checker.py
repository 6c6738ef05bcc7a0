"""Active health checks of a cluster's hosts (envoy.config.core.v3.HealthCheck). Worker 0 makes them; what it finds is
in the hosts' shared cells (`state`), so all workers go by it, and a replacement of worker 0 goes on from there.

    not checked yet --first check--> healthy or unhealthy
    healthy --unhealthy_threshold failures in a row, or one answer that says so--> unhealthy
    unhealthy --healthy_threshold successes in a row--> healthy

One task a host: it checks, waits as long as the configuration says for what was found, and checks again. At most
`MAX_AT_ONCE` checks of a worker are under way; a check's time begins when it does. Envoy:
source/extensions/health_checkers/common/health_checker_base_impl.cc.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

from tage.dataplane.telemetry.store import StatGroup
from tage.dataplane.upstream.cells import Cells
from tage.dataplane.upstream.health.probes import Finding, Verdict
from tage.dataplane.upstream.health.state import ClusterCell, ClusterHealth, HostCell, HostFlag

MAX_AT_ONCE = 100
START_AT_ONCE = 50
"""Hosts whose checks begin in one turn of the loop."""


class Probe(Protocol):
    async def ask(self) -> Finding: ...

    def close(self) -> None: ...


class Checked(NamedTuple):
    """A host. `probe()` makes what asks it at `target`; `readmit(why)` ends an ejection by outlier detection."""

    name: str
    """Its address and port."""
    cells: Cells
    target: Any
    probe: Callable[[], Probe]
    readmit: Callable[[str], None] | None = None


class Checker:
    """Of one cluster. `settings` is as `plan.HealthCheck`, `below(n)` gives a random number from 0 to n - 1."""

    def __init__(
        self,
        name: str,
        settings: Any,
        health: ClusterHealth,
        stats: StatGroup,
        turns: asyncio.Semaphore,
        below: Callable[[int], int],
        log: Callable[[str], None],
    ) -> None:
        self._name = name
        self._settings = settings
        self._health = health
        self._stats = stats
        self._turns = turns
        self._below = below
        self._log = log
        self._hosts: dict[str, _Session] = {}
        self._starting: list[_Session] = []
        self._starter: asyncio.Task[None] | None = None

    def add(self, host: Checked) -> None:
        """It is checked from now on; one that is there, and is to be asked as before, goes on."""
        known = self._hosts.get(host.name)
        if known is not None:
            if known.host.cells is host.cells and known.host.target == host.target:
                return
            known.stop()
        session = self._hosts[host.name] = _Session(self, host)
        self._starting.append(session)
        if self._starter is None:
            self._starter = asyncio.get_running_loop().create_task(self._start())

    def remove(self, name: str) -> None:
        session = self._hosts.pop(name, None)
        if session is not None:
            session.stop()

    async def _start(self) -> None:
        """Many hosts may come at once: traffic does not wait for all of them."""
        while self._starting:
            for session in self._starting[:START_AT_ONCE]:
                session.start()
            del self._starting[:START_AT_ONCE]
            await asyncio.sleep(0)
        self._starter = None

    def stop(self) -> None:
        if self._starter is not None:
            self._starter.cancel()
        for session in self._hosts.values():
            session.stop()
        self._hosts = {}
        self._stats.set("health_check.healthy", 0)

    def show(self) -> None:
        healthy = sum(not _unhealthy(session.host.cells) for session in self._hosts.values())
        self._stats.set("health_check.healthy", healthy)

    # -- for the sessions ----------------------------------------------------------------------------------------------

    async def check(self, probe: Probe) -> Finding:
        async with self._turns:
            self._stats.count("health_check.attempt", 1)
            try:
                async with asyncio.timeout(self._settings.timeout / 1000):
                    finding = await probe.ask()
            except TimeoutError:
                finding = Finding(Verdict.NETWORK, f"no answer within {self._settings.timeout} ms")
        good = finding.verdict is Verdict.HEALTHY
        self._stats.count("health_check.success" if good else "health_check.failure", 1)
        if finding.verdict is Verdict.NETWORK:
            self._stats.count("health_check.network_failure", 1)
        return finding

    def changed(self, host: Checked, text: str) -> None:
        self._health.announce()
        self.show()
        self.say(host, text)

    def say(self, host: Checked, text: str) -> None:
        self._log(f"health check: cluster {self._name!r}: host {host.name} {text}")

    def interval(self, healthy: bool, pending: bool) -> float:
        """In s, until the next check. `pending`: one way or the other, but not often enough yet to count."""
        settings = self._settings
        if not self._health.cells.load(ClusterCell.HAD_TRAFFIC):
            base = settings.no_traffic_healthy_interval if healthy and not pending else settings.no_traffic_interval
        elif healthy:
            base = settings.healthy_edge_interval if pending else settings.interval
        else:
            base = settings.unhealthy_edge_interval if pending else settings.unhealthy_interval
        jitter = base * settings.interval_jitter_percent // 100
        return (base + self._random(jitter) + self._random(settings.interval_jitter)) / 1000

    def initial_delay(self) -> float:
        """In s."""
        return self._random(self._settings.initial_jitter) / 1000

    def _random(self, most: int) -> int:
        return self._below(most) if most > 0 else 0

    @property
    def settings(self) -> Any:
        return self._settings


class _Session:
    """The checks of one host. How many in a row went one way is this worker's own; a replacement counts anew."""

    def __init__(self, checker: Checker, host: Checked) -> None:
        self.host = host
        self._checker = checker
        self._in_a_row = 0
        self._task: asyncio.Task[None] | None = None
        self._stopped = False

    def start(self) -> None:
        if not self._stopped:
            self._task = asyncio.get_running_loop().create_task(self._run())

    def stop(self) -> None:
        self._stopped = True
        if self._task is not None:
            self._task.cancel()

    async def _run(self) -> None:
        probe = self.host.probe()
        try:
            await asyncio.sleep(self._checker.initial_delay())
            while True:
                finding = await self._checker.check(probe)
                healthy = finding.verdict is Verdict.HEALTHY
                pending = self._passed() if healthy else self._failed(finding)
                await asyncio.sleep(self._checker.interval(healthy, pending))
        finally:
            probe.close()

    def _passed(self) -> bool:
        """Whether it takes more of these for the host to become healthy."""
        cells, settings = self.host.cells, self._checker.settings
        first = not cells.load(HostCell.FLAGS) & HostFlag.FLAG_CHECKED
        pending = False
        if _unhealthy(cells):
            self._in_a_row += 1
            pending = not first and self._in_a_row < settings.healthy_threshold
            if not pending:
                self._in_a_row = 0
                cells.clear_bits(HostCell.FLAGS, HostFlag.FLAG_CHECK_FAILED)
                cells.set_bits(HostCell.FLAGS, HostFlag.FLAG_CHECKED)
                self._checker.changed(self.host, "is healthy")
        else:
            self._in_a_row = 0
            if settings.always_log_success:
                self._checker.say(self.host, "passed")
        if not pending and self.host.readmit is not None:
            self.host.readmit("an active health check passed")
        return pending

    def _failed(self, finding: Finding) -> bool:
        """Whether it takes more of these for the host to become unhealthy."""
        cells, settings = self.host.cells, self._checker.settings
        first = not cells.load(HostCell.FLAGS) & HostFlag.FLAG_CHECKED
        if first:
            self._in_a_row = 0
            cells.set_bits(HostCell.FLAGS, HostFlag.FLAG_CHECKED | HostFlag.FLAG_CHECK_FAILED)
            self._checker.changed(self.host, f"is unhealthy: {finding.reason}")
            return False
        if _unhealthy(cells):
            self._in_a_row = 0
        else:
            self._in_a_row += 1
            if finding.verdict is not Verdict.UNHEALTHY and self._in_a_row < settings.unhealthy_threshold:
                if settings.always_log_failures:
                    self._checker.say(self.host, f"failed: {finding.reason}")
                return True
            self._in_a_row = 0
            cells.set_bits(HostCell.FLAGS, HostFlag.FLAG_CHECK_FAILED)
            self._checker.changed(self.host, f"is unhealthy: {finding.reason}")
            return False
        if settings.always_log_failures:
            self._checker.say(self.host, f"failed: {finding.reason}")
        return False


def _unhealthy(cells: Cells) -> bool:
    """One that was never checked counts as such."""
    flags = cells.load(HostCell.FLAGS)
    return not flags & HostFlag.FLAG_CHECKED or bool(flags & HostFlag.FLAG_CHECK_FAILED)
