"""Access logs of plans: opened before a plan is in force, kept while they are used, closed when they are not."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tage.dataplane.net.timers import TimerWheel
from tage.dataplane.streams.context import Context
from tage.dataplane.telemetry import reader
from tage.dataplane.telemetry.access_log.record import Record
from tage.dataplane.telemetry.store import StatStore
from tage.sidecar import plan
from tage.sidecar.worker import logs
from tage.sidecar.worker.tables import PlanRefused, Tables

ROUTES = plan.Routes("r", [plan.VirtualHost("v", ["*"], [])])


def listener(*access_logs: plan.AccessLog, name: str = "l") -> plan.Listener:
    return plan.Listener(
        name, "127.0.0.1", 80, chains=[plan.FilterChain(http=plan.Http("r", access_logs=list(access_logs)))]
    )


class Worker:
    def __init__(self, directory: Path) -> None:
        loop = asyncio.get_running_loop()
        self.stats = directory / "stats"
        self.tables = Tables(Context(TimerWheel(loop.call_later)), StatStore(self.stats), loop, None)

    async def prepare(self, *listeners: plan.Listener) -> Any:
        sections: list[tuple[str, plan.Section]] = [("routes", ROUTES), *(("listener", each) for each in listeners)]
        upserts = [(kind, section.name, plan.encode(section)) for kind, section in sections]
        return await self.tables.prepare(plan.Prepare(self.tables.version + 1, True, upserts))

    async def apply(self, *listeners: plan.Listener) -> None:
        await self.tables.commit(await self.prepare(*listeners))

    def logs(self, name: str = "l") -> Any:
        return self._state(name).access_logs

    def _state(self, name: str) -> Any:
        """Of the listener's one chain."""
        (state,) = self.tables.listeners[name].states.values()
        return state

    def log(self, name: str = "l") -> None:
        """One request."""
        self._state(name).write_logs(Record())


def run(directory: Path, test: Callable[[Worker], Any]) -> None:
    async def main() -> None:
        worker = Worker(directory)
        try:
            await test(worker)
        finally:
            worker.tables.logs.close()

    asyncio.run(main())


def test_none(tmp_path):
    async def test(worker: Worker) -> None:
        await worker.apply(listener())
        assert worker.logs() is None

    run(tmp_path, test)


def test_each_log_gets_each_request(tmp_path):
    async def test(worker: Worker) -> None:
        text = plan.AccessLog(str(tmp_path / "text"), "%RESPONSE_CODE%\n")
        json = plan.AccessLog(str(tmp_path / "json"), json={"c": "%RESPONSE_CODE%", "x": "%PROTOCOL%"}, omit_empty=True)
        await worker.apply(listener(text, json, plan.AccessLog(str(tmp_path / "default"))))
        worker.log()

    run(tmp_path, test)
    assert (tmp_path / "text").read_text() == "0\n"
    assert (tmp_path / "json").read_text() == '{"c":0}\n'
    assert (tmp_path / "default").read_text().startswith("[1970-01-01T00:00:00.000Z] ")


def test_a_file_stays_while_it_is_used(tmp_path):
    async def test(worker: Worker) -> None:
        path = str(tmp_path / "log")
        await worker.apply(listener(plan.AccessLog(path)), listener(plan.AccessLog(path, "a\n"), name="m"))
        [first], [second] = worker.logs(), worker.logs("m")
        assert first.file is second.file
        await worker.apply(listener(plan.AccessLog(path)), listener(name="m"))
        assert worker.logs() == [first]
        assert worker.logs("m") is None
        await worker.apply(listener(plan.AccessLog(path, "b\n")))
        assert worker.logs()[0].file is first.file
        worker.log()
        await worker.apply(listener())
        assert first.file.wait(5), "a file that nobody uses is closed"

    run(tmp_path, test)
    assert (tmp_path / "log").read_text() == "b\n"


@pytest.mark.parametrize(
    ("log", "error"),
    [
        (plan.AccessLog("/none/log"), "access log '/none/log' cannot be opened: No such file or directory"),
        (plan.AccessLog("/dev/null", "%NO%"), "access log '/dev/null': at position 0: %NO%: unknown operator"),
    ],
)
def test_a_log_that_cannot_be_refuses_the_plan(tmp_path, log, error):
    async def test(worker: Worker) -> None:
        await worker.apply(listener())
        with pytest.raises(PlanRefused) as refused:
            await worker.prepare(listener(plan.AccessLog(str(tmp_path / "other")), log))
        assert str(refused.value).startswith(f"listener 'l': {error}")
        worker.tables.abort()
        assert worker.logs() is None

    run(tmp_path, test)


def test_a_log_that_does_not_open_in_time_refuses_the_plan(tmp_path, monkeypatch):
    monkeypatch.setattr(logs, "OPEN_SECONDS", 0.0)

    async def test(worker: Worker) -> None:
        with pytest.raises(PlanRefused, match="does not open within"):
            await worker.prepare(listener(plan.AccessLog(str(tmp_path / "log"))))

    run(tmp_path, test)


def test_what_is_lost_is_counted_for_the_whole_worker(tmp_path):
    async def test(worker: Worker) -> None:
        await worker.apply(listener(plan.AccessLog("/dev/full", "a\n"), plan.AccessLog("/dev/null", "x" * 5_000_000)))
        worker.log()
        [full, null] = worker.logs()
        full.file.flush()
        deadline = time.monotonic() + 5
        while not full.file.failures and time.monotonic() < deadline:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        assert null.file.dropped == 1

    run(tmp_path, test)
    counters = reader.read([tmp_path / "stats"]).counters
    assert counters[("server", "", "access_log_dropped")] == 1
    assert counters[("server", "", "access_log_write_failed")] >= 1


def test_reopening(tmp_path):
    async def test(worker: Worker) -> None:
        await worker.apply(listener(plan.AccessLog(str(tmp_path / "log"), "a\n")))
        (tmp_path / "log").rename(tmp_path / "old")
        worker.tables.logs.reopen()
        worker.log()

    run(tmp_path, test)
    assert (tmp_path / "log").read_text() == "a\n"
