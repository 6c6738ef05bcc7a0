"""HSF 2, Alibaba's RPC, as third parties describe it: there is no public specification, and no HSF to try this with.

    request    0 id 14  1 version 1  2 op 0  3 codec  4 reserved  7 u64 request id  15 u32 timeout (ms)
               19 u32 service length  23 u32 method length  27 u32 argument count n  31 n u32 lengths of types
               n u32 lengths of arguments  u32 properties length  then service, method, types, arguments, properties
    response   0 id 14  1 version 1  2 op 1  3 status  4 codec  5 reserved  8 u64 request id  16 u32 body length
               20 body
    heartbeat  0 id 12  1 op (0, its answer 1)  2 version 1  3 reserved  6 u64 request id  14 u32 timeout

The codecs: 1 hessian, 2 java, 4 hessian2, 5 kryo, 6 json. How long a request is, its argument lengths tell.
"""

from __future__ import annotations

from struct import pack, unpack_from

from tage.dataplane.protocols.xprotocol.fields import u8, u32, u64
from tage.dataplane.protocols.xprotocol.frame import Frame, Kind
from tage.dataplane.protocols.xprotocol.protocol import Protocol
from tage.dataplane.protocols.xprotocol.unique_name import shown

MAX_ARGUMENTS = 255
"""What a Java method may have."""


def _layout(data: bytes, start: int, available: int) -> tuple[int, ...]:
    """Where service, method and types start and the frame ends, from `start`; () when more bytes are needed."""
    if available < 31:
        return ()
    service, method, count = unpack_from(">3I", data, start + 19)
    if count > MAX_ARGUMENTS:
        raise ValueError(f"{count} arguments, more than {MAX_ARGUMENTS}")
    at = 35 + 8 * count
    if available < at:
        return ()
    rest = sum(unpack_from(f">{2 * count + 1}I", data, start + 31))
    return at, at + service, at + service + method, at + service + method + rest


def hessian_text(text: bytes) -> bytes:
    """A string of both Hessian 1 and 2; what lies beyond U+FFFF, which would be two units, becomes `?`."""
    characters = "".join(c if c < "\U00010000" else "?" for c in text.decode("utf-8", "replace"))[:0x7FFF]
    return b"S" + len(characters).to_bytes(2, "big") + characters.encode()


class Hsf(Protocol):
    """HSF 2, from third-party descriptions (Wireshark dissectors); never tried with a real HSF.

    The service is the name as sent, `com.x.Y:1.0.0`; what follows the colon is shown as the metadata `version`. Request
    properties are not read. Errors that Tage answers carry their text as a hessian string.
    """

    name = "hsf"
    request = Frame({0: b"\x0e\x01\x00"}, header=35, id=u64(7), timeout=u32(15), size="method")
    response = Frame({0: b"\x0e\x01\x01"}, header=20, id=u64(8), status=u8(3), length=u32(16))
    heartbeat = Frame({0: b"\x0c\x00\x01"}, header=18, id=u64(6))
    heartbeat_ack = heartbeat.but({1: 1})
    statuses = {20: 200, 30: 504, 31: 504, 40: 400, 60: 404, 81: 503, 82: 503, 88: 503, 90: 400}
    replies = {400: 40, 404: 60, 429: 81, 503: 81, 504: 31, 500: 80}

    def size(self, data, start, available, shape):
        layout = _layout(data, start, available)
        return layout[3] if layout else 0

    def names(self, frame, shape):
        service, method, types, _ = _layout(frame, 0, len(frame)) or (0, 0, len(frame) + 1, 0)
        if types > len(frame):
            raise ValueError("service and method go beyond the frame")
        return frame[service:method], frame[method:types]

    def headers(self, frame, shape):
        return shown(self.names(frame, shape)[0], []) if shape.kind == Kind.REQUEST else []

    def with_headers(self, frame, shape, headers):
        only_shown = self.headers(frame, shape)
        return super().with_headers(frame, shape, [each for each in headers if each not in only_shown])

    def with_names(self, frame, shape, service, method):
        at, _, types, _ = _layout(frame, 0, len(frame))
        lengths = len(service).to_bytes(4, "big") + len(method).to_bytes(4, "big")
        return frame[:19] + lengths + frame[27:at] + service + method + frame[types:]

    def reply(self, request, shape, status, message):
        body = hessian_text(message)
        codec = request[3:4] if request[3] == 1 else b"\x04"
        head = b"\x0e\x01\x01" + bytes([self.own_status_of(status)]) + codec + bytes(3) + request[7:15]
        return head + len(body).to_bytes(4, "big") + body

    def example(self, kind):
        if kind != Kind.REQUEST:
            return super().example(kind)
        head = pack(">4B3xQI6I", 14, 1, 0, 4, 1, 3000, 8, 4, 1, 16, 6, 0)
        return head + b"Echo:1.0" + b"call" + b"java.lang.String" + b"\x05hello"
