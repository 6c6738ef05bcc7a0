"""A field that is in a table: what RFC 9113, 8.2 and 8.3 say of it alone is checked when it is inserted, once.

Its line is written as it goes into a head, so that a field that the peer refers to by its index is one copy of bytes.
Hashes are for our own tables only: of a name whatever its case, and of name and value together.
"""

import cython

from tage.dataplane import native

if not cython.compiled:
    # Compiled, these names come from the .pxd.
    from enum import IntEnum

    from tage.dataplane.protocols.http1.characters import CLASS
    from tage.dataplane.protocols.http1.request import _valid_host
    from tage.dataplane.protocols.message import (
        CONNECTION,
        CONTENT_LENGTH,
        KEEP_ALIVE,
        PROXY_CONNECTION,
        TE,
        TRANSFER_ENCODING,
        UPGRADE,
        kind_of,
        same,
    )

    REGULAR = 0
    METHOD = 1
    SCHEME = 2
    PATH = 3
    AUTHORITY = 4
    STATUS = 5
    PROTOCOL = 6
    UNKNOWN_PSEUDO = 7
    UNMARKED = 0
    NEVER_INDEXED = 1
    Pseudo = IntEnum(
        "Pseudo",
        {
            "REGULAR": 0,
            "METHOD": 1,
            "SCHEME": 2,
            "PATH": 3,
            "AUTHORITY": 4,
            "STATUS": 5,
            "PROTOCOL": 6,
            "UNKNOWN_PSEUDO": 7,
        },
    )
    Mark = IntEnum("Mark", {"UNMARKED": 0, "NEVER_INDEXED": 1})

_CONNECTION_SPECIFIC = cython.declare(
    cython.uint,
    (1 << CONNECTION) | (1 << KEEP_ALIVE) | (1 << PROXY_CONNECTION) | (1 << TRANSFER_ENCODING) | (1 << UPGRADE),
)
_MAX_DIGITS = cython.declare(cython.Py_ssize_t, 18)
_MASK = cython.declare(cython.ulonglong, 0xFFFFFFFFFFFFFFFF)
_LOWER = cython.declare(cython.ulonglong, 0x2020202020202020)
_MULTIPLIER = cython.declare(cython.ulonglong, 0x9E3779B97F4A7C15)


class Field:
    """`line` is `name: value CR LF`, of `size` bytes; `value` is there of pseudo-headers only. `number`: of a status or
    a content-length. `problem` (None: none) is what makes a message with it malformed, `name_problem` that of its name.
    `older`, `older_name` link an encoder's entries whose hashes meet.

    Made by `new_field`."""

    def __init__(self) -> None:
        self.line = b""
        self.value = None
        self.name_size = 0
        self.size = 0
        self.kind = 0
        self.pseudo = 0
        self.name_problem = None
        self.problem = None
        self.name_hash = 0
        self.hash = 0
        self.number = -1
        self.older = 0
        self.older_name = 0

    def pair(self) -> tuple[bytes, bytes]:
        return self.line[: self.name_size], self.line[self.name_size + 2 : self.size - 2]


def new_field(line, name_size, name):
    """`line` is whole; `name` another field of that name, or None."""
    field: Field = Field.__new__(Field)
    p: cython.p_uchar = line
    size: cython.Py_ssize_t = len(line)
    field.line = line
    field.name_size = name_size
    field.size = size
    field.number = -1
    if not cython.compiled:
        field.value = field.problem = None
        field.older = field.older_name = 0
    if name is not None:
        field.kind = name.kind
        field.pseudo = name.pseudo
        field.name_problem = name.name_problem
        field.name_hash = name.name_hash
    else:
        field.kind = kind_of(p, 0, name_size) if name_size else 0
        field.pseudo = pseudo_of(p, 0, name_size)
        field.name_problem = None if field.pseudo else check_name(p, 0, name_size)
        field.name_hash = hash_name(p, 0, name_size)
    field.hash = hash_value(field.name_hash, p, name_size + 2, size - name_size - 4)
    if field.name_problem is not None:
        field.problem = field.name_problem
    elif field.pseudo:
        field.value = line[name_size + 2 : size - 2]
        field.problem = check_pseudo(field.pseudo, field.value)
        if field.pseudo == STATUS:
            field.number = number_in(p, name_size + 2, size - 2)
    else:
        field.problem = check_value(field.kind, p, name_size + 2, size - 2)
        if field.kind == CONTENT_LENGTH:
            field.number = number_in(p, name_size + 2, size - 2)
    return field


def bare_field(line, name_size, name_hash, hash):
    """For an encoder's table, where nothing needs to be checked."""
    field: Field = Field.__new__(Field)
    field.line = line
    field.name_size = name_size
    field.size = len(line)
    field.name_hash = name_hash
    field.hash = hash
    return field


def hash_name(p, start, size):
    """32 bits, the same for upper and lower case."""
    h: cython.ulonglong = ((size + 1) * _MULTIPLIER) & _MASK
    w: cython.ulonglong = 0
    at: cython.Py_ssize_t = start
    end: cython.Py_ssize_t = start + size
    while end - at >= 8:
        h = ((h ^ (native.word(p, at) | _LOWER)) * _MULTIPLIER) & _MASK
        h ^= h >> 29
        at += 8
    if at < end:
        if size >= 8:
            w = native.word(p, end - 8)
        else:
            while at < end:
                w = (w << 8) | p[at]
                at += 1
        h = ((h ^ (w | _LOWER)) * _MULTIPLIER) & _MASK
    return cython.cast(cython.uint, (h >> 32) | 2)


