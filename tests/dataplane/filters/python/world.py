"""A filter under test, with all that a worker gives it but the connections."""

from __future__ import annotations

from typing import Any

from tage import Filter
from tage.dataplane.filters.offline import OfflineExchange
from tage.dataplane.filters.python.filter import PythonFilter
from tage.dataplane.filters.python.instance import FilterInstance
from tage.dataplane.filters.python.watchdog import Watch
from tage.dataplane.net.timers import TimerWheel
from tage.dataplane.telemetry import reader
from tage.dataplane.telemetry.store import StatStore
from tage.xprotocol_testing.fakes import FakeLoop


class Reports:
    """What is said, in place of stderr."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def say(self, text: str) -> None:
        self.texts.append(text)


class World:
    def __init__(self, directory: Any) -> None:
        self.store = StatStore(directory / "stats.bin")
        self.reports = Reports()
        self.watch = Watch()
        self.loop = FakeLoop()
        self.wheel = TimerWheel(self.loop.call_later, self.loop.clock)

    def instance(self, filter: Filter, name: str = "auth", **policy: Any) -> FilterInstance:
        kind = type(filter)
        code = kind.on_request if kind.on_request is not Filter.on_request else kind.on_response
        file = code.__code__.co_filename
        return FilterInstance(name, f"test.py:{kind.__name__}", file, filter, self.store, self.reports, **policy)

    def filter(self, filter: Filter, name: str = "auth", **policy: Any) -> PythonFilter:
        return PythonFilter(self.instance(filter, name, **policy), self.watch)

    def exchange(
        self, *filters: PythonFilter, headers: dict[str, str] | None = None, **request: Any
    ) -> OfflineExchange:
        pairs = [(name.encode(), value.encode("latin-1")) for name, value in (headers or {}).items()]
        return OfflineExchange(headers=pairs, filters=filters, wheel=self.wheel, **request)

    def count(self, what: str, name: str = "auth") -> int:
        return reader.read([self.store.path]).counters[("python_filter", name, what)]
