"""A frame's declaration as a table of integers, and what is read and written by it.

Fields are rows: the first few have a meaning, the lengths of the parts follow. All of them stand in the header, which
is seen to be there before any is read; where a length leads is compared with what is there before it is used.
"""

import zlib
from array import array
from typing import Any

import cython

from tage.dataplane.protocols.writer import ByteWriter
from tage.dataplane.protocols.xprotocol.frame import Kind

if not cython.compiled:
    # Compiled, these names come from the .pxd.
    from tage.dataplane.protocols.xprotocol.pairs import number

    REQUEST, ONE_WAY, RESPONSE, HEARTBEAT, HEARTBEAT_ACK, GO_AWAY, EVENT, IGNORED = range(8)
    NO, MAYBE, YES = range(3)

_STATUS = cython.declare(cython.int, 0)
_TIMEOUT = cython.declare(cython.int, 1)
_LENGTH = cython.declare(cython.int, 2)
_PARTS = cython.declare(cython.int, 3)

_MOST = cython.declare(cython.ulonglong, 1 << 57)
"""A length beyond this counts as this: far above any limit, and 32 of them do not wrap."""

_BITS = cython.declare(cython.ulonglong, 0xFFFFFFFFFFFFFFFF)

MAX_PARTS = 16

_OUT = ByteWriter()  # changed frames are put together in it, one after the other


