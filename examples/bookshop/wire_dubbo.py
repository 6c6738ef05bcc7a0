"""Dubbo 2 on the wire (github.com/apache/dubbo, ExchangeCodec and DubboCodec): 16 bytes of header, and Hessian 2.

A request's body: Dubbo's version, the interface, its version, the method, the types of the arguments, the arguments and
a map of attachments. A response's: a number that says what follows, and the result.
"""

from __future__ import annotations

import struct

import hessian
from rpc import Answer, Call, Heartbeat, Message

name = "dubbo"

_HEADER = struct.Struct(">HBBqI")
_MAGIC = 0xDABB
_REQUEST, _TWO_WAY, _EVENT, _HESSIAN = 0x80, 0x40, 0x20, 2
_OK = 20
_DUBBO = "2.0.2"
_EXCEPTION, _VALUE, _NULL, _WITH_ATTACHMENTS = 0, 1, 2, 3
"""What follows; the first three, plus the last where attachments follow behind it."""
_STATUS = {
    30: "timeout", 31: "timeout", 35: "the connection was closed", 40: "bad request", 50: "bad response",
    60: "no such service", 70: "error of the service", 80: "error of the server", 90: "error of the client",
    100: "overloaded",
}  # fmt: skip
_TYPES = {int: "I", str: "Ljava/lang/String;", bool: "Z", float: "D", dict: "Ljava/util/Map;"}


def size(data: bytes) -> int:
    if len(data) < _HEADER.size:
        return 0
    magic, *_, length = _HEADER.unpack_from(data)
    if magic != _MAGIC:
        raise ValueError(f"not Dubbo: it begins with {data[:4].hex()}")
    return _HEADER.size + int(length)


def read(frame: bytes) -> Message:
    _, flags, status, id, _ = _HEADER.unpack_from(frame)
    body = frame[_HEADER.size :]
    if flags & _EVENT:
        return Heartbeat(id, is_answer=not flags & _TWO_WAY)
    values = hessian.decode(body)
    if flags & _REQUEST:
        _, service, _, method, _, *arguments, attachments = values
        attachments.pop("path", None), attachments.pop("interface", None)
        timeout = int(attachments.pop("timeout", 0))
        return Call(service, method, arguments, attachments, id, timeout, not flags & _TWO_WAY)
    if status != _OK:
        reason = values[0] if values and isinstance(values[0], str) else ""
        return Answer(id, error=": ".join(filter(None, (_STATUS.get(status, f"status {status}"), reason))))
    kind = values[0] % _WITH_ATTACHMENTS
    if kind == _EXCEPTION:
        return Answer(id, error=str(values[1]))
    return Answer(id, None if kind == _NULL else values[1])


def write(message: Message) -> bytes:
    if isinstance(message, Heartbeat):
        if message.is_answer:
            return _frame(_EVENT, _OK, message.id, b"N")
        return _frame(_REQUEST | _TWO_WAY | _EVENT, 0, message.id, b"N")
    if isinstance(message, Answer):
        if message.error:
            return _frame(0, 70, message.id, hessian.encode(message.error))
        return _frame(0, _OK, message.id, hessian.encode(_VALUE + _WITH_ATTACHMENTS, message.result, {"dubbo": _DUBBO}))
    attachments = {"path": message.service, "interface": message.service, **message.metadata}
    if message.timeout:
        attachments["timeout"] = str(message.timeout)
    types = "".join(_TYPES[type(each)] for each in message.arguments)
    version = message.metadata.get("version", "0.0.0")
    body = hessian.encode(_DUBBO, message.service, version, message.method, types, *message.arguments, attachments)
    return _frame(_REQUEST if message.one_way else _REQUEST | _TWO_WAY, 0, message.id, body)


def _frame(flags: int, status: int, id: int, body: bytes) -> bytes:
    return _HEADER.pack(_MAGIC, flags | _HESSIAN, status, id, len(body)) + body
