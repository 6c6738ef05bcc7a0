"""A host drawn by weight, each time anew."""

from array import array
from itertools import accumulate

import cython

from tage.dataplane.upstream.balancing.balancer import Balancer


class RandomHost(Balancer):
    """Of hosts with the same weight."""

    def __init__(self, hosts: list) -> None:
        Balancer.__init__(self, hosts)
        self.foresees = True

    def pick(self, random, key, attempt):
        n: cython.Py_ssize_t = len(self.hosts)
        return self.hosts[random.below(n)] if n else None


class WeightedRandomHost(Balancer):
    """At least one host; weights are positive integers."""

    def __init__(self, hosts: list, weights) -> None:
        Balancer.__init__(self, hosts)
        self.foresees = True
        self._bounds = array("q", accumulate(weights))

    def pick(self, random, key, attempt):
        low: cython.Py_ssize_t = 0
        high: cython.Py_ssize_t = len(self.hosts) - 1
        middle: cython.Py_ssize_t
        # Not Random.below: sums of weights may be larger than what that draws from.
        drawn: cython.ulonglong = random.next() % cython.cast(cython.ulonglong, self._bounds[high])
        while low < high:
            middle = (low + high) // 2
            if drawn < cython.cast(cython.ulonglong, self._bounds[middle]):
                high = middle
            else:
                low = middle + 1
        return self.hosts[low]
