"""`FilterInstance`: one object of a user's class, with the policy under which it is called and its counters
(``python_filter.<name>.requests`` and so on). Where a filter has the same class and configuration in a new plan the
instance stays, and what it has cached with it."""

import itertools
import os
import traceback

from tage.dataplane.filters.python.api import Filter
from tage.dataplane.filters.python.reports import Bound, Reporter
from tage.dataplane.telemetry.store import StatStore

_serials = itertools.count(1)
_OURS = os.path.join("tage", "dataplane", "filters", "")


class FilterInstance:
    """`serial` tells it from all others of the process, `label` is the class as the configuration has it, `file` where
    its code is. Times in ms but for `blocking_us`: a call that lasts longer is told of. `on_request` and `on_response`
    are bound methods, None where the class has none of its own."""

    def __init__(
        self,
        name: str,
        label: str,
        file: str,
        filter: Filter,
        store: StatStore,
        reporter: Reporter,
        *,
        fails_open: bool = False,
        timeout: int = 5_000,
        blocking: int = 10,
    ) -> None:
        kind = type(filter)
        self.serial = next(_serials)
        self.name = name
        self.label = label
        self.file = file
        self.filter = filter
        self.on_request = filter.on_request if kind.on_request is not Filter.on_request else None
        self.on_response = filter.on_response if kind.on_response is not Filter.on_response else None
        self.fails_open = fails_open
        self.timeout = timeout
        self.blocking_us = blocking * 1000
        self.store = store
        self._requests = store.counter("python_filter", name, "requests")
        self._errors = store.counter("python_filter", name, "errors")
        self._timeouts = store.counter("python_filter", name, "timeouts")
        self._replies = store.counter("python_filter", name, "replies")
        self._blocked = store.counter("python_filter", name, "blocked")
        self._reporter = reporter
        self._of_errors = Bound()
        self._of_blocking = Bound()

    def count_request(self):
        self.store.cells[self._requests] += 1

    def count_reply(self):
        self.store.cells[self._replies] += 1

    def failed(self, method, error):
        """A method has raised, or has answered what means nothing."""
        self.store.cells[self._errors] += 1
        if self._of_errors.passes():
            self._reporter.say(f"{self._title(method)} failed{self._of_errors.take_unsaid()}: {_described(error)}")

    def timed_out(self, method):
        self.store.cells[self._timeouts] += 1
        if self._of_errors.passes():
            self._reporter.say(
                f"{self._title(method)} took longer than {self.timeout} ms and was given up"
                f"{self._of_errors.take_unsaid()}"
            )

    def blocked(self, method, how):
        """From the watchdog's thread, which holds the GIL."""
        self.store.cells[self._blocked] += 1
        if self._of_blocking.passes():
            self._reporter.say(f"{self._title(method)} {how}{self._of_blocking.take_unsaid()}")

    def _title(self, method):
        return f"python filter '{self.name}' ({self.label}): {method}"

    def __repr__(self) -> str:
        return f"FilterInstance({self.name!r}, {self.label!r})"


def _described(error) -> str:
    """With its traceback, from the filter's own code on."""
    told = traceback.TracebackException.from_exception(error, limit=-32)
    while told.stack and _OURS in told.stack[0].filename:
        del told.stack[0]
    if not told.stack:
        return "".join(told.format_exception_only()).rstrip()
    return "".join(told.format()).rstrip()
