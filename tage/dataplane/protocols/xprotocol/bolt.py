"""bolt, SOFARPC's protocol: versions 1 and 2, which a connection may mix (sofa-bolt: RpcProtocol, RpcProtocolV2).

    version 1  0 proto 1  1 type  2 u16 command  4 ver2 1  5 u32 request id  9 codec  10 i32 timeout (ms) or u16 status
               then u16 class length, u16 header length, u32 content length; then class, header map, content
    version 2  the same with two bytes more: 0 proto 2  1 version 1 or 2  2 type ..  11 switch, behind the codec

In version 2 with its version byte 2 and bit 0 of the switch, the frame's CRC-32 follows; the lengths do not count it.
Types: 0 response, 1 request, 2 one-way. Commands: 0 heartbeat, 1 request, 2 response, 100 go-away (MOSN's).

How SOFARPC's Java client takes a response with a status other than 0 (sofa-bolt's RpcResponseResolver): 7 is a
SofaTimeOutException, 4 SERVER_BUSY, 8 and 16 CLIENT_NETWORK, 17 SERVER_SERIALIZE, 18 SERVER_DESERIALIZE, others
CLIENT_UNDECLARED_ERROR, without a look at class and content. Of 2 it deserialises the content, in the codec that the
response names, and makes of what that throws a SERVER_UNDECLARED_ERROR.
"""

from __future__ import annotations

from struct import pack
from typing import Any
from zlib import crc32

from tage.dataplane.protocols.xprotocol.fields import i32, u16, u32
from tage.dataplane.protocols.xprotocol.frame import Frame
from tage.dataplane.protocols.xprotocol.hessian import HessianReader
from tage.dataplane.protocols.xprotocol.hessian_text import encode_string
from tage.dataplane.protocols.xprotocol.pairs import pairs
from tage.dataplane.protocols.xprotocol.protocol import Protocol
from tage.dataplane.protocols.xprotocol.shape import with_part
from tage.dataplane.protocols.xprotocol.unique_name import shown

_HESSIAN = 1
_TEXT = 4096  # bytes of what is said to the user
_RAISED = b"com.alipay.remoting.rpc.exception.RpcServerException"
# In SOFARPC's Hessian an object's class is defined (name, field names) before the object that refers to it.
_OBJECT = b"O\xc8" + bytes([len(_RAISED)]) + _RAISED + b"\x91\x0ddetailMessageo\x90"


def _frames(kind: int, command: int) -> tuple[Frame, ...]:
    """The frames of that type and command: version 1; version 2 without a checksum, twice, and with one."""

    def frame(more: int, tests: dict[int, Any], **trailer: Any) -> Frame:
        lengths = 2 * more + (14 if kind else 12)
        return Frame(
            {**tests, 1 + more: bytes([kind]) + command.to_bytes(2, "big") + b"\1"},
            header=lengths + 8, id=u32(5 + more),
            timeout=i32(10 + 2 * more) if kind else None, status=None if kind else u16(10 + 2 * more),
            parts={"class": u16(lengths), "metadata": u16(lengths + 2), "content": u32(lengths + 4)},
            **trailer,
        )  # fmt: skip

    return (
        frame(0, {0: 1}),
        frame(1, {0: b"\2\1"}),
        frame(1, {0: b"\2\2", 11: (1, 0)}),
        frame(1, {0: b"\2\2", 11: (1, 1)}, trailer=4, crc=True),
    )


