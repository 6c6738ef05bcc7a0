"""Header blocks -> fields (RFC 7541, 3 and 6). Any error but a message's own makes the peer's table unknown to us, and
ends the connection with COMPRESSION_ERROR."""

import cython

from tage.dataplane.protocols.http2.hpack.table import DEFAULT_SIZE, FieldTable
from tage.dataplane.protocols.writer import ByteWriter

if not cython.compiled:
    # Compiled, these names come from the .pxd.
    from tage.dataplane.protocols.http2.hpack import huffman
    from tage.dataplane.protocols.http2.hpack.field import Field, new_field
    from tage.dataplane.protocols.http2.hpack.static import STATIC

_STATIC_SIZE = cython.declare(cython.ulonglong, 61)
_MAX_SHIFT = cython.declare(cython.int, 28)  # of an integer's further bytes: five of them, 35 bits


class HpackDecoder:
    """What a peer's encoder writes, on one connection. `limit` (bytes) is the SETTINGS_HEADER_TABLE_SIZE that we
    announce; the peer begins with 4,096 and is bound by ours once it has acknowledged it (`acknowledged`).

    `error` says in words what was wrong, after `decode` has answered 0."""

    def __init__(self, limit: cython.Py_ssize_t = DEFAULT_SIZE) -> None:
        self.table = FieldTable(DEFAULT_SIZE)
        self.error = None
        self._limit = limit
        self._acknowledged = False
        self._static = STATIC
        self._number = 0

    def acknowledged(self):
        """The peer has acknowledged our SETTINGS. A table that is larger must have been made smaller by its next block
        (RFC 7541, 4.2)."""
        self._acknowledged = True

    def decode(self, data, start, end, into):
        """One whole block, data[start:end]. 1: its fields are in `into`, which is ended. 0: a compression error."""
        p: cython.p_uchar = data
        at: cython.Py_ssize_t = start
        field: Field
        if not 0 <= start <= end <= len(data):
            raise IndexError("outside the data")
        while at < end and p[at] & 0xE0 == 0x20:
            at = self._resize(p, at, end)
            if at < 0:
                return 0
        if self._acknowledged and self.table.limit > self._limit:
            return self._fail("the table was not made as small as announced")
        while at < end:
            if p[at] & 0x80:
                if p[at] != 0xFF:
                    self._number = p[at] & 0x7F
                    at += 1
                else:
                    at = self._integer(p, at, end, 0x7F)
                    if at < 0:
                        return self._fail("a bad integer")
                field = self._field(self._number)
                if field is None:
                    return self._fail("an index outside the tables")
                into.add(field)
            elif p[at] & 0xE0 == 0x20:
                return self._fail("a table size update behind a field")
            else:
                at = self._literal(data, at, end, into)
                if at < 0:
                    return 0
        into.end()
        return 1

    def _fail(self, error):
        self.error = error
        return 0

    def _field(self, index):
        if index <= _STATIC_SIZE:
            return self._static[cython.cast(cython.Py_ssize_t, index)]  # None at 0
        return self.table.at(cython.cast(cython.Py_ssize_t, index - _STATIC_SIZE - 1))

    def _integer(self, p, at, end, mask):
        """An integer whose prefix is `mask` of p[at] (section 5.1) into `_number`; the position behind it, or -1."""
        value: cython.ulonglong = p[at] & mask
        shift: cython.int = 0
        at += 1
        if value == mask:
            while True:
                if at == end or shift > _MAX_SHIFT:
                    return -1
                value += cython.cast(cython.ulonglong, p[at] & 0x7F) << shift
                shift += 7
                at += 1
                if not p[at - 1] & 0x80:
                    break
        self._number = value
        return at

    def _resize(self, p, at, end):
        """A table size update (6.3)."""
        at = self._integer(p, at, end, 0x1F)
        limit: cython.Py_ssize_t = self._limit if self._acknowledged else max(self._limit, DEFAULT_SIZE)
        if at < 0:
            self._fail("a bad integer")
        elif self._number > cython.cast(cython.ulonglong, limit):
            self._fail("a table larger than announced")
            return -1
        else:
            self.table.resize(cython.cast(cython.Py_ssize_t, self._number))
        return at

    def _string(self, data, at, end, out):
        """A string (5.2) decoded into `out`; the position behind it, or -1."""
        p: cython.p_uchar = data
        coded: cython.bint
        size: cython.Py_ssize_t
        if at == end:
            self._fail("the block ends within a field")
            return -1
        coded = p[at] & 0x80 != 0
        at = self._integer(p, at, end, 0x7F)
        if at < 0:
            self._fail("a bad integer")
            return -1
        if self._number > cython.cast(cython.ulonglong, end - at):
            self._fail("a string longer than its block")
            return -1
        size = cython.cast(cython.Py_ssize_t, self._number)
        if not coded:
            out.put_slice(data, at, at + size)
        elif not huffman.decode(data, at, size, out):
            self._fail("a bad Huffman code")
            return -1
        return at + size

    def _literal(self, data, at, end, into):
        """A literal field (6.2); the position behind it, or -1."""
        p: cython.p_uchar = data
        out: ByteWriter = into.out
        begin: cython.Py_ssize_t = out.size
        first: cython.int = p[at]
        indexed: cython.bint = first & 0x40 != 0
        name: Field = None
        name_size: cython.Py_ssize_t
        at = self._integer(p, at, end, 0x3F if indexed else 0x0F)
        if at < 0:
            self._fail("a bad integer")
            return -1
        if self._number:
            name = self._field(self._number)
            if name is None:
                self._fail("an index outside the tables")
                return -1
            name_size = name.name_size
            out.put_slice(name.line, 0, name_size + 2)
        else:
            at = self._string(data, at, end, out)
            if at < 0:
                return -1
            name_size = out.size - begin
            out.put(b": ")
        at = self._string(data, at, end, out)
        if at < 0:
            return -1
        out.put(b"\r\n")
        if not indexed:
            into.add_line(begin, name_size, name, first & 0x10 != 0)
            return at
        p = out._p
        line: bytes = p[begin : out.size] if cython.compiled else bytes(p[begin : out.size])
        out.cut(begin)
        field: Field = new_field(line, name_size, name)
        self.table.insert(field)
        into.add(field)
        return at
