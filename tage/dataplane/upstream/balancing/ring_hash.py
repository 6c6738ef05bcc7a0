"""Ring hash (ketama): each host has many points on a circle of 64 bits, a key goes to the first that is not before it.
Points, and so choices, are Envoy's where the hosts are the same (extensions/load_balancing_policies/ring_hash).

It is built in parts that take well below a millisecond each: the points of one host after another, then a radix sort of
them, a byte a pass.
"""

import math
from array import array

import cython

from tage.dataplane.routing.hashing import xxh64
from tage.dataplane.upstream.balancing.hashing import Hashing

PASSES = 8
"""Of `sort`."""


def points(weights: list, minimum: int, maximum: int) -> list:
    """How many each host gets on a ring of about this size, from weights that add up to 1: so many that the smallest
    weight gets a whole number. Where that would be too many, running sums decide who gets one more."""
    least = min(weights)
    scale = min(math.ceil(least * minimum) / least, float(maximum))
    counts = []
    placed = target = 0.0
    for weight in weights:
        target += scale * weight
        before = placed
        while placed < target:
            placed += 1
        counts.append(int(placed - before))
    return counts


class RingHash(Hashing):
    """A ring of `size` points, none of which is there yet: `add` them, `sort` them in all `PASSES`."""

    def __init__(self, hosts: list, size: cython.Py_ssize_t) -> None:
        Hashing.__init__(self, hosts)
        self._size = 0
        self._points = array("Q", bytes(8 * size))
        self._owners = array("i", bytes(4 * size))
        self._other_points = array("Q", bytes(8 * size))
        self._other_owners = array("i", bytes(4 * size))

    def add(self, owner: cython.int, name: bytes, count: cython.Py_ssize_t) -> None:
        """So many points of the host with this index, by its name."""
        i: cython.Py_ssize_t
        for i in range(count):
            self._points[self._size] = xxh64(b"%b_%d" % (name, i))
            self._owners[self._size] = owner
            self._size += 1

    def sort(self, digit: cython.int) -> None:
        """One pass, by the byte with this number; from 0, which counts least."""
        starts = array("q", bytes(8 * 257))
        at: cython.longlong[::1] = starts
        i: cython.Py_ssize_t
        to: cython.Py_ssize_t
        byte: cython.int
        shift: cython.int = 8 * digit
        for i in range(self._size):
            at[((self._points[i] >> shift) & 255) + 1] += 1
        for byte in range(256):
            at[byte + 1] += at[byte]
        for i in range(self._size):
            byte = (self._points[i] >> shift) & 255
            to = at[byte]
            at[byte] += 1
            self._other_points[to] = self._points[i]
            self._other_owners[to] = self._owners[i]
        self._points, self._other_points = self._other_points, self._points
        self._owners, self._other_owners = self._other_owners, self._owners
        if digit == PASSES - 1:
            self._other_points = self._other_owners = None

    def place(self, key, attempt):
        low: cython.Py_ssize_t = 0
        high: cython.Py_ssize_t = self._size
        middle: cython.Py_ssize_t
        while low < high:
            middle = (low + high) // 2
            if self._points[middle] < key:
                low = middle + 1
            else:
                high = middle
        return self._owners[(low + attempt) % self._size]
