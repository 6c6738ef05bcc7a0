"""`Watch`: names the filter that holds the worker, and the line in which it does.

A filter that blocks cannot be stopped, for it has the worker's one thread; but it can be named while it does, by
another thread. What a call costs for that is two stores and two additions: `sequence` is odd while a call is under way
and another number for each call, so a thread that finds the same odd number for long enough has found a call that
blocks. That thread samples every quarter of the shortest threshold, without the GIL; a second after the last call it
goes to sleep until the next one. It takes the GIL only to name what it found: where the filter has released it (a
socket, a lock, time.sleep) it gets it at once; where it has not, it gets it when the filter's next bytecode runs, and
the frame is still the one that blocked.

So a call is told of once it has lasted for its filter's threshold, a quarter of the shortest one later at most, and
never sooner.
"""

import sys
import threading
from collections.abc import Iterable

import cython

from tage.dataplane.filters.python.instance import FilterInstance

if not cython.compiled:
    # Compiled, these names come from the .pxd.
    from tage.dataplane import native

    ON_REQUEST, ON_RESPONSE = 0, 1

_MIN_INTERVAL_US = cython.declare(cython.longlong, 500)
_QUIET_US = cython.declare(cython.longlong, 1_000_000)
_METHODS = ("on_request", "on_response")


class Watch:
    """One a worker, for the thread that makes it. `begin` and `end` stand around each call of a filter's method, each
    step of an awaited one included; calls do not nest."""

    def __init__(self) -> None:
        self.sequence = 0
        self.threshold = 0
        self.call = 0
        self.asleep = False
        self.stopping = False
        self.interval = 0
        self.owner = threading.get_ident()
        self._wakeup = threading.Event()
        self._thread = None
        self._instances = {}
        self._seen = -1
        self._seen_call = 0
        self._since = 0
        self._told = -1
        self._quiet = 0

    def observe(self, instances: Iterable[FilterInstance]) -> None:
        """Those whose calls there will be, in place of the ones before. With the first of all comes the thread."""
        self._instances = {instance.serial: instance for instance in instances}
        if self._instances:
            shortest = min(instance.blocking_us for instance in self._instances.values())
            self.interval = max(_MIN_INTERVAL_US, shortest // 4)
            if self._thread is None:
                self._start()

    @property
    def sleeping(self) -> bool:
        """For tests."""
        return self.asleep

    def close(self) -> None:
        self.stopping = True
        self._wakeup.set()
        if self._thread is not None:
            self._thread.join(1.0)

    def begin(self, instance, phase):
        self.call = instance.serial * 2 + phase
        self.threshold = instance.blocking_us
        self.sequence += 1
        if self.asleep:
            self.asleep = False
            self._wakeup.set()

    def end(self):
        self.sequence += 1

    # -- the thread ----------------------------------------------------------------------------------------------------

    def _start(self):
        self._thread = threading.Thread(target=self.run, name="filter watchdog", daemon=True)
        self._thread.start()

    def run(self) -> None:
        while not self.stopping:
            found: cython.bint = False
            with cython.nogil:
                while not found and not self.stopping and self._quiet * self.interval < _QUIET_US:
                    native.sleep_us(self.interval)
                    found = self._sample()
            if found:
                self._look()
            elif not self.stopping:
                self._sleep()

    def _sample(self):
        """Whether a call is under way for longer than it may be, and not told of yet."""
        sequence: cython.longlong = self.sequence
        if sequence != self._seen:
            self._seen = sequence
            self._seen_call = self.call
            self._since = native.now_us()
            self._quiet = 0
            return False
        if sequence & 1 == 0:
            self._quiet += 1
            return False
        return sequence != self._told and native.now_us() - self._since >= self.threshold

    def _sleep(self):
        """Until a call wakes it. The GIL is held: none can begin between the look and the wish to be woken, but the one
        that is under way in spite of it has released it."""
        self._quiet = 0
        self._wakeup.clear()
        self.asleep = True
        if self.sequence == self._seen:
            self._wakeup.wait()
        self.asleep = False

    def _look(self):
        """Tells of the call that `_sample` has found."""
        instance: FilterInstance = self._instances.get(self._seen_call >> 1)
        held: cython.longlong = (native.now_us() - self._since) // 1000
        method: object = _METHODS[self._seen_call & 1]
        self._told = self._seen
        if instance is None:
            return  # of a plan before: its last requests
        if self.sequence != self._seen:  # it did not let go of the GIL before it ended
            instance.blocked(method, f"has held the worker for {held} ms; its line is not known")
            return
        where = _place(sys._current_frames().get(self.owner), instance.file)
        instance.blocked(method, f"has held the worker for {held} ms, and still does, at {where}")


def _place(frame, file) -> str:
    """The filter's own line, and the innermost one where that is another's."""
    if frame is None:
        return "a line that is not known"
    inner = frame
    while frame is not None and frame.f_code.co_filename != file:
        frame = frame.f_back
    if frame is None or frame is inner:
        return _line(inner)
    return f"{_line(frame)}, within {_line(inner)}"


def _line(frame) -> str:
    return f"{frame.f_code.co_filename}:{frame.f_lineno} in {frame.f_code.co_name}"
