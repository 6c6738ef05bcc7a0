"""Metadata that is a sequence of pairs: [length][key][length][value] and so on, to the end of its part.

Every length is compared with what is left before it is used, and the whole part is walked: pairs that do not end where
the part does are refused as a whole.
"""

from typing import Any

import cython

from tage.dataplane import native
from tage.dataplane.protocols.writer import ByteWriter
from tage.dataplane.protocols.xprotocol.fields import Field

_MOST = cython.declare(cython.ulonglong, 1 << 58)  # more than any part can have, and far from wrapping

_UNSHOWN = cython.declare(bytes, bytes.maketrans(b"\r\n\0", b"???"))
_NO_LENGTH = cython.declare(bytes, bytes(8))
_COLON = cython.declare(bytes, b": ")
_LINE_END = cython.declare(bytes, b"\r\n")

_OUT = ByteWriter()  # metadata is put together in it, one part after the other

BAD = "metadata: the pairs do not end where their part does"


def number(p, at, width, little):
    """The unsigned number of `width` bytes at p[at]; the caller has seen that they are there."""
    value: cython.ulonglong = 0
    i: cython.Py_ssize_t
    if width == 4 and not little:
        value = p[at]
        return (value << 24) | (p[at + 1] << 16) | (p[at + 2] << 8) | p[at + 3]
    if little:
        for i in range(width - 1, -1, -1):
            value = (value << 8) | p[at + i]
    else:
        for i in range(width):
            value = (value << 8) | p[at + i]
    return value


class Pairs:
    """`width` bytes a length; `null` is the length that stands for no value at all."""

    def __init__(self, width: cython.int, little: cython.bint = False, null: Any = None) -> None:
        self.width = width
        self.little = little
        self.null = null
        self._nullable = null is not None
        self._most = min(Field(0, width).bits - (1 if self._nullable else 0), 1 << 57)
        self._null = 0
        if null is not None:
            self._null = null

    def _next(self, p, at, end):
        """Where what begins with its length at `at` ends; -1: not before `end`."""
        length: cython.ulonglong
        if end - at < self.width:
            return -1
        length = number(p, at, self.width, self.little)
        at += self.width
        if self._nullable and length == self._null:
            return at
        if length > cython.cast(cython.ulonglong, end - at):
            return -1
        return at + cython.cast(cython.Py_ssize_t, length)

    def find(self, p, start, end, keys):
        """Where the value of the first of `keys` (bytes) that is there and not null stands in p[start:end]; (-1, -1)
        where none is, (-2, -2) where the pairs are malformed. Of equal keys the last counts, as in the maps that most
        implementations read them into."""
        at: cython.Py_ssize_t = start
        key: cython.Py_ssize_t
        key_end: cython.Py_ssize_t
        value_end: cython.Py_ssize_t
        found: cython.Py_ssize_t = -1
        found_end: cython.Py_ssize_t = -1
        i: cython.Py_ssize_t
        best: cython.Py_ssize_t = len(keys)  # how many of the keys are as good as what was found, or better
        wanted: bytes
        while at < end:
            key = at + self.width
            key_end = self._next(p, at, end)
            if key_end < 0:
                return (-2, -2)
            value_end = self._next(p, key_end, end)
            if value_end < 0:
                return (-2, -2)
            for i in range(best):
                wanted = keys[i]
                if len(wanted) == key_end - key and native.equal(p, key, wanted, key_end - key):
                    if self._length(p, key_end) >= 0:
                        best = i + 1
                        found = key_end + self.width
                        found_end = value_end
                    break
            at = value_end
        return (found, found_end)

    def _length(self, p, at):
        """The length at `at`, which `_next` has passed; -1: null."""
        length: cython.ulonglong = number(p, at, self.width, self.little)
        if self._nullable and length == self._null:
            return -1
        return cython.cast(cython.Py_ssize_t, length)

    def read(self, data, start, end):
        """All pairs of data[start:end]; null is b"". ValueError: malformed."""
        p: cython.p_uchar = data
        at: cython.Py_ssize_t = start
        key_end: cython.Py_ssize_t
        value_end: cython.Py_ssize_t
        width: cython.Py_ssize_t = self.width
        found: list = []
        if start < 0 or end < start or end > len(data):
            raise ValueError(BAD)
        while at < end:
            key_end = self._next(p, at, end)
            if key_end < 0:
                raise ValueError(BAD)
            value_end = self._next(p, key_end, end)
            if value_end < 0:
                raise ValueError(BAD)
            found.append((p[at + width : key_end], p[key_end + width : value_end]))
            at = value_end
        return found

    def put_lines(self, data, start, end, out):
        """All pairs of data[start:end], which has to lie in it, as header lines (`put_line`). Whether they are well
        formed; if not, some may have been put."""
        p: cython.p_uchar = data
        at: cython.Py_ssize_t = start
        key: cython.Py_ssize_t
        key_end: cython.Py_ssize_t
        value_end: cython.Py_ssize_t
        while at < end:
            key = at + self.width
            key_end = self._next(p, at, end)
            if key_end < 0:
                return False
            value_end = self._next(p, key_end, end)
            if value_end < 0:
                return False
            at = value_end
            put_line(data, key, key_end, data, key_end + self.width, value_end, out)
        return True

    def write(self, items, before=None):
        """`items` as bytes. What was null in `before` ([data, start, end] of the pairs as they came) and is empty now
        is null again. ValueError: longer than a length can say."""
        nulls: set = None
        text: bytes
        out: ByteWriter = _OUT
        if before is not None and self._nullable:
            nulls = self.nulls(*before)
        out.clear()
        for key, text in items:
            self._put(out, key, nulls is not None and not key and None in nulls)
            self._put(out, text, nulls is not None and not text and key in nulls)
        return out.take()

    def _put(self, out, text, null):
        at: cython.Py_ssize_t = out.size
        if cython.cast(cython.ulonglong, len(text)) > self._most:
            raise ValueError(f"metadata: {len(text):,} bytes, of which a length of {self.width} says {self._most:,}")
        out.put_slice(_NO_LENGTH, 0, self.width)
        out.put_number_at(at, self._null if null else cython.cast(cython.ulonglong, len(text)), self.width, self.little)
        out.put(text)

    def nulls(self, data: bytes, start: int, end: int) -> set:
        """The keys whose values are null; None where a key is."""
        found = set()
        null = self.null.to_bytes(self.width, "little" if self.little else "big")
        at: cython.Py_ssize_t = start
        for key, value in self.read(data, start, end):
            if not key and data[at : at + self.width] == null:
                found.add(None)
            at += self.width + len(key)
            if not value and data[at : at + self.width] == null:
                found.add(key)
            at += self.width + len(value)
        return found


