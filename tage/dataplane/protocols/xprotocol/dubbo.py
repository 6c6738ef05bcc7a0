"""Dubbo 2: frames of 16 bytes and a body, in Hessian 2 as a rule (apache/dubbo: ExchangeCodec, DubboCodec).

    request     dubbo version, path, service version, method, types of the arguments, arguments, attachments
    response    0 exception, 1 value, 2 null; 3, 4, 5 the same with attachments behind; status other than 20: a string
    event       null: a heartbeat; "R" (READONLY): no new requests, please

The service is the path: what the provider looks up. Today's clients write the interface there, and the path as an
attachment of that name, which then counts for a provider: `with_names` keeps the two together. Service and method are
read where they stand, without an object; metadata, which are the attachments with strings as values, and `version` and
`dubbo` from the body's beginning where the attachments have none, take going past the arguments.

Bodies of other serializations (fastjson, kryo, ...) are carried at depth FRAME only: `reply` says so.
"""

import cython

from tage.dataplane import native
from tage.dataplane.protocols.xprotocol.fields import u8, u32, u64
from tage.dataplane.protocols.xprotocol.frame import Frame, Kind
from tage.dataplane.protocols.xprotocol.hessian import HessianReader
from tage.dataplane.protocols.xprotocol.hessian_map import StringMap
from tage.dataplane.protocols.xprotocol.hessian_text import NULL, encode_int, encode_map, encode_string, string_text
from tage.dataplane.protocols.xprotocol.protocol import Protocol

if not cython.compiled:
    # Compiled, these names come from the .pxd.
    from tage.dataplane.protocols.xprotocol.hessian import FINAL
    from tage.dataplane.protocols.xprotocol.hessian_text import string_end
    from tage.dataplane.protocols.xprotocol.shape import REQUEST, RESPONSE

_MAGIC = b"\xda\xbb"
_HESSIAN2 = cython.declare(cython.int, 2)
_OK = 20
_EVENT_DATA = 15  # bytes that Dubbo reads of an event
_UNREAD = "serialization %d is carried at depth FRAME only"


def _frame(mask: int, flags: int) -> Frame:
    return Frame({0: _MAGIC, 2: (mask, flags)}, header=16, id=u64(4), length=u32(12))


