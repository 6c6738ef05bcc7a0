"""Fields -> header blocks (RFC 7541, 6).

A field that the table has is its index; one that it has not is written as it is, without Huffman's code (`huffman` says
why). It is put into the table when it is seen for the second time, so that what never repeats (ids, traces, paths with
numbers in them) pushes nothing out; or when its name is new to the table, so that further values need not repeat it.

Fields are found by hash. Buckets hold the number of the newest entry with a hash that falls there, each entry that of
the next older one; numbers that are no longer in the table end the chain, so eviction has nothing to unlink.
"""

import cython

from tage.dataplane.protocols.http2.hpack.table import DEFAULT_SIZE, FieldTable

if not cython.compiled:
    # Compiled, these names come from the .pxd.
    from tage.dataplane import native
    from tage.dataplane.protocols.http2.hpack.field import NEVER_INDEXED, Field, bare_field, hash_name, hash_value
    from tage.dataplane.protocols.http2.hpack.static import STATIC, static_name
    from tage.dataplane.protocols.message import same

_STATIC_SIZE = cython.declare(cython.longlong, 61)
_MASK = cython.declare(cython.uint, 63)  # of the buckets' 64 places
_WAYS = cython.declare(cython.uint, 4)  # `_recent` has 32 sets of so many hashes, the newest first
_INTEGER = cython.declare(cython.Py_ssize_t, 12)  # bytes that one takes at most
_SETS = cython.declare(cython.uint, 31)
_STATUS = cython.declare(cython.int, 8)
_AUTHORIZATION = cython.declare(cython.int, 23)
_COOKIE = cython.declare(cython.int, 32)
_PROXY_AUTHORIZATION = cython.declare(cython.int, 49)
_SHORT_COOKIE = cython.declare(cython.Py_ssize_t, 20)
"""Bytes: what may be guessed by trying (RFC 7541, 7.1.3)."""


