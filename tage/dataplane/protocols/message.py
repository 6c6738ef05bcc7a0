"""The internal form of a request's and a response's head, whatever the protocol.

Headers stay where they arrived: a `HeaderBlock` is the raw bytes and arrays of positions in them, so that a head is
forwarded by copying runs of lines and no object is made for a header that nobody asks for. A codec fills it in; each
line is `name: value CRLF` (a codec whose wire form is another writes such lines).
"""

from enum import IntEnum

import cython

from tage.dataplane import native

if not cython.compiled:
    # Compiled, the .pxd has the enumeration.
    PLAIN = 0
    DROPPED = 1
    CONNECTION = 2
    KEEP_ALIVE = 3
    PROXY_CONNECTION = 4
    TE = 5
    TRAILER = 6
    UPGRADE = 7
    TRANSFER_ENCODING = 8
    CONTENT_LENGTH = 9
    HOST = 10
    EXPECT = 11
    REQUEST_ID = 12
    FORWARDED_FOR = 13
    FORWARDED_PROTO = 14
    CLIENT_CERT = 15
    MAX_FORWARDS = 16
    TAGE_HOPS = 17
    CONTENT_TYPE = 18
    COOKIE = 19
    HeaderKind = IntEnum("HeaderKind", {name: value for name, value in globals().items() if type(value) is int})

HOP_BY_HOP = cython.declare(
    cython.int,
    (1 << DROPPED)
    | (1 << CONNECTION)
    | (1 << KEEP_ALIVE)
    | (1 << PROXY_CONNECTION)
    | (1 << TE)
    | (1 << TRAILER)
    | (1 << UPGRADE)
    | (1 << TRANSFER_ENCODING),
)
"""Kinds, as bits, that never go past a proxy (RFC 9110, 7.6.1). Framing headers are written anew."""

_CELL = cython.declare(cython.Py_ssize_t, 4)  # bytes of an int


def same(p, start, size, name):
    """Whether p[start : start+size] is `name` (lower case, of that size) but for case."""
    i: cython.Py_ssize_t
    c: cython.int
    q: cython.p_uchar = name
    for i in range(size):
        c = p[start + i]
        if 65 <= c <= 90:
            c |= 32
        if c != q[i]:
            return False
    return True


def kind_of(p, start, size):
    """The `HeaderKind` of a name. One comparison for most names: length and first letter decide."""
    c: cython.int = p[start] | 32
    if size == 4:
        return HOST if c == 104 and same(p, start, 4, b"host") else PLAIN
    if size == 10:
        if c == 99 and same(p, start, 10, b"connection"):
            return CONNECTION
        return KEEP_ALIVE if c == 107 and same(p, start, 10, b"keep-alive") else PLAIN
    if size == 12:
        if c == 120 and same(p, start, 12, b"x-request-id"):
            return REQUEST_ID
        if c == 99:
            return CONTENT_TYPE if same(p, start, 12, b"content-type") else PLAIN
        return MAX_FORWARDS if c == 109 and same(p, start, 12, b"max-forwards") else PLAIN
    if size == 14:
        return CONTENT_LENGTH if c == 99 and same(p, start, 14, b"content-length") else PLAIN
    if size == 15:
        return FORWARDED_FOR if c == 120 and same(p, start, 15, b"x-forwarded-for") else PLAIN
    if size == 17:
        if c == 116 and same(p, start, 17, b"transfer-encoding"):
            return TRANSFER_ENCODING
        return FORWARDED_PROTO if c == 120 and same(p, start, 17, b"x-forwarded-proto") else PLAIN
    if size == 11:
        return TAGE_HOPS if c == 120 and same(p, start, 11, b"x-tage-hops") else PLAIN
    if size == 2:
        return TE if c == 116 and same(p, start, 2, b"te") else PLAIN
    if size == 6:
        if c == 99:
            return COOKIE if same(p, start, 6, b"cookie") else PLAIN
        return EXPECT if c == 101 and same(p, start, 6, b"expect") else PLAIN
    if size == 7:
        if c == 117 and same(p, start, 7, b"upgrade"):
            return UPGRADE
        return TRAILER if c == 116 and same(p, start, 7, b"trailer") else PLAIN
    if size == 16:
        return PROXY_CONNECTION if c == 112 and same(p, start, 16, b"proxy-connection") else PLAIN
    if size == 23:
        return CLIENT_CERT if c == 120 and same(p, start, 23, b"x-forwarded-client-cert") else PLAIN
    return PLAIN


