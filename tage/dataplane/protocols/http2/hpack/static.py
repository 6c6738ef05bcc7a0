"""The static table (RFC 7541, appendix A), and what finds the names in it: a table of slots by hash, half empty."""

import cython

if not cython.compiled:
    # Compiled, these names come from the .pxd.
    from tage.dataplane.protocols.http2.hpack.field import Field, new_field
    from tage.dataplane.protocols.message import same

_ENTRIES = (
    b":authority", b":method: GET", b":method: POST", b":path: /", b":path: /index.html", b":scheme: http",
    b":scheme: https", b":status: 200", b":status: 204", b":status: 206", b":status: 304", b":status: 400",
    b":status: 404", b":status: 500", b"accept-charset", b"accept-encoding: gzip, deflate", b"accept-language",
    b"accept-ranges", b"accept", b"access-control-allow-origin", b"age", b"allow", b"authorization", b"cache-control",
    b"content-disposition", b"content-encoding", b"content-language", b"content-length", b"content-location",
    b"content-range", b"content-type", b"cookie", b"date", b"etag", b"expect", b"expires", b"from", b"host",
    b"if-match", b"if-modified-since", b"if-none-match", b"if-range", b"if-unmodified-since", b"last-modified", b"link",
    b"location", b"max-forwards", b"proxy-authenticate", b"proxy-authorization", b"range", b"referer", b"refresh",
    b"retry-after", b"server", b"set-cookie", b"strict-transport-security", b"transfer-encoding", b"user-agent",
    b"vary", b"via", b"www-authenticate",
)  # fmt: skip
_MASK = cython.declare(cython.uint, 255)


def _fields() -> list:
    """By index, which begins with 1."""
    fields: list = [None]
    for entry in _ENTRIES:
        colon = entry.find(b": ")
        name_size: cython.Py_ssize_t = colon if colon > 0 else len(entry)
        fields.append(new_field(entry + (b"\r\n" if colon > 0 else b": \r\n"), name_size, None))
    return fields


def _slots(fields: list) -> bytearray:
    """The lowest index of each name, at its hash or behind it; 0: free."""
    slots = bytearray(256)
    names = set()
    for index, field in enumerate(fields):
        name = field.pair()[0] if index else b""
        if name and name not in names:
            names.add(name)
            at = field.name_hash >> 8 & 255
            while slots[at]:
                at = (at + 1) & 255
            slots[at] = index
    return slots


STATIC = _fields()
_SLOTS = _slots(STATIC)


def static_name(name_hash, p, start, size):
    """The lowest index of the name p[start : start+size], whatever its case; 0: it is not there."""
    slots: cython.p_uchar = _SLOTS
    at: cython.uint = (name_hash >> 8) & _MASK
    field: Field
    while slots[at]:
        field = STATIC[slots[at]]
        if field.name_hash == name_hash and field.name_size == size and same(p, start, size, field.line):
            return slots[at]
        at = (at + 1) & _MASK
    return 0
