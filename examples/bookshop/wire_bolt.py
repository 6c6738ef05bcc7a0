"""SOFARPC on the wire: bolt v1 frames (github.com/sofastack/sofa-bolt, RpcProtocol) with Hessian 2 in them.

A request has 22 bytes of header, a response 20; then the name of the content's class, pairs of strings (each behind its
length, u32), and the content: an object, and behind it the arguments.
"""

from __future__ import annotations

import struct
from typing import Any

import hessian
from rpc import Answer, Call, Heartbeat, Message

name = "bolt"

_REQUEST = struct.Struct(">BBHBIBiHHI")
_RESPONSE = struct.Struct(">BBHBIBHHHI")
_HEARTBEAT, _CALL, _RESULT = 0, 1, 2
_HESSIAN = 1
_SOFA_REQUEST = "com.alipay.sofa.rpc.core.request.SofaRequest"
_SOFA_RESPONSE = "com.alipay.sofa.rpc.core.response.SofaResponse"
_STATUS = {
    1: "error", 2: "server exception", 3: "unknown", 4: "overloaded", 5: "communication error", 6: "no such service",
    7: "timeout", 16: "the connection was closed",
}  # fmt: skip


def _header(data: bytes) -> tuple[Any, ...]:
    """Kind, command, id, timeout or status, and the lengths of what follows; empty: more bytes are needed."""
    if data[:1] not in (b"", b"\x01"):
        raise ValueError(f"not bolt v1: it begins with {data[:4].hex()}")
    form = _RESPONSE if data[1:2] == b"\0" else _REQUEST
    if len(data) < form.size:
        return ()
    _, kind, command, _, id, _, time, *lengths = form.unpack_from(data)
    return kind, command, id, time, form.size, *lengths


def size(data: bytes) -> int:
    header = _header(data) if len(data) > 1 else ()
    return sum(header[4:])


def read(frame: bytes) -> Message:
    kind, command, id, time, start, of_class, of_pairs, _ = _header(frame)
    if command not in (_CALL, _RESULT):  # A heartbeat; or a go-away, which asks for nothing that we do not do anyway.
        return Heartbeat(id, is_answer=kind == 0 or command != _HEARTBEAT)
    pairs = _pairs(frame[start + of_class : start + of_class + of_pairs])
    content = frame[start + of_class + of_pairs :]
    if kind == 0:
        return _answer(id, time, content)
    _, *arguments = hessian.decode(content)
    return Call(
        pairs.pop("service", ""), pairs.pop("sofa_head_method_name", ""), arguments, pairs, id, max(time, 0), kind == 2
    )


def write(message: Message) -> bytes:
    if isinstance(message, Heartbeat):
        if message.is_answer:
            return _RESPONSE.pack(1, 0, _HEARTBEAT, 1, message.id, _HESSIAN, 0, 0, 0, 0)
        return _REQUEST.pack(1, 1, _HEARTBEAT, 1, message.id, _HESSIAN, 0, 0, 0, 0)
    if isinstance(message, Answer):
        kind = _SOFA_RESPONSE.encode()
        content = hessian.encode(
            hessian.Record(
                _SOFA_RESPONSE,
                {
                    "isError": bool(message.error),
                    "errorMsg": message.error or None,
                    "appResponse": message.result,
                    "responseProps": None,
                },
            )
        )
        return _RESPONSE.pack(1, 0, _RESULT, 1, message.id, _HESSIAN, 0, len(kind), 0, len(content)) + kind + content
    kind = _SOFA_REQUEST.encode()
    head = {"service": message.service, "sofa_head_method_name": message.method, **message.metadata}
    pairs = b"".join(struct.pack(">I", len(raw)) + raw for pair in head.items() for raw in map(str.encode, pair))
    request = {
        "targetAppName": None,
        "methodName": message.method,
        "targetServiceUniqueName": message.service,
        "requestProps": dict(message.metadata),
        "methodArgSigs": [_SIGNATURES[type(each)] for each in message.arguments],
    }
    content = hessian.encode(hessian.Record(_SOFA_REQUEST, request), *message.arguments)
    lengths = len(kind), len(pairs), len(content)
    one_way = 2 if message.one_way else 1
    return _REQUEST.pack(1, one_way, _CALL, 1, message.id, _HESSIAN, message.timeout, *lengths) + kind + pairs + content


_SIGNATURES = {int: "int", str: "java.lang.String", bool: "boolean", float: "double", dict: "java.util.Map"}


def _pairs(data: bytes) -> dict[str, str]:
    at, texts = 0, []
    while at < len(data):
        (length,) = struct.unpack_from(">I", data, at)
        texts.append(data[at + 4 : at + 4 + length].decode())
        at += 4 + length
    return dict(zip(texts[::2], texts[1::2], strict=True))


def _answer(id: int, status: int, content: bytes) -> Answer:
    if status:
        return Answer(id, error=_STATUS.get(status, f"status {status}"))
    (response,) = hessian.decode(content)
    if response.fields["isError"]:
        return Answer(id, error=response.fields["errorMsg"])
    return Answer(id, response.fields["appResponse"])
