from __future__ import annotations

import asyncio

from tage.pilot.debounce import Debounce


def test_many_triggers_become_one_action_after_a_quiet_time():
    async def run() -> None:
        loop = asyncio.get_running_loop()
        fired = asyncio.Queue[float]()
        debounce = Debounce(lambda: fired.put_nowait(loop.time()), quiet=0.05, longest=5)
        for _ in range(5):
            debounce.trigger()
            last = loop.time()
            await asyncio.sleep(0.01)
        at = await asyncio.wait_for(fired.get(), 2)
        assert at - last >= 0.045
        assert fired.empty()
        debounce.trigger()
        await asyncio.wait_for(fired.get(), 2)

    asyncio.run(run())


def test_a_steady_stream_does_not_put_it_off_for_ever():
    async def run() -> None:
        fired = asyncio.Event()
        debounce = Debounce(fired.set, quiet=0.2, longest=0.3)
        async with asyncio.timeout(2):
            while not fired.is_set():
                debounce.trigger()
                await asyncio.sleep(0.01)

    asyncio.run(run())


def test_cancel():
    async def run() -> None:
        fired = asyncio.Event()
        debounce = Debounce(fired.set, quiet=0.01, longest=1)
        debounce.trigger()
        debounce.cancel()
        await asyncio.sleep(0.05)
        assert not fired.is_set()

    asyncio.run(run())