def put_line(name, start, end, value, value_start, value_end, out):
    """`name: value` CR LF, where name[start:end] can be that of a header; what a line cannot hold is `?` in the value.
    Both have been seen to lie in their bytes."""
    p: cython.p_uchar = name
    q: cython.p_uchar = value
    at: cython.Py_ssize_t
    shown: cython.bint = True
    if start == end:
        return
    for at in range(start, end):
        if p[at] <= 32 or p[at] >= 127 or p[at] == 58:  # ":"
            return
    for at in range(value_start, value_end):
        if q[at] == 13 or q[at] == 10 or q[at] == 0:
            shown = False
            break
    out.put_slice(name, start, end)
    out.put(_COLON)
    if shown:
        out.put_slice(value, value_start, value_end)
    else:
        out.put(value[value_start:value_end].translate(_UNSHOWN))
    out.put(_LINE_END)


def pairs(length: Any, null: Any = None) -> Pairs:
    """The encoding of a part of metadata: `pairs(u16)`, `pairs(u32, null=0xFFFFFFFF)`; little-endian lengths:
    ``pairs(u16(0).little)``."""
    field = length if isinstance(length, Field) else length(0)
    if not isinstance(field, Field) or field.add or field.mask or field.signed:
        raise ValueError(f"pairs: {length!r} is no plain length: take u8, u16, u32 or u64")
    if null is not None and not 0 <= null < 1 << (8 * field.width):
        raise ValueError(f"pairs: null={null!r} does not fit {8 * field.width} bits")
    return Pairs(field.width, field.order == "little", null)
