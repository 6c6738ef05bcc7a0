"""The system's clock may jump: nothing that waits looks at it."""

from __future__ import annotations

import ast
import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import uvloop

from tage.dataplane import native
from tage.dataplane.net.timers import Timer, TimerWheel

ROOT = Path(__file__).parents[2] / "tage"
SHOWN = {
    "dataplane/streams/downstream.py": "the start time in access logs",
    "sidecar/dns.py": "when a name was resolved, as the admin API shows it",
}
"""Who asks what time it is, and what for: to tell somebody, never to wait."""
_WALL = {("time", name) for name in ("time", "time_ns")}
_WALL |= {("datetime", name) for name in ("now", "utcnow", "today")}


def wall_clocks(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            if (node.value.id, node.attr) in _WALL:
                yield f"{node.value.id}.{node.attr}"
        elif isinstance(node, ast.ImportFrom) and node.module == "time":
            yield from (name.name for name in node.names if ("time", name.name) in _WALL)
        elif isinstance(node, ast.Name) and node.id == "CLOCK_REALTIME":
            yield node.id


def test_only_what_is_shown_to_somebody_is_wall_clock_time() -> None:
    found = {}
    for part in ("dataplane", "sidecar"):
        for path in sorted((ROOT / part).rglob("*.py")):
            if clocks := list(wall_clocks(path)):
                found[str(path.relative_to(ROOT))] = clocks
    assert found.keys() == SHOWN.keys(), found


def test_the_workers_clock_is_the_monotonic_one() -> None:
    before = time.monotonic_ns() // 1000
    now = native.monotonic_us()
    assert before <= now <= time.monotonic_ns() // 1000


class Alarm(Timer):
    def __init__(self) -> None:
        Timer.__init__(self)
        self.fired = asyncio.Event()

    def expire(self) -> None:
        self.fired.set()


@pytest.mark.parametrize("jump", [86_400, -86_400])
def test_timers_fire_in_time_while_the_system_clock_jumps(monkeypatch: pytest.MonkeyPatch, jump: int) -> None:
    """By a day, while they are armed; `time` is as all Python code sees it."""
    real, real_ns = time.time, time.time_ns

    async def wait() -> float:
        wheel = TimerWheel(asyncio.get_running_loop().call_later)
        soon, late = Alarm(), Alarm()
        wheel.arm(soon, 100)
        wheel.arm(late, 60_000)
        began = time.monotonic()
        monkeypatch.setattr(time, "time", lambda: real() + jump)
        monkeypatch.setattr(time, "time_ns", lambda: real_ns() + jump * 10**9)
        async with asyncio.timeout(20):
            await soon.fired.wait()
        took = time.monotonic() - began
        assert not late.fired.is_set()
        wheel.disarm(late)
        return took

    assert uvloop.run(wait()) >= 0.1