def hash_value(name_hash, p, start, size):
    """32 bits, none of the values of `Mark`, of a name with this hash and the value p[start : start+size]."""
    h: cython.ulonglong = ((name_hash + size) * _MULTIPLIER) & _MASK
    w: cython.ulonglong = 0
    at: cython.Py_ssize_t = start
    end: cython.Py_ssize_t = start + size
    h ^= h >> 32
    while end - at >= 8:
        h = ((h ^ native.word(p, at)) * _MULTIPLIER) & _MASK
        h ^= h >> 29
        at += 8
    if at < end:
        if size >= 8:
            w = native.word(p, end - 8)
        else:
            while at < end:
                w = (w << 8) | p[at]
                at += 1
        h = ((h ^ w) * _MULTIPLIER) & _MASK
    return cython.cast(cython.uint, (h >> 32) | 2)


def pseudo_of(p, start, size):
    if size == 0 or p[start] != 58:  # ":"
        return REGULAR
    if size == 7:
        if native.equal(p, start, b":method", 7):
            return METHOD
        if native.equal(p, start, b":scheme", 7):
            return SCHEME
        if native.equal(p, start, b":status", 7):
            return STATUS
    elif size == 5 and native.equal(p, start, b":path", 5):
        return PATH
    elif size == 10 and native.equal(p, start, b":authority", 10):
        return AUTHORITY
    elif size == 9 and native.equal(p, start, b":protocol", 9):
        return PROTOCOL
    return UNKNOWN_PSEUDO


def check_name(p, start, size):
    """A token in lower case (RFC 9113, 8.2.1), or what is wrong."""
    cls: cython.p_uchar = CLASS
    at: cython.Py_ssize_t
    if size == 0:
        return "an empty header name"
    for at in range(start, start + size):
        if 65 <= p[at] <= 90:
            return "a header name with upper-case letters"
        if not cls[p[at]] & 1:
            return "a header name with a character that names do not have"
    return None


def value_ok(p, start, end):
    """No control characters, nor white space around it (RFC 9113, 8.2.1)."""
    cls: cython.p_uchar = CLASS
    at: cython.Py_ssize_t
    if start == end:
        return True
    if p[start] == 32 or p[start] == 9 or p[end - 1] == 32 or p[end - 1] == 9:
        return False
    for at in range(start, end):
        if not cls[p[at]] & 2:
            return False
    return True


def check_value(kind, p, start, end):
    """The value of a regular header."""
    if not value_ok(p, start, end):
        return "a header value with a control character, or white space around it"
    if (_CONNECTION_SPECIFIC >> kind) & 1:
        return "a connection-specific header (RFC 9113, 8.2.2)"
    if kind == TE and (end - start != 8 or not same(p, start, 8, b"trailers")):
        return "te says other than trailers"
    if kind == CONTENT_LENGTH and number_in(p, start, end) < 0:
        return "content-length is not a number"
    return None


def check_pseudo(pseudo, value):
    """The value of a pseudo-header (RFC 9113, 8.3.1 and 8.3.2; RFC 8441, 4)."""
    p: cython.p_uchar = value
    cls: cython.p_uchar = CLASS
    at: cython.Py_ssize_t
    size: cython.Py_ssize_t = len(value)
    if pseudo == PATH:
        if size == 0:
            return ":path is empty"
        if p[0] != 47 and (size > 1 or p[0] != 42):  # "/", "*"
            return ":path does not begin with /"
        for at in range(size):
            if not cls[p[at]] & 4 or p[at] == 35:  # "#": a fragment is never sent
                return ":path has a character that paths do not have"
    elif pseudo == AUTHORITY:
        if size == 0 or not _valid_host(value):
            return ":authority is not host[:port]"
    elif pseudo == METHOD or pseudo == PROTOCOL:
        for at in range(size):
            if not cls[p[at]] & 1:
                size = 0
                break
        if size == 0:
            return ":method is not a token" if pseudo == METHOD else ":protocol is not a token"
    elif pseudo == SCHEME:
        if size == 0 or not 97 <= p[0] | 32 <= 122:
            return ":scheme is not a scheme"
        for at in range(size):
            if not (97 <= p[at] | 32 <= 122 or 48 <= p[at] <= 57 or p[at] == 43 or p[at] == 45 or p[at] == 46):
                return ":scheme is not a scheme"
    elif pseudo == STATUS:
        if size != 3 or number_in(p, 0, size) < 100:
            return ":status is not three digits"
        if native.equal(p, 0, b"101", 3):
            return "status 101, which HTTP/2 does not have (RFC 9113, 8.6)"
    else:
        return "an unknown pseudo-header"
    return None


def number_in(p, start, end):
    """The digits p[start:end] as a number; -1: they are none, or too many."""
    number: cython.longlong = 0
    if start == end or end - start > _MAX_DIGITS:
        return -1
    while start < end:
        if not 48 <= p[start] <= 57:
            return -1
        number = number * 10 + (p[start] - 48)
        start += 1
    return number
