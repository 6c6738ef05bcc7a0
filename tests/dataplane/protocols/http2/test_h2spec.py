"""What h2spec asks of a server, section by section of RFC 7540, without a socket: each case whole, byte by byte, cut in
two anywhere, and with another request behind it. Besides what it leaves out."""

from __future__ import annotations

from typing import NamedTuple

import pytest

from . import wire
from .playbook import Side, answer, cuts, failed, of, server
from .wire import (
    COMPRESSION_ERROR,
    FLOW_CONTROL_ERROR,
    FRAME_SIZE_ERROR,
    GET,
    INITIAL_WINDOW_SIZE,
    MAX_FRAME_SIZE,
    POST,
    PROTOCOL_ERROR,
    STREAM_CLOSED,
    continuation,
    data,
    frame,
    goaway,
    headers,
    literal,
    ping,
    priority,
    rst,
    settings,
    window_update,
)

SMALL = literal([(b"x-dummy", b"dummy")])


class Case(NamedTuple):
    section: str
    name: str
    wire: bytes
    code: int
    stream: int = 0
    """0: an error of the connection."""


CONNECTION = [
    Case("4.2", "HEADERS beyond MAX_FRAME_SIZE", frame(wire.HEADERS, 5, 1, bytes(16_385)), FRAME_SIZE_ERROR),
    Case("4.2", "DATA beyond MAX_FRAME_SIZE", headers(1, POST, end=False) + data(1, bytes(16_385)), FRAME_SIZE_ERROR),
    Case("4.3", "a header block that cannot be unpacked", frame(wire.HEADERS, 5, 1, b"\x40"), COMPRESSION_ERROR),
    Case("4.3", "PRIORITY within a block", headers(1, more=True) + priority(1, 0) + continuation(1, SMALL), 1),
    Case("4.3", "HEADERS within a block", headers(1, more=True) + headers(3), PROTOCOL_ERROR),
    Case("5.1", "idle: DATA", data(1, b"test", end=True), PROTOCOL_ERROR),
    Case("5.1", "idle: RST_STREAM", rst(1), PROTOCOL_ERROR),
    Case("5.1", "idle: WINDOW_UPDATE", window_update(1, 100), PROTOCOL_ERROR),
    Case("5.1", "idle: CONTINUATION", continuation(1, literal(GET)), PROTOCOL_ERROR),
    Case("5.1", "half closed (remote): CONTINUATION", headers(1) + continuation(1, SMALL), PROTOCOL_ERROR),
    Case("5.1", "reset: HEADERS", headers(1, POST, end=False) + rst(1) + headers(1), STREAM_CLOSED),
    Case("5.1", "reset: CONTINUATION", headers(1, end=False) + rst(1) + continuation(1, SMALL), PROTOCOL_ERROR),
    Case("5.1", "closed: HEADERS", headers(1) + headers(1), STREAM_CLOSED),
    Case("5.1.1", "an even id", headers(2), PROTOCOL_ERROR),
    Case("5.1.1", "a lower id than before", headers(5) + headers(3), PROTOCOL_ERROR),
    Case("5.3.1", "PRIORITY of an idle stream on itself", priority(1, 1), PROTOCOL_ERROR),
    Case("5.5", "an unknown frame within a block", headers(1, more=True) + frame(22, 0, 0, bytes(8)), PROTOCOL_ERROR),
    Case("6.1", "DATA on stream 0", data(0, b"test"), PROTOCOL_ERROR),
    Case("6.1", "padding beyond DATA", headers(1, POST, end=False) + frame(wire.DATA, 9, 1, b"\x06\x54\x65"), 1),
    Case("6.1", "DATA too short for its padding", headers(1, POST, end=False) + frame(wire.DATA, 9, 1), 6),
    Case("6.2", "HEADERS on stream 0", headers(0), PROTOCOL_ERROR),
    Case("6.2", "padding beyond HEADERS", frame(wire.HEADERS, 13, 1, b"\x20" + literal(GET)[:9]), PROTOCOL_ERROR),
    Case("6.2", "HEADERS too short for its padding", frame(wire.HEADERS, 13, 1), FRAME_SIZE_ERROR),
    Case("6.2", "HEADERS too short for its priority", frame(wire.HEADERS, 37, 1, b"abcd"), FRAME_SIZE_ERROR),
    Case("6.2", "padding that leaves no room for a priority", frame(wire.HEADERS, 45, 1, b"\x04abcdefg"), 1),
    Case("6.3", "PRIORITY on stream 0", priority(0, 1), PROTOCOL_ERROR),
    Case("6.3", "PRIORITY of 4 bytes on an idle stream", frame(wire.PRIORITY, 0, 1, bytes(4)), FRAME_SIZE_ERROR),
    Case("6.4", "RST_STREAM on stream 0", rst(0), PROTOCOL_ERROR),
    Case("6.4", "RST_STREAM of 3 bytes", headers(1, end=False) + frame(wire.RST_STREAM, 0, 1, bytes(3)), 6),
    Case("6.5", "SETTINGS ACK with a payload", frame(wire.SETTINGS, 1, 0, bytes(6)), FRAME_SIZE_ERROR),
    Case("6.5", "SETTINGS on a stream", frame(wire.SETTINGS, 0, 1, bytes(6)), PROTOCOL_ERROR),
    Case("6.5", "SETTINGS of 3 bytes", frame(wire.SETTINGS, 0, 0, bytes(3)), FRAME_SIZE_ERROR),
    Case("6.5.2", "ENABLE_PUSH of 2", settings((wire.ENABLE_PUSH, 2)), PROTOCOL_ERROR),
    Case("6.5.2", "INITIAL_WINDOW_SIZE of 2^31", settings((INITIAL_WINDOW_SIZE, 1 << 31)), FLOW_CONTROL_ERROR),
    Case("6.5.2", "MAX_FRAME_SIZE below 2^14", settings((MAX_FRAME_SIZE, 16_383)), PROTOCOL_ERROR),
    Case("6.5.2", "MAX_FRAME_SIZE of 2^24", settings((MAX_FRAME_SIZE, 1 << 24)), PROTOCOL_ERROR),
    Case("8441", "ENABLE_CONNECT_PROTOCOL of 2", settings((wire.ENABLE_CONNECT_PROTOCOL, 2)), PROTOCOL_ERROR),
    Case("6.6", "PUSH_PROMISE", frame(wire.PUSH_PROMISE, 4, 1, bytes(4) + literal(GET)), PROTOCOL_ERROR),
    Case("6.7", "PING on a stream", frame(wire.PING, 0, 1, bytes(8)), PROTOCOL_ERROR),
    Case("6.7", "PING of 6 bytes", frame(wire.PING, 0, 0, bytes(6)), FRAME_SIZE_ERROR),
    Case("6.8", "GOAWAY on a stream", frame(wire.GOAWAY, 0, 1, bytes(8)), PROTOCOL_ERROR),
    Case("6.8", "GOAWAY of 4 bytes", frame(wire.GOAWAY, 0, 0, bytes(4)), FRAME_SIZE_ERROR),
    Case("6.9", "WINDOW_UPDATE by 0", window_update(0, 0), PROTOCOL_ERROR),
    Case("6.9", "WINDOW_UPDATE of 3 bytes", frame(wire.WINDOW_UPDATE, 0, 0, bytes(3)), FRAME_SIZE_ERROR),
    Case("6.9.1", "the connection's window beyond 2^31-1", window_update(0, 0x7FFFFFFF), FLOW_CONTROL_ERROR),
    Case(
        "6.9.2", "a stream's window beyond 2^31-1 by SETTINGS",
        headers(1, POST, end=False) + window_update(1, 0x7FFFFFFF - 65_535) + settings((INITIAL_WINDOW_SIZE, 65_536)),
        FLOW_CONTROL_ERROR,
    ),
    Case("6.10", "DATA behind CONTINUATION", headers(1, more=True) + continuation(1, SMALL, more=True) + data(1), 1),
    Case("6.10", "CONTINUATION on stream 0", headers(1, more=True) + continuation(0, SMALL), PROTOCOL_ERROR),
    Case("6.10", "CONTINUATION on another stream", headers(1, more=True) + continuation(3, SMALL), PROTOCOL_ERROR),
    Case("6.10", "CONTINUATION behind the block's end",
         headers(1, more=True) + continuation(1, SMALL) + continuation(1, SMALL), PROTOCOL_ERROR),
    Case("6.10", "CONTINUATION behind DATA",
         headers(1, POST, end=False) + data(1, b"test") + continuation(1, SMALL), 1),
]  # fmt: skip

