"""The worker's statistics: cells of a mapped file, incremented in place by the one thread that owns them."""

import mmap
import os

import cython

from tage.dataplane.telemetry import layout as _layout

_BUCKETS = cython.declare(cython.Py_ssize_t, _layout.BUCKETS)


def bucket_of(us):
    """The index of the histogram bucket that `us` falls into; see `layout.bucket_floor`."""
    value: cython.ulonglong
    exponent: cython.Py_ssize_t
    if us < 16:
        return us if us > 0 else 0
    if us > 0xFFFFFFFF:
        return 463
    value = us
    exponent = 4
    if value >> 16:
        exponent += 12
        value >>= 12
    if value >> 10:
        exponent += 6
        value >>= 6
    if value >> 7:
        exponent += 3
        value >>= 3
    while value > 31:
        exponent += 1
        value >>= 1
    return (exponent - 3) * 16 + (value & 15)


class StatStore:
    """One worker's file; created, or opened and counted on where its predecessor stopped (gauges start at 0)."""

    def __init__(self, path) -> None:
        self.path = os.fspath(path)
        self._known = {}
        self._overflow = {}
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "r+b", buffering=0) as file:
            fresh = os.fstat(descriptor).st_size < _layout.FILE_SIZE
            os.ftruncate(descriptor, _layout.FILE_SIZE)
            self._map = mmap.mmap(file.fileno(), _layout.FILE_SIZE)
        region = memoryview(self._map)[_layout.CELLS_OFFSET : _layout.NAMES_OFFSET]
        self.cells = region.cast("Q")
        self.names_end = 0
        self.cells_end = 0
        magic, version, _, names_end, cells_end = _layout.HEADER.unpack_from(self._map, 0)
        if not fresh and magic == _layout.MAGIC and version == _layout.VERSION:
            self.names_end = names_end
            self.cells_end = cells_end
            self._recover()
        self._publish()

    def _publish(self):
        _layout.HEADER.pack_into(
            self._map, 0, _layout.MAGIC, _layout.VERSION, 0, self.names_end, self.cells_end
        )

    def _recover(self):
        at = _layout.NAMES_OFFSET
        end = at + self.names_end
        while at < end:
            kind, number, cell, size = _layout.GROUP_RECORD.unpack_from(self._map, at)
            at += _layout.GROUP_RECORD.size
            text = self._map[at : at + size]
            at += size
            self._known[(kind, number, text)] = cell
            if kind == b"G":
                group = _layout.LAYOUTS[number]
                for index in range(len(group.counters), len(group.counters) + len(group.gauges)):
                    self.cells[cell + index] = 0

    def _allocate(self, kind, number, text, size):
        key = (kind, number, text)
        known = self._known.get(key)
        if known is not None:
            return known
        record = _layout.GROUP_RECORD.pack(kind, number, self.cells_end, len(text)) + text
        if (
            self.cells_end + size > _layout.CELLS
            or self.names_end + len(record) > _layout.NAMES_SIZE
            or len(text) > 60_000
        ):
            return self._overflowing(kind, number, size)
        cell = self.cells_end
        at = _layout.NAMES_OFFSET + self.names_end
        self._map[at : at + len(record)] = record
        self.cells_end += size
        self.names_end += len(record)
        self._known[key] = cell
        self._publish()
        return cell

    def _overflowing(self, kind, number, size):
        # The file is full (thousands of clusters came and went): one group for all the rest. The last cells of the
        # file are kept for it by `group`, which asks for it first.
        return self._overflow[(kind, number)]

    def group(self, layout, owner: str):
        """The statistics of one cluster, listener or route. The same owner always gets the same cells."""
        number = _layout.LAYOUTS.index(layout)
        if (b"G", number) not in self._overflow:
            self._overflow[(b"G", number)] = self._allocate(b"G", number, b"(other)", layout.size)
        return StatGroup(self, layout, owner, self._allocate(b"G", number, owner.encode(), layout.size))

    def counter(self, scope: str, owner: str, name: str) -> int:
        """The cell of a counter that belongs to no layout."""
        if (b"C", 0) not in self._overflow:
            self._overflow[(b"C", 0)] = self._allocate(b"C", 0, b"server\0\0stats_overflow", 1)
        return self._allocate(b"C", 0, f"{scope}\0{owner}\0{name}".encode(), 1)

    def count(self, cell: int, n: int) -> None:
        """Adds to a `counter`, for what counts rarely."""
        self.cells[cell] += n

    def close(self):
        """Unmaps; the file stays."""
        self.cells = None
        self._map = None


