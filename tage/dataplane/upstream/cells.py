"""Numbers that all workers of a sidecar share: a slot of their file (`shared_layout`), used with atomic operations.

Every operation is sequentially consistent. Uncompiled they are plain Python: right for one worker, and for several as
long as no two write the same cell at once.
"""

from array import array

import cython

if not cython.compiled:
    from tage.dataplane.native import atomic_add, atomic_exchange, atomic_load, atomic_replace, atomic_store


class Cells:
    """`size` 64-bit cells of `memory` (an array or memoryview of "Q") from `first` on. Indices are not checked."""

    def __init__(self, memory, first: cython.Py_ssize_t, size: cython.Py_ssize_t) -> None:
        self.size = size
        self._point(memory, first)

    def _point(self, memory, first):
        self._memory = memory
        if cython.compiled:
            view: cython.ulonglong[::1] = memory
            self._cells = cython.address(view[first])
        else:
            self._cells = memoryview(memory)[first : first + self.size]

    def load(self, index):
        return atomic_load(self._cells, index)

    def store(self, index, value):
        atomic_store(self._cells, index, value)

    def add(self, index, n):
        """What was there before."""
        return atomic_add(self._cells, index, n)

    def exchange(self, index, value):
        """Puts `value` there; what was there before."""
        return atomic_exchange(self._cells, index, value)

    def replace(self, index, expected, value):
        """Puts `value` there if `expected` is there; whether it was."""
        return atomic_replace(self._cells, index, expected, value)

    def set_bits(self, index, bits):
        """What was there before."""
        before: cython.ulonglong = atomic_load(self._cells, index)
        while not atomic_replace(self._cells, index, before, before | bits):
            before = atomic_load(self._cells, index)
        return before

    def clear_bits(self, index, bits):
        """What was there before."""
        before: cython.ulonglong = atomic_load(self._cells, index)
        while not atomic_replace(self._cells, index, before, before & ~bits):
            before = atomic_load(self._cells, index)
        return before

    def part(self) -> None:
        """From the other workers: goes on alone, from zero."""
        self._point(array("Q", bytes(self.size * 8)), 0)


def alone(size: int):
    """`Cells` of a worker that shares none."""
    return Cells(array("Q", bytes(size * 8)), 0, size)