STREAM = [
    Case("5.1", "half closed (remote): DATA", headers(1) + data(1, b"test", end=True), STREAM_CLOSED, 1),
    Case("5.1", "reset: DATA", headers(1, POST, end=False) + rst(1) + data(1, b"test", end=True), STREAM_CLOSED, 1),
    Case("5.3.1", "HEADERS that depends on itself",
         frame(wire.HEADERS, 37, 1, b"\0\0\0\x01\xff" + literal(GET)), PROTOCOL_ERROR, 1),
    Case("5.3.1", "PRIORITY on itself", headers(1, POST, end=False) + priority(1, 1), PROTOCOL_ERROR, 1),
    Case("6.3", "PRIORITY of 4 bytes", headers(1, POST, end=False) + frame(wire.PRIORITY, 0, 1, bytes(4)), 6, 1),
    Case("6.9", "WINDOW_UPDATE by 0 of a closed stream", headers(1) + window_update(1, 0), PROTOCOL_ERROR, 1),
    Case("6.9", "WINDOW_UPDATE by 0", headers(1, POST, end=False) + window_update(1, 0), PROTOCOL_ERROR, 1),
    Case("6.9.1", "a stream's window beyond 2^31-1",
         headers(1, POST, end=False) + window_update(1, 0x7FFFFFFF) + window_update(1, 0x7FFFFFFF), 3, 1),
    Case("8.1", "a second head that does not end the stream",
         headers(1, POST, end=False) + data(1, b"test") + headers(1, [(b"x-dummy", b"1")], end=False), 1, 1),
    Case("8.1", "trailers with a pseudo-header",
         headers(1, POST, end=False) + headers(1, [(b":method", b"GET")]), PROTOCOL_ERROR, 1),
    Case("8.1.2", "an upper-case name", headers(1, [*GET, (b"X-TEST", b"ok")]), PROTOCOL_ERROR, 1),
    Case("8.1.2.1", "an unknown pseudo-header", headers(1, [*GET, (b":test", b"ok")]), PROTOCOL_ERROR, 1),
    Case("8.1.2.1", "a response's pseudo-header", headers(1, [*GET, (b":status", b"200")]), PROTOCOL_ERROR, 1),
    Case("8.1.2.1", "a pseudo-header behind a regular one",
         headers(1, [(b"x-test", b"ok"), *GET]), PROTOCOL_ERROR, 1),
    Case("8.1.2.2", "connection", headers(1, [*GET, (b"connection", b"keep-alive")]), PROTOCOL_ERROR, 1),
    Case("8.1.2.2", "te, which is not trailers", headers(1, [*GET, (b"te", b"trailers, deflate")]), 1, 1),
    Case("8.1.2.3", "an empty :path", headers(1, [*GET[:2], (b":path", b""), GET[3]]), PROTOCOL_ERROR, 1),
    Case("8.1.2.3", "no :method", headers(1, GET[1:]), PROTOCOL_ERROR, 1),
    Case("8.1.2.3", "no :scheme", headers(1, [GET[0], *GET[2:]]), PROTOCOL_ERROR, 1),
    Case("8.1.2.3", "no :path", headers(1, [*GET[:2], GET[3]]), PROTOCOL_ERROR, 1),
    Case("8.1.2.3", ":path twice", headers(1, [*GET, GET[2]]), PROTOCOL_ERROR, 1),
    Case("8.1.2.6", "content-length that is not the body's",
         headers(1, [*POST, (b"content-length", b"1")], end=False) + data(1, b"test", end=True), 1, 1),
    Case("8.1.2.6", "content-length that is not that of the body's parts",
         headers(1, [*POST, (b"content-length", b"5")], end=False) + data(1, b"test")
         + data(1, b"test", end=True), 1, 1),
    Case("8.1.2.6", "content-length of more than comes",
         headers(1, [*POST, (b"content-length", b"5")], end=False) + data(1, b"test", end=True), 1, 1),
    Case("8.1.2.6", "content-length of more than comes, trailers",
         headers(1, [*POST, (b"content-length", b"5")], end=False) + headers(1, [(b"x", b"1")]), 1, 1),
    Case("8.1.2.6", "content-length without a body", headers(1, [*POST, (b"content-length", b"5")]), 1, 1),
]  # fmt: skip

