"""A worker's hold on the file that all workers of a sidecar share (`shared_layout`).

Who needs a slot claims it by name when a plan is prepared, and gives it up when a plan without it is in force. A slot
that nobody uses still belongs to the name that had it last, until another name gets it. Of clusters a slot gives
`limits.Counts`, of hosts and buckets `cells.Cells`. Not compiled: it runs when a configuration changes.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import mmap
import os
from collections.abc import Iterable, Iterator
from typing import IO, Any

from tage.dataplane.upstream import shared_layout as layout
from tage.dataplane.upstream.cells import Cells
from tage.dataplane.upstream.limits import Counts

_CHUNK = 256 * layout.DIGEST_SIZE
_FREE, _LEFT = bytes([layout.FREE]), bytes([layout.LEFT])


class SharedFile:
    """`column` is the worker's index. Raises `OSError`, or `ValueError` if the file is another one."""

    def __init__(self, path: str, column: int) -> None:
        self._file = open(path, "r+b", buffering=0)  # noqa: SIM115: closed by `close`
        try:
            header = self._file.read(layout.HEADER.size).ljust(layout.HEADER.size, b"\0")
            magic, version, columns = layout.HEADER.unpack(header)
            if (magic, version) != (layout.MAGIC, layout.VERSION) or not 0 <= column < columns:
                raise ValueError(f"{path}: not a file that worker {column} shares")
            self._map = mmap.mmap(self._file.fileno(), layout.file_size(columns))
        except BaseException:
            self._file.close()
            raise
        self.column = column
        self._memory = memoryview(self._map).cast("Q")
        shared = [Region(region, column, self._file, self._map, self._memory) for region in layout.regions(columns)]
        self.clusters, self.hosts, self.buckets = shared
        """Circuit breakers; health, by cluster, address and port; rate limits."""

    def close(self) -> None:
        """Nothing is given up: that is for whoever ends this worker."""
        for region in (self.clusters, self.hosts, self.buckets):
            region.part()
        self._memory.release()
        self._map.close()
        self._file.close()


