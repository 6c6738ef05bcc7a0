"""What a Python filter costs a request, without the rest of the proxy: ``python -m bench.filter [--rounds N]``.

A chain of filters is asked about the same request again and again, by compiled code; what an empty chain costs is taken
off. The rows: a filter in Python that does nothing, one that reads a header and adds one (1.5 us is
the bound), the same with `on_response`, and one whose `on_request` is awaited but waits for nothing, through asyncio.
The whole proxy beside Envoy's Lua filter is a row of ``python -m bench``.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import tage
from bench.machine import describe
from tage.dataplane.filters.offline import OfflineExchange
from tage.dataplane.filters.python.filter import PythonFilter
from tage.dataplane.filters.python.instance import FilterInstance
from tage.dataplane.filters.python.reports import Reporter
from tage.dataplane.filters.python.watchdog import Watch
from tage.dataplane.net.timers import TimerWheel
from tage.dataplane.telemetry.store import StatStore

HEADERS = [
    (b"host", b"reviews.default.svc.cluster.local:9080"),
    (b"user-agent", b"Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"),
    (b"accept", b"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"),
    (b"accept-language", b"en-US,en;q=0.5"),
    (b"accept-encoding", b"gzip, deflate"),
    (b"cookie", b"session=0123456789abcdef0123456789abcdef"),
    (b"x-api-key", b"k1"),
    (b"x-request-id", b"8f1f4a0e-7c55-4d7f-9d0f-3f3c5b7c2a10"),
    (b"x-forwarded-proto", b"http"),
]
REQUESTS = 100_000
AWAITED = 5_000


class Nothing(tage.Filter):
    def on_request(self, request: tage.Request) -> None:
        pass


class ReadAndAdd(tage.Filter):
    def on_request(self, request: tage.Request) -> None:
        if request.headers.get("x-api-key") == "k1":
            request.headers["x-user"] = "ann"


class Both(ReadAndAdd):
    def on_response(self, response: tage.Response, request: tage.Request) -> None:
        response.headers["x-served-by"] = "tage"


class Awaited(tage.Filter):
    async def on_request(self, request: tage.Request) -> None:
        request.headers["x-user"] = "ann"


class Chain:
    """An exchange with one filter, or none."""

    def __init__(self, directory: Path, filter: tage.Filter | None, wheel: TimerWheel | None = None) -> None:
        self.watch = Watch()
        self.filters: list[PythonFilter] = []
        self.wheel = wheel
        self.turns = 0 if filter is None else 3  # of the loop: for the task, and for hearing of its end
        if filter is not None:
            store = StatStore(directory / "stats.bin")
            instance = FilterInstance("bench", "bench", __file__, filter, store, Reporter(), blocking=10_000)
            self.watch.observe([instance])
            self.filters.append(PythonFilter(instance, self.watch))

    def exchange(self) -> OfflineExchange:
        return OfflineExchange(headers=HEADERS, filters=self.filters, wheel=self.wheel)

    def requests(self, count: int, answers: bool) -> float:
        """Nanoseconds for one."""
        exchange = self.exchange()
        exchange.repeat(1000, answers)
        began = time.thread_time_ns()
        exchange.repeat(count, answers)
        return (time.thread_time_ns() - began) / count

    async def awaited(self, count: int) -> float:
        began = time.thread_time_ns()
        for _ in range(count):
            exchange = self.exchange()
            exchange.ask()
            for _ in range(self.turns):
                await asyncio.sleep(0)
            assert exchange.went_on
            exchange.end()
        return (time.thread_time_ns() - began) / count

    def close(self) -> None:
        self.watch.close()


def measure(filter: Callable[[], tage.Filter] | None, rounds: int, answers: bool = False) -> list[float]:
    with tempfile.TemporaryDirectory() as directory:
        chain = Chain(Path(directory), filter() if filter is not None else None)
        try:
            return [chain.requests(REQUESTS, answers) for _ in range(rounds)]
        finally:
            chain.close()


async def measure_awaited(rounds: int) -> list[float]:
    wheel = TimerWheel(asyncio.get_running_loop().call_later)
    with tempfile.TemporaryDirectory() as directory:
        bare, chain = Chain(Path(directory), None, wheel), Chain(Path(directory), Awaited({}), wheel)
        try:
            return [await chain.awaited(AWAITED) - await bare.awaited(AWAITED) for _ in range(rounds)]
        finally:
            chain.close()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.filter", description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    print(describe())
    rows: list[tuple[str, Callable[[], tage.Filter], bool]] = [
        ("does nothing", lambda: Nothing({}), False),
        ("reads one header, adds one", lambda: ReadAndAdd({}), False),
        ("the same, and adds one to the answer", lambda: Both({}), True),
    ]
    for title, filter, answers in rows:
        empty = statistics.median(measure(None, rounds, answers))
        times = [each - empty for each in measure(filter, rounds, answers)]
        print(f"{title:40}{statistics.median(times) / 1000:8.3f} us  (least {min(times) / 1000:.3f})")
    times = asyncio.run(measure_awaited(rounds))
    print(f"{'async, adds one':40}{statistics.median(times) / 1000:8.3f} us  (least {min(times) / 1000:.3f})")


if __name__ == "__main__":
    main()
