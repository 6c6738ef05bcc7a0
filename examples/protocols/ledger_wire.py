"""ledger frames, for the example's server and client: what ledger.py says, once more, by hand."""

from __future__ import annotations

import asyncio
import struct
from typing import NamedTuple

RESPONSE, REQUEST, ONE_WAY, HEARTBEAT, HEARTBEAT_ACK = range(5)
OK, FAILED, TIMED_OUT, UNAVAILABLE, NOT_FOUND = range(5)

MAGIC = b"LE\x01"
_HEADER = struct.Struct(">3sBIIHHII")
_LIMIT = 16 << 20
"""Bytes that a frame may have behind its header."""


class FramingError(Exception):
    """These bytes are not ledger."""


class Message(NamedTuple):
    kind: int
    id: int = 0
    service: bytes = b""
    method: bytes = b""
    metadata: dict[bytes, bytes] = {}
    body: bytes = b""
    number: int = 0
    """A request's timeout in ms, a response's status."""


def encode(message: Message) -> bytes:
    metadata = b"".join(_string(each) for pair in message.metadata.items() for each in pair)
    number = message.number << 16 if message.kind == RESPONSE else message.number
    lengths = len(message.service), len(message.method), len(metadata), len(message.body)
    header = _HEADER.pack(MAGIC, message.kind, message.id, number, *lengths)
    return header + message.service + message.method + metadata + message.body


async def read(reader: asyncio.StreamReader) -> Message | None:
    """The next message; None when the connection has ended. Raises FramingError."""
    try:
        header = await reader.readexactly(_HEADER.size)
        magic, kind, id, number, *lengths = _HEADER.unpack(header)
        if magic != MAGIC or kind > HEARTBEAT_ACK or sum(lengths) > _LIMIT:
            raise FramingError(f"not a frame: {header.hex(' ')}")
        service, method, metadata, body = [await reader.readexactly(length) for length in lengths]
    except asyncio.IncompleteReadError as error:
        if error.partial:
            raise FramingError("the connection ended within a frame") from error
        return None
    if kind == RESPONSE:
        number >>= 16
    return Message(kind, id, service, method, _pairs(metadata), body, number)


def _string(value: bytes) -> bytes:
    return len(value).to_bytes(2, "big") + value


def _pairs(data: bytes) -> dict[bytes, bytes]:
    strings = []
    while data:
        size = 2 + int.from_bytes(data[:2], "big")
        if len(data) < size:
            raise FramingError("metadata end within a string")
        strings.append(data[2:size])
        data = data[size:]
    if len(strings) % 2:
        raise FramingError("metadata end with a name")
    return dict(zip(strings[::2], strings[1::2], strict=True))
