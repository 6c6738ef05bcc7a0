"""Frames made from the same descriptions as the codec: there is no HSF to record them from."""

from __future__ import annotations

import struct

import pytest

from tage.dataplane.protocols.xprotocol.frame import Kind
from tage.dataplane.protocols.xprotocol.hsf import Hsf
from tests.dataplane.protocols.xprotocol.reading import damaged, one, read, several, with_id

HSF = Hsf()


def request(
    types: list[bytes] | None = None, arguments: list[bytes] | None = None, service: bytes = b"com.x.Y:1.0.0",
    method: bytes = b"say", properties: bytes = b"props", id: int = 2**63 + 5, codec: int = 4, timeout: int = 3000,
) -> bytes:  # fmt: skip
    types = [b"java.lang.String"] if types is None else types
    arguments = [b"\5hello"] if arguments is None else arguments
    head = struct.pack(">BBBB3xQIIII", 14, 1, 0, codec, id, timeout, len(service), len(method), len(types))
    lengths = b"".join(len(x).to_bytes(4, "big") for x in [*types, *arguments, properties])
    return head + lengths + service + method + b"".join(types) + b"".join(arguments) + properties


def response(status: int, body: bytes = b"\5hello", id: int = 2**63 + 5) -> bytes:
    return struct.pack(">BBBBB3xQI", 14, 1, 1, status, 4, id, len(body)) + body


def heartbeat(op: int, id: int = 77) -> bytes:
    return struct.pack(">BBB3xQI", 12, op, 1, id, 3000)


REQUESTS = [
    request(),
    request([], []),
    request([b"int"] * 3, [b"\x90", b"", b"\x91" * 300], properties=b""),
    request(method=b""),
]
ALL = [*REQUESTS, response(20), response(31, b""), heartbeat(0), heartbeat(1)]


@pytest.mark.parametrize("frame", REQUESTS)
def test_requests(frame: bytes) -> None:
    got = one(HSF, frame)
    assert (got.kind, got.id) == (Kind.REQUEST, 2**63 + 5)
    assert got.shape.timeout(frame) == 3000
    assert HSF.names(got.frame, got.shape) == (b"com.x.Y:1.0.0", b"" if frame == REQUESTS[3] else b"say")
    assert HSF.headers(got.frame, got.shape) == [(b"version", b"1.0.0")]
    # The request id is 64 bits wide, and nothing else changes with it.
    changed = with_id(HSF, got, 2**64 - 1)
    assert one(HSF, changed).id == 2**64 - 1
    assert with_id(HSF, one(HSF, changed), got.id) == frame


@pytest.mark.parametrize(
    ("number", "status"), [(20, 200), (30, 504), (31, 504), (40, 400), (60, 404), (70, 500), (81, 503), (91, 500)]
)
def test_responses(number: int, status: int) -> None:
    got = one(HSF, response(number))
    assert (got.kind, got.id) == (Kind.RESPONSE, 2**63 + 5)
    assert HSF.response_status(got.frame, got.shape) == status


def test_heartbeats() -> None:
    got = one(HSF, heartbeat(0))
    assert (got.kind, got.id) == (Kind.HEARTBEAT, 77)
    answer = HSF.heartbeat_answer(got.frame, got.shape)
    assert struct.unpack(">BBB3xQ", answer[:14]) == (12, 1, 1, 77)
    assert one(HSF, answer).kind == Kind.HEARTBEAT_ACK
    assert struct.unpack(">BBB3xQ", HSF.heartbeat_frame()[:14]) == (12, 0, 1, 0)


def test_together_and_damaged() -> None:
    several(HSF, ALL)
    damaged(HSF, ALL)


def test_metadata_that_is_shown_is_not_written() -> None:
    got = one(HSF, request())
    assert HSF.with_headers(got.frame, got.shape, [(b"version", b"1.0.0")]) == got.frame
    with pytest.raises(ValueError, match="no place for metadata"):
        HSF.with_headers(got.frame, got.shape, [(b"version", b"2.0.0")])


def test_other_names() -> None:
    got = one(HSF, request())
    renamed = HSF.with_names(got.frame, got.shape, b"com.x.Other:2.0.0", b"sing")
    assert renamed == request(service=b"com.x.Other:2.0.0", method=b"sing")


@pytest.mark.parametrize(
    ("status", "number"), [(400, 40), (404, 60), (429, 81), (500, 80), (503, 81), (504, 31), (403, 40)]
)
@pytest.mark.parametrize(("codec", "answered"), [(1, 1), (4, 4), (2, 4)])
def test_local_replies(status: int, number: int, codec: int, answered: int) -> None:
    got = one(HSF, request(codec=codec))
    reply = HSF.reply(got.frame, got.shape, status, "no way é".encode())
    id, version, op, theirs, used, request_id, size = struct.unpack(">BBBBB3xQI", reply[:20])
    assert (id, version, op, theirs, used, request_id) == (14, 1, 1, number, answered, 2**63 + 5)
    assert reply[20:] == b"S\0\x08" + "no way é".encode()
    assert size == len(reply) - 20


@pytest.mark.parametrize("count", [256, 0xFFFF_FFFF])
def test_too_many_arguments_are_refused(count: int) -> None:
    frame = request()
    with pytest.raises(ValueError, match="arguments"):
        read(HSF, [frame[:27] + count.to_bytes(4, "big") + frame[31:]])


@pytest.mark.parametrize("at", [19, 23, 31, 35, 39])
def test_lengths_beyond_the_limit_are_refused(at: int) -> None:
    frame = request()
    with pytest.raises(ValueError):
        read(HSF, [frame[:at] + b"\xff\xff\xff\xff" + frame[at + 4 :]])


@pytest.mark.parametrize("start", [b"\x0d\1\0", b"\x0e\2\0", b"\x0e\1\2", b"\x0c\2\1", b"GET /"])
def test_other_things_are_refused(start: bytes) -> None:
    with pytest.raises(ValueError):
        read(HSF, [start + bytes(60)])


def test_detection() -> None:
    assert HSF.matches(request()) == 2
    assert HSF.matches(heartbeat(0)) == 2
    assert HSF.matches(b"GET / HTTP/1.1\r\n") == 0