class HpackEncoder:
    """For a peer's decoder, on one connection. The table has no more than `most` bytes, whatever the peer allows."""

    def __init__(self, most: cython.Py_ssize_t = DEFAULT_SIZE) -> None:
        self.table = FieldTable(min(most, DEFAULT_SIZE))
        self._most = most
        self._smallest = self.table.limit
        self._resized = self.table.limit != DEFAULT_SIZE
        if not cython.compiled:
            self._recent = [0] * 128
            self._buckets = [0] * 64
            self._names = [0] * 64

    def resize(self, limit):
        """The peer's SETTINGS_HEADER_TABLE_SIZE, bytes: acknowledged, the next block begins with it (section 4.2)."""
        size: cython.Py_ssize_t = min(limit, self._most)
        if size == self.table.limit:
            return
        if not self._resized or size < self._smallest:
            self._smallest = size
        self._resized = True
        self.table.resize(size)

    def begin(self, out):
        """Once a block, before its fields."""
        if self._resized:
            self._resized = False
            out._room(24)
            if self._smallest < self.table.limit:
                _put_integer(out, 0x20, 0x1F, self._smallest)
            _put_integer(out, 0x20, 0x1F, self.table.limit)

    def put_field(self, out, name, value):
        """`name` in lower case."""
        self._put(out, name, 0, len(name), value, 0, len(value), 0)

    def put_block(self, out, block, drop, names):
        """The block's lines but those whose kind is in `drop` or whose name is in `names` (None: none)."""
        i: cython.Py_ssize_t
        p: cython.p_uchar = block.raw
        for i in range(block.count):
            if not block.goes(i, drop, names):
                continue
            self._put(
                out,
                p,
                block.name_start[i],
                block.name_end[i] - block.name_start[i],
                p,
                block.value_start[i],
                block.value_end[i] - block.value_start[i],
                block.mark[i],
            )

    def put_lines(self, out, lines):
        """Whole lines, `name: value CR LF`, which were checked when they were read or made."""
        p: cython.p_uchar = lines
        at: cython.Py_ssize_t = 0
        end: cython.Py_ssize_t = len(lines)
        stop: cython.Py_ssize_t
        colon: cython.Py_ssize_t
        value: cython.Py_ssize_t
        value_end: cython.Py_ssize_t
        while at < end:
            stop = native.find_byte(p, at, end, 10)
            colon = native.find_byte(p, at, stop, 58)
            value = colon + 1
            value_end = stop - 1
            while value < value_end and (p[value] == 32 or p[value] == 9):
                value += 1
            while value_end > value and (p[value_end - 1] == 32 or p[value_end - 1] == 9):
                value_end -= 1
            self._put(out, p, at, colon - at, p, value, value_end - value, 0)
            at = stop + 1

    def put_status(self, out, status):
        """`:status`, three digits."""
        if status == 200:
            self.put_index(out, 8)
        elif status == 204:
            self.put_index(out, 9)
        elif status == 404:
            self.put_index(out, 13)
        elif status == 304:
            self.put_index(out, 11)
        elif status == 206:
            self.put_index(out, 10)
        elif status == 400:
            self.put_index(out, 12)
        elif status == 500:
            self.put_index(out, 14)
        else:
            self.put_named(out, _STATUS, b"%d" % status)

    def put_index(self, out, index):
        """A field of the static table."""
        out._room(1)
        out._p[out.size] = 0x80 | index
        out.size += 1

    def put_named(self, out, index, value):
        """A field with the name of the static table's `index`."""
        name: Field = STATIC[index]
        self._put(out, name.line, 0, name.name_size, value, 0, len(value), 0)

    def _put(self, out, p, start, size, q, value, value_size, mark):
        """A field: its name is p[start : start+size], its value q[value : value+value_size]."""
        table: FieldTable = self.table
        name_hash: cython.uint = 0
        hash: cython.uint = mark
        number: cython.longlong
        index: cython.int
        never: cython.bint = mark == NEVER_INDEXED
        insert: cython.bint = False
        field: Field
        if mark <= NEVER_INDEXED:
            name_hash = hash_name(p, start, size)
            hash = hash_value(name_hash, q, value, value_size)
        if not never:
            number = self._find(hash, p, start, size, q, value, value_size)
            if number:
                if out._capacity - out.size < _INTEGER:
                    out._room(_INTEGER)
                _put_integer(out, 0x80, 0x7F, _STATIC_SIZE + 1 + table.inserted - number)
                return
        if name_hash == 0:
            name_hash = hash_name(p, start, size)
        index = static_name(name_hash, p, start, size)
        if index:
            field = STATIC[index]
            if (
                field.hash == hash
                and not never
                and field.size == size + value_size + 4
                and native.equal_at(field.line, size + 2, q, value, value_size)
            ):
                self.put_index(out, index)
                return
            number = index
            if (
                index == _AUTHORIZATION
                or index == _PROXY_AUTHORIZATION
                or (index == _COOKIE and value_size < _SHORT_COOKIE)
            ):
                never = True
        else:
            number = self._find_name(name_hash, p, start, size)
            if number:
                number = _STATIC_SIZE + 1 + table.inserted - number
        if not never and (size + value_size + 32) * 4 <= table.limit * 3:
            insert = self._again(hash) or number == 0
        out._room(size + value_size + 4 * _INTEGER)
        if insert:
            _put_integer(out, 0x40, 0x3F, number)
        else:
            _put_integer(out, 0x10 if never else 0, 0x0F, number)
        if number == 0:
            _put_integer(out, 0, 0x7F, size)
            _put_name(out, p, start, size)
        _put_integer(out, 0, 0x7F, value_size)
        native.copy(out._p, out.size, q, value, value_size)
        out.size += value_size
        if insert:
            self._insert(p, start, size, q, value, value_size, name_hash, hash)

    def _find(self, hash, p, start, size, q, value, value_size):
        """The number of the newest entry that is this field; 0: there is none."""
        table: FieldTable = self.table
        gone: cython.longlong = table.inserted - table.count
        number: cython.longlong = self._buckets[hash & _MASK]
        field: Field
        while number > gone:
            field = table._ring[number & table._mask]
            if field.hash == hash and field.name_size == size and field.size == size + value_size + 4:
                whole: cython.bint = p == q and value == start + size + 2
                if whole and native.equal_at(p, start, field.line, 0, size + 2 + value_size):
                    return number
                if native.equal_at(q, value, field.line, size + 2, value_size) and same(p, start, size, field.line):
                    return number
            number = field.older
        return 0

    def _find_name(self, hash, p, start, size):
        table: FieldTable = self.table
        gone: cython.longlong = table.inserted - table.count
        number: cython.longlong = self._names[hash & _MASK]
        field: Field
        while number > gone:
            field = table._ring[number & table._mask]
            if (
                field.name_hash == hash
                and field.name_size == size
                and same(p, start, size, field.line)
            ):
                return number
            number = field.older_name
        return 0

    def _again(self, hash):
        """Whether a field with this hash was seen lately; from now on it was."""
        first: cython.uint = ((hash >> 8) & _SETS) * _WAYS
        at: cython.uint = first + _WAYS - 1
        i: cython.uint
        for i in range(first, first + _WAYS):
            if self._recent[i] == hash:
                return True
        while at > first:
            self._recent[at] = self._recent[at - 1]
            at -= 1
        self._recent[first] = hash
        return False

    def _insert(self, p, start, size, q, value, value_size, name_hash, hash):
        name: bytes = p[start : start + size]
        text: bytes = q[value : value + value_size]
        field: Field = bare_field(b"%b: %b\r\n" % (name.lower(), text), size, name_hash, hash)
        if self.table.insert(field):
            field.older = self._buckets[hash & _MASK]
            field.older_name = self._names[name_hash & _MASK]
            self._buckets[hash & _MASK] = self.table.inserted
            self._names[name_hash & _MASK] = self.table.inserted


def _put_integer(out, first, mask, value):
    """Section 5.1; `out` has room for it."""
    p: cython.p_uchar = out._p
    at: cython.Py_ssize_t = out.size
    if value < mask:
        p[at] = first | value
        out.size = at + 1
        return
    p[at] = first | mask
    at += 1
    value -= mask
    while value >= 128:
        p[at] = 0x80 | (value & 0x7F)
        at += 1
        value >>= 7
    p[at] = value
    out.size = at + 1


def _put_name(out, p, start, size):
    """In lower case; `out` has room for it."""
    to: cython.p_uchar = out._p
    at: cython.Py_ssize_t = out.size
    i: cython.Py_ssize_t
    c: cython.int
    for i in range(start, start + size):
        c = p[i]
        to[at] = c | 32 if 65 <= c <= 90 else c
        at += 1
    out.size = at
