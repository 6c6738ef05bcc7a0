"""Outlier detection and health checks of a plan's clusters: set up, changed and taken away with the plan."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import uvloop

from tage.dataplane.native import Random
from tage.dataplane.net.reactor import Reactor
from tage.dataplane.net.timers import TimerWheel
from tage.dataplane.streams.context import Context
from tage.dataplane.telemetry import layout
from tage.dataplane.telemetry.store import StatStore
from tage.dataplane.upstream import shared_layout
from tage.dataplane.upstream.health.state import ClusterCell
from tage.dataplane.upstream.shared import SharedFile
from tage.sidecar import plan
from tage.sidecar.worker import health
from tage.sidecar.worker.tables import Tables
from tage.xprotocol_testing.fakes import FakeLoop

OUTLIERS = plan.OutlierDetection(consecutive_5xx=2, max_ejection_percent=100, base_ejection_time=5_000, interval=1_000)
CHECK = plan.HealthCheck(plan.TcpCheck(), 1_000, 20, 1, 1, 20, 20, 20, no_traffic_interval=20)


def endpoints(*numbers: int, **fields: Any) -> plan.Endpoints:
    return plan.Endpoints("c", [plan.Endpoint(f"127.0.0.{number}", 1, **fields) for number in numbers])


class Worker:
    def __init__(self, path: Any, directory: Any, column: int = 0) -> None:
        self.loop = FakeLoop()
        self.context = Context(TimerWheel(self.loop.call_later, self.loop.clock))
        self.store = StatStore(directory / f"stats-{column}")
        self.file = SharedFile(path, column)
        loop = asyncio.get_running_loop()
        self.tables = Tables(self.context, self.store, loop, Reactor(loop), self.file)
        self.version = 0

    async def prepare(self, *sections: plan.Section, full: bool = False) -> Any:
        self.version += 1
        kinds = {cls: kind for kind, cls in plan.KINDS.items()}
        upserts = [(kinds[type(each)], each.name, plan.encode(each)) for each in sections]
        return await self.tables.prepare(plan.Prepare(self.version, full, upserts))

    async def apply(self, *sections: plan.Section, full: bool = False) -> None:
        await self.tables.commit(await self.prepare(*sections, full=full))

    @property
    def cluster(self) -> Any:
        return self.context.clusters["c"]

    def fail(self, index: int, times: int = 2) -> None:
        for _ in range(times):
            self.cluster.hosts[index].monitor.result(500, 0)

    def used(self) -> list[str]:
        """Who gets requests."""
        random = Random(3)
        picked = {self.cluster.pick(random, None).address for _ in range(50)}
        return sorted(picked)

    def stat(self, name: str) -> int:
        return self.store.group(layout.HEALTH, "c").value(name)


@pytest.fixture
def path(tmp_path):
    path = str(tmp_path / "shared.bin")
    shared_layout.create(path, 2)
    return path


def run(story):
    async def bounded():
        async with asyncio.timeout(20):
            await story()

    uvloop.run(bounded())


async def until(condition):
    """`run` bounds it."""
    while not condition():  # noqa: ASYNC110
        await asyncio.sleep(0.005)


def test_an_ejection_holds_in_all_workers(path, tmp_path):
    async def story():
        a, b = Worker(path, tmp_path, 0), Worker(path, tmp_path, 1)
        for worker in (a, b):
            await worker.apply(endpoints(1, 2), plan.Cluster("c", "c", outlier_detection=OUTLIERS), full=True)
            assert worker.used() == ["127.0.0.1", "127.0.0.2"]
        b.fail(0)
        for worker in (a, b):
            assert worker.used() == ["127.0.0.2"]
            assert [host.usable for host in worker.cluster.hosts] == [False, True]
        a.loop.run(7_000)  # worker 0 readmits it
        for worker in (a, b):
            assert worker.used() == ["127.0.0.1", "127.0.0.2"]
        assert (a.store.group(layout.HEALTH, "c").value("outlier_detection.ejections_active")) == 0

    run(story)


def test_only_worker_0_sweeps(path, tmp_path):
    async def story():
        b = Worker(path, tmp_path, 1)
        await b.apply(endpoints(1, 2), plan.Cluster("c", "c", outlier_detection=OUTLIERS), full=True)
        b.fail(0)
        b.loop.run(100_000)
        assert b.used() == ["127.0.0.2"]

    run(story)


def test_hosts_that_stay_keep_what_is_known(path, tmp_path):
    async def story():
        a = Worker(path, tmp_path)

        def out():
            return sorted({host.address for host in a.cluster.hosts}.difference(a.used()))

        await a.apply(endpoints(*range(1, 9)), plan.Cluster("c", "c", outlier_detection=OUTLIERS), full=True)
        a.fail(0)
        a.fail(1)
        a.fail(2, times=1)
        assert out() == ["127.0.0.1", "127.0.0.2"]
        leaving = a.cluster.hosts[7]
        await a.apply(endpoints(1, *range(3, 8), 9, 10))
        assert out() == ["127.0.0.1"]
        for _ in range(3):
            leaving.monitor.result(500, 0)  # what was under way at one that has left
        assert not leaving.monitor.ejected()
        assert a.stat("outlier_detection.ejections_enforced_total") == 2
        a.fail(1, times=1)
        assert out() == ["127.0.0.1", "127.0.0.3"]
        await a.apply(endpoints(*range(1, 10)))
        assert out() == ["127.0.0.1", "127.0.0.3"]  # one that has left is a new one when it comes again
        changed = plan.OutlierDetection(consecutive_5xx=1, max_ejection_percent=100)
        await a.apply(plan.Cluster("c", "c", outlier_detection=changed))
        a.fail(8, times=1)
        assert out() == ["127.0.0.1", "127.0.0.3", "127.0.0.9"]

    run(story)


def test_without_outlier_detection_nobody_is_out(path, tmp_path):
    async def story():
        a = Worker(path, tmp_path)
        watched, plain = plan.Cluster("c", "c", outlier_detection=OUTLIERS), plan.Cluster("c", "c")
        await a.apply(endpoints(1, 2), watched, full=True)
        a.fail(0)
        assert a.used() == ["127.0.0.2"]
        await a.apply(plain)
        assert a.used() == ["127.0.0.1", "127.0.0.2"]
        assert (a.cluster.watch, a.cluster.hosts[0].monitor) == (None, None)
        a.loop.run(100_000)
        assert not a.loop.calls
        await a.apply(watched)
        assert a.used() == ["127.0.0.1", "127.0.0.2"]

    run(story)


def test_a_cluster_that_goes_leaves_nothing(path, tmp_path):
    async def story():
        a = Worker(path, tmp_path)
        await a.apply(
            endpoints(1, 2), plan.Cluster("c", "c", outlier_detection=OUTLIERS, health_check=CHECK), full=True
        )
        a.fail(0)
        await a.apply(full=True)
        a.loop.run(100_000)
        assert not a.loop.calls
        assert list(a.file.hosts.names()) == []
        await asyncio.sleep(0)
        assert not [task for task in asyncio.all_tasks() if "Session" in repr(task)]

    run(story)


def test_a_plan_that_is_given_up_leaves_nothing(path, tmp_path):
    async def story():
        a = Worker(path, tmp_path)
        await a.apply(endpoints(1), plan.Cluster("c", "c", outlier_detection=OUTLIERS), full=True)
        held = set(a.file.hosts.names())
        await a.prepare(endpoints(1, 2))
        a.tables.abort()
        assert set(a.file.hosts.names()) == held
        await a.apply(endpoints(1, 2))
        assert len(set(a.file.hosts.names())) == 3

    run(story)


def test_a_replacement_finds_what_was_known(path, tmp_path):
    """Of one worker alone, whose first plan is preceded by an abort, as the process does it."""

    async def story():
        cluster = plan.Cluster("c", "c", outlier_detection=OUTLIERS)
        a = Worker(path, tmp_path)
        await a.apply(endpoints(1, 2), cluster, full=True)
        a.fail(0)
        shared_layout.clear(path, 0)
        b = Worker(path, tmp_path)
        b.tables.abort()
        await b.apply(endpoints(1, 2), cluster, full=True)
        assert b.used() == ["127.0.0.2"]

    run(story)


@pytest.mark.parametrize("column", [0, 1])
def test_checks_are_made_by_worker_0(path, tmp_path, column):
    asked = []

    async def story():
        async def serve(reader, writer):
            asked.append(writer.get_extra_info("sockname")[0])
            writer.close()

        async with await asyncio.start_server(serve, "127.0.0.2", 0) as server:
            port = server.sockets[0].getsockname()[1]
            worker = Worker(path, tmp_path, column)
            hosts = [plan.Endpoint("127.0.0.1", 1), plan.Endpoint("127.0.0.2", port)]
            hosts.append(plan.Endpoint("127.0.0.3", 1, checked=False))
            await worker.apply(plan.Endpoints("c", hosts), plan.Cluster("c", "c", health_check=CHECK), full=True)
            assert [host.usable for host in worker.cluster.hosts] == [False, False, True]
            if column:
                await asyncio.sleep(0.2)
                assert asked == []
                return
            await until(lambda: worker.stat("health_check.network_failure") > 1)
            assert worker.used() == ["127.0.0.2", "127.0.0.3"]
            assert worker.stat("health_check.healthy") == 1
            await worker.apply(plan.Cluster("c", "c"))
            assert worker.used() == ["127.0.0.1", "127.0.0.2", "127.0.0.3"]
            before = len(asked)
            await asyncio.sleep(0.2)
            assert len(asked) == before

    run(story)


def test_a_check_that_is_changed(path, tmp_path):
    async def story():
        async def serve(reader, writer):
            writer.close()

        async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            worker = Worker(path, tmp_path)
            where = plan.Endpoints("c", [plan.Endpoint("127.0.0.1", port), plan.Endpoint("127.0.0.2", 1)])
            await worker.apply(where, plan.Cluster("c", "c", health_check=CHECK), full=True)
            await until(lambda: worker.used() == ["127.0.0.1"])
            wants = plan.HealthCheck(plan.TcpCheck(b"", [b"x"]), 1_000, 20, 1, 1, 20, 20, 20)
            await worker.apply(plan.Cluster("c", "c", health_check=wants))
            await until(lambda: not any(host.usable for host in worker.cluster.hosts))

    run(story)


def test_without_traffic_what_others_did_is_noticed(path, tmp_path, monkeypatch):
    monkeypatch.setattr(health, "LOOK_SECONDS", 0.02)

    async def story():
        a, b = Worker(path, tmp_path, 0), Worker(path, tmp_path, 1)
        for worker in (a, b):
            await worker.apply(endpoints(1, 2), plan.Cluster("c", "c", outlier_detection=OUTLIERS), full=True)
        b.fail(0)
        await until(lambda: not a.cluster.hosts[0].usable)
        await until(lambda: a.stat("outlier_detection.ejections_active") == 1)
        assert b.stat("outlier_detection.ejections_active") == 0
        assert a.cluster.stats.value("membership_healthy") == 1
        cells = a.file.hosts.get("c")
        assert cells.load(ClusterCell.HAD_TRAFFIC) == 0
        b.cluster.hosts[1].opening()  # as a connection for a request does
        await until(lambda: cells.load(ClusterCell.HAD_TRAFFIC) == 1)

    run(story)