class Shape:
    """One declared frame. `kind` is that of the declaration (EVENT: `Protocol.classify` tells); `index` counts the
    frames of that kind in the order of their declaration; `frame` is the declaration itself.

    `service`, `method`, `metadata`, `body` are indices of parts, -1: there is no such part. `id_most` is the largest id
    that the frame can carry.
    """

    def __init__(self, kind: cython.int, name: str, index: cython.int, frame: Any) -> None:
        fields: list = [frame.status, frame.timeout, frame.length, *(frame.parts or {}).values()]
        names: list = ["the status", "the timeout", "the length", *[f"the part {part}" for part in frame.parts or ()]]
        tests: list = sorted(frame.fixed().items())
        self.kind = kind
        self.name = name
        self.index = index
        self.frame = frame
        self.header = frame.header
        self.trailer = frame.trailer
        self.crc = frame.crc
        self.by_method = frame.size == "method"
        self.has_id = frame.id is not None
        self.id_by_method = self.has_id and frame.id.at is None
        self.id_width = frame.id.width if self.has_id else 0
        self.id_little = self.has_id and frame.id.order == "little"
        self.id_most = frame.id.bits if self.has_id else 0
        self._id_at = frame.id.at if self.has_id and not self.id_by_method else -1
        self.has_status = frame.status is not None
        self.has_timeout = frame.timeout is not None
        self.has_length = frame.length is not None
        self.part_names = tuple(frame.parts or ())
        self.parts = len(self.part_names)
        self.service = self._index("service")
        self.method = self._index("method")
        self.metadata = self._index("metadata")
        self.body = self._index("body")
        self._fields = tuple(zip(names, fields, strict=True))
        self._at = array("q", [field.at if field else 0 for field in fields])
        self._width = array("i", [field.width if field else 0 for field in fields])
        self._little = array("i", [field is not None and field.order == "little" for field in fields])
        self._signed = array("i", [field is not None and field.signed for field in fields])
        self._most = array("q", [min(field.most - field.add, (1 << 63) - 1) if field else 0 for field in fields])
        self._mask = array("Q", [field.bits if field else 0 for field in fields])
        self._add = array("q", [field.add if field else 0 for field in fields])
        self._tests = len(tests)
        self._test_at = array("q", [at for at, _ in tests] or [0])
        self._test_mask = array("B", [mask for _, (mask, _) in tests] or [0])
        self._test_value = array("B", [value for _, (_, value) in tests] or [0])

    def _index(self, name: str) -> int:
        return self.part_names.index(name) if name in self.part_names else -1

    def fits(self, p, start, end):
        """NO, MAYBE (as far as p[start:end] goes) or YES."""
        i: cython.Py_ssize_t
        at: cython.Py_ssize_t
        for i in range(self._tests):
            at = start + self._test_at[i]
            if at >= end:
                return MAYBE
            if p[at] & self._test_mask[i] != self._test_value[i]:
                return NO
        return YES

    def matches(self, data, start, end):
        """Whether data[start:end] begins as this frame does: 0 no, 1 as far as it goes, 2 yes."""
        if start < 0 or end < start or end > len(data):
            raise IndexError("outside the data")
        return self.fits(data, start, end)

    def read(self, p, start, field):
        """A field of the header that begins at p[start] and is all there. Below 0: so it says."""
        value: cython.ulonglong = number(p, start + self._at[field], self._width[field], self._little[field])
        if self._signed[field] and (value >> (8 * self._width[field] - 1)) & 1:
            return -1
        value &= self._mask[field]
        if value > _MOST:
            value = _MOST
        return cython.cast(cython.longlong, value) + self._add[field]

    def write(self, out, frame, field, value):
        """A field of the header of `frame`, which was put at the beginning of `out`; bits beside it stay.
        ValueError: it cannot say so much."""
        at: cython.Py_ssize_t = self._at[field]
        width: cython.int = self._width[field]
        mask: cython.ulonglong = self._mask[field]
        raw: cython.longlong = value - self._add[field]
        bits: cython.ulonglong
        if raw < 0 or raw > self._most[field] or raw & ~mask & _BITS:
            name, declared = self._fields[field]
            raise ValueError(declared.too_large(value, name))
        bits = number(frame, at, width, self._little[field])
        out.put_number_at(at, (bits & ~mask & _BITS) | raw, width, self._little[field])

    def total(self, p, start):
        """The bytes of the whole frame, from the header that begins at p[start] and is all there; -1: its lengths
        contradict each other. Not for `by_method`."""
        size: cython.longlong = self.header + self.trailer
        length: cython.longlong
        parts: cython.longlong = 0
        i: cython.int
        for i in range(self.parts):
            length = self.read(p, start, _PARTS + i)
            if length < 0:
                return -1
            parts += length
        if self.has_length:
            length = self.read(p, start, _LENGTH)
            if length < parts:  # below 0 too
                return -1
            return size + length
        return size + parts

    def size_of(self, frame: bytes) -> int:
        """`total` of bytes that begin with a whole header."""
        self.has_header(frame)
        size: cython.longlong = self.total(frame, 0)
        if size < 0:
            raise ValueError(f"the lengths of a {self.name} contradict each other")
        return size

    def has_header(self, frame):
        if len(frame) < self.header:
            raise ValueError(f"{len(frame)} bytes: the header of a {self.name} has {self.header}")
        return True

    def id(self, frame):
        """0 where there is none, or only `Protocol.id_at` knows its place."""
        if self._id_at < 0:
            return 0
        self.has_header(frame)
        return number(frame, self._id_at, self.id_width, self.id_little) & self.id_most

    def status(self, frame):
        """The protocol's own; 0 where there is no such field."""
        if not self.has_status:
            return 0
        self.has_header(frame)
        return self.read(frame, 0, _STATUS)

    def timeout(self, frame):
        """ms, 0: none."""
        value: cython.longlong
        if not self.has_timeout:
            return 0
        self.has_header(frame)
        value = self.read(frame, 0, _TIMEOUT)
        return value if value > 0 else 0

    def part_at(self, frame, index):
        """Where a part stands in `frame`, which has the whole header; (-1, -1): there is none, or it is not all
        there."""
        p: cython.p_uchar = frame
        at: cython.longlong = self.header
        end: cython.longlong
        length: cython.longlong
        i: cython.int
        if index < 0 or index >= self.parts:
            return (-1, -1)
        for i in range(index):
            length = self.read(p, 0, _PARTS + i)
            if length < 0:
                return (-1, -1)
            at += length
        length = self.read(p, 0, _PARTS + index)
        end = at + length  # at most 17 lengths of 2**57
        if length < 0 or end > len(frame):
            return (-1, -1)
        return (cython.cast(cython.Py_ssize_t, at), cython.cast(cython.Py_ssize_t, end))

    def part(self, frame: bytes, index: Any) -> tuple[int, int]:
        """Where a part, by its index or its name, stands in `frame`: (start, end). ValueError: not all of it is in
        these bytes. KeyError: there is no such part."""
        name: Any = index if isinstance(index, str) else None
        if name is not None:
            if name not in self.part_names:
                raise KeyError(name)
            index = self.part_names.index(name)
        elif not 0 <= index < self.parts:
            raise KeyError(index)
        self.has_header(frame)
        where = self.part_at(frame, index)
        if where[0] < 0:
            raise ValueError(f"the part {self.part_names[index]} of a {self.name} is not all there")
        return where

    def __repr__(self) -> str:
        return f"<Shape {self.name}: {Kind(self.kind).name}>"