class Dubbo(Protocol):
    """Dubbo 2 (Apache Dubbo, protocol `dubbo`): hessian2 at every depth, other serializations at depth FRAME."""

    name = "dubbo"
    request = _frame(0xE0, 0xC0)
    one_way = _frame(0xE0, 0x80)
    response = Frame({0: _MAGIC, 2: (0xA0, 0x00)}, header=16, id=u64(4), status=u8(3), length=u32(12))
    heartbeat_ack = _frame(0xA0, 0x20)
    event = _frame(0xA0, 0xA0)
    timeout_key = "timeout"
    # 90 is what a client tells itself of an answer that it cannot read, 35 of a connection that is gone.
    statuses = {20: 200, 25: 500, 30: 504, 31: 504, 35: 503, 40: 400, 50: 500, 60: 404, 70: 500, 80: 500, 90: 400,
                100: 503}  # fmt: skip
    replies = {400: 40, 404: 60, 408: 30, 429: 100, 500: 80, 503: 100, 504: 31}

    def __init__(self) -> None:
        Protocol.__init__(self)
        self._reader = HessianReader()

    # -- service and method --------------------------------------------------------------------------------------------

    def call_of(self, frame, shape):
        """In place of the base's, which would take the pair that `names` makes."""
        p: cython.p_uchar = frame
        end: cython.Py_ssize_t = len(frame)
        path: cython.Py_ssize_t
        path_end: cython.Py_ssize_t
        method: cython.Py_ssize_t
        method_end: cython.Py_ssize_t
        if end < 16 or p[2] & 0x1F != _HESSIAN2:
            return None
        path = string_end(p, 16, end, True)
        path_end = string_end(p, path, end, True) if path > 0 else -1
        method = string_end(p, path_end, end, True) if path_end > 0 else -1
        method_end = string_end(p, method, end, True) if method > 0 else -1
        if method_end < 0 or p[path] == 78 or p[method] == 78:  # "N"
            return None
        if p[path] > 0x33 or p[method] > 0x33 or native.find_byte(p, path, method_end, 0xED) >= 0:
            service: bytes = string_text(frame, path, path_end)  # in chunks, or with surrogates
            called: bytes = string_text(frame, method, method_end)
            return self._interned(service, 0, len(service), called, 0, len(called))
        path += 1 if p[path] <= 0x1F else 2
        method += 1 if p[method] <= 0x1F else 2
        return self._interned(p, path, path_end, p, method, method_end)

    def names(self, frame, shape):
        call: tuple = self.call_of(frame, shape)
        return None if call is None else (call[0], call[1][len(call[0]) + 2 :])

    def with_names(self, frame, shape, service, method):
        names: list = self._names(frame)
        changes: list = [(start, end, new) for (start, end, old), new in ((names[1], service), (names[3], method))
                         if new != old]  # fmt: skip
        changed: bytes = _spliced(frame, [(start, end, encode_string(new)) for start, end, new in changes])
        if names[1][2] != service:
            attachments: StringMap = self._attachments(changed, self._names(changed))
            strings: dict = {key: service if key in (b"path", b"interface") else value
                             for key, value in attachments.strings.items()}  # fmt: skip
            if strings != attachments.strings:
                changed = _spliced(changed, [(attachments.start, attachments.end, attachments.written(strings))])
        return changed

    # -- metadata ------------------------------------------------------------------------------------------------------

    def headers(self, frame, shape):
        if not _has_attachments(frame, shape):
            return []
        names: list = self._names(frame) if shape.kind != RESPONSE else []
        strings: dict = self._attachments(frame, names).strings
        return [*strings.items(), *_beside(names, strings).items()]

    def with_headers(self, frame, shape, headers):
        """A response that cannot carry attachments (its client asked for none, it is an error, another serialization)
        goes on as it is."""
        if not _has_attachments(frame, shape):
            return frame
        names: list = self._names(frame) if shape.kind != RESPONSE else []
        attachments: StringMap = self._attachments(frame, names)
        beside: dict = _beside(names, attachments.strings)
        wanted: dict = {}
        changes: list = []
        for name, value in headers:
            wanted[name] = wanted[name] + b"," + value if name in wanted else value
        version: bytes = wanted.get(b"version")
        if names and version != {**beside, **attachments.strings}.get(b"version"):  # in both places where it may stand
            changes.append((names[2][0], names[2][1], encode_string(version) if version else NULL))
        for name, value in beside.items():
            if name == b"version" or wanted.get(name) == value:
                wanted.pop(name, None)
        if wanted != attachments.strings:
            changes.append((attachments.start, attachments.end, attachments.written(wanted)))
        return _spliced(frame, changes)

    def _names(self, frame: bytes) -> list:
        """(start, end, text) of dubbo version, path, version, method and types; goes past them."""
        if len(frame) < 16 or frame[2] & 0x1F != _HESSIAN2:
            raise ValueError(_UNREAD % (frame[2] & 0x1F) if len(frame) > 2 else "no frame")
        self._reader.open(frame, 16, len(frame), FINAL)
        return [self._reader.span("the call's names") for _ in range(5)]

    def _attachments(self, frame: bytes, names: list) -> StringMap:
        """What stands behind the arguments, or the result."""
        if names:
            self._reader.go_past(_arguments(names[4][2] or b""), "the arguments")
        else:
            self._reader.open(frame, 17, len(frame), FINAL)
            self._reader.go_past(0 if frame[16] == 0x95 else 1, "the result")
        return StringMap(self._reader)

    # -- answers and events --------------------------------------------------------------------------------------------

    def reply(self, request, shape, status, message):
        """As Dubbo's own server: a status and words. A client makes a TimeoutException of 30 and 31, of all others a
        RemotingException; its failover cluster tries again after either."""
        own: int = self.own_status_of(status)
        if shape.kind != REQUEST:
            return None
        if status == 400 and request[2] & 0x1F != _HESSIAN2:
            message += b": " + (_UNREAD % (request[2] & 0x1F)).encode()
        body: bytes = encode_int(2) if own == _OK else encode_string(message)  # 2: null
        return _built(_HESSIAN2, own, request[4:12], body)

    def classify(self, frame, shape):
        """Of an event; hessian2 says null or "R", others their own way."""
        body: bytes = frame[16:]
        if frame[2] & 0x40:
            return Kind.HEARTBEAT if body == NULL or frame[2] & 0x1F != _HESSIAN2 else Kind.IGNORED
        readonly: bool = body == b"\x01R" if frame[2] & 0x1F == _HESSIAN2 else b"R" in body[:_EVENT_DATA]
        return Kind.GO_AWAY if readonly else Kind.IGNORED

    def heartbeat_answer(self, frame, shape):
        return _built(0x20 | (frame[2] & 0x1F), _OK, frame[4:12], frame[16:])

    def heartbeat_frame(self):
        return _built(0xE2, 0, bytes(8), NULL)

    def go_away_frame(self):
        return _built(0xA2, 0, bytes(8), b"\x01R")

    def example(self, kind):
        names: list = [b"2.0.2", b"com.example.Service", b"1.0", b"call", b"Ljava/lang/String;", b"hello"]
        attachments: bytes = encode_map([(b"path", names[1]), (b"interface", names[1]), (b"version", b"1.0")])
        call: bytes = b"".join([encode_string(name) for name in names]) + attachments
        return {
            Kind.REQUEST: _built(0xC2, 0, b"\0\0\0\0\0\0\0\1", call),
            Kind.ONE_WAY: _built(0x82, 0, b"\0\0\0\0\0\0\0\1", call),
            Kind.RESPONSE: _built(2, _OK, b"\0\0\0\0\0\0\0\1", b"\x94\x05hello" + encode_map([(b"dubbo", names[0])])),
            Kind.HEARTBEAT: self.heartbeat_frame(),
            Kind.HEARTBEAT_ACK: _built(0x22, _OK, bytes(8), NULL),
            Kind.GO_AWAY: self.go_away_frame(),
        }.get(kind)


