"""Consistent hashing with bounded loads: no host gets more than its share of what is under way, times a factor; what
would be too much goes to another host, in an order that the key decides (Mirrokni, Thorup, Zadimoghaddam, 2016, with
the random jumps of Chen, Coleman, Shrivastava, 2019). Source: ConsistentHashingLbConfig.hash_balance_factor.

Loads are this worker's. The order is not Envoy's, which draws it from a generator that is costly to seed.
"""

from array import array

import cython

from tage.dataplane.upstream.balancing.hashing import Hashing
from tage.dataplane.upstream.host import Host

if not cython.compiled:
    from tage.dataplane.upstream.limits import REQUESTS

_MASK = cython.declare(cython.ulonglong, 0xFFFFFFFFFFFFFFFF)
_STEP = cython.declare(cython.ulonglong, 0x9E3779B97F4A7C15)
_MIX = cython.declare(cython.ulonglong, 0xBF58476D1CE4E5B9)


class Bounded(Hashing):
    """`inner` says where a key belongs; `weights` are its hosts', and add up to 1. `factor` in percent."""

    def __init__(self, inner: Hashing, weights: list, factor: cython.Py_ssize_t) -> None:
        Hashing.__init__(self, inner.hosts)
        self._inner = inner
        self._weights = array("d", weights)
        self._factor = factor
        self._order = array("i", range(len(weights)))

    def place(self, key, attempt):
        at: cython.Py_ssize_t = self._inner.place(key, attempt)
        load: cython.double = self._load(at)
        n: cython.Py_ssize_t = len(self.hosts)
        best: cython.Py_ssize_t = at
        least: cython.double = load
        state: cython.ulonglong = key
        i: cython.Py_ssize_t
        j: cython.Py_ssize_t
        other: cython.int
        if load <= 1:
            return at
        for i in range(n):
            self._order[i] = i
        for i in range(n):
            # One step of a shuffle.
            state = (state + _STEP) & _MASK
            j = i + (((((state ^ (state >> 30)) * _MIX) & _MASK) >> 32) * (n - i) >> 32)
            other = self._order[j]
            self._order[j] = self._order[i]
            if other == at:
                continue
            load = self._load(other)
            if load <= 1:
                return other
            if load < least:
                best = other
                least = load
        return best

    def _load(self, at):
        """Of the requests that this host may have, how many it has; more than 1: too many."""
        host: Host = self.hosts[at]
        active: cython.Py_ssize_t = host.cluster.counts.own(REQUESTS)
        total: cython.Py_ssize_t
        share: cython.double
        slots: cython.Py_ssize_t
        # The request that is to be placed is counted in already, but for one that comes by a TCP proxy.
        total = ((active if active > 1 else 1) * self._factor + 99) // 100
        share = total * self._weights[at]
        slots = cython.cast(cython.Py_ssize_t, share)
        if slots < share:
            slots += 1
        return host.active / cython.cast(cython.double, slots if slots > 1 else 1)