class Region:
    """The slots of one kind. `limit` is how many there may be."""

    def __init__(
        self, region: layout.Region, column: int, file: IO[bytes], mapped: mmap.mmap, memory: memoryview
    ) -> None:
        self.kind = region.kind
        self.limit = region.kind.slots
        self._region = region
        self._column = column
        self._file = file
        self._map = mapped
        self._memory = memory
        self._held: dict[str, tuple[int, Any]] = {}
        self._index = b""
        """As it was read last, and the slots by digest."""
        self._slots: dict[bytes, int] = {}

    def get(self, name: str) -> Any:
        """What was claimed under this name, or None."""
        held = self._held.get(name)
        return held[1] if held is not None else None

    def names(self) -> Iterable[str]:
        return self._held.keys()

    def claim(self, names: Iterable[str]) -> None:
        """Raises `BlockingIOError` while another worker claims, and `OSError` when there is no room; what was claimed
        until then stays so."""
        wanted = {digest(name): name for name in names if name not in self._held}
        if not wanted:
            return
        fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        try:
            self._read_index()
            for found in wanted.keys() & self._slots.keys():
                self._resume(wanted.pop(found), self._slots[found])
            if wanted:
                free = self._free()
                for new, name in wanted.items():
                    slot = next(free)
                    at = self._region.digest_at(slot)
                    self._map[at : at + layout.DIGEST_SIZE] = new
                    self._reset(slot)
                    self._hold(name, slot)
        finally:
            fcntl.flock(self._file, fcntl.LOCK_UN)

    def keep(self, names: Iterable[str]) -> None:
        """Gives up all but these."""
        self.give_up(self._held.keys() - set(names))

    def give_up(self, names: Iterable[str]) -> None:
        """Unless something of theirs is still under way: then at a later call. Needs no lock: uses are in this worker's
        column."""
        for name in list(names):
            slot, cells = self._held[name]
            if not self.kind.own or cells.idle():
                cells.part()  # whoever holds it still cannot count in what is another's by then
                self._map[self._region.use_at(self._column, slot)] = layout.FREE
                del self._held[name]

    def disown(self) -> None:
        """What this worker's predecessor left and it has not claimed is nobody's."""
        at, top = self._region.use_at(self._column, 0), self._top()
        self._map[at : at + top] = self._map[at : at + top].replace(_LEFT, _FREE)

    def part(self) -> None:
        """What was handed out goes on alone."""
        for _, cells in self._held.values():
            cells.part()
        self._held = {}

    def _resume(self, name: str, slot: int) -> None:
        if not any(self._map[self._region.use_at(column, slot)] for column in range(self._region.columns)):
            self._reset(slot)  # the last that used it gave it up
        self._hold(name, slot)

    def _reset(self, slot: int) -> None:
        if not self.kind.own:  # own cells that nobody uses are zeros
            for column in range(self._region.columns):  # what a dead worker left is not its any more
                self._map[self._region.use_at(column, slot)] = layout.FREE
            at = self._region.cells_at(0, slot)
            self._map[at : at + self.kind.slot_size] = bytes(self.kind.slot_size)

    def _hold(self, name: str, slot: int) -> None:
        self._map[self._region.use_at(self._column, slot)] = layout.USED
        first = self._region.cells_at(0, slot) // 8
        if self.kind.own:
            own = self._region.cells_at(self._column, slot) // 8
            self._held[name] = slot, Counts(self._memory, first, own, self._region.columns)
        else:
            self._held[name] = slot, Cells(self._memory, first, self.kind.cells)

    def _top(self) -> int:
        return layout.TOP.unpack_from(self._map, self._region.top)[0]

    def _read_index(self) -> None:
        """Other workers may have written to it: what differs from the last reading is looked at."""
        size = layout.DIGEST_SIZE
        index = self._map[self._region.index : self._region.digest_at(self._top())]
        for start in range(0, len(index), _CHUNK):
            old, new = self._index[start : start + _CHUNK], index[start : start + _CHUNK]
            if old == new:
                continue
            for at in range(0, len(new), size):
                was, found, slot = old[at : at + size], new[at : at + size], (start + at) // size
                if was != found:
                    if self._slots.get(was) == slot:
                        del self._slots[was]
                    self._slots[found] = slot
        self._index = index

    def _free(self) -> Iterator[int]:
        """Slots that nobody uses, and then those that were never in use. Raises `OSError` in place of the next one."""
        top = self._top()
        used = 0
        for column in range(self._region.columns):
            at = self._region.use_at(column, 0)
            used |= int.from_bytes(self._map[at : at + top].replace(_LEFT, _FREE), "little")
        uses = used.to_bytes(top, "little")
        slot = uses.find(0)
        while slot >= 0:
            yield slot
            slot = uses.find(0, slot + 1)
        for slot in range(top, self.limit):
            if slot % (layout.PAGE // self.kind.slot_size) == 0 or slot == top:
                self._allocate(slot)
            layout.TOP.pack_into(self._map, self._region.top, slot + 1)
            yield slot
        raise OSError(errno.ENOSPC, f"there are {self.limit} {self.kind.name} already")

    def _allocate(self, slot: int) -> None:
        """Disk for the pages of a new slot, in all columns. Raises `OSError` where there is none."""
        descriptor = self._file.fileno()
        os.posix_fallocate(descriptor, self._region.digest_at(slot), layout.DIGEST_SIZE)
        for column in range(self._region.columns):
            os.posix_fallocate(descriptor, self._region.use_at(column, slot), 1)
            os.posix_fallocate(descriptor, self._region.cells_at(column, slot), self.kind.slot_size)


def digest(name: str) -> bytes:
    return hashlib.blake2b(name.encode(), digest_size=layout.DIGEST_SIZE).digest()
