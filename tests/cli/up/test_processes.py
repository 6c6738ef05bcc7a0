from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tage.cli.up.processes import Command, Keeper, Process, describe_exit

pytestmark = pytest.mark.processes

LIMIT = 10.0


def python(code: str) -> Command:
    return Command([sys.executable, "-c", code])


def ignore(line: str) -> None:
    pass


def exists(pid: int) -> bool:
    """Alive, not a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(LIMIT):
        while not condition():  # noqa: ASYNC110 (it is other processes that we wait for)
            await asyncio.sleep(0.01)


def test_output_is_complete_and_the_code_is_told() -> None:
    async def scenario() -> None:
        lines: list[str] = []
        code = "import sys; [print(i, 'x' * 100) for i in range(3000)]; print('end', file=sys.stderr); sys.exit(3)"
        process = Process(python(code), lines.append)
        async with asyncio.timeout(LIMIT):
            assert await process.wait() == 3
        assert len(lines) == 3001
        assert "end" in lines

    asyncio.run(scenario())


def test_what_a_child_left_in_its_group_is_killed() -> None:
    async def scenario() -> None:
        lines: list[str] = []
        code = (
            "import subprocess, sys; "
            "p = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']); print(p.pid)"
        )
        process = Process(python(code), lines.append)
        async with asyncio.timeout(LIMIT):
            assert await process.wait() == 0
        await until(lambda: not exists(int(lines[0])))

    asyncio.run(scenario())


def test_a_keeper_restarts_with_growing_delays() -> None:
    async def scenario() -> None:
        events: list[str] = []
        states: list[bool] = []

        def changed() -> None:
            states.append(keeper.running)

        keeper = Keeper("x", python("raise SystemExit(1)"), ignore, events.append, changed)
        keeper.start()
        await until(lambda: len(events) >= 3)
        await keeper.stop(LIMIT)
        assert [event.rpartition(" in ")[2] for event in events[:3]] == ["0.1 s", "0.2 s", "0.4 s"]
        assert events[0].startswith("exited with code 1; starts again")
        assert states[:4] == [True, False, True, False]
        assert not keeper.running

    asyncio.run(scenario())


def test_a_program_that_is_gone_is_tried_again() -> None:
    async def scenario() -> None:
        events: list[str] = []
        keeper = Keeper("x", Command(["/no/such/program"]), ignore, events.append)
        keeper.start()
        await until(lambda: events)
        await keeper.stop(LIMIT)
        assert events[0].startswith("cannot start /no/such/program: No such file")

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("code", "grace", "expected", "told"),
    [
        ("import time; print(1, flush=True); time.sleep(60)", LIMIT, -15, []),
        (
            "import signal, time; signal.signal(15, signal.SIG_IGN); print(1, flush=True); time.sleep(60)",
            0.2,
            -9,
            ["still runs 0.2 s after SIGTERM; killed"],
        ),
    ],
)
def test_stop_terminates_and_after_the_grace_kills(code: str, grace: float, expected: int, told: list[str]) -> None:
    async def scenario() -> None:
        lines: list[str] = []
        events: list[str] = []
        keeper = Keeper("x", python(code), lines.append, events.append)
        keeper.start()
        await until(lambda: lines)
        pid = keeper.pid
        began = time.monotonic()
        await keeper.stop(grace)
        assert time.monotonic() - began < 5
        assert keeper.last_code == expected
        assert not exists(pid)
        assert events == told

    asyncio.run(scenario())


def test_children_die_with_us_even_by_sigkill(tmp_path: Path) -> None:
    """The runner is a process of its own here: it starts a child, says its pid, and is killed."""
    code = (
        "import asyncio, sys\n"
        "from tage.cli.up.processes import Command, Process\n"
        "async def main():\n"
        "    p = Process(Command([sys.executable, '-c', 'import time; time.sleep(60)']), print)\n"
        "    print(p.pid, flush=True)\n"
        "    await p.wait()\n"
        "asyncio.run(main())\n"
    )

    async def scenario() -> None:
        lines: list[str] = []
        runner = Process(python(code), lines.append)
        await until(lambda: lines)
        child = int(lines[0])
        assert exists(child)
        assert os.getpgid(child) != os.getpgid(runner.pid)
        runner.kill()
        async with asyncio.timeout(LIMIT):
            assert await runner.wait() == -9
        with contextlib.suppress(TimeoutError):
            await until(lambda: not exists(child))
        assert not exists(child)

    asyncio.run(scenario())


def test_describe_exit() -> None:
    assert describe_exit(0) == "exited with code 0"
    assert describe_exit(-11) == "killed by SIGSEGV"
    assert describe_exit(-64) == "killed by SIGRTMAX"
    assert describe_exit(-50) == "killed by signal 50"
