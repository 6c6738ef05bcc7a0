"""The file in which a sidecar's workers count together what circuit breakers limit; shared by workers and supervisor.

    header    magic, version, how many columns, how many slots have ever been in use (one page)
    index     for each slot which cluster it is: a digest of the name
    columns   one a worker: for each slot its cells (`LIMITS` counts, a cache line), and then for each slot one byte,
              which is 1 while the worker uses it

A column is written by its worker alone, so nothing in it needs atomic operations, and a cluster's count is its cells of
all columns added up. The index is written under the file's lock (flock): allocating a slot is its first column's byte.
A worker that is dead can be counted out by filling its column with zeros, which is the supervisor's work.

The file is sparse. Pages that workers touch are allocated before, so that a full disk is an error and no SIGBUS.
"""

from __future__ import annotations

import os
import struct

MAGIC = b"TAGELIMT"
VERSION = 1
HEADER = struct.Struct("<8sIII")  # magic, version, columns, slots that have ever been in use
TOP = struct.Struct("<I")
TOP_OFFSET = 16
PAGE = 4096
SLOTS = 16_384
DIGEST_SIZE = 16
LIMITS = 8
"""Cells of a slot."""
SLOT_SIZE = LIMITS * 8
INDEX_OFFSET = PAGE
COLUMNS_OFFSET = INDEX_OFFSET + SLOTS * DIGEST_SIZE
USES_OFFSET = SLOTS * SLOT_SIZE
"""Within a column."""
COLUMN_SIZE = USES_OFFSET + SLOTS


def file_size(columns: int) -> int:
    return COLUMNS_OFFSET + columns * COLUMN_SIZE


def create(path: str, columns: int) -> None:
    """Makes the file, which must not be there. Raises `OSError`."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        os.ftruncate(descriptor, file_size(columns))
        os.pwrite(descriptor, HEADER.pack(MAGIC, VERSION, columns, 0), 0)
    finally:
        os.close(descriptor)


def clear(path: str, column: int) -> None:
    """Counts a worker out that has ended and will not write any more. Raises `OSError`."""
    descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        (top,) = TOP.unpack(os.pread(descriptor, TOP.size, TOP_OFFSET))
        at = COLUMNS_OFFSET + column * COLUMN_SIZE
        # The uses last: a slot that no one uses counts nothing.
        os.pwrite(descriptor, bytes(top * SLOT_SIZE), at)
        os.pwrite(descriptor, bytes(top), at + USES_OFFSET)
    finally:
        os.close(descriptor)
