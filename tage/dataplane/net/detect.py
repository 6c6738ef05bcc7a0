"""What is spoken on a connection, told from its first bytes: for listeners that take several protocols.

In this order; the first that fits is the answer, and while one before may still fit, none behind is:

    TLS     a handshake record: 22, major version 3
    HTTP2   the client's preface (RFC 9113, 3.4), all of it
    HTTP1   the beginning of a request line (RFC 9112, 3): a method, a target of one of the four forms, HTTP/1. - as
            much of it as the first 24 bytes hold. A whole request has 18 bytes at least, so that none is waited for
            in vain; one empty line before it is let pass

UNDECIDED while what is there is too short; 24 bytes decide always. A client that waits for its server to speak first
sends nothing: the caller's timeout makes that UNKNOWN. Being named here says nothing of what follows: the parsers of
ClientHello, HTTP/2 and HTTP/1 judge it.
"""

from enum import IntEnum

import cython

from tage.dataplane import native

if not cython.compiled:
    # Compiled, these names come from the .pxd.
    Protocol = IntEnum("Protocol", {"UNDECIDED": 0, "TLS": 1, "HTTP2": 2, "HTTP1": 3, "UNKNOWN": 4})
    UNDECIDED, TLS, HTTP2, HTTP1, UNKNOWN = range(5)

LIMIT = 24
"""Bytes: no more are ever looked at."""

_LIMIT = cython.declare(cython.Py_ssize_t, LIMIT)
_PREFACE = cython.declare(bytes, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
_VERSION = cython.declare(bytes, b"HTTP/1.")
_HTTP = cython.declare(bytes, b"http")
_SLASHES = cython.declare(bytes, b"://")
_TOKEN = cython.declare(
    bytes, bytes(c in b"!#$%&'*+-.^_`|~" or 48 <= c <= 57 or 65 <= c <= 90 or 97 <= c <= 122 for c in range(256))
)


def detect(data):
    """A Protocol. `data` begins with the connection's first byte."""
    p: cython.p_uchar = data
    end: cython.Py_ssize_t = len(data)
    at: cython.Py_ssize_t = 0
    if end > _LIMIT:
        end = _LIMIT
    if end == 0:
        return UNDECIDED
    if p[0] == 22:
        if end == 1:
            return UNDECIDED
        return TLS if p[1] == 3 else UNKNOWN
    while at < end and p[at] == _PREFACE[at]:
        at += 1
    if at == end:
        return HTTP2 if end == _LIMIT else UNDECIDED
    return _http1(data, end)


def _http1(data, end):
    """data[:end], not empty: each byte is looked at once, in order, so that a longer prefix never changes an answer."""
    p: cython.p_uchar = data
    at: cython.Py_ssize_t = 0
    start: cython.Py_ssize_t
    # When the bytes run out and all fit so far.
    so_far: cython.int = HTTP1 if end == _LIMIT else UNDECIDED
    if p[0] == 13:
        if end == 1:
            return UNDECIDED
        if p[1] != 10:
            return UNKNOWN
        at = 2
    start = at
    while at < end and _TOKEN[p[at]]:
        at += 1
    if at == end or (at + 1 == end and at > start and p[at] == 32):
        return UNKNOWN if end == _LIMIT else UNDECIDED  # a method alone, so long, is none
    if at == start or p[at] != 32:
        return UNKNOWN
    at += 1
    if p[at] == 42:  # asterisk-form
        at += 1
    elif p[at] == 47 or (at - start == 8 and native.equal(p, start, b"CONNECT", 7)):  # origin-form, authority-form
        start = at
        while at < end and 33 <= p[at] <= 126:
            at += 1
        if at == start:
            return UNKNOWN
    else:
        at = _absolute(data, at, end)
        if at < 0:
            return UNKNOWN
    if at == end:
        return so_far
    if p[at] != 32:
        return UNKNOWN
    at += 1
    start = at
    while at < end and at - start < 7:
        if p[at] != _VERSION[at - start]:
            return UNKNOWN
        at += 1
    return HTTP1 if at - start == 7 else so_far


def _absolute(data, at, end):
    """Where the absolute-form that begins at `at` ends, or the bytes do; -1: it is none."""
    p: cython.p_uchar = data
    i: cython.Py_ssize_t = 0
    while at < end and i < 4:
        if p[at] | 0x20 != _HTTP[i]:
            return -1
        at += 1
        i += 1
    if at < end and p[at] | 0x20 == 115:  # https
        at += 1
    i = 0
    while at < end and i < 3:
        if p[at] != _SLASHES[i]:
            return -1
        at += 1
        i += 1
    while at < end and 33 <= p[at] <= 126:
        at += 1
    return at
