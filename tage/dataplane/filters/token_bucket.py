"""Token buckets whose whole state is one cell, so that the workers of a sidecar share them without a lock.

The cell holds the moment at which the bucket was, or will be, empty: what has come in since is what is in it, up to its
size. Taking a token moves that moment on by the time that a token takes to come, with one compare-and-swap; a token is
there if the moment does not come to lie ahead. (The generic cell rate algorithm, ITU-T I.371; Envoy's AtomicTokenBucket
does the same.) A cell with 0 is a full bucket.

Tokens come in evenly, `per_fill` in each `interval`, as Envoy's do since 1.32. Time is counted in 1/4096 us, and a
token's time is rounded up: never more than `maximum` + rate * time are given out, whatever number of workers asks.
"""

import cython

from tage.dataplane.upstream.cells import Cells

_UNIT = cython.declare(cython.ulonglong, 4096)  # of a microsecond
_BIAS = cython.declare(cython.ulonglong, 0x2000000000000000)  # moments before the machine's start are above 0
MAX_FILL_MS = 10 * 365 * 86_400_000
"""The longest time that a bucket may need to become full: ten years, which fit into a cell."""


class TokenBucket:
    """`maximum` tokens at most, `per_fill` more each `interval` ms; its moment is in `cells` at `at`. All at least 1,
    and it is full within `MAX_FILL_MS`: ValueError."""

    def __init__(self, cells: Cells, at: int, maximum: int, per_fill: int, interval: int) -> None:
        if maximum < 1 or per_fill < 1 or interval < 1:
            raise ValueError("a token bucket has at least one token, and gets at least one each millisecond or later")
        if maximum * interval > MAX_FILL_MS * per_fill:
            raise ValueError("a token bucket has to become full within ten years")
        self.maximum = maximum
        self.per_second = per_fill * 1000 / interval
        self._cells = cells
        self._at = at
        self._token = -(-interval * 1000 * 4096 // per_fill)
        self._size = self._token * maximum

    def placed(self, cells, at):
        """One of the same size and rate whose moment is elsewhere."""
        result: TokenBucket = TokenBucket.__new__(TokenBucket)
        result.maximum = self.maximum
        result.per_second = self.per_second
        result._cells = cells
        result._at = at
        result._token = self._token
        result._size = self._size
        return result

    def take(self, now):
        """One token, at `now` (us); whether there was one."""
        moment: cython.ulonglong
        empty: cython.ulonglong
        here: cython.ulonglong = now * _UNIT + _BIAS
        while True:
            moment = self._cells.load(self._at)
            empty = moment if moment > here - self._size else here - self._size
            if empty + self._token > here:
                return False
            if self._cells.replace(self._at, moment, empty + self._token):
                return True

    def remaining(self, now):
        """Whole tokens that are there."""
        return self._filled(now) // self._token

    def next_in(self, now):
        """Milliseconds until there is a token, rounded up; 0 if there is one."""
        moment: cython.ulonglong = self._cells.load(self._at)
        here: cython.ulonglong = now * _UNIT + _BIAS
        if self._filled(now) >= self._token:
            return 0
        return (moment + self._token - here + _UNIT * 1000 - 1) // (_UNIT * 1000)

    def _filled(self, now):
        moment: cython.ulonglong = self._cells.load(self._at)
        here: cython.ulonglong = now * _UNIT + _BIAS
        if moment >= here:
            return 0
        return here - moment if here - moment < self._size else self._size
