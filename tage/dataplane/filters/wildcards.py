"""Descriptors whose entries have no value: a bucket for each value that comes, in places that workers share.

The places are sets of `WAYS`; a value's hash names its set and is its tag there. Where the set is full the fullest
bucket makes room, which is the one that was asked least lately for its size. Two workers that look for a place at the
same moment may end up with two buckets for one value; then one of them is found from then on.
"""

import cython

from tage.dataplane.upstream.cells import Cells

if not cython.compiled:
    # Compiled, this name comes from the .pxd.
    from tage.dataplane.routing.hashing import xxh64

WAYS = cython.declare(cython.Py_ssize_t, 4)
SLOT_WAYS = 4
"""Places in one slot of shared cells: a tag and a moment each."""


class Wildcard:
    """`entries` is the descriptor's tuple with None where any value will do; `like` a bucket of its size and rate;
    `sets` the cells, `WAYS` places in each."""

    def __init__(self, entries, like, sets) -> None:
        self.entries = entries
        self._like = like
        self._sets = list(sets)

    def matches(self, key):
        """Whether it is one of the descriptor's."""
        i: cython.Py_ssize_t
        if len(key) != len(self.entries):
            return False
        for i in range(len(key)):
            if self.entries[i] is not None and self.entries[i] != key[i]:
                return False
        return True

    def bucket(self, key):
        """Its `TokenBucket`."""
        tag: cython.ulonglong = xxh64(b"\0".join(key)) | 1  # 0 is a place that nobody has
        cells: Cells = self._sets[(tag >> 1) % cython.cast(cython.ulonglong, len(self._sets))]
        return self._like.placed(cells, 2 * self._way(cells, tag) + 1)

    def _way(self, cells, tag):
        way: cython.Py_ssize_t
        fullest: cython.Py_ssize_t = 0
        there: cython.ulonglong = 0
        least: cython.ulonglong = 0
        moment: cython.ulonglong
        _attempt: cython.int
        for _attempt in range(4):
            least = 0
            for way in range(WAYS):
                there = cells.load(2 * way)
                if there == tag:
                    return way
                moment = cells.load(2 * way + 1) if there else 0
                if way == 0 or moment < least:
                    fullest = way
                    least = moment
            there = cells.load(2 * fullest)
            if cells.replace(2 * fullest, there, tag):
                cells.store(2 * fullest + 1, 0)
                return fullest
        return fullest  # others are at it all the time: shared with one of them, for once
