"""Load shedding by queueing delay: how long what is readable waits for the worker, and what is refused for it.

The reactor sends a *probe* through its own queue now and then: a descriptor becomes readable behind all that is
readable by then, and the time until its turn comes is what anything else waits (epoll's ready list is first in, first
out), unless the batch that was served when it came took longer. As in CoDel (RFC 8289) a long wait alone means nothing,
for a burst or a pause makes one: overload is a queue that *stands*, of which the shortest wait within `interval` tells.

    no wait below `target` for `interval`             -> a first small share of new requests is refused
    then each tenth of `interval`, by its shortest wait
        above `target`                                -> the share grows by a step, by up to four if it is far above
        below                                         -> it shrinks by half a step, down to none

What is admitted is served as ever. After a silence of `interval` nothing is known, and nothing is refused.
"""

import cython

WHOLE = cython.declare(cython.Py_ssize_t, 64)
"""All requests; `share` counts in such parts."""
STEP = cython.declare(cython.Py_ssize_t, 4)
MOST = cython.declare(cython.Py_ssize_t, 62)  # who refuses everything learns nothing of those who would be served

TARGET_MS = 250
INTERVAL_MS = 1_000

_NEVER = cython.declare(cython.longlong, 1 << 62)


class Overload:
    """One a worker. `share` is what is refused just now, in parts of `WHOLE`. Times in us."""

    def __init__(self) -> None:
        self.share = 0
        self.configure(TARGET_MS, INTERVAL_MS)

    def configure(self, target_ms: int, interval_ms: int) -> None:
        """A target of 0: nothing is refused."""
        self._target = target_ms * 1000
        self._interval = interval_ms * 1000
        self._reset()

    def _reset(self):
        self.share = 0
        self._above_since = 0
        self._judged = 0
        self._least = _NEVER

    def silent(self, us):
        """Nothing has come for so long: nothing is known."""
        if us > self._interval:
            self._reset()

    def measured(self, now, waited):
        """A probe came, at `now`."""
        if self._target == 0:
            return
        if self.share:
            self._judge(now, waited)
        elif waited <= self._target:
            self._above_since = 0
        elif self._above_since == 0:
            self._above_since = now
        elif now - self._above_since >= self._interval:
            self.share = self._step(waited)
            self._judged = now
            self._least = _NEVER

    def _judge(self, now, waited):
        if waited < self._least:
            self._least = waited
        if now - self._judged < self._interval // 10:
            return
        if self._least > self._target:
            self.share = min(self.share + self._step(self._least), MOST)
        else:
            self.share -= STEP // 2
            self._above_since = 0
        self._judged = now
        self._least = _NEVER

    def _step(self, waited):
        return STEP * min(waited // self._target, 4)

    def refuses(self, random):
        """Whether a new request is one of the share. Asked only where there is one."""
        return random.below(WHOLE) < self.share

    def measure(self, now: int, waited: int) -> None:
        """`measured` for Python callers."""
        self.measured(now, waited)

    def decide(self, random) -> bool:
        """`refuses` for Python callers."""
        return self.refuses(random)

    def pause(self, us: int) -> None:
        """`silent` for Python callers."""
        self.silent(us)
