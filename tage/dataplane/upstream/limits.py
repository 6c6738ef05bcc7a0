"""What circuit breakers limit, counted by all workers of a sidecar together (`shared_layout` says where).

Each worker counts in cells of its own, and a check adds up those of all. Between a check and the count that follows
others may check too: a limit can be exceeded by as many as there are other workers, at most, as in Envoy.

Clusters get their cells when a plan is prepared and give them back when one without them is in force, never while a
request is carried (`shared`). Without a file to share (`alone`) a worker counts for itself.
"""

from array import array

import cython

from tage.dataplane.upstream.shared_layout import CLUSTERS

if not cython.compiled:
    # Compiled, this is the enumeration in the .pxd: what is counted, and its cell in a slot.
    import enum

    Limit = enum.IntEnum("Limit", ["CONNECTIONS", "PENDING", "REQUESTS", "RETRIES"], start=0)
    CONNECTIONS, PENDING, REQUESTS, RETRIES = Limit

_UNLIMITED = cython.declare(cython.Py_ssize_t, 0xFFFFFFFF)  # as configurations say "no limit"; no sum gets there
_STRIDE = cython.declare(cython.Py_ssize_t, CLUSTERS.slots * CLUSTERS.cells)


class Counts:
    """One cluster's: this worker's own and the sum of all workers'. The cells are those from `first` on, in steps of a
    column, and the worker's own those from `own` on."""

    def __init__(
        self, cells, first: cython.Py_ssize_t, own: cython.Py_ssize_t, columns: cython.Py_ssize_t
    ) -> None:
        self._cells = cells
        self._first = first
        self._own = own
        self._columns = columns

    def up(self, limit):
        self._cells[self._own + limit] += 1

    def down(self, limit):
        if self._cells[self._own + limit] > 0:
            self._cells[self._own + limit] -= 1

    def own(self, limit):
        return self._cells[self._own + limit]

    def total(self, limit):
        at: cython.Py_ssize_t = self._first + limit
        _column: cython.Py_ssize_t
        result: cython.Py_ssize_t = self._cells[at]
        for _column in range(1, self._columns):
            at += _STRIDE
            result += self._cells[at]
        return result

    def below(self, limit, maximum):
        """Whether one more is within `maximum`."""
        # Other workers' cells are in other processors' caches: they are not asked where the answer is known.
        return maximum >= _UNLIMITED or self.total(limit) < maximum

    def idle(self) -> bool:
        """Whether this worker counts nothing."""
        return not any(self._cells[self._own + limit] for limit in range(CLUSTERS.cells))

    def part(self) -> None:
        """From the other workers: counts on alone, from zero."""
        self._cells = array("Q", bytes(CLUSTERS.slot_size))
        self._first = 0
        self._own = 0
        self._columns = 1


def alone():
    """`Counts` of a worker that shares none."""
    return Counts(array("Q", bytes(CLUSTERS.slot_size)), 0, 0, 1)
