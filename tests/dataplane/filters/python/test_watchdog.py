"""Who holds the worker for too long is named while it does, with the line."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import Any

import pytest

import tage
from tests.dataplane.filters.python.world import World

PATIENCE = 30.0


class Sleeper(tage.Filter):
    def __init__(self, block: Any) -> None:
        self.block = block

    def on_request(self, request: tage.Request) -> None:
        self.block()


def line(text: str) -> int:
    with open(__file__) as file:
        return next(number for number, each in enumerate(file, 1) if each.rstrip().endswith(text))


def until(holds: Any, what: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline, what
        time.sleep(0.005)


@pytest.fixture
def watched(world: World) -> Any:
    yield world
    world.watch.close()


def test_a_call_that_lets_go_of_the_interpreter_is_named_while_it_lasts(watched: World):
    said = threading.Event()
    watched.reports.say = lambda text: (watched.reports.texts.append(text), said.set())
    ended = []

    def block() -> None:
        assert said.wait(PATIENCE)  # HERE
        ended.append(len(watched.reports.texts))

    filter = watched.filter(Sleeper(block))
    watched.watch.observe([filter.instance])
    watched.exchange(filter).ask()
    assert ended == [1]
    (text,) = watched.reports.texts
    assert text.startswith("python filter 'auth' (test.py:Sleeper): on_request has held the worker for ")
    assert f"and still does, at {__file__}:{line('# HERE')} in block, within " in text
    assert "threading.py:" in text
    assert watched.count("blocked") == 1


def test_a_call_that_seldom_lets_go_is_named_too(watched: World):
    """C functions that keep the interpreter for tens of milliseconds: the watchdog has it only between them."""

    class Busy(tage.Filter):
        def on_request(self, request: tage.Request) -> None:
            deadline = time.monotonic() + PATIENCE
            while not watched.reports.texts and time.monotonic() < deadline:
                sum(range(2_000_000))

    filter = watched.filter(Busy({}))
    watched.watch.observe([filter.instance])
    watched.exchange(filter).ask()
    assert watched.count("blocked") == 1
    assert f"and still does, at {__file__}:" in watched.reports.texts[0]


def test_one_call_is_told_of_once_and_quick_ones_never(watched: World):
    filter = watched.filter(Sleeper(lambda: None), blocking=50)
    slow = watched.filter(Sleeper(lambda: time.sleep(0.3)), "slow", blocking=50)
    watched.watch.observe([filter.instance, slow.instance])
    began = time.monotonic()
    while time.monotonic() - began < 0.3:
        watched.exchange(filter).ask()
    watched.exchange(slow).ask()
    assert (watched.count("blocked"), watched.count("blocked", "slow")) == (0, 1)


def test_a_step_of_an_awaited_call_counts(watched: World):
    def block() -> None:
        time.sleep(0.3)

    class Late(tage.Filter):
        async def on_request(self, request: tage.Request) -> None:
            await asyncio.sleep(0)
            block()

    async def test() -> None:
        filter = watched.filter(Late({}))
        watched.watch.observe([filter.instance])
        exchange = watched.exchange(filter)
        exchange.ask()
        await asyncio.sleep(0.1)  # waiting is not blocking
        for _ in range(5):
            await asyncio.sleep(0)
        assert exchange.went_on

    asyncio.run(test())
    (text,) = watched.reports.texts
    assert f"{__file__}:{line('        time.sleep(0.3)')} in block" in text


def test_it_sleeps_while_nobody_calls_and_wakes_up(watched: World):
    filter = watched.filter(Sleeper(lambda: None))
    slow = watched.filter(Sleeper(lambda: time.sleep(0.3)), "slow")
    watched.watch.observe([filter.instance, slow.instance])
    watched.exchange(filter).ask()
    until(lambda: watched.watch.sleeping, "the watchdog sleeps")
    watched.exchange(slow).ask()
    assert watched.count("blocked", "slow") == 1
    until(lambda: watched.watch.sleeping, "the watchdog sleeps again")
