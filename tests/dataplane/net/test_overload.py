"""When the worker counts as overloaded: waits are told, time is told; and what the reactor's probe measures."""

import asyncio
import random
import time

import pytest
import uvloop

from tage.dataplane.native import Random
from tage.dataplane.net.overload import Overload
from tage.dataplane.net.reactor import Reactor

WHOLE = 64


class Told:
    """An `Overload` with a target of 5 ms within 100 ms, and its clock."""

    def __init__(self, target=5, interval=100):
        self.overload = Overload()
        self.overload.configure(target, interval)
        self.now = 1_000_000
        self.random = Random(7)

    def waits(self, *ms, each=10):
        """One probe every `each` ms."""
        for wait in ms:
            self.now += each * 1000
            self.overload.measure(self.now, int(wait * 1000))

    def refused(self, n=2_000):
        return sum(self.overload.decide(self.random) for _ in range(n)) / n


def test_a_queue_that_stands_for_an_interval_is_overload():
    told = Told()
    told.waits(*[6] * 10)
    assert told.overload.share == 0  # nine tenths of the interval since the first
    told.waits(6)
    assert told.overload.share > 0
    assert told.refused() == pytest.approx(told.overload.share / WHOLE, abs=0.03)


def test_one_short_wait_within_the_interval_tells_of_a_burst():
    told = Told()
    for _ in range(20):
        told.waits(*[50] * 9, 4)
    assert told.overload.share == 0


def test_one_long_pause_is_none_however_long():
    told = Told()
    told.waits(5_000, each=5_000)
    told.waits(0.1, 0.1)
    assert told.overload.share == 0


def test_the_share_grows_while_the_queue_stands_and_never_is_all():
    told = Told()
    told.waits(*[6] * 11)
    shares = []
    for _ in range(40):
        told.waits(6)
        shares.append(told.overload.share)
    assert shares == sorted(shares)
    assert shares[0] < shares[-1] < WHOLE


def test_it_shrinks_to_nothing_when_the_queue_is_gone():
    told = Told()
    told.waits(*[6] * 40)
    before = told.overload.share
    told.waits(1)
    assert 0 < told.overload.share < before
    told.waits(*[1] * 60)
    assert told.overload.share == 0
    told.waits(*[6] * 10)
    assert told.overload.share == 0  # a whole interval is wanted again


def test_within_a_tenth_the_shortest_wait_counts():
    told = Told(interval=1_000)
    told.waits(*[6] * 101)
    before = told.overload.share
    assert before
    told.waits(*[90] * 9, 4)
    assert told.overload.share < before


def test_after_a_silence_nothing_is_known():
    told = Told()
    told.waits(*[6] * 40)
    assert told.refused() > 0
    told.overload.pause(99_000)
    assert told.refused() > 0
    told.overload.pause(101_000)
    assert told.refused() == 0
    assert told.overload.share == 0


def test_a_target_of_zero_switches_it_off():
    told = Told(target=0)
    told.waits(*[10_000] * 50)
    assert told.overload.share == 0


def test_configuring_anew_forgets():
    told = Told()
    told.waits(*[6] * 40)
    told.overload.configure(5, 100)
    assert told.overload.share == 0


def test_any_sequence_keeps_the_share_within_its_bounds():
    told = Told()
    chance = random.Random(3)
    for _ in range(5_000):
        told.waits(chance.choice([0.1, 4, 6, 400]), each=chance.choice([1, 10, 80]))
        assert 0 <= told.overload.share < WHOLE


# -- the reactor's probe -----------------------------------------------------------------------------------------------


def _run(body):
    async def main():
        loop = asyncio.get_running_loop()
        reactor = Reactor(loop)
        reactor.overload.configure(5, 100)
        try:
            return await body(loop, reactor)
        finally:
            reactor.close()

    return uvloop.run(main())


def test_a_loop_that_is_held_up_again_and_again_is_overloaded():
    async def body(loop, reactor):
        reactor.turn()
        ends = loop.time() + 30
        while reactor.overload.share == 0 and loop.time() < ends:
            time.sleep(0.02)  # whatever it is that takes the loop's time  # noqa: ASYNC251
            await asyncio.sleep(0)
        return reactor.overload.share

    assert _run(body) > 0


def test_a_loop_with_time_to_spare_is_not():
    async def body(loop, reactor):
        seen = []
        for _ in range(30):
            reactor.turn()
            await asyncio.sleep(0.012)
            seen.append(reactor.overload.share)
        return seen

    assert set(_run(body)) == {0}


def test_a_reactor_at_rest_stays_at_rest():
    """A probe asks for one turn, and none for the next."""

    async def body(loop, reactor):
        turns = 0
        loop.remove_reader(reactor.fileno())

        def turn():
            nonlocal turns
            turns += 1
            reactor.turn()

        loop.add_reader(reactor.fileno(), turn)
        reactor.turn()
        await asyncio.sleep(0.3)
        return turns

    assert _run(body) <= 1
