"""gRPC over HTTP/2: what a proxy has to know of it. A call is a request of HTTP whose content-type is
application/grpc; how it ended says grpc-status, in the trailers, or in the head of an answer that has nothing else.

Sources: github.com/grpc/grpc, doc/PROTOCOL-HTTP2.md, doc/statuscodes.md and doc/http-grpc-status-mapping.md; from gRPC
to HTTP as Envoy has it (Grpc::Utility::grpcToHttpStatus).
"""

import cython

if not cython.compiled:
    # Compiled, these names come from the .pxd.
    import enum

    from tage.dataplane import native

    GrpcStatus = enum.IntEnum(
        "GrpcStatus",
        [
            "OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS",
            "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE",
            "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED",
        ],
        start=0,
    )  # fmt: skip
    (
        OK, CANCELLED, UNKNOWN, INVALID_ARGUMENT, DEADLINE_EXCEEDED, NOT_FOUND, ALREADY_EXISTS, PERMISSION_DENIED,
        RESOURCE_EXHAUSTED, FAILED_PRECONDITION, ABORTED, OUT_OF_RANGE, UNIMPLEMENTED, INTERNAL, UNAVAILABLE, DATA_LOSS,
        UNAUTHENTICATED,
    ) = GrpcStatus  # fmt: skip

MAX_MESSAGE = cython.declare(cython.Py_ssize_t, 1_024)
"""Bytes of an error's text that go into grpc-message: clients bound their heads, grpcio at 8 KiB."""
_MAX_DIGITS = cython.declare(cython.Py_ssize_t, 8)
_HEX = b"0123456789ABCDEF"
_TO_HTTP = (200, 499, 500, 400, 504, 404, 409, 403, 429, 400, 409, 400, 501, 500, 503, 500, 401)

NONE = cython.declare(cython.int, -1)
"""There is no status."""


def from_http(status):
    """The gRPC status that an HTTP status stands for, in an answer that is none of gRPC's."""
    if status == 400:
        return INTERNAL
    if status == 401:
        return UNAUTHENTICATED
    if status == 403:
        return PERMISSION_DENIED
    if status == 404:
        return UNIMPLEMENTED
    if status == 429 or 502 <= status <= 504:
        return UNAVAILABLE
    return UNKNOWN


def to_http(status):
    """The HTTP status that a gRPC status stands for, where somebody counts in HTTP's: outlier detection."""
    return _TO_HTTP[status] if 0 <= status <= UNAUTHENTICATED else 500


def known(status):
    """As statistics count it: those beyond gRPC's own are UNKNOWN, so that a server cannot make up any number of them
    (clients do the same, doc/statuscodes.md)."""
    return UNKNOWN if status > UNAUTHENTICATED else status


# -- what peers say ----------------------------------------------------------------------------------------------------


def status_in(block):
    """The grpc-status of a head, -1 where there is none, UNKNOWN where it is no number."""
    i: cython.Py_ssize_t
    for i in range(block.count):
        if block.name_is(i, b"grpc-status"):
            return _number(block.raw, block.value_start[i], block.value_end[i])
    return NONE


def status_of(lines):
    """The same of trailers, each line `name: value` CR LF with the name in lower case, or None."""
    at: cython.Py_ssize_t = 0
    end: cython.Py_ssize_t
    stop: cython.Py_ssize_t
    p: cython.p_uchar
    if lines is None:
        return NONE
    p = lines
    end = len(lines)
    while at < end:
        stop = native.find_byte(p, at, end, 10)
        if stop - at >= 14 and native.equal(p, at, b"grpc-status: ", 13):
            return _number(p, at + 13, stop - 1)
        at = stop + 1
    return NONE


def _number(p, start, end):
    value: cython.int = 0
    i: cython.Py_ssize_t
    if not 0 < end - start <= _MAX_DIGITS:
        return UNKNOWN
    for i in range(start, end):
        if not 48 <= p[i] <= 57:
            return UNKNOWN
        value = value * 10 + (p[i] - 48)
    return value


def timeout_in(block):
    """For how long the caller waits, by grpc-timeout: ms, rounded up; -1 where it does not say, or not so that it can
    be understood: a positive number of at most 8 digits and a unit, H, M, S, m, u or n."""
    i: cython.Py_ssize_t
    for i in range(block.count):
        if block.name_is(i, b"grpc-timeout"):
            return _timeout(block.raw, block.value_start[i], block.value_end[i])
    return -1


def _timeout(p, start, end):
    value: cython.longlong = 0
    i: cython.Py_ssize_t
    unit: cython.int
    if not 0 < end - 1 - start <= _MAX_DIGITS:
        return -1
    for i in range(start, end - 1):
        if not 48 <= p[i] <= 57:
            return -1
        value = value * 10 + (p[i] - 48)
    if value == 0:
        return -1
    unit = p[end - 1]
    if unit == 109:  # m
        return value
    if unit == 83:  # S
        return value * 1_000
    if unit == 117:  # u
        return (value + 999) // 1_000
    if unit == 110:  # n
        return (value + 999_999) // 1_000_000
    if unit == 77:  # M
        return value * 60_000
    if unit == 72:  # H
        return value * 3_600_000
    return -1


# -- what we say -------------------------------------------------------------------------------------------------------


def timeout_value(ms):
    """`ms` as grpc-timeout has it: in the finest unit that takes no more than 8 digits, rounded up."""
    if ms < 100_000_000:
        return b"%dm" % ms
    if ms <= 99_999_999_000:
        return b"%dS" % ((ms + 999) // 1_000)
    return b"%dH" % min((ms + 3_599_999) // 3_600_000, 99_999_999)


def local_status(error, status):
    """That of an answer of our own: `error` is an entry of `protocols.errors`, `status` the HTTP status with which
    other callers would be answered."""
    return error.grpc if error.grpc >= 0 else from_http(status)


def local_answer(error, status, body):
    """An answer of our own as whole lines, for a head that has nothing behind it and :status 200. `body` is what other
    callers would read."""
    return b"content-type: application/grpc\r\n" + end_lines(local_status(error, status), body)


def end_lines(status, message):
    """How a call has ended, as whole lines: of trailers, or of a head that has nothing behind it."""
    if message:
        return b"grpc-status: %d\r\ngrpc-message: %b\r\n" % (status, encoded(message[:MAX_MESSAGE].strip()))
    return b"grpc-status: %d\r\n" % status


def encoded(text):
    """A grpc-message: what is not printable ASCII, and the per cent sign, as %XX."""
    out = []
    for byte in text:
        if 32 <= byte <= 126 and byte != 37:
            out.append(byte)
        else:
            out += (37, _HEX[byte >> 4], _HEX[byte & 15])
    return bytes(out)


def decoded(text):
    """The text of a grpc-message; what is no %XX stays, for no message is to be lost (PROTOCOL-HTTP2.md)."""
    head, *parts = text.split(b"%")
    out = [head]
    for part in parts:
        digits = part[:2]
        if len(digits) == 2 and not digits.strip(b"0123456789abcdefABCDEF"):
            out.append(bytes((int(digits, 16),)) + part[2:])
        else:
            out.append(b"%" + part)
    return b"".join(out)
