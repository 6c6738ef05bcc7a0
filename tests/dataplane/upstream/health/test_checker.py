"""What findings mean for a host, and when the next check is. The probes are scripted."""

import asyncio

import pytest
import uvloop

from tage.dataplane.telemetry import layout
from tage.dataplane.telemetry.store import StatStore
from tage.dataplane.upstream import cells
from tage.dataplane.upstream.health.checker import Checked, Checker
from tage.dataplane.upstream.health.probes import Finding, Verdict
from tage.dataplane.upstream.health.state import ClusterCell, ClusterHealth, HostCell, HostFlag
from tage.sidecar.plan import HealthCheck, TcpCheck

GOOD = Finding(Verdict.HEALTHY)
BAD = Finding(Verdict.UNHEALTHY, "status 503")
RETRIABLE = Finding(Verdict.RETRIABLE, "status 429")
GONE = Finding(Verdict.NETWORK, "connection refused")
HANGS = None


class Script:
    """Answers these, then hangs."""

    def __init__(self, *findings):
        self.findings = list(findings)
        self.closed = False
        self.done = asyncio.Event()

    async def ask(self):
        if not self.findings:
            self.done.set()
            await asyncio.Event().wait()
        finding = self.findings.pop(0)
        if finding is HANGS:
            await asyncio.Event().wait()
        return finding

    def close(self):
        self.closed = True


class World:
    def __init__(self, stats, turns=None, **fields):
        fields = {"timeout": 60_000, "interval": 1, "unhealthy_threshold": 2, "healthy_threshold": 2, **fields}
        for name in ("unhealthy_interval", "unhealthy_edge_interval", "healthy_edge_interval"):
            fields.setdefault(name, fields["interval"])
        self.settings = HealthCheck(TcpCheck(), **fields)
        self.cluster = cells.alone(16)
        self.cluster.store(ClusterCell.HAD_TRAFFIC, 1)
        self.health = ClusterHealth(self.cluster, None)
        self.stats = stats
        self.log = []
        self.names = set()
        self.checker = Checker(
            "c", self.settings, self.health, stats, turns or asyncio.Semaphore(100), lambda n: n - 1, self.log.append
        )

    def watch(self, *hosts):
        """These are the hosts."""
        for name in self.names - {host.name for host in hosts}:
            self.checker.remove(name)
        self.names = {host.name for host in hosts}
        for host in hosts:
            self.checker.add(host)
        self.checker.show()

    def stat(self, name):
        return self.stats.value(f"health_check.{name}")


@pytest.fixture
def stats(tmp_path):
    return StatStore(tmp_path / "stats").group(layout.HEALTH, "c")


def outcome(stats, *findings, memory=None, **fields):
    """A host after these findings: the world, its cells, and what it was after each."""

    async def run():
        world = World(stats, **fields)
        host = memory or cells.alone(16)
        states = []

        class Watched(Script):
            async def ask(self):
                states.append(host.load(HostCell.FLAGS))
                return await super().ask()

        script = Watched(*findings)
        world.watch(Checked("h:80", host, "t", lambda: script))
        async with asyncio.timeout(10):
            await script.done.wait()
        world.checker.stop()
        await asyncio.sleep(0)
        assert script.closed
        return world, host, [describe(state) for state in states[1:]]

    return uvloop.run(run())


def describe(flags):
    if not flags & HostFlag.FLAG_CHECKED:
        return "unchecked"
    return "bad" if flags & HostFlag.FLAG_CHECK_FAILED else "good"


@pytest.mark.parametrize(
    ("findings", "states"),
    [
        ([GOOD], ["good"]),  # the first one is enough
        ([GONE], ["bad"]),
        ([GONE, GOOD, GOOD], ["bad", "bad", "good"]),
        ([GONE, GOOD, GONE, GOOD, GOOD], ["bad", "bad", "bad", "bad", "good"]),
        ([GOOD, GONE, GONE], ["good", "good", "bad"]),
        ([GOOD, GONE, GOOD, GONE, GONE], ["good", "good", "good", "good", "bad"]),
        ([GOOD, RETRIABLE, GONE], ["good", "good", "bad"]),
        ([GOOD, BAD, GOOD, GOOD], ["good", "bad", "bad", "good"]),  # a plain no needs no second
    ],
)
def test_thresholds(stats, findings, states):
    assert outcome(stats, *findings)[2] == states


def test_statistics_and_log(stats):
    world, _, _ = outcome(stats, GOOD, BAD, GONE, GOOD, GOOD)
    assert [world.stat(name) for name in ("attempt", "success", "failure", "network_failure")] == [6, 3, 2, 1]
    assert world.stat("healthy") == 0  # stopped
    assert world.log == [
        "health check: cluster 'c': host h:80 is healthy",
        "health check: cluster 'c': host h:80 is unhealthy: status 503",
        "health check: cluster 'c': host h:80 is healthy",
    ]
    assert world.cluster.load(ClusterCell.GENERATION) == 3