class HeaderBlock:
    """The header lines of one head, as positions in `raw`. Reused from message to message by its owner: whoever keeps
    a value beyond the message takes a copy (`value` and `get` return copies).

    `mark` is what HPACK knows of a line: 0 nothing, 1 that no encoder may index it (RFC 7541, 7.1.3), else its hash
    (`hpack.field`)."""

    def __init__(self) -> None:
        self.raw = b""
        self.count = 0
        self._capacity = 0
        self._cells = None
        self._grow()

    def _grow(self):
        old: cython.Py_ssize_t = self._capacity
        n: cython.Py_ssize_t = old * 2 if old else 16  # most heads have fewer, and idle connections keep theirs
        former: bytearray = self._cells
        cells: bytearray = native.cells(_CELL * 7 * n)
        i: cython.Py_ssize_t
        if old:
            for i in range(7):
                cells[_CELL * n * i : _CELL * (n * i + old)] = former[_CELL * old * i : _CELL * old * (i + 1)]
        if cython.compiled:
            first: cython.p_uchar = cells
            at: cython.p_int = cython.cast(cython.p_int, first)
            self.name_start = at
            self.name_end = at + n
            self.value_start = at + 2 * n
            self.value_end = at + 3 * n
            self.line_end = at + 4 * n
            self.kind = at + 5 * n
            self.mark = cython.cast(cython.p_uint, at + 6 * n)
        else:
            view = memoryview(cells).cast("i")
            self.name_start, self.name_end, self.value_start, self.value_end, self.line_end, self.kind = (
                view[n * i : n * (i + 1)] for i in range(6)
            )
            self.mark = memoryview(cells).cast("I")[n * 6 :]
        self._cells = cells
        self._capacity = n

    def reset(self, raw):
        self.raw = raw
        self.count = 0

    def add(self, name_start, name_end, value_start, value_end, line_end):
        """Appends a line; returns its index."""
        i: cython.Py_ssize_t = self.count
        if i == self._capacity:
            self._grow()
        self.name_start[i] = name_start
        self.name_end[i] = name_end
        self.value_start[i] = value_start
        self.value_end[i] = value_end
        self.line_end[i] = line_end
        self.kind[i] = kind_of(self.raw, name_start, name_end - name_start)
        self.mark[i] = 0
        self.count = i + 1
        return i

    def append(self, start, name_size, size, kind, mark):
        """As `add`, of a line `name: value CR LF` of `size` bytes whose kind is known; `raw` may be set later."""
        i: cython.Py_ssize_t = self.count
        if i == self._capacity:
            self._grow()
        self.name_start[i] = start
        self.name_end[i] = start + name_size
        self.value_start[i] = start + name_size + 2
        self.value_end[i] = start + size - 2
        self.line_end[i] = start + size
        self.kind[i] = kind
        self.mark[i] = mark
        self.count = i + 1

    def find(self, kind):
        """The index of the first header of that kind, or -1."""
        i: cython.Py_ssize_t
        for i in range(self.count):
            if self.kind[i] == kind:
                return i
        return -1

    def value(self, index):
        p: cython.p_uchar = self.raw
        return p[self.value_start[index] : self.value_end[index]]

    def name_is(self, index, name):
        """`name` in lower case."""
        size: cython.Py_ssize_t = self.name_end[index] - self.name_start[index]
        return size == len(name) and same(self.raw, self.name_start[index], size, name)

    def goes(self, index, drop, names):
        """Whether the line goes on: its kind is not in `drop`, nor its name in `names` (None: none)."""
        name: bytes
        if (drop >> self.kind[index]) & 1:
            return False
        if names is not None:
            for name in names:
                if self.name_is(index, name):
                    return False
        return True

    def get(self, name):
        """The value of the header `name` (lower case); several are joined by "," as RFC 9110, 5.3 has it."""
        i: cython.Py_ssize_t
        found: bytes = None
        for i in range(self.count):
            if self.name_is(i, name):
                found = self.value(i) if found is None else found + b"," + self.value(i)
        return found

    def items(self) -> list[tuple[bytes, bytes]]:
        """Names as they came, and values: for logs and tests."""
        return [
            (self.raw[self.name_start[i] : self.name_end[i]], self.raw[self.value_start[i] : self.value_end[i]])
            for i in range(self.count)
        ]


def new_block():
    """An empty one, made for less than by calling the class."""
    block: HeaderBlock = HeaderBlock.__new__(HeaderBlock)
    block.raw = b""
    if not cython.compiled:
        block.count = block._capacity = 0
        block._cells = None
    block._grow()
    return block


class RequestHead:
    """`path` includes the query; of CONNECT it is the target. `authority` is the target's authority, else the Host
    header, as it came. `body_length` is bytes, 0 without a body, -1 when only the end will tell. `upgrade` is None but
    where the client asks for another protocol on this connection: what Upgrade says, or CONNECT for that method.

    `timeout` is how long the client waits, ms, 0: it does not say. `one_way`: it waits for no answer. `exclusive`: the
    request is too large to share a connection with others. `malformed`: its headers cannot be read; found out when they
    are to be complete. `grpc`: it is a call of gRPC, by its content-type."""

    def __init__(self) -> None:
        self.method = b""
        self.path = b""
        self.authority = b""
        self.scheme = b"http"
        self.block = HeaderBlock()
        self.body_length = 0
        self.expects_continue = False
        self.upgrade = None
        self.timeout = 0
        self.one_way = False
        self.exclusive = False
        self.malformed = False
        self.grpc = False

    def complete(self):
        """Sees to it that all headers are in the block: some codecs read them only where somebody asks."""

    def edited(self, edits, out):
        """A head of its own as `edits` would have it go out; None: its headers are all there is to it."""

    def header(self, name):
        """Pseudo-headers by `:name`, else the header's value; None when absent. `name` in lower case."""
        if name and name[0] == 58:  # ":"
            if name == b":method":
                return self.method
            if name == b":authority":
                return self.authority
            if name == b":path":
                return self.path
            return self.scheme if name == b":scheme" else None
        return self.block.get(name)

    def path_only(self):
        """Without the query."""
        at: cython.Py_ssize_t = native.find_byte(self.path, 0, len(self.path), 63)
        return self.path if at < 0 else self.path[:at]

    def headers(self) -> list[tuple[bytes, bytes]]:
        return self.block.items()


class ResponseHead:
    """`body_length` as in a request: 0 also where there is none whatever the headers say."""

    def __init__(self) -> None:
        self.status = 0
        self.body_length = 0
        self.block = HeaderBlock()

    def complete(self):
        """As of a request's."""

    def copied(self, out):
        """A head that stays when its connection reads on; None: its headers are all there is to it."""

    def header(self, name):
        return self.block.get(name)

    def headers(self) -> list[tuple[bytes, bytes]]:
        return self.block.items()