def _built(flags: int, status: int, id: bytes, body: bytes) -> bytes:
    return b"".join((_MAGIC, bytes((flags, status)), id, len(body).to_bytes(4, "big"), body))


def _spliced(frame: bytes, changes: list) -> bytes:
    """With (start, end, new bytes) in place, and the length as it then is: also of a frame that is not all there."""
    pieces: list = []
    at: int = 16
    for start, end, new in sorted(changes):
        pieces += (frame[at:start], new)
        at = end
    body: bytes = b"".join((*pieces, frame[at:]))
    length = int.from_bytes(frame[12:16], "big") + len(body) + 16 - len(frame)
    return b"".join((frame[:12], length.to_bytes(4, "big"), body))


def _has_attachments(frame: bytes, shape: object) -> bool:
    """A request has; a response in hessian2, of status 20, that begins with the int 3, 4 or 5."""
    return shape.kind != RESPONSE or (
        len(frame) > 16 and frame[2] & 0x1F == _HESSIAN2 and frame[3] == _OK and 0x93 <= frame[16] <= 0x95
    )


def _beside(names: list, attachments: dict) -> dict:
    """The metadata that the body's beginning says and the attachments do not."""
    said: dict = {b"version": names[2][2], b"dubbo": names[0][2]} if names else {}
    return {name: value for name, value in said.items() if value and name not in attachments}


def _arguments(types: bytes) -> int:
    """How many there are, of a descriptor: `ILjava/lang/String;[J` are three."""
    count: int = 0
    at: int = 0
    while at < len(types):
        if types[at] == 76:  # "L"
            at = types.find(b";", at)
        if at < 0 or types[at] not in b"ZBCDFIJS;[":
            raise ValueError(f"the types of the arguments are malformed: {types!r}")
        count += types[at] != 91  # "["
        at += 1
    return count
