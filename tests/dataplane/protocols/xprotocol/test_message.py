"""Frames as heads: requests and responses, and the metadata as header lines."""

from __future__ import annotations

from typing import Any

import pytest

from tage.dataplane.protocols.edits import HeaderEdits, copied_response, edited_request
from tage.dataplane.protocols.message import HeaderKind
from tage.dataplane.protocols.writer import ByteWriter
from tage.dataplane.protocols.xprotocol.build import built
from tage.dataplane.protocols.xprotocol.message import RpcRequest, RpcResponse, new_request
from tage.dataplane.protocols.xprotocol.reader import FrameReader, Progress
from tage.xprotocol import Kind, Protocol

from .protocols import Bolted, Flagged, Ledger, flagged

ITEMS = [(b"version", b"1.0"), (b"X-User", b"tom"), (b"connection", b"close"), (b"host", b"h"), (b"x-user", b"ann")]


def reader_of(protocol: Protocol, frame: bytes, whole: int = 262_144) -> FrameReader:
    reader = FrameReader(protocol, whole)
    reader.feed(frame)
    assert reader.read() in (Progress.READY, Progress.BEGUN), reader.error
    return reader


def request(items: list[tuple[bytes, bytes]] = ITEMS, kind: Kind = Kind.REQUEST, **fields: Any) -> RpcRequest:
    protocol = Ledger()
    shape = next(s for s in protocol.shapes if s.kind == kind)
    parts = {"service": b"a.B", "method": b"m", "metadata": protocol.metadata.write(items), "body": b"body"}
    return new_request(protocol, reader_of(protocol, built(shape, **({"id": 7} | fields), parts=parts)))


def response(status: int = 2, items: list[tuple[bytes, bytes]] = ITEMS, head: RpcResponse | None = None) -> RpcResponse:
    protocol = Ledger()
    shape = next(s for s in protocol.shapes if s.kind == Kind.RESPONSE)
    parts = {"metadata": protocol.metadata.write(items), "body": b"body"}
    head = head or RpcResponse()
    head.load(protocol, reader_of(protocol, built(shape, 9, status, parts=parts)))
    return head


def test_a_request():
    head = request(timeout=1500)
    assert (head.method, head.scheme, head.authority, head.path) == (b"POST", b"http", b"", b"")
    assert head.names()
    assert (head.authority, head.path, head.path_only()) == (b"a.B", b"/a.B/m", b"/a.B/m")
    assert (head.id, head.kind, head.timeout, head.one_way, head.exclusive) == (7, Kind.REQUEST, 1500, False, False)
    assert head.size == head.body_length == len(head.frame)
    assert head.upgrade is None
    assert head.expects_continue is False
    assert head.header(b":path") == b"/a.B/m"
    assert head.header(b":authority") == b"a.B"
    assert head.header(b":method") == b"POST"


def test_one_way_requests_and_those_of_no_timeout():
    head = request(kind=Kind.ONE_WAY)
    assert head.one_way
    assert head.timeout == 0


def test_a_timeout_below_zero_is_none():
    protocol = Bolted()
    shape = protocol.shapes[0]
    frame = bytearray(built(shape, 1))
    frame[10:14] = b"\xff\xff\xff\xff"
    assert new_request(protocol, reader_of(protocol, bytes(frame))).timeout == 0


def test_a_timeout_of_a_method():
    for answer, expected in ((250, 250), (-5, 0)):
        protocol = type("Mine", (Ledger,), {"timeout_of": lambda self, frame, shape, a=answer: a})()
        assert new_request(protocol, reader_of(protocol, protocol.example(Kind.REQUEST))).timeout == expected


def test_a_large_request_has_its_connection_to_itself():
    protocol = Ledger()
    frame = built(protocol.shapes[0], 1, parts={"service": b"s", "method": b"m", "body": bytes(1000)})
    head = new_request(protocol, reader_of(protocol, frame, 100))
    assert head.exclusive
    assert (len(head.frame), head.size) == (100, len(frame))
    assert head.names()


def test_headers_are_read_when_they_are_asked_for():
    heads = [request() for _ in range(2)]
    assert heads[0].block is heads[1].block
    assert heads[0].block.count == 0
    assert heads[0].headers() == ITEMS
    assert heads[0].block is not heads[1].block
    block = heads[0].block
    heads[0].complete()
    assert heads[0].block is block
    assert heads[1].block.count == 0
    assert heads[1].header(b"x-user") == b"tom,ann"
    assert heads[1].header(b"absent") is None
    assert heads[1].header(b"") is None