FINE = [
    Case("4.1", "a frame of an unknown type", frame(22, 0, 0, bytes(8)), 0),
    Case("4.1", "flags that are not defined", frame(wire.PING, 0x16, 0, bytes(8)), 0),
    Case("4.1", "the reserved bit", frame(wire.PING, 0, 1 << 31, bytes(8)), 0),
    Case("4.2", "DATA of 2^14 bytes", headers(1, POST, end=False) + data(1, bytes(16_384), end=True), 0),
    Case("5.3", "PRIORITY of an idle stream", priority(9, 7), 0),
    Case("5.3", "PRIORITY of a closed stream", headers(1) + priority(1, 3), 0),
    Case("6.2", "HEADERS with padding and priority",
         frame(wire.HEADERS, 45, 1, b"\x03" + bytes(5) + literal(GET) + bytes(3)), 0),
    Case("6.1", "DATA with padding", headers(1, POST, end=False) + data(1, b"test", padding=255, end=True), 0),
    Case("6.1", "DATA of padding alone", headers(1, POST, end=False) + data(1, padding=9) + data(1, end=True), 0),
    Case("6.4", "RST_STREAM of a closed stream", headers(1) + rst(1), 0),
    Case("6.5.2", "an unknown setting", settings((0xFF, 1)), 0),
    Case("6.7", "PING ACK that nobody asked for", ping(ack=True), 0),
    Case("6.8", "GOAWAY", goaway(0, debug=b"why"), 0),
    Case("6.9", "WINDOW_UPDATE of a closed stream", headers(1) + window_update(1, 100), 0),
    Case("6.10", "CONTINUATIONs",
         headers(1, more=True) + continuation(1, SMALL, more=True) + continuation(1, SMALL), 0),
    Case("8.1", "trailers", headers(1, POST, end=False) + data(1, b"test") + headers(1, [(b"x-test", b"ok")]), 0),
    Case("8.1.2.2", "te: trailers", headers(1, [*GET, (b"te", b"trailers")]), 0),
    Case("8.1.2.6", "content-length of a body in parts",
         headers(1, [*POST, (b"content-length", b"8")], end=False) + data(1, b"test") + data(1, b"test", end=True), 0),
]  # fmt: skip

