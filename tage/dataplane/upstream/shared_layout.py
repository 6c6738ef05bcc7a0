"""The file that a sidecar's workers share: circuit breakers' counts, hosts' health, rate limits' buckets.

    header    magic, version, how many columns (one a worker), per kind how many slots have ever been in use (one page)
    per kind  index   for each slot whose it is: a digest of the name
              uses    a column a worker: for each slot one byte, see `FREE`
              cells   `cells` a slot; of `CLUSTERS` a column a worker, of the others one for all

Clusters: each worker counts in its own column, so nothing in it needs atomic operations, and a cluster's count is its
cells of all columns added up. Hosts and buckets: all workers use the same cells, with atomic operations (`cells`).

The index is written under the file's lock (flock), and so are the cells of a slot that gets another owner. A use is a
byte of its worker's column. A worker that is dead is counted out by `clear`, which is the supervisor's work: its column
of counts becomes zeros, and its uses of shared cells become `LEFT`: whoever claims the slot by the same name finds it
as it was, so that what is known of hosts outlives a worker, the last one too.

The file is sparse. Pages that workers touch are allocated before, so that a full disk is an error and no SIGBUS.
"""

from __future__ import annotations

import os
import struct
from typing import NamedTuple

MAGIC = b"TAGESHRD"
VERSION = 1
HEADER = struct.Struct("<8sII")  # magic, version, columns
TOP = struct.Struct("<I")
TOPS_OFFSET = 16
PAGE = 4096
DIGEST_SIZE = 16

FREE, USED, LEFT = 0, 1, 2
"""A use. `LEFT`: by a worker that died."""


class Kind(NamedTuple):
    name: str
    slots: int
    cells: int
    """Of a slot, 8 bytes each; a slot fills whole cache lines."""
    own: bool
    """Each worker has its own cells."""

    @property
    def slot_size(self) -> int:
        return self.cells * 8


CLUSTERS = Kind("clusters", 16_384, 8, own=True)
HOSTS = Kind("hosts", 65_536, 16, own=False)
BUCKETS = Kind("buckets", 16_384, 8, own=False)
KINDS = (CLUSTERS, HOSTS, BUCKETS)


class Region(NamedTuple):
    """Where a kind's slots are; offsets in bytes."""

    kind: Kind
    columns: int
    top: int
    index: int
    uses: int
    cells: int

    @property
    def end(self) -> int:
        columns = self.columns if self.kind.own else 1
        return self.cells + columns * self.kind.slots * self.kind.slot_size

    def digest_at(self, slot: int) -> int:
        return self.index + slot * DIGEST_SIZE

    def use_at(self, column: int, slot: int) -> int:
        return self.uses + column * self.kind.slots + slot

    def cells_at(self, column: int, slot: int) -> int:
        """`column` counts only where each worker has its own."""
        return self.cells + ((column if self.kind.own else 0) * self.kind.slots + slot) * self.kind.slot_size


def regions(columns: int) -> list[Region]:
    """In the order of `KINDS`."""
    found = []
    at = PAGE
    for number, kind in enumerate(KINDS):
        uses = at + kind.slots * DIGEST_SIZE
        cells = uses + columns * kind.slots
        found.append(Region(kind, columns, TOPS_OFFSET + number * TOP.size, at, uses, cells))
        at = found[-1].end
    return found


def file_size(columns: int) -> int:
    return regions(columns)[-1].end


def create(path: str, columns: int) -> None:
    """Makes the file, which must not be there. Raises `OSError`."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        os.ftruncate(descriptor, file_size(columns))
        os.pwrite(descriptor, HEADER.pack(MAGIC, VERSION, columns), 0)
    finally:
        os.close(descriptor)


def clear(path: str, column: int) -> None:
    """Counts a worker out that has ended and will not write any more. Raises `OSError`."""
    descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        _, _, columns = HEADER.unpack(os.pread(descriptor, HEADER.size, 0))
        for region in regions(columns):
            (top,) = TOP.unpack(os.pread(descriptor, TOP.size, region.top))
            at = region.use_at(column, 0)
            if region.kind.own:
                # The uses last: a slot that no one uses counts nothing.
                os.pwrite(descriptor, bytes(top * region.kind.slot_size), region.cells_at(column, 0))
                os.pwrite(descriptor, bytes(top), at)
            else:
                os.pwrite(descriptor, os.pread(descriptor, top, at).replace(bytes([USED]), bytes([LEFT])), at)
    finally:
        os.close(descriptor)
