"""Thrift: framed transport, TBinaryProtocol with its strict header.

    0 u32 size of what follows  4 u32 0x80010000 | type  8 u32 name length  12 name  then i32 sequence id, and a struct

The types are CALL 1, REPLY 2, EXCEPTION 3 and ONEWAY 4 (thrift.apache.org, doc/specs/thrift-binary-protocol). The name
stands before the sequence id, so where the id is depends on the frame.
"""

from __future__ import annotations

from struct import pack, unpack_from

from tage.dataplane.protocols.xprotocol.fields import u32
from tage.dataplane.protocols.xprotocol.frame import Frame, Kind
from tage.dataplane.protocols.xprotocol.protocol import Protocol

CALL, REPLY, EXCEPTION, ONEWAY = 1, 2, 3, 4

# TApplicationException's types. 6 is what servers answer when a handler raises, and what Envoy answers for itself.
STATUSES = {1: 404, 2: 400, 3: 400, 7: 400, 8: 400, 9: 400, 10: 400}
REPLIES = {404: 1, 400: 7, 500: 6}


def message(frame: bytes, at: int) -> tuple[int, bytes, int]:
    """Of the message whose header starts at `at`: type, name, and where the sequence id stands. Raises ValueError."""
    if at + 8 > len(frame) or frame[at : at + 3] != b"\x80\x01\x00":
        raise ValueError("no strict message header of TBinaryProtocol")
    end = at + 8 + int.from_bytes(frame[at + 4 : at + 8], "big")
    if end + 4 > len(frame):
        raise ValueError("the method's name goes beyond the frame")
    return frame[at + 3], frame[at + 8 : end], end


def call(kind: int, name: bytes, sequence: bytes, struct: bytes = b"\0") -> bytes:
    """A message: its header, and `struct` (without fields if none is given)."""
    return pack(">4sI", bytes((0x80, 1, 0, kind)), len(name)) + name + sequence + struct


def exception(name: bytes, sequence: bytes, number: int, text: bytes) -> bytes:
    """The message that every client library raises as its TApplicationException: field 1 the text, field 2 the type."""
    fields = pack(">BHI", 11, 1, len(text)) + text + pack(">BHIB", 8, 2, number, 0)
    return call(EXCEPTION, name, sequence, fields)


def exception_type(frame: bytes, at: int) -> int:
    """Of the TApplicationException that starts at `at`; 0 (unknown) where it does not say."""
    while at + 7 <= len(frame):
        kind, field, value = unpack_from(">BHI", frame, at)
        if (kind, field) == (8, 2):
            return int(value)
        if kind != 11:
            break
        at += 7 + value
    return 0


def framed(content: bytes) -> bytes:
    return len(content).to_bytes(4, "big") + content


class Thrift(Protocol):
    """Apache Thrift: framed transport, binary protocol, strict.

    A plain call has no name of its service: it is `thrift`, and a listener for each service tells them apart. A name
    `Service:method`, as TMultiplexedProtocol writes it, gives both. There is no metadata and no timeout in a frame.
    Servers need not keep sequence ids apart (many clients send 0 always): one call at a time on a connection, unless
    `mode: MULTIPLEXED` says otherwise.
    """

    name = "thrift"
    request = Frame({4: b"\x80\x01\x00\x01"}, header=12, id=u32(None), length=u32(0).plus(-8))
    one_way = request.but({7: ONEWAY})
    response = (request.but({7: REPLY}), request.but({7: EXCEPTION}))
    statuses = STATUSES
    replies = REPLIES
    multiplexing = "ping_pong"
    heartbeat_interval = 0

    def names(self, frame, shape):
        service, colon, method = message(frame, 4)[1].rpartition(b":")
        return (service, method) if colon else (b"thrift", method)

    def id_at(self, frame, shape):
        return message(frame, 4)[2]

    def response_status(self, frame, shape):
        kind, _, at = message(frame, 4)
        return self.http_status(exception_type(frame, at + 4)) if kind == EXCEPTION else 200

    def with_names(self, frame, shape, service, method):
        _, old, at = message(frame, 4)
        name = service + b":" + method if b":" in old or service != b"thrift" else method
        return framed(call(frame[7], name, frame[at : at + 4], frame[at + 4 :]))

    def reply(self, request, shape, status, message_):
        _, name, at = message(request, 4)
        return framed(exception(name, request[at : at + 4], self.own_status_of(status), message_))

    def example(self, kind):
        types = {Kind.REQUEST: CALL, Kind.ONE_WAY: ONEWAY, Kind.RESPONSE: REPLY}
        return framed(call(types[kind], b"Echo:say", b"\0\0\0\1")) if kind in types else None
