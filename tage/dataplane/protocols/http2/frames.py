"""The frames of HTTP/2: their numbers, and how they are put. Source: RFC 9113, 4.1, 6 and 7; RFC 8441, 3."""

from enum import IntEnum

import cython

from tage.dataplane.protocols.writer import ByteWriter

if not cython.compiled:
    # Compiled, the .pxd has the enumerations.
    FRAME_DATA, FRAME_HEADERS, FRAME_PRIORITY, FRAME_RST_STREAM, FRAME_SETTINGS = range(5)
    FRAME_PUSH_PROMISE, FRAME_PING, FRAME_GOAWAY, FRAME_WINDOW_UPDATE, FRAME_CONTINUATION = range(5, 10)
    END_STREAM = ACK = 1
    END_HEADERS = 4
    PADDED = 8
    PRIORITY = 32
    NO_ERROR, PROTOCOL_ERROR, INTERNAL_ERROR, FLOW_CONTROL_ERROR, SETTINGS_TIMEOUT, STREAM_CLOSED = range(6)
    FRAME_SIZE_ERROR, REFUSED_STREAM, CANCEL, COMPRESSION_ERROR, CONNECT_ERROR, ENHANCE_YOUR_CALM = range(6, 12)
    INADEQUATE_SECURITY, HTTP_1_1_REQUIRED = range(12, 14)
    HEADER_TABLE_SIZE, ENABLE_PUSH, MAX_CONCURRENT_STREAMS, INITIAL_WINDOW_SIZE, MAX_FRAME_SIZE = range(1, 6)
    MAX_HEADER_LIST_SIZE = 6
    ENABLE_CONNECT_PROTOCOL = 8
    _NUMBERS = {name: value for name, value in globals().items() if type(value) is int}
    _SETTINGS = ("HEADER_TABLE_SIZE", "MAX_HEADER_LIST_SIZE", "INITIAL_WINDOW_SIZE", "MAX_FRAME_SIZE", "ENABLE_PUSH",
                 "MAX_CONCURRENT_STREAMS", "ENABLE_CONNECT_PROTOCOL")  # fmt: skip
    _FLAGS = ("END_STREAM", "ACK", "END_HEADERS", "PADDED", "PRIORITY")
    FrameType = IntEnum(
        "FrameType",
        {name: _NUMBERS[name] for name in _NUMBERS if name.startswith("FRAME_") and name != "FRAME_SIZE_ERROR"},
    )
    Flag = IntEnum("Flag", {name: _NUMBERS[name] for name in _FLAGS})
    Setting = IntEnum("Setting", {name: _NUMBERS[name] for name in _SETTINGS})
    ErrorCode = IntEnum(
        "ErrorCode",
        {name: value for name, value in _NUMBERS.items() if name not in {*FrameType.__members__, *_FLAGS, *_SETTINGS}},
    )

PREFACE = cython.declare(bytes, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
"""What a client begins with (RFC 9113, 3.4)."""


def number(p, at):
    """The 32 bits at p[at]."""
    return (
        (cython.cast(cython.uint, p[at]) << 24)
        | (cython.cast(cython.uint, p[at + 1]) << 16)
        | (cython.cast(cython.uint, p[at + 2]) << 8)
        | p[at + 3]
    )


def put_frame_head(out: ByteWriter, length, type, flags, id):
    """`length` in bytes, of what follows these nine."""
    at: cython.Py_ssize_t = out.size
    out._room(9)
    p: cython.p_uchar = out._p
    p[at] = (length >> 16) & 0xFF
    p[at + 1] = (length >> 8) & 0xFF
    p[at + 2] = length & 0xFF
    p[at + 3] = type
    p[at + 4] = flags
    p[at + 5] = (id >> 24) & 0x7F
    p[at + 6] = (id >> 16) & 0xFF
    p[at + 7] = (id >> 8) & 0xFF
    p[at + 8] = id & 0xFF
    out.size = at + 9


def end_frame(out: ByteWriter, at, flags):
    """Into the head at `at`, put before what the frame holds was known: its length, which is all that follows, and its
    flags."""
    length: cython.Py_ssize_t = out.size - at - 9
    p: cython.p_uchar = out._p
    p[at] = (length >> 16) & 0xFF
    p[at + 1] = (length >> 8) & 0xFF
    p[at + 2] = length & 0xFF
    p[at + 4] = flags


def put_number(out: ByteWriter, value):
    """32 bits."""
    at: cython.Py_ssize_t = out.size
    out._room(4)
    p: cython.p_uchar = out._p
    p[at] = (value >> 24) & 0xFF
    p[at + 1] = (value >> 16) & 0xFF
    p[at + 2] = (value >> 8) & 0xFF
    p[at + 3] = value & 0xFF
    out.size = at + 4


def put_setting(out: ByteWriter, setting, value):
    """One of those that a SETTINGS frame holds."""
    at: cython.Py_ssize_t = out.size
    out._room(6)
    out._p[at] = 0
    out._p[at + 1] = setting
    out.size = at + 2
    put_number(out, value)


def put_rst(out: ByteWriter, id, code):
    put_frame_head(out, 4, FRAME_RST_STREAM, 0, id)
    put_number(out, code)


def put_window_update(out: ByteWriter, id, increment):
    put_frame_head(out, 4, FRAME_WINDOW_UPDATE, 0, id)
    put_number(out, increment)


def put_ping(out: ByteWriter, opaque, ack):
    put_frame_head(out, 8, FRAME_PING, ACK if ack else 0, 0)
    put_number(out, (opaque >> 32) & 0xFFFFFFFF)
    put_number(out, opaque & 0xFFFFFFFF)


def put_goaway(out: ByteWriter, last_id, code, debug):
    """`debug`: words for who looks at the peer's side."""
    put_frame_head(out, 8 + len(debug), FRAME_GOAWAY, 0, 0)
    put_number(out, last_id)
    put_number(out, code)
    out.put(debug)
