"""dubbo-thrift: a Thrift message behind a header of Dubbo's own (dubbo-rpc-thrift, ThriftCodec).

    0 u32 size of what follows  4 DA BC  6 u32 the same size  10 u16 header size  12 version 1  13 string service
    [string path]  i64 request id  then a message of TBinaryProtocol

The header size counts from 4 to the message, so the request id is the eight bytes before that; Dubbo 2.7 writes a path
in front of it, older versions do not. What kind a frame is, only the message tells.
"""

from __future__ import annotations

from tage.dataplane.protocols.xprotocol.fields import u32, u64
from tage.dataplane.protocols.xprotocol.frame import Frame, Kind
from tage.dataplane.protocols.xprotocol.protocol import Protocol
from tage.dataplane.protocols.xprotocol.thrift import (
    CALL,
    EXCEPTION,
    ONEWAY,
    REPLIES,
    REPLY,
    STATUSES,
    call,
    exception,
    exception_type,
    message,
)

_KINDS = {CALL: Kind.REQUEST, ONEWAY: Kind.ONE_WAY, REPLY: Kind.RESPONSE, EXCEPTION: Kind.RESPONSE}


def _header(frame: bytes) -> tuple[bytes, int, int]:
    """The service, where its name ends, and where the message starts. Raises ValueError."""
    end = 17 + int.from_bytes(frame[13:17], "big")
    start = 4 + int.from_bytes(frame[10:12], "big")
    if end + 8 > start or start > len(frame):
        raise ValueError("the service's name does not fit the header's size")
    return frame[17:end], end, start


def _framed(head: bytes, content: bytes) -> bytes:
    """`head`: from the version on, the request id included. Raises ValueError."""
    if len(head) + 8 > 0xFFFF:
        raise ValueError("the service's name is too long for a header")
    size = (8 + len(head) + len(content)).to_bytes(4, "big")
    return size + b"\xda\xbc" + size + (8 + len(head)).to_bytes(2, "big") + head + content


class DubboThrift(Protocol):
    """dubbo-thrift, the `thrift` protocol of Dubbo 2.x.

    Service and method are the header's service name and the message's name. A path, where there is one, is metadata to
    be read. Answers and errors are Thrift's.
    """

    name = "dubbo-thrift"
    event = Frame({4: b"\xda\xbc", 12: 1}, header=17, id=u64(None), length=u32(0).plus(-13))
    statuses = STATUSES
    replies = REPLIES
    heartbeat_interval = 0

    def classify(self, frame, shape):
        kind = message(frame, _header(frame)[2])[0]
        if kind not in _KINDS:
            raise ValueError(f"no message type {kind}")
        return _KINDS[kind]

    def id_at(self, frame, shape):
        return _header(frame)[2] - 8

    def names(self, frame, shape):
        service, _, start = _header(frame)
        return service, message(frame, start)[1]

    def response_status(self, frame, shape):
        kind, _, at = message(frame, _header(frame)[2])
        return self.http_status(exception_type(frame, at + 4)) if kind == EXCEPTION else 200

    def with_names(self, frame, shape, service, method):
        _, end, start = _header(frame)
        kind, _, at = message(frame, start)
        head = frame[12:13] + len(service).to_bytes(4, "big") + service + frame[end:start]
        return _framed(head, call(kind, method, frame[at : at + 4], frame[at + 4 :]))

    def reply(self, request, shape, status, text):
        _, _, start = _header(request)
        _, name, at = message(request, start)
        content = exception(name, request[at : at + 4], self.own_status_of(status), text)
        return _framed(request[12:start], content)

    def example(self, kind):
        types = {Kind.REQUEST: CALL, Kind.ONE_WAY: ONEWAY, Kind.RESPONSE: REPLY}
        if kind not in types:
            return None
        return _framed(b"\1\0\0\0\4Echo" + bytes(8), call(types[kind], b"say", b"\0\0\0\1"))
