"""Turns by weight: earliest deadline first, as Envoy's EdfScheduler.

Virtual time goes by; who has weight w is due every 1/w of it, first half of that after the beginning, so that turns of
many lie between each other. The next is the one with the earliest deadline: the root of a heap. Nothing of the length
of a turn is kept, so weights may be any, and may change.
"""

from array import array

import cython


class Edf:
    """`weights` are positive. At `now` in virtual time; `last` has had its turn then (-1: nobody yet)."""

    def __init__(self, weights) -> None:
        self.size = len(weights)
        self.weights = array("d", weights)
        self._due = array("d", bytes(8 * self.size))
        self._heap = array("i", range(self.size))
        self.seek(0, -1)

    def seek(self, now, last):
        """To where everyone would be at this time with the weights there are, and with what `last` was."""
        i: cython.Py_ssize_t
        turns: cython.longlong
        self.now = now
        self.last = last
        for i in range(self.size):
            # The next (turns + 0.5) / weight. Of those that are due right now, who stands before the last has been.
            turns = cython.cast(cython.longlong, now * self.weights[i] + 0.5 + (1e-6 if i <= last else -1e-6))
            self._due[i] = (turns + 0.5) / self.weights[i]
        i = self.size // 2
        while i > 0:
            i -= 1
            self._sink(i)

    def first(self):
        """Whose turn it is. Not to be asked of none."""
        return self._heap[0]

    def advance(self, weight):
        """He has had it, and is due again by this weight."""
        i: cython.int = self._heap[0]
        self.last = i
        self.now = self._due[i]
        self._due[i] = self.now + 1 / weight
        self._sink(0)

    def _sink(self, at):
        heap: cython.int[::1] = self._heap
        due: cython.double[::1] = self._due
        n: cython.Py_ssize_t = self.size
        child: cython.Py_ssize_t = 2 * at + 1
        moving: cython.int = heap[at]
        while child < n:
            if child + 1 < n and _before(due, heap[child + 1], heap[child]):
                child += 1
            if not _before(due, heap[child], moving):
                break
            heap[at] = heap[child]
            at = child
            child = 2 * at + 1
        heap[at] = moving


def _before(due, a, b):
    """Of two that are due at the same time the one that stands first."""
    return due[a] < due[b] or (due[a] == due[b] and a < b)