BEHIND = headers(101)
"""Another request."""


def names(case: Case) -> str:
    return f"{case.section} {case.name}"


def pieces_of(data: bytes):
    return cuts(data) if len(data) < 400 else ([data], [data[i : i + 997] for i in range(0, len(data), 997)])


def play(pieces: list[bytes]) -> tuple[Side, list, list]:
    side = server(answer)
    events = side.feed(*pieces)
    return side, events, side.sent()


@pytest.mark.parametrize("case", CONNECTION, ids=names)
def test_an_error_of_the_connection(case: Case):
    whole = play([case.wire])
    for pieces in pieces_of(case.wire):
        side, events, sent = play([*pieces, BEHIND])
        assert failed(events).code == case.code, failed(events)
        assert events == whole[1]
        assert (sent[-1].type, sent[-1].code) == (wire.GOAWAY, case.code)
        assert sent[-1].payload[8:].decode() == failed(events).reason
        assert sent == whole[2], "something was sent behind GOAWAY"
        assert side.session.failed
        assert side.session.buffered() < len(case.wire)


@pytest.mark.parametrize("case", STREAM, ids=names)
def test_an_error_of_a_stream(case: Case):
    for pieces in pieces_of(case.wire):
        side, events, sent = play([*pieces, BEHIND])
        resets = of(sent, wire.RST_STREAM)
        assert [(each.stream, each.code) for each in resets][:1] == [(case.stream, case.code)]
        assert not of(sent, wire.GOAWAY)
        assert case.stream not in side.session.streams
        assert side.session.active == 0
        assert (events[-1].event, events[-1].stream) == ("HEAD", 101)
        assert events == play([case.wire + BEHIND])[1]


@pytest.mark.parametrize("case", FINE, ids=names)
def test_what_is_fine(case: Case):
    for pieces in pieces_of(case.wire):
        side, events, sent = play([*pieces, BEHIND])
        assert (events[-1].event, events[-1].stream) == ("HEAD", 101)
        assert not of(sent, wire.GOAWAY)
        assert not of(sent, wire.RST_STREAM)
        assert not side.session.streams
        assert events == play([case.wire + BEHIND])[1]


@pytest.mark.parametrize("began", [b"", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r", b"PRI"])
def test_a_connection_that_does_not_begin_with_the_preface(began: bytes):
    for pieces in cuts(began + b"GET / HTTP/1.1\r\n\r\n"):
        side = Side(True)
        assert failed(side.feed(*pieces)).code == PROTOCOL_ERROR
        assert [each.type for each in side.sent()] == [wire.SETTINGS, wire.WINDOW_UPDATE, wire.GOAWAY]


@pytest.mark.parametrize("first", [ping(), wire.SETTINGS_ACK, headers(1), window_update(0, 1)])
def test_settings_come_first(first: bytes):
    for pieces in cuts(wire.PREFACE + first):
        side = Side(True)
        assert failed(side.feed(*pieces)).code == PROTOCOL_ERROR


def test_ping_is_answered():
    for pieces in cuts(ping(b"abcdefgh")):
        side = server()
        assert side.feed(*pieces) == []
        assert side.sent() == [(wire.PING, wire.ACK, 0, b"abcdefgh")]


def test_settings_are_confirmed():
    side = server()
    side.feed(settings((INITIAL_WINDOW_SIZE, 0), (wire.MAX_CONCURRENT_STREAMS, 7)))
    assert side.sent() == [(wire.SETTINGS, wire.ACK, 0, b"")]
    assert side.session.peer_max_streams == 7


def test_enable_connect_protocol_is_not_taken_back():
    side = server()
    side.feed(settings((wire.ENABLE_CONNECT_PROTOCOL, 1)))
    assert side.session.peer_allows_connect
    assert failed(side.feed(settings((wire.ENABLE_CONNECT_PROTOCOL, 0)))).code == PROTOCOL_ERROR
