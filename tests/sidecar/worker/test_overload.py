"""When a worker counts as overloaded is the plan's to say."""

import asyncio

import pytest

from tage.dataplane.net.timers import TimerWheel
from tage.dataplane.streams.context import Context
from tage.dataplane.telemetry.store import StatStore
from tage.sidecar import plan
from tage.sidecar.worker.tables import Tables


class Worker:
    def __init__(self, directory):
        loop = asyncio.get_running_loop()
        self.context = Context(TimerWheel(loop.call_later))
        self.tables = Tables(self.context, StatStore(directory / "stats"), loop, None)
        self.now = 0

    async def apply(self, *sections):
        upserts = [
            ("overload" if isinstance(each, plan.Overload) else "routes", each.name, plan.encode(each))
            for each in sections
        ]
        await self.tables.commit(await self.tables.prepare(plan.Prepare(self.tables.version + 1, True, upserts)))

    def sheds_at(self, wait_ms):
        """Whether waits like this, for two seconds, are an overload."""
        for _ in range(200):
            self.now += 10_000
            self.context.overload.measure(self.now, wait_ms * 1000)
        return self.context.overload.share > 0


@pytest.mark.parametrize(
    ("section", "below", "above"),
    [(None, 240, 260), (plan.Overload(target=50), 45, 55), (plan.Overload(target=400, interval=100), 300, 500)],
)
def test_target(tmp_path, section, below, above):
    async def main():
        worker = Worker(tmp_path)
        await worker.apply(*[section] if section else [])
        assert not worker.sheds_at(below)
        assert worker.sheds_at(above)

    asyncio.run(main())


def test_off_and_back_to_the_defaults(tmp_path):
    async def main():
        worker = Worker(tmp_path)
        await worker.apply(plan.Overload(target=0))
        assert not worker.sheds_at(5_000)
        await worker.apply()
        assert worker.sheds_at(260)

    asyncio.run(main())


def test_a_plan_that_says_the_same_changes_nothing(tmp_path):
    async def main():
        worker = Worker(tmp_path)
        await worker.apply(plan.Overload(target=50))
        assert worker.sheds_at(55)
        await worker.apply(plan.Overload(target=50), plan.Routes("r"))
        assert worker.context.overload.share > 0

    asyncio.run(main())
