"""Maglev: a table of prime size; each host has an order of all places, and they take the first that is free in turn,
by weight. A key's place is its remainder. The table, and so choices, are Envoy's where the hosts are the same
(extensions/load_balancing_policies/maglev).
"""

from array import array

import cython

from tage.dataplane.routing.hashing import xxh64
from tage.dataplane.upstream.balancing.hashing import Hashing


class Maglev(Hashing):
    """`names` are the hosts', in ascending order, as Envoy takes them; `weights` add up to 1. Empty: `fill` it."""

    def __init__(self, hosts: list, names: list, weights: list, size: cython.Py_ssize_t) -> None:
        Hashing.__init__(self, hosts)
        self._size = size
        self._table = array("i", [-1]) * size
        self._weights = array("d", weights)
        self._targets = array("d", bytes(8 * len(hosts)))
        self._next = array("q", [xxh64(name) % size for name in names])
        self._skips = array("q", [xxh64(name, 1) % (size - 1) + 1 for name in names])
        self._largest = max(weights)
        self._filled = 0
        self._turn = 1
        self._host = 0
        self._seeking = False

    def fill(self, steps: cython.Py_ssize_t) -> bool:
        """Goes on filling the table, by so many places that are looked at. Whether it is full."""
        n: cython.Py_ssize_t = len(self.hosts)
        i: cython.Py_ssize_t
        at: cython.longlong
        while self._filled < self._size and steps > 0:
            i = self._host
            if not self._seeking:
                if self._turn * self._weights[i] < self._targets[i]:
                    self._pass_on(n)
                    steps -= 1
                    continue
                self._targets[i] += self._largest
                self._seeking = True
            at = self._next[i]
            while self._table[at] >= 0 and steps > 0:
                at = self._after(i, at)
                steps -= 1
            if self._table[at] < 0:
                self._table[at] = i
                self._filled += 1
                at = self._after(i, at)
                self._seeking = False
                self._pass_on(n)
                steps -= 1
            self._next[i] = at
        return self._filled == self._size

    def _after(self, i, at):
        """The place that comes after this in the order of host `i`."""
        at += self._skips[i]
        return at - self._size if at >= self._size else at

    def _pass_on(self, n):
        self._host += 1
        if self._host == n:
            self._host = 0
            self._turn += 1

    def place(self, key, attempt):
        if attempt > 0:
            # Another key with most bits turned, so that not all that fail go to one other host.
            key ^= (0xFFFFFFFFFFFFFFFF - cython.cast(cython.ulonglong, attempt)) + 1
        return self._table[key % cython.cast(cython.ulonglong, self._size)]
