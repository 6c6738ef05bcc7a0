"""What circuit breakers limit, counted by all workers of a sidecar together (`limits_layout` says where).

Each worker counts in cells of its own, and a check adds up those of all. Between a check and the count that follows
others may check too: a limit can be exceeded by as many as there are other workers, at most, as in Envoy.

Clusters get their cells when a plan is prepared and give them back when one without them is in force, never while a
request is carried. Without a file to share (`alone`) a worker counts for itself.
"""

import errno
import fcntl
import hashlib
import mmap
import os
from array import array

import cython

from tage.dataplane.upstream import limits_layout as layout

if not cython.compiled:
    # Compiled, this is the enumeration in the .pxd: what is counted, and its cell in a slot.
    import enum

    Limit = enum.IntEnum("Limit", ["CONNECTIONS", "PENDING", "REQUESTS", "RETRIES"], start=0)
    CONNECTIONS, PENDING, REQUESTS, RETRIES = Limit

_UNLIMITED = cython.declare(cython.Py_ssize_t, 0xFFFFFFFF)  # as configurations say "no limit"; no sum gets there
_STRIDE = cython.declare(cython.Py_ssize_t, layout.COLUMN_SIZE // 8)


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
        return not any(self._cells[self._own + limit] for limit in range(layout.LIMITS))

    def part(self) -> None:
        """From the other workers: counts on alone, from zero."""
        self._cells = array("Q", bytes(layout.SLOT_SIZE))
        self._first = 0
        self._own = 0
        self._columns = 1


def alone():
    """`Counts` of a worker that shares none."""
    return Counts(array("Q", bytes(layout.SLOT_SIZE)), 0, 0, 1)


class LimitsFile:
    """One worker's hold on the file that its supervisor made; `column` is the worker's index. Raises `OSError`, or
    `ValueError` if the file is another one."""

    def __init__(self, path: str, column: int) -> None:
        self._file = open(path, "r+b", buffering=0)
        try:
            header = self._file.read(layout.HEADER.size).ljust(layout.HEADER.size, b"\0")
            magic, version, columns, _ = layout.HEADER.unpack(header)
            if (magic, version) != (layout.MAGIC, layout.VERSION) or not 0 <= column < columns:
                raise ValueError(f"{path}: not a file of limits that worker {column} shares")
            self._map = mmap.mmap(self._file.fileno(), layout.file_size(columns))
        except BaseException:
            self._file.close()
            raise
        self._columns = columns
        self._column = column
        self._cells = memoryview(self._map).cast("Q")
        self._held = {}

    def counts(self, name: str):
        """The `Counts` of a cluster that was claimed, or None."""
        return self._held[name][1] if name in self._held else None

    def claim(self, names) -> None:
        """Makes these clusters' counts shared. Raises `BlockingIOError` while another worker does the same, and
        `OSError` when there is no room; what was claimed until then stays so."""
        wanted = {_digest(name): name for name in names if name not in self._held}
        if not wanted:
            return
        fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        try:
            slots = self._slots()
            for digest in wanted.keys() & slots.keys():
                self._hold(wanted.pop(digest), slots[digest])
            if wanted:
                free = self._free()
                for digest, name in wanted.items():
                    slot = next(free)
                    self._map[_index(slot) : _index(slot + 1)] = digest
                    self._hold(name, slot)
        finally:
            fcntl.flock(self._file, fcntl.LOCK_UN)

    def keep(self, names) -> None:
        """Gives up what is not of these clusters, unless something of theirs is still under way: then at a later call.
        Needs no lock: what is given up is in this worker's column."""
        for name in self._held.keys() - set(names):
            slot, counts = self._held[name]
            if counts.idle():
                counts.part()  # whoever holds it still cannot count in what is another's by then
                self._map[_use(self._column, slot)] = 0
                del self._held[name]

    def close(self) -> None:
        """Nothing is given up: that is for whoever ends this worker."""
        for _, counts in self._held.values():
            counts.part()
        self._held = {}
        self._cells.release()
        self._map.close()
        self._file.close()

    def _hold(self, name, slot):
        self._map[_use(self._column, slot)] = 1
        first = (layout.COLUMNS_OFFSET + slot * layout.SLOT_SIZE) // 8
        own = first + self._column * (layout.COLUMN_SIZE // 8)
        self._held[name] = (slot, Counts(self._cells, first, own, self._columns))

    def _top(self):
        return layout.TOP.unpack_from(self._map, layout.TOP_OFFSET)[0]

    def _slots(self):
        """By digest. A slot that nobody uses is still that of the cluster that had it last."""
        index = self._map[_index(0) : _index(self._top())]
        size = layout.DIGEST_SIZE
        return {index[at : at + size]: at // size for at in range(0, len(index), size)}

    def _free(self):
        """Slots that nobody uses, and then those that were never in use. Raises `OSError` in place of the next one."""
        top = self._top()
        used = 0
        for column in range(self._columns):
            at = _use(column, 0)
            used |= int.from_bytes(self._map[at : at + top], "little")
        uses = used.to_bytes(top, "little")
        slot = uses.find(0)
        while slot >= 0:
            yield slot
            slot = uses.find(0, slot + 1)
        for slot in range(top, layout.SLOTS):
            if slot % (layout.PAGE // layout.SLOT_SIZE) == 0 or slot == top:
                self._allocate(slot)
            layout.TOP.pack_into(self._map, layout.TOP_OFFSET, slot + 1)
            yield slot
        raise OSError(errno.ENOSPC, f"there are {layout.SLOTS} clusters already")

    def _allocate(self, slot):
        """Disk for the pages of a new slot, in all columns. Raises `OSError` where there is none."""
        descriptor = self._file.fileno()
        os.posix_fallocate(descriptor, _index(slot), layout.DIGEST_SIZE)
        for column in range(self._columns):
            at = layout.COLUMNS_OFFSET + column * layout.COLUMN_SIZE + slot * layout.SLOT_SIZE
            os.posix_fallocate(descriptor, at, layout.SLOT_SIZE)
            os.posix_fallocate(descriptor, _use(column, slot), 1)


def _index(slot):
    return layout.INDEX_OFFSET + slot * layout.DIGEST_SIZE


def _use(column, slot):
    return layout.COLUMNS_OFFSET + column * layout.COLUMN_SIZE + layout.USES_OFFSET + slot


def _digest(name):
    return hashlib.blake2b(name.encode(), digest_size=layout.DIGEST_SIZE).digest()
