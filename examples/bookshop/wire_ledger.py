"""The bookshop's own protocol on the wire, as an application writes and reads it: JSON behind the header that
`ledger.py` describes. A mesh never looks at the JSON."""

from __future__ import annotations

import json
import struct

from rpc import Answer, Call, Heartbeat, Message

name = "x-ledger"

_HEADER = struct.Struct(">2sBBI4sHHII")
_RESPONSE, _REQUEST, _ONE_WAY, _HEARTBEAT, _HEARTBEAT_ANSWER = range(5)
_STATUS = {1: "failed", 2: "timeout", 3: "overloaded", 4: "no such service or method"}


def size(data: bytes) -> int:
    if len(data) < _HEADER.size:
        return 0
    magic, version, *_, service, method, metadata, body = _HEADER.unpack_from(data)
    if (magic, version) != (b"LG", 1):
        raise ValueError(f"not the ledger's: it begins with {data[:4].hex()}")
    return _HEADER.size + int(service + method + metadata + body)


def read(frame: bytes) -> Message:
    _, _, kind, id, time, *lengths = _HEADER.unpack_from(frame)
    if kind in (_HEARTBEAT, _HEARTBEAT_ANSWER):
        return Heartbeat(id, is_answer=kind == _HEARTBEAT_ANSWER)
    parts, at = [], _HEADER.size
    for length in lengths:
        parts.append(frame[at : at + length])
        at += length
    service, method, metadata, body = parts
    if kind == _RESPONSE:
        (status,) = struct.unpack_from(">H", time)
        if status:
            return Answer(id, error=": ".join(filter(None, (_STATUS.get(status, f"status {status}"), body.decode()))))
        return Answer(id, json.loads(body))
    (timeout,) = struct.unpack(">I", time)
    return Call(service.decode(), method.decode(), json.loads(body), _pairs(metadata), id, timeout, kind == _ONE_WAY)


def write(message: Message) -> bytes:
    if isinstance(message, Heartbeat):
        return _frame(_HEARTBEAT_ANSWER if message.is_answer else _HEARTBEAT, message.id)
    if isinstance(message, Answer):
        body = message.error.encode() if message.error else json.dumps(message.result).encode()
        return _frame(_RESPONSE, message.id, struct.pack(">HH", bool(message.error), 0), body=body)
    texts = [text.encode() for pair in message.metadata.items() for text in pair]
    metadata = b"".join(struct.pack(">H", len(text)) + text for text in texts)
    body = json.dumps(message.arguments).encode()
    kind, time = _ONE_WAY if message.one_way else _REQUEST, struct.pack(">I", message.timeout)
    return _frame(kind, message.id, time, message.service.encode(), message.method.encode(), metadata, body)


def _frame(
    kind: int, id: int, time: bytes = b"\0\0\0\0", service: bytes = b"", method: bytes = b"", metadata: bytes = b"",
    body: bytes = b"",
) -> bytes:  # fmt: skip
    parts = (service, method, metadata, body)
    return _HEADER.pack(b"LG", 1, kind, id, time, *map(len, parts)) + b"".join(parts)


def _pairs(data: bytes) -> dict[str, str]:
    at, texts = 0, []
    while at < len(data):
        (length,) = struct.unpack_from(">H", data, at)
        texts.append(data[at + 2 : at + 2 + length].decode())
        at += 2 + length
    return dict(zip(texts[::2], texts[1::2], strict=True))
