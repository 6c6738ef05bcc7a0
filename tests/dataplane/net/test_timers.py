"""The timer wheel against a fake clock: never early, at most one slot late, whatever the order of arming."""

import random

import pytest

from tage.dataplane.net.timers import Timer, TimerWheel
from tage.xprotocol_testing.fakes import FakeLoop

SLOT_MS = 16


class Recorder(Timer):
    def __init__(self, loop, log, then=None):
        super().__init__()
        self.loop, self.log, self.then = loop, log, then

    def expire(self):
        self.log.append((self, self.loop.ms))
        if self.then:
            self.then(self)


@pytest.fixture
def loop():
    return FakeLoop()


@pytest.fixture
def wheel(loop):
    return TimerWheel(loop.call_later, loop.clock)


@pytest.mark.parametrize("delay", [0, 1, 15, 16, 17, 100, 1023, 1024, 5_000, 65_535, 70_000, 4_000_000, 300_000_000])
def test_a_timer_fires_once_and_in_time(loop, wheel, delay):
    log = []
    wheel.arm(Recorder(loop, log), delay)
    loop.run(delay - 1 if delay else 0)
    assert log == []
    loop.run(2 * SLOT_MS + 1)
    assert len(log) == 1
    assert wheel.count == 0
    loop.run(10_000)
    assert len(log) == 1


def test_many_timers_fire_in_time_in_any_order(loop, wheel):
    choose = random.Random(7)
    log, due = [], {}
    for _ in range(3000):
        timer = Recorder(loop, log)
        delay = int(choose.choice([50, 1_000, 30_000, 200_000]) * choose.random())
        due[timer] = loop.ms + delay
        wheel.arm(timer, delay)
        loop.run(choose.randrange(20))
    loop.run(250_000)
    assert wheel.count == 0
    assert len(log) == 3000
    assert all(due[timer] <= at <= due[timer] + 2 * SLOT_MS for timer, at in log)


def test_disarmed_and_rearmed(loop, wheel):
    log = []
    first, second = Recorder(loop, log), Recorder(loop, log)
    wheel.arm(first, 100)
    wheel.arm(second, 100)
    wheel.disarm(first)
    wheel.disarm(first)
    wheel.arm(second, 5_000)
    loop.run(4_900)
    assert log == []
    loop.run(200)
    assert [timer for timer, _ in log] == [second]


def test_timers_may_arm_and_disarm_others_when_they_fire(loop, wheel):
    log = []
    victim = Recorder(loop, log)

    def fire(timer):
        wheel.disarm(victim)
        if len(log) < 5:
            wheel.arm(timer, 10)

    wheel.arm(Recorder(loop, log, fire), 10)
    wheel.arm(victim, 10)
    loop.run(1_000)
    assert [timer is victim for timer, _ in log].count(True) <= 1
    assert len(log) >= 5
    assert wheel.count == 0


def test_no_timer_no_wakeup(loop, wheel):
    timer = Recorder(loop, [])
    wheel.arm(timer, 1_000_000)
    assert loop.run(900_000) < 40
    wheel.disarm(timer)
    loop.run(2_000_000)
    assert loop.run(10_000_000) == 0


def test_a_long_sleep_is_caught_up_at_once(loop, wheel):
    log = []
    for delay in (10, 100_000, 500_000_000):
        wheel.arm(Recorder(loop, log), delay)
    loop.ms += 400_000_000
    loop.run(100)
    assert len(log) == 2
    assert wheel.count == 1