class Bolt(Protocol):
    """SOFARPC over bolt, versions 1 and 2.

    The service is what the header map says, as sent: `com.x.Y:1.0` or `com.x.Y:1.0:uniqueId`; what follows the colons
    is shown as the metadata `version` and `uniqueId`. The method stands in the header map too, or else (SDKs other than
    Java's) in the content, a SofaRequest in Hessian. Exceptions of the business come in responses with status 0 and
    `sofa_head_response_error` in the header map. What Tage answers is in the request's version; why, is the metadata
    `tage-message`, which SOFARPC's client does not show, and the exception's text with status 2, which it does.
    """

    name = "bolt"
    request = _frames(1, 1)
    one_way = _frames(2, 1)
    response = _frames(0, 2)
    heartbeat = _frames(1, 0)
    heartbeat_ack = _frames(0, 0)
    go_away = _frames(1, 100)
    metadata = pairs(u32, null=0xFFFFFFFF)
    service_keys = ("service", "sofa_head_target_service")
    method_keys = ("sofa_head_method_name",)
    statuses = {0: 200, 4: 503, 5: 503, 6: 404, 7: 504, 8: 503, 9: 400, 16: 503, 17: 500, 18: 400}
    replies = {400: 9, 403: 2, 404: 6, 429: 4, 503: 4, 504: 7, 500: 2}

    def __init__(self):
        super().__init__()
        self.hessian = HessianReader()

    def method_of(self, frame, shape):
        if frame[8 + frame[0]] != _HESSIAN:
            return b""
        return self.hessian.field(frame, shape.part(frame, "metadata")[1], len(frame), b"methodName") or b""

    def headers(self, frame, shape):
        found = super().headers(frame, shape)
        return found + self._shown(found)

    def with_headers(self, frame, shape, headers):
        only_shown = self._shown(super().headers(frame, shape))
        return super().with_headers(frame, shape, [each for each in headers if each not in only_shown])

    def _shown(self, found):
        named = dict(found)
        return shown(named.get(b"service") or named.get(b"sofa_head_target_service", b""), found)

    def with_names(self, frame, shape, service, method):
        """In the header map, of which SOFARPC's server takes the service, and in the content, of which the method."""
        if frame[8 + frame[0]] == _HESSIAN:
            start, end = shape.part(frame, "content")
            content = frame[start:end]
            for name, text in ((b"targetServiceUniqueName", service), (b"methodName", method)):
                old = self.hessian.field(content, 0, len(content), name)
                if old is not None and old != text:
                    content = _rewritten(content, self.hessian.at, old, text)
            frame = with_part(shape, frame, 2, content)
        return super().with_names(frame, shape, service, method)

    def heartbeat_frame(self):
        frame = super().heartbeat_frame()
        return frame[:9] + b"\1" + frame[10:]  # Hessian, as SOFARPC's own say

    def heartbeat_answer(self, frame, shape):
        at, answer = 8 + frame[0], super().heartbeat_answer(frame, shape)
        answer = answer[:at] + frame[at : at + 1] + answer[at + 1 :]  # the codec is the heartbeat's
        return answer[:-4] + crc32(answer[:-4]).to_bytes(4, "big") if shape.crc else answer

    def go_away_frame(self):
        """None: SOFARPC's client closes a connection on which it finds a command that it does not know."""

    def reply(self, request, shape, status, message):
        number = self.own_status_of(status)
        more = request[0] - 1
        message = message[:_TEXT].decode("utf-8", "ignore").encode()
        clazz, content = (_RAISED, _OBJECT + encode_string(message, False)) if number == 2 else (b"", b"")
        metadata = self.metadata.write([(b"tage-message", message)])
        # The version, ver2, id and, in version 2, the switch are the request's; the codec is Hessian.
        frame = request[: 1 + more] + b"\0\0\2" + request[4 + more : 9 + more] + b"\1" + request[11 : 11 + more]
        frame += pack(">HHHI", number, len(clazz), len(metadata), len(content)) + clazz + metadata + content
        return frame + crc32(frame).to_bytes(4, "big") if shape.crc else frame


def _rewritten(content: bytes, end: int, old: bytes, new: bytes) -> bytes:
    """`content` with another string in place of that which ends at `end`. ValueError: it is written in pieces."""
    final = content[:1] == b"C"
    start = end - len(encode_string(old, final))
    if start < 0 or content[start:end] != encode_string(old, final):
        raise ValueError("a name in the content that is not written at once cannot be changed")
    return content[:start] + encode_string(new, final) + content[end:]