def put_frame(out, frame, shape, protocol, id):
    """Appends the frame with that id. A CRC that covers the id is brought up to date, so that one that was right stays
    right and one that was wrong stays wrong; it has to be all there then.

    ValueError: the frame cannot carry the id, or its place is not in it."""
    start: cython.Py_ssize_t = out.size
    at: cython.Py_ssize_t
    mask: cython.ulonglong = shape.id_most
    old: cython.ulonglong
    if not shape.has_id:
        out.put(frame)
        return
    at = protocol.id_at(frame, shape) if shape.id_by_method else shape._id_at
    if at < 0 or at + shape.id_width > len(frame):
        raise ValueError(f"the id of a {shape.name} does not stand in its {len(frame)} bytes")
    if id > mask:
        raise ValueError(f"a {shape.name} cannot carry the id {id}")
    out.put(frame)
    old = number(frame, at, shape.id_width, shape.id_little)
    id |= old & ~mask & _BITS
    if id == old:
        return
    out.put_number_at(start + at, id, shape.id_width, shape.id_little)
    if shape.crc:
        _mend(out, start, frame, shape)


def _mend(out, start, frame, shape):
    """The CRC of a frame in whose place at `start` another has been written, of the same length."""
    end: cython.Py_ssize_t = len(frame) - 4
    whole: cython.longlong = -1 if shape.by_method or len(frame) < shape.header else shape.total(frame, 0)
    if end < shape.header or (whole >= 0 and whole != len(frame)):
        raise ValueError(f"a {shape.name} that is not all there has no CRC to bring up to date")
    before: cython.ulonglong = zlib.crc32(memoryview(frame)[:end])
    came: cython.ulonglong = number(frame, end, 4, False)
    out.put_number_at(start + end, came ^ before ^ out.crc32(start, start + end), 4, False)


def with_part(shape, frame, index, new):
    """The frame with `new` for that part, its lengths brought up to date, and a CRC as in `put_frame`.

    `frame` may be the beginning of a larger one, if it holds the part: the rest then follows the result too.
    ValueError: it does not, or a length cannot say so much."""
    out: ByteWriter = _OUT
    where: tuple[cython.Py_ssize_t, cython.Py_ssize_t]
    before: cython.ulonglong
    shape.has_header(frame)
    where = shape.part_at(frame, index)
    if where[0] < 0:
        raise ValueError(f"the part {shape.part_names[index]} of a {shape.name} is not all there")
    if shape.crc and shape.total(frame, 0) != len(frame):
        raise ValueError(f"a {shape.name} that is not all there cannot be changed: its CRC is yet to come")
    out.clear()
    out.put_slice(frame, 0, where[0])
    out.put(new)
    out.put_slice(frame, where[1], len(frame))
    shape.write(out, frame, _PARTS + index, len(new))
    if shape.has_length:
        shape.write(out, frame, _LENGTH, shape.read(frame, 0, _LENGTH) + len(new) - (where[1] - where[0]))
    if shape.crc:
        before = zlib.crc32(memoryview(frame)[: len(frame) - 4])
        before ^= number(frame, len(frame) - 4, 4, False)
        out.put_number_at(out.size - 4, before ^ out.crc32(0, out.size - 4), 4, False)
    return out.take()
