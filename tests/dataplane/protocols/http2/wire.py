"""Frames for tests: built and taken apart, independently of the code that is tested."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
END_STREAM = ACK = 1
END_HEADERS = 4
PADDED = 8
WITH_PRIORITY = 32

(NO_ERROR, PROTOCOL_ERROR, INTERNAL_ERROR, FLOW_CONTROL_ERROR, SETTINGS_TIMEOUT, STREAM_CLOSED, FRAME_SIZE_ERROR,
 REFUSED_STREAM, CANCEL, COMPRESSION_ERROR, CONNECT_ERROR, ENHANCE_YOUR_CALM) = range(12)  # fmt: skip

HEADER_TABLE_SIZE, ENABLE_PUSH, MAX_CONCURRENT_STREAMS, INITIAL_WINDOW_SIZE, MAX_FRAME_SIZE = range(1, 6)
MAX_HEADER_LIST_SIZE = 6
ENABLE_CONNECT_PROTOCOL = 8

Pairs = Sequence[tuple[bytes, bytes]]


class Frame(NamedTuple):
    type: int
    flags: int
    stream: int
    payload: bytes

    @property
    def code(self) -> int:
        """Of RST_STREAM and GOAWAY."""
        return int.from_bytes(self.payload[-4:] if self.type == RST_STREAM else self.payload[4:8], "big")

    @property
    def number(self) -> int:
        """Of WINDOW_UPDATE the increment, of GOAWAY the last stream."""
        return int.from_bytes(self.payload[:4], "big")

    @property
    def ended(self) -> bool:
        return self.type in (DATA, HEADERS) and bool(self.flags & END_STREAM)


def frame(type: int, flags: int = 0, stream: int = 0, payload: bytes = b"") -> bytes:
    return len(payload).to_bytes(3, "big") + bytes((type, flags)) + stream.to_bytes(4, "big") + payload


def frames(wire: bytes) -> list[Frame]:
    """A client's preface in front is left out."""
    wire = wire.removeprefix(PREFACE)
    found = []
    while wire:
        size = int.from_bytes(wire[:3], "big")
        assert len(wire) >= 9 + size, "part of a frame"
        found.append(Frame(wire[3], wire[4], int.from_bytes(wire[5:9], "big"), wire[9 : 9 + size]))
        wire = wire[9 + size :]
    return found


def literal(pairs: Pairs) -> bytes:
    """A header block that leaves the table alone: literals without indexing, as they are (RFC 7541, 6.2.2)."""
    return b"".join(b"\0" + _string(name) + _string(value) for name, value in pairs)


def _string(text: bytes) -> bytes:
    size = len(text)
    if size < 127:
        return bytes((size,)) + text
    size -= 127
    lengths = [127]
    while size >= 128:
        lengths.append(size & 127 | 128)
        size >>= 7
    return bytes([*lengths, size]) + text


GET: Pairs = ((b":method", b"GET"), (b":scheme", b"http"), (b":path", b"/"), (b":authority", b"a"))
POST: Pairs = ((b":method", b"POST"), *GET[1:])
OK: Pairs = ((b":status", b"200"),)


def headers(stream: int, pairs: Pairs = GET, *, end: bool = True, more: bool = False) -> bytes:
    """`more`: CONTINUATION follows."""
    flags = (END_STREAM if end else 0) | (0 if more else END_HEADERS)
    return frame(HEADERS, flags, stream, literal(pairs))


def continuation(stream: int, block: bytes, *, more: bool = False) -> bytes:
    return frame(CONTINUATION, 0 if more else END_HEADERS, stream, block)


def data(stream: int, payload: bytes = b"", *, end: bool = False, padding: int | None = None) -> bytes:
    flags = END_STREAM if end else 0
    if padding is not None:
        flags |= PADDED
        payload = bytes((padding,)) + payload + bytes(padding)
    return frame(DATA, flags, stream, payload)


def settings(*pairs: tuple[int, int]) -> bytes:
    return frame(SETTINGS, 0, 0, b"".join(id.to_bytes(2, "big") + value.to_bytes(4, "big") for id, value in pairs))


SETTINGS_ACK = frame(SETTINGS, ACK)


def rst(stream: int, code: int = CANCEL) -> bytes:
    return frame(RST_STREAM, 0, stream, code.to_bytes(4, "big"))


def window_update(stream: int, increment: int) -> bytes:
    return frame(WINDOW_UPDATE, 0, stream, increment.to_bytes(4, "big"))


def ping(payload: bytes = b"12345678", *, ack: bool = False) -> bytes:
    return frame(PING, ACK if ack else 0, 0, payload)


def goaway(last: int, code: int = NO_ERROR, debug: bytes = b"") -> bytes:
    return frame(GOAWAY, 0, 0, last.to_bytes(4, "big") + code.to_bytes(4, "big") + debug)


def priority(stream: int, on: int, weight: int = 15) -> bytes:
    return frame(PRIORITY, 0, stream, on.to_bytes(4, "big") + bytes((weight,)))
