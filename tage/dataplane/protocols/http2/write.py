"""Heads -> header blocks of HTTP/2, whatever protocol they came by. Pseudo-headers are written from what the decoder
understood; hop-by-hop headers and Host stay behind (RFC 9113, 8.2.2 and 8.3.1)."""

import cython

if not cython.compiled:
    # Compiled, these names come from the .pxd.
    from tage.dataplane import native
    from tage.dataplane.protocols.message import (
        CONTENT_LENGTH,
        HOP_BY_HOP,
        HOST,
        TE,
        TRAILER,
        same,
    )

# Indices of the static table (RFC 7541, appendix A).
_AUTHORITY = cython.declare(cython.int, 1)
_METHOD = cython.declare(cython.int, 2)
_METHOD_POST = cython.declare(cython.int, 3)
_PATH = cython.declare(cython.int, 4)
_SCHEME_HTTP = cython.declare(cython.int, 6)
_SCHEME_HTTPS = cython.declare(cython.int, 7)

_NEVER_GOES = cython.declare(cython.uint, HOP_BY_HOP & ~(1 << TRAILER))
_WEBSOCKET = [b"sec-websocket-key", b"sec-websocket-accept"]
_HANDSHAKE = (b"connection:", b"upgrade:", b"sec-websocket-key:", b"sec-websocket-accept:")
"""What an extended CONNECT does without of HTTP/1.1's handshake (RFC 8441, 5): headers, and lines of ours."""


def write_request(hpack, out, head, edits):
    """A request head. One that asks for another protocol becomes an extended CONNECT (RFC 8441)."""
    drop: cython.uint = (HOP_BY_HOP & ~edits.keep) | _NEVER_GOES | (1 << HOST) | edits.drop
    authority: bytes = head.authority if edits.authority is None else edits.authority
    method: bytes = head.method if edits.method is None else edits.method
    names: list = edits.names
    extra: bytes = edits.extra
    protocol: bytes = None
    connect: cython.bint = False
    hpack.begin(out)
    if head.upgrade is not None:
        connect = len(method) == 7 and method == b"CONNECT"
        if not connect:
            method = b"CONNECT"
            protocol = head.upgrade
            names = _WEBSOCKET if names is None else names + _WEBSOCKET
            extra = _without_handshake(extra)
    _put_method(hpack, out, method)
    if not connect:
        if protocol is not None:
            hpack.put_field(out, b":protocol", protocol)
        if len(head.scheme) == 4 and native.equal(head.scheme, 0, b"http", 4):
            hpack.put_index(out, _SCHEME_HTTP)
        elif len(head.scheme) == 5 and native.equal(head.scheme, 0, b"https", 5):
            hpack.put_index(out, _SCHEME_HTTPS)
        else:
            hpack.put_named(out, _SCHEME_HTTP, head.scheme)
    if authority:
        hpack.put_named(out, _AUTHORITY, authority)
    if not connect:
        hpack.put_named(out, _PATH, head.path if edits.path is None else edits.path)
    hpack.put_block(out, head.block, drop, names)
    if not (edits.drop >> TE) & 1 and _asks_for_trailers(head.block):
        hpack.put_field(out, b"te", b"trailers")
    if extra:
        hpack.put_lines(out, extra)


def write_response(hpack, out, head, edits):
    """A response head; `edits` may be None. There is no 101 here: what agrees to an extended CONNECT is 200."""
    drop: cython.uint = HOP_BY_HOP
    names: list = None
    extra: bytes = b""
    status: cython.int = head.status
    if edits is not None:
        drop = (HOP_BY_HOP & ~edits.keep) | _NEVER_GOES | edits.drop
        names = edits.names
        extra = edits.extra
    if status < 200 or status == 204:
        drop |= 1 << CONTENT_LENGTH  # RFC 9110, 8.6
        if status == 101:
            status = 200
            names = _WEBSOCKET if names is None else names + _WEBSOCKET
            extra = _without_handshake(extra)
    hpack.begin(out)
    hpack.put_status(out, status)
    hpack.put_block(out, head.block, drop, names)
    if extra:
        hpack.put_lines(out, extra)


def write_local(hpack, out, status, lines):
    """A head of our own making; `lines` may be empty."""
    hpack.begin(out)
    hpack.put_status(out, status)
    hpack.put_lines(out, lines)


def write_trailers(hpack, out, lines):
    hpack.begin(out)
    hpack.put_lines(out, lines)


def _put_method(hpack, out, method):
    if len(method) == 3 and native.equal(method, 0, b"GET", 3):
        hpack.put_index(out, _METHOD)
    elif len(method) == 4 and native.equal(method, 0, b"POST", 4):
        hpack.put_index(out, _METHOD_POST)
    else:
        hpack.put_named(out, _METHOD, method)


def _asks_for_trailers(block):
    """Whether a TE header has `trailers` in its list, which is all of TE that HTTP/2 knows."""
    i: cython.Py_ssize_t
    for i in range(block.count):
        if block.kind[i] == TE:
            if block.value_end[i] - block.value_start[i] == 8 and same(block.raw, block.value_start[i], 8, b"trailers"):
                return True
            for member in block.value(i).split(b","):
                if member.partition(b";")[0].strip(b" \t").lower() == b"trailers":
                    return True
    return False


def _without_handshake(lines: bytes) -> bytes:
    return b"".join([line for line in lines.splitlines(True) if not line.startswith(_HANDSHAKE)])
