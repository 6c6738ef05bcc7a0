"""Protocols of the tests: what can be declared, and what methods do."""

from __future__ import annotations

from typing import Any

from tage.xprotocol import Frame, Kind, Protocol, i32, pairs, u8, u16, u24, u32, u64


class Ledger(Protocol):
    """All is declared; big-endian."""

    name = "ledger"
    _parts = {"service": u16(12), "method": u16(14), "metadata": u32(16), "body": u32(20)}
    request = Frame({0: b"LG\x01", 3: 1}, header=24, id=u32(4), timeout=u32(8), parts=_parts)
    one_way = request.but({3: 2})
    response = Frame({0: b"LG\x01", 3: 0}, header=24, id=u32(4), status=u16(8), parts=_parts)
    heartbeat = Frame({0: b"LG\x01", 3: 3}, header=24, id=u32(4), parts=_parts)
    heartbeat_ack = heartbeat.but({3: 4})
    go_away = Frame({0: b"LG\x01", 3: 5}, header=24, id=u32(4), parts=_parts)
    metadata = pairs(u16)
    statuses = {0: 200, 1: 500, 2: 504, 3: 503, 4: 404}
    replies = {404: 4, 503: 3, 504: 2, 500: 1}


class Little(Protocol):
    """Little-endian, a length that counts its header, names behind a length of all, an id of 24 bits."""

    name = "x-little"
    request = Frame(
        {8: (0x80, 0x80), 11: b"lt"},
        header=16,
        length=u32(0).little.plus(-16),
        id=u32(4).little.masked(0xFFFFFF),
        timeout=u8(9),
        parts={"service": u8(8).masked(0x3F), "method": u8(10), "metadata": u16(14).little},
    )
    response = Frame(
        {8: (0x80, 0), 11: b"lt"},
        header=16,
        length=u32(0).little.plus(-16),
        id=u32(4).little.masked(0xFFFFFF),
        status=u8(13),
        parts={"metadata": u16(14).little},
    )
    metadata = pairs(u8)
    heartbeat_interval = 0


class Bolted(Protocol):
    """As bolt: two versions, names in the metadata, a CRC that a bit asks for."""

    name = "bolted"
    _parts1 = {"class": u16(14), "metadata": u16(16), "body": u32(18)}
    _parts2 = {"class": u16(16), "metadata": u16(18), "body": u32(20)}
    _request1 = Frame({0: 1, 1: 1, 2: b"\0\1"}, header=22, id=u32(5), timeout=i32(10), parts=_parts1)
    _request2 = Frame({0: 2, 1: 2, 2: 1, 3: b"\0\1", 11: (1, 0)}, header=24, id=u32(6), timeout=i32(12), parts=_parts2)
    _response1 = Frame(
        {0: 1, 1: 0, 2: b"\0\2"},
        header=20,
        id=u32(5),
        status=u16(10),
        parts={"class": u16(12), "metadata": u16(14), "body": u32(16)},
    )
    _response2 = Frame(
        {0: 2, 1: 2, 2: 0, 3: b"\0\2", 11: (1, 0)},
        header=22,
        id=u32(6),
        status=u16(12),
        parts={"class": u16(14), "metadata": u16(16), "body": u32(18)},
    )
    _crc = {"trailer": 4, "crc": True}
    request = (_request1, _request2, _request2.but({11: (1, 1)}, **_crc))
    one_way = (
        _request1.but({1: 2}),
        _request2.but({2: 2}),
        _request2.but({2: 2, 11: (1, 1)}, **_crc),
    )
    response = (_response1, _response2, _response2.but({11: (1, 1)}, **_crc))
    heartbeat = (
        _request1.but({2: b"\0\0"}),
        _request2.but({3: b"\0\0"}),
        _request2.but({3: b"\0\0", 11: (1, 1)}, **_crc),
    )
    heartbeat_ack = (
        _response1.but({2: b"\0\0"}),
        _response2.but({3: b"\0\0"}),
        _response2.but({3: b"\0\0", 11: (1, 1)}, **_crc),
    )
    metadata = pairs(u32, null=0xFFFFFFFF)
    service_keys = ("service", "sofa_head_target_service")
    method_keys = ("sofa_head_method_name",)
    statuses = {0: 200, 1: 500, 7: 504, 16: 503}
    replies = {504: 7, 503: 16, 500: 1}


class Flagged(Protocol):
    """As Dubbo: bits of one byte tell the kinds, an id of 64 bits, names read by a method, events by another."""

    name = "flagged"
    request = Frame({0: b"\xda\xbb", 2: (0xE0, 0xC0)}, header=16, id=u64(4), length=u32(12))
    one_way = request.but({2: (0xE0, 0x80)})
    response = Frame({0: b"\xda\xbb", 2: (0xA0, 0)}, header=16, id=u64(4), status=u8(3), length=u32(12))
    event = Frame({0: b"\xda\xbb", 2: (0x20, 0x20)}, header=16, id=u64(4), length=u32(12))
    statuses = {20: 200, 30: 504, 31: 504, 60: 404, 70: 500}
    replies = {404: 60, 504: 31, 500: 80}

    def names(self, frame: bytes, shape: Any) -> tuple[bytes, bytes] | None:
        words = frame[16:].split(b"\n")
        return (words[0], words[1]) if len(words) > 2 else None

    def classify(self, frame: bytes, shape: Any) -> Kind:
        if frame[16:17] == b"R":
            return Kind.GO_AWAY
        if frame[16:17] != b"N":
            raise ValueError(f"an event of {len(frame)} bytes that is none")
        return Kind.HEARTBEAT if frame[2] & 0x80 else Kind.HEARTBEAT_ACK


class Ordered(Protocol):
    """No ids; responses in the order of the requests."""

    name = "ordered-1"
    request = Frame({4: b"\1"}, header=5, length=u32(0))
    response = Frame({4: b"\2"}, header=6, status=u8(5), length=u32(0))
    multiplexing = "ordered"


class Varying(Protocol):
    """The size stands behind a name that is as long as the header says, and the id behind that."""

    name = "varying"
    request = Frame({0: b"V\1"}, header=3, size="method", id=u24(None))
    response = Frame({0: b"V\2"}, header=3, size="method", id=u24(None))

    def size(self, data: bytes, start: int, available: int, shape: Any) -> int:
        behind = 3 + data[start + 2]
        if behind + 2 > available:
            return 0
        return behind + 2 + int.from_bytes(data[start + behind : start + behind + 2], "big")

    def id_at(self, frame: bytes, shape: Any) -> int:
        return 3 + frame[2] + 2

    def names(self, frame: bytes, shape: Any) -> tuple[bytes, bytes] | None:
        return frame[3 : 3 + frame[2]], b""

    def reply(self, request: bytes, shape: Any, status: int, message: bytes) -> bytes | None:
        return b"V\2\0" + (3 + len(message)).to_bytes(2, "big") + request[5 + request[2] :][:3] + message

    def response_status(self, frame: bytes, shape: Any) -> int:
        return 200 if len(frame) == 8 else 500


def varying(name: bytes, id: int, body: bytes = b"", kind: int = 1) -> bytes:
    rest = id.to_bytes(3, "big") + body
    return bytes([0x56, kind, len(name)]) + name + len(rest).to_bytes(2, "big") + rest


def flagged(flags: int, id: int, body: bytes, status: int = 0) -> bytes:
    return bytes([0xDA, 0xBB, flags, status]) + id.to_bytes(8, "big") + len(body).to_bytes(4, "big") + body


DECLARED = (Ledger, Little, Bolted)