def test_all_failures_are_logged_if_wanted(stats):
    world, _, _ = outcome(stats, GOOD, GONE, GONE, GONE, GOOD, always_log_failures=True)
    assert [line.split("h:80 ")[1] for line in world.log] == [
        "is healthy",
        "failed: connection refused",
        "is unhealthy: connection refused",
        "failed: connection refused",
    ]


def test_a_replacement_goes_on(stats):
    """What its predecessor found stands; one good answer is not enough for a host that was bad."""
    memory = cells.alone(16)
    outcome(stats, GONE, memory=memory)
    assert outcome(stats, GOOD, GOOD, memory=memory)[2] == ["bad", "good"]
    assert outcome(stats, GONE, GONE, memory=memory)[2] == ["good", "bad"]


def test_no_answer_in_time(stats):
    async def run():
        world = World(stats, timeout=30)
        host = cells.alone(16)
        script = Script(HANGS, GOOD)
        world.watch(Checked("h:80", host, "t", lambda: script))
        async with asyncio.timeout(10):
            await script.done.wait()
        world.checker.stop()
        assert world.log[0].endswith("is unhealthy: no answer within 30 ms")

    uvloop.run(run())


def test_an_ejected_host_is_readmitted(stats):
    """Only by a check that leaves the host healthy."""
    readmitted = []

    async def run():
        world = World(stats)
        script = Script(GOOD, BAD, GOOD, GOOD)
        world.watch(Checked("h:80", cells.alone(16), "t", lambda: script, readmitted.append))
        async with asyncio.timeout(10):
            await script.done.wait()
        world.checker.stop()

    uvloop.run(run())
    assert readmitted == ["an active health check passed"] * 2


def test_hosts_come_and_go(stats):
    async def run():
        world = World(stats)
        scripts = {name: Script(GOOD) for name in "abc"}
        memory = {name: cells.alone(16) for name in "abc"}
        targets = dict.fromkeys("abc", 80)

        def watch(*names):
            world.watch(
                *[Checked(name, memory[name], targets[name], lambda name=name: scripts[name]) for name in names]
            )

        watch("a", "b")
        async with asyncio.timeout(10):
            await asyncio.gather(scripts["a"].done.wait(), scripts["b"].done.wait())
        assert world.stat("healthy") == 2
        watch("b", "c")
        async with asyncio.timeout(10):
            await scripts["c"].done.wait()
        assert [scripts[name].closed for name in "abc"] == [True, False, False]
        assert world.stat("healthy") == 2
        targets["c"] = 81  # it is to be asked somewhere else
        asked_before, scripts["c"] = scripts["c"], Script(GOOD)
        watch("b", "c")
        async with asyncio.timeout(10):
            await scripts["c"].done.wait()
        assert asked_before.closed
        world.checker.stop()
        await asyncio.sleep(0)
        assert all(script.closed for script in scripts.values())

    uvloop.run(run())


def test_not_all_at_once(stats):
    most = running = 0

    class Slow(Script):
        async def ask(self):
            nonlocal most, running
            running += 1
            most = max(most, running)
            await asyncio.sleep(0.005)
            running -= 1
            self.done.set()
            return GOOD

    async def run():
        world = World(stats, turns=asyncio.Semaphore(3), interval=60_000)
        scripts = [Slow() for _ in range(12)]
        world.watch(
            *[Checked(str(i), cells.alone(16), "t", lambda script=script: script) for i, script in enumerate(scripts)]
        )
        async with asyncio.timeout(10):
            await asyncio.gather(*[script.done.wait() for script in scripts])
        world.checker.stop()

    uvloop.run(run())
    assert most == 3


@pytest.mark.parametrize(
    ("traffic", "healthy", "pending", "seconds"),
    [
        (True, True, False, 10),
        (True, True, True, 40),
        (True, False, False, 20),
        (True, False, True, 30),
        (False, True, False, 60),
        (False, False, False, 50),
        (False, True, True, 50),
    ],
)
def test_intervals(stats, traffic, healthy, pending, seconds):
    world = World(
        stats,
        interval=10_000,
        unhealthy_interval=20_000,
        unhealthy_edge_interval=30_000,
        healthy_edge_interval=40_000,
        no_traffic_interval=50_000,
        no_traffic_healthy_interval=60_000,
    )
    world.cluster.store(ClusterCell.HAD_TRAFFIC, traffic)
    assert world.checker.interval(healthy, pending) == seconds


def test_jitter(stats):
    """`below` gives the most there may be."""
    world = World(stats, interval=10_000, interval_jitter=500, interval_jitter_percent=20, initial_jitter=300)
    assert world.checker.interval(True, False) == pytest.approx(12.498)
    assert world.checker.initial_delay() == 0.299
    assert World(stats).checker.initial_delay() == 0