def test_no_name_has_a_meaning_of_http():
    head = request()
    head.complete()
    assert head.header(b"connection") == b"close"
    assert HeaderEdits().value(head.block, b"connection") == b"close"
    assert head.header(b"host") == b"h"
    assert HeaderKind.PLAIN == 0


def test_the_view_of_bytes_that_no_line_can_hold():
    items = [
        (b"a", b"1\r\nb: 2\0"), (b"no name", b"x"), (b"c:d", b"x"), (b"", b"x"), ("ä".encode(), b"x"), (b"\n", b"x"),
        (b"e", "ä".encode()), (b"f", b""), (b"g", b"  spaced "),
    ]  # fmt: skip
    head = request(items)
    assert head.headers() == [(b"a", b"1??b: 2?"), (b"e", "ä".encode()), (b"f", b""), (b"g", b"spaced")]
    assert not head.malformed
    assert head.protocol.headers(head.frame, head.shape) == items  # what is forwarded is as it came


def test_malformed_metadata():
    protocol = Ledger()
    frame = built(protocol.shapes[0], 1, parts={"service": b"s", "metadata": b"\0\1a\0\1b\0"})
    head = new_request(protocol, reader_of(protocol, frame))
    assert not head.malformed
    assert head.headers() == []
    assert head.malformed
    assert head.names()


def test_many_headers():
    items = [(b"name-%d" % i, b"%d" % i) for i in range(500)]
    assert request(items).headers() == items


def test_a_request_as_edits_would_have_it():
    head = request()
    head.names()
    edits = HeaderEdits()
    edits.remove(b"x-user")
    edits.put(b"version", b"2.0")
    edits.path = b"/a.B/other"
    other = edited_request(head, edits, ByteWriter())
    assert isinstance(other, RpcRequest)
    assert (other.path, other.authority, other.method) == (b"/a.B/other", b"a.B", b"POST")
    assert other.headers() == [(b"connection", b"close"), (b"host", b"h"), (b"version", b"2.0")]
    assert (other.frame, other.id, other.shape, other.size) == (head.frame, head.id, head.shape, head.size)
    assert head.headers() == ITEMS


def test_a_response():
    head = response()
    assert (head.status, head.id, head.kind) == (504, 9, Kind.RESPONSE)
    assert head.size == head.body_length == len(head.frame)
    assert head.block.count == 0
    assert head.headers() == [(b"rpc-status", b"2"), *ITEMS]
    assert head.header(b"rpc-status") == b"2"


def test_a_response_is_loaded_again():
    head = response()
    assert len(head.headers()) == 6
    first = copied_response(head, ByteWriter())
    response(0, [(b"a", b"b")], head)
    assert (head.status, head.block.count) == (200, 0)
    assert head.headers() == [(b"rpc-status", b"0"), (b"a", b"b")]
    assert isinstance(first, RpcResponse)
    assert (first.status, first.id, first.kind) == (504, 9, Kind.RESPONSE)
    assert first.headers() == [(b"rpc-status", b"2"), *ITEMS]
    assert first.body_length == len(first.frame)


def test_an_empty_response():
    head = RpcResponse()
    assert (head.status, head.headers(), head.header(b"a")) == (0, [], None)
    assert copied_response(head, ByteWriter()).headers() == []


@pytest.mark.parametrize(("answer", "status"), [(200, 200), (418, 418), (0, 500), (99, 500), (600, 500)])
def test_a_status_of_a_method(answer: int, status: int):
    protocol = type("Mine", (Ledger,), {"response_status": lambda self, frame, shape: answer})()
    head = RpcResponse()
    head.load(protocol, reader_of(protocol, protocol.example(Kind.RESPONSE)))
    assert head.status == status


def test_headers_of_a_method():
    protocol = type("Mine", (Flagged,), {"headers": lambda self, frame, shape: [(b"id", frame[4:12].hex().encode())]})()
    head = new_request(protocol, reader_of(protocol, flagged(0xC0, 5, b"a\nb\nc")))
    assert head.headers() == [(b"id", b"0000000000000005")]
    assert head.names()
    assert head.path == b"/a/b"
