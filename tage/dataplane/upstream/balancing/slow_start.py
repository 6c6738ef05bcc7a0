"""Slow start: a host that has just come gets less than its share at first (Cluster.SlowStartConfig)."""

import cython

from tage.dataplane import native
from tage.dataplane.net.timers import TimerWheel
from tage.dataplane.upstream.host import Host


class SlowStart:
    """`window` in ms. A host's weight counts times (age / window) ** (1 / aggression) as long as it is younger than
    that, but times `minimum` at least."""

    def __init__(
        self, wheel: TimerWheel, window: cython.longlong, aggression: cython.double, minimum: cython.double
    ) -> None:
        self._wheel = wheel
        self._window = window
        self._exponent = 1 / aggression
        self._minimum = minimum
        self._until = 0

    def watch(self, host: Host) -> None:
        """One of those that there are."""
        if host.since + self._window > self._until:
            self._until = host.since + self._window

    def active(self) -> bool:
        """Whether any host that is watched is still starting."""
        return self._wheel.now() < self._until

    def factor(self, host):
        age: cython.longlong
        share: cython.double
        # The clock is asked only while somebody may be starting.
        if self._until == 0:
            return 1
        age = self._wheel.now() - host.since
        if self._wheel.latest >= self._until:
            self._until = 0
        if age >= self._window:
            return 1
        share = (age if age > 1 else 1) / cython.cast(cython.double, self._window)
        if self._exponent != 1:
            share = native.power(share, self._exponent)
        return share if share > self._minimum else self._minimum