class StatGroup:
    """Cells of one layout. Offsets are `layout.offset(name)`, looked up once by who counts."""

    def __init__(self, store: StatStore, layout, owner: str, first: cython.Py_ssize_t) -> None:
        self.store = store
        self.cells = store.cells
        self.layout = layout
        self.scope = layout.scope
        self.owner = owner
        self.first = first
        self.histogram = first + layout.histogram_offset
        self._codes = {}
        self._last_status = -1
        self._last_grpc = -1
        self._last_flags = ""
        self._last_cell = 0

    def add(self, offset, n):
        self.cells[self.first + offset] += n

    def up(self, offset):
        self.cells[self.first + offset] += 1

    def up_class(self, offset, status):
        """One answer; `offset` is that of the counter for 1xx. What is beyond 5xx has no class."""
        if 100 <= status < 600:
            self.cells[self.first + offset + status // 100 - 1] += 1

    def down(self, offset):
        if self.cells[self.first + offset] > 0:
            self.cells[self.first + offset] -= 1

    def put(self, offset, value):
        self.cells[self.first + offset] = value

    def record(self, us):
        """A duration, into the histogram."""
        self.cells[self.histogram + bucket_of(us)] += 1
        self.cells[self.histogram + _BUCKETS] += us if us > 0 else 0

    def count_code(self, status, flags):
        """One answer with this status and these response flags ("-": none); exact codes, for Istio's metrics."""
        cell: object
        # Most answers are like the one before.
        if status != self._last_status or flags is not self._last_flags:
            cell = self._codes.get((status, flags))
            if cell is None:
                cell = self.store.counter(self.scope, self.owner, f"upstream_rq_code_{status}_{flags}")
                self._codes[(status, flags)] = cell
            self._last_status = status
            self._last_flags = flags
            self._last_cell = cell
        self.cells[self._last_cell] += 1

    def count_grpc(self, status, grpc, flags):
        """The same of a call of gRPC, with its gRPC status. A group counts with one of the two."""
        cell: object
        if grpc != self._last_grpc or status != self._last_status or flags is not self._last_flags:
            cell = self._codes.get((status, grpc, flags))
            if cell is None:
                cell = self.store.counter(self.scope, self.owner, f"upstream_rq_grpc_{status}_{grpc}_{flags}")
                self._codes[(status, grpc, flags)] = cell
            self._last_status = status
            self._last_grpc = grpc
            self._last_flags = flags
            self._last_cell = cell
        self.cells[self._last_cell] += 1

    def value(self, name: str) -> int:
        """For tests and dumps."""
        return self.cells[self.first + self.layout.offset(name)]

    def count(self, name: str, n: int) -> None:
        """`add` by name, for what counts rarely."""
        self.add(self.layout.offset(name), n)

    def set(self, name: str, value: int) -> None:
        """`put` by name, for what changes rarely."""
        self.put(self.layout.offset(name), value)

    def record_us(self, us: int) -> None:
        """`record` for Python callers."""
        self.record(us)

    def store_code(self, status: int, flags: str) -> None:
        """`count_code` for Python callers."""
        self.count_code(status, flags)

    def store_grpc(self, status: int, grpc: int, flags: str) -> None:
        """`count_grpc` for Python callers."""
        self.count_grpc(status, grpc, flags)
