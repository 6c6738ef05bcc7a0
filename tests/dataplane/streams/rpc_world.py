"""A world whose clients and hosts speak a protocol that is declared here: see `tage.xprotocol_testing.rpc`."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any, NamedTuple

from tage.xprotocol import Frame, Protocol, pairs, u8, u16, u32
from tage.xprotocol_testing import rpc
from tage.xprotocol_testing.world import SLOT_MS, End

__all__ = ["SLOT_MS", "End", "Message", "OrderedToy", "RpcWorld", "Toy", "frame", "frames"]

RESPONSE, REQUEST, ONE_WAY, HEARTBEAT, HEARTBEAT_ACK, GO_AWAY = range(6)
OK, ERROR, TIMEOUT, BUSY, UNKNOWN, UNREADABLE = range(6)

_PARTS = {"service": u8(10), "method": u8(11), "metadata": u16(12), "body": u32(16)}
_HEAD = struct.Struct(">2sBBIHBBHHI")


class Toy(Protocol):
    """Twenty bytes: TY, kind, status, id, timeout, lengths; then service, method, metadata, body."""

    name = "toy"
    request = Frame({0: b"TY", 2: REQUEST}, header=20, id=u32(4), timeout=u16(8), parts=_PARTS)
    one_way = request.but({2: ONE_WAY})
    response = Frame({0: b"TY", 2: RESPONSE}, header=20, id=u32(4), status=u8(3), parts=_PARTS)
    heartbeat = Frame({0: b"TY", 2: HEARTBEAT}, header=20, id=u32(4), parts=_PARTS)
    heartbeat_ack = heartbeat.but({2: HEARTBEAT_ACK})
    go_away = heartbeat.but({2: GO_AWAY})
    metadata = pairs(u8)
    statuses = {OK: 200, ERROR: 500, TIMEOUT: 504, BUSY: 503, UNKNOWN: 404, UNREADABLE: 400}
    replies = {500: ERROR, 504: TIMEOUT, 503: BUSY, 404: UNKNOWN, 400: UNREADABLE}
    heartbeat_interval = 0


class Message(NamedTuple):
    kind: int
    status: int
    id: int
    timeout: int
    service: bytes
    method: bytes
    metadata: bytes
    body: bytes


def frame(
    kind: int = REQUEST,
    number: int = 0,
    body: bytes = b"",
    *,
    status: int = 0,
    timeout: int = 0,
    service: bytes = b"a",
    method: bytes = b"m",
    metadata: dict[str, str] | None = None,
) -> bytes:
    items = b""
    for key, value in (metadata or {}).items():
        items += bytes([len(key)]) + key.encode() + bytes([len(value)]) + value.encode()
    head = _HEAD.pack(b"TY", kind, status, number, timeout, len(service), len(method), len(items), 0, len(body))
    return head + service + method + items + body


def frames(data: bytes) -> list[Message]:
    """All that there are; none may be incomplete."""
    found = []
    while data:
        magic, kind, status, number, timeout, service, method, metadata, _, body = _HEAD.unpack_from(data)
        assert magic == b"TY", data
        at, parts = 20, []
        for size in (service, method, metadata, body):
            assert at + size <= len(data), "an incomplete frame"
            parts.append(data[at : at + size])
            at += size
        found.append(Message(kind, status, number, timeout, *parts))
        data = data[at:]
    return found


class OrderedToy(Toy):
    """Without ids: answers come in the order of the requests."""

    name = "ordered-toy"
    request = Frame({0: b"TY", 2: REQUEST}, header=20, timeout=u16(8), parts=_PARTS)
    one_way = request.but({2: ONE_WAY})
    response = Frame({0: b"TY", 2: RESPONSE}, header=20, status=u8(3), parts=_PARTS)
    heartbeat = heartbeat_ack = go_away = None
    multiplexing = "ordered"


class RpcWorld(rpc.RpcWorld):
    def __init__(self, path: Path, hosts: int = 1, *, protocol: Protocol | None = None, **settings: Any) -> None:
        super().__init__(path, protocol or Toy(), hosts, **settings)

    def connected(self) -> tuple[End, End]:
        """A client and a server between whom a request has been carried."""
        client = self.client(frame(number=1))
        server = self.accept()
        [message] = frames(server.takes())
        server.send(frame(RESPONSE, message.id))
        assert [answer.id for answer in frames(client.takes())] == [1]
        return client, server
