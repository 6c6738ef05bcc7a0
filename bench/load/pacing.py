"""The loop of all open-loop generators: requests fall due at times of a Poisson process with a fixed seed, whatever the
answers do, and a latency counts from when a request was due, so waiting for a free connection or stream counts.

It waits with select() on the epoll descriptor, because that has microseconds where epoll_wait() has milliseconds; one
timer tick of a millisecond would send requests in bursts. Times are seconds of CLOCK_MONOTONIC, the same clock for all
processes.
"""

from __future__ import annotations

import gc
import random
import select
import time
from collections import deque
from typing import Generic, TypeVar

TIMEOUT = 5.0
"""Seconds that an answer may take from its request's due time; later is a failure."""
WARM_UP_SECONDS = 0.5
"""Requests due before this are sent and checked, but not in the latencies."""

Free = TypeVar("Free")
"""What a request is sent on."""


class Pacing(Generic[Free]):
    """Subclasses have connections, whose descriptors they give to the `_poller`."""

    timeout = TIMEOUT
    check_every = 0.25
    """Seconds between two looks for answers that take too long."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._poller = select.epoll()
        self._waiting: deque[float] = deque()
        """Due times of requests for which nothing is free."""
        self._lateness: list[float] = []
        """How late each request was sent for which something was free: the generator's own part of a latency."""
        self._count_from = 0.0
        """Latencies of what was due before that do not count."""

    def _free(self) -> Free | None:
        """What the next request can be sent on at once."""
        raise NotImplementedError

    def _send(self, free: Free, due: float) -> None:
        raise NotImplementedError

    def _take_events(self, timeout: float) -> None:
        """Takes what has come, waiting for it so many seconds at the most."""
        raise NotImplementedError

    def _look_for_late(self, now: float) -> None:
        raise NotImplementedError

    def _drain(self, deadline: float) -> None:
        """Until the last answer; what is not there at the deadline has failed."""
        raise NotImplementedError

    def _pace(self, rate: float, seconds: float) -> float:
        """The warm-up, then so many seconds, then the last answers. The share of a core that it took to send."""
        gc.disable()
        cpu, began = time.process_time(), time.monotonic()
        self._count_from = began + WARM_UP_SECONDS
        end = self._count_from + seconds
        self._send_at_rate(rate, began, end)
        busy = (time.process_time() - cpu) / (time.monotonic() - began)
        self._drain(end + self.timeout)
        return busy

    def _is_late(self, due: float, now: float) -> bool:
        return now - due > self.timeout

    @property
    def _no_answer(self) -> str:
        return f"no answer within {self.timeout:g} s"

    def _send_at_rate(self, rate: float, begin: float, end: float) -> None:
        gaps = random.Random(self._seed)
        clock = time.monotonic
        descriptor = [self._poller.fileno()]
        due = begin + gaps.expovariate(rate)
        check = clock() + self.check_every
        while due < end:
            now = clock()
            while due <= now and due < end:
                free = self._free()
                if free is None:
                    self._waiting.append(due)
                else:
                    self._lateness.append(now - due)
                    self._send(free, due)
                    now = clock()
                due += gaps.expovariate(rate)
            if now >= check:
                self._look_for_late(now)
                check = now + self.check_every
            left = min(due, end, check) - clock()
            if left <= 0 or select.select(descriptor, (), (), left)[0]:
                self._receive(0.0)

    def _receive(self, timeout: float) -> None:
        """As `_take_events`, and sends what has waited for what is free now."""
        self._take_events(timeout)
        while self._waiting and (free := self._free()) is not None:
            self._send(free, self._waiting.popleft())
