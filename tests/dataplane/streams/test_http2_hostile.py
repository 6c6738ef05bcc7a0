"""What a hostile or broken server may send to an upstream connection: each ends in an error for the client that asked,
of its kind, and leaves nothing behind (`World.close`)."""

from __future__ import annotations

import struct

import pytest
from hpack import Encoder

from tests.dataplane.streams.http2_world import Http2World

DATA, HEADERS, PRIORITY, RST, SETTINGS, PUSH, PING, GOAWAY, WINDOW, CONTINUATION = range(10)
END_STREAM, END_HEADERS, PADDED = 1, 4, 8
SETTLED = bytes.fromhex("000000040000000000")
"""An empty SETTINGS, which a server begins with."""


def frame(kind: int, flags: int = 0, stream: int = 0, payload: bytes = b"", length: int | None = None) -> bytes:
    size = len(payload) if length is None else length
    return struct.pack(">I", size)[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def block(*headers: tuple[str, str]) -> bytes:
    return Encoder().encode(headers, huffman=False)


def head(*headers: tuple[str, str], flags: int = END_HEADERS, stream: int = 1) -> bytes:
    return frame(HEADERS, flags, stream, block(*headers))


OK = (":status", "200")
BODY = frame(DATA, END_STREAM, 1, b"ok")

STREAM_ERRORS = {
    "no status": head(("a", "b")),
    "a status that is none": head((":status", "2000")),
    "a status of letters": head((":status", "abc")),
    "two statuses": head(OK, OK),
    "a pseudo-header behind a header": head(("a", "b"), OK),
    "a request's pseudo-header": head(OK, (":path", "/")),
    "an upper-case name": head(OK, ("A", "b")),
    "a connection header": head(OK, ("connection", "close")),
    "transfer-encoding": head(OK, ("transfer-encoding", "chunked")),
    "a line break in a value": head(OK, ("a", "b\r\nset-cookie: c")),
    "a NUL in a value": head(OK, ("a", "b\0c")),
    "a space in a name": head(OK, ("a b", "c")),
    "an empty name": head(OK, ("", "c")),
    "two lengths": head(OK, ("content-length", "2"), ("content-length", "3")),
    "a length of letters": head(OK, ("content-length", "2x")),
    "a negative length": head(OK, ("content-length", "-2")),
    "data in front of the head": BODY,
    "101": head((":status", "101")),
    "an interim answer that ends the stream": head((":status", "103"), flags=END_HEADERS | END_STREAM),
    "a head as large as no head may be": head(OK, *[(f"h{i}", "v" * 1000) for i in range(15)]) * 0
    + frame(HEADERS, END_HEADERS, 1, block(OK, *[(f"h{i}", "v" * 80) for i in range(120)])),
}
BEHIND_THE_HEAD = {
    "less than the length": head(OK, ("content-length", "5")) + BODY,
    "more than the length": head(OK, ("content-length", "1")) + BODY,
    "a second head": head(OK) + head(OK),
    "trailers with a pseudo-header": head(OK) + head(OK, flags=END_HEADERS | END_STREAM),
    "trailers with a line break": head(OK) + head(("a", "b\nc"), flags=END_HEADERS | END_STREAM),
    "more data than the window allows": head(OK) + b"".join(frame(DATA, 0, 1, bytes(16_000)) for _ in range(20)),
}
CONNECTION_ERRORS = {
    "HTTP/1.1": b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n",
    "noise": bytes(range(256)) * 4,
    "no settings first": head(OK),
    "a frame larger than agreed": SETTLED + frame(DATA, 0, 1, length=1 << 20),
    "a push": SETTLED + frame(PUSH, END_HEADERS, 1, struct.pack(">I", 2) + block((":path", "/"))),
    "a head of a stream that is idle": SETTLED + head(OK, stream=99),
    "data of a stream that is idle": SETTLED + frame(DATA, 0, 99, b"x"),
    "a stream of its own": SETTLED + head(OK, stream=2),
    "data of no stream": SETTLED + frame(DATA, 0, 0, b"x"),
    "a head of no stream": SETTLED + head(OK, stream=0),
    "a reset of no stream": SETTLED + frame(RST, 0, 0, bytes(4)),
    "a reset of a stream that is idle": SETTLED + frame(RST, 0, 99, bytes(4)),
    "a short reset": SETTLED + frame(RST, 0, 1, bytes(3)),
    "settings of a stream": SETTLED + frame(SETTINGS, 0, 1),
    "settings of an odd length": SETTLED + frame(SETTINGS, 0, 0, bytes(5)),
    "an acknowledgement with settings": SETTLED + frame(SETTINGS, 1, 0, bytes(6)),
    "a window that is too large": SETTLED + frame(SETTINGS, 0, 0, struct.pack(">HI", 4, 1 << 31)),
    "a frame size that is too small": SETTLED + frame(SETTINGS, 0, 0, struct.pack(">HI", 5, 1)),
    "a short ping": SETTLED + frame(PING, 0, 0, bytes(7)),
    "a ping of a stream": SETTLED + frame(PING, 0, 1, bytes(8)),
    "a window update of nothing": SETTLED + frame(WINDOW, 0, 0, bytes(4)),
    "a window update without end": SETTLED + frame(WINDOW, 0, 0, struct.pack(">I", 0x7FFFFFFF)) * 2,
    "a short window update": SETTLED + frame(WINDOW, 0, 0, bytes(3)),
    "a continuation of nothing": SETTLED + frame(CONTINUATION, END_HEADERS, 1, block(OK)),
    "a head that is interrupted": SETTLED + frame(HEADERS, 0, 1, block(OK)) + frame(PING, 0, 0, bytes(8)),
    "an index that there is not": SETTLED + frame(HEADERS, END_HEADERS, 1, b"\xff\x80\x01"),
    "an index of 0": SETTLED + frame(HEADERS, END_HEADERS, 1, b"\x80"),
    "an integer without end": SETTLED + frame(HEADERS, END_HEADERS, 1, b"\xff" * 40),
    "a table larger than agreed": SETTLED + frame(HEADERS, END_HEADERS, 1, b"\x3f\xe1\xff\x03" + block(OK)),
    "padding longer than the frame": SETTLED + frame(DATA, PADDED, 1, b"\xff" + bytes(5)),
    "a head of padding": SETTLED + frame(HEADERS, PADDED | END_HEADERS, 1, b"\xff" + bytes(5)),
    "continuations without end": SETTLED + frame(HEADERS, 0, 1) + frame(CONTINUATION, 0, 1) * 10_000,
    "continuations that grow": SETTLED + frame(HEADERS, 0, 1) + frame(CONTINUATION, 0, 1, bytes(16_000)) * 100,
    "settings without end": SETTLED * 100_000,
    "pings without end": SETTLED + frame(PING, 0, 0, bytes(8)) * 100_000,
    "empty data without end": SETTLED + head(OK) + frame(DATA, 0, 1) * 100_000,
    "frames of unknown kinds without end": SETTLED + frame(99, 0, 0) * 100_000,
    "priorities without end": SETTLED + frame(PRIORITY, 0, 1, bytes(5)) * 100_000,
    "window updates of one byte without end": SETTLED + frame(WINDOW, 0, 0, b"\0\0\0\1") * 100_000,
    "interim answers without end": SETTLED + head((":status", "103")) * 100_000,
}


@pytest.fixture
def world(tmp_path):
    world = Http2World(tmp_path, asks={"initial_stream_window": 65_535})
    yield world
    world.close()


def asked(world):
    """A client that waits, its request, and the server's end."""
    client = world.client2()
    number = client.request()
    server = world.accept()
    assert server.takes().startswith(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
    return client, number, server


@pytest.mark.parametrize("name", STREAM_ERRORS)
def test_an_answer_that_is_none(world, name):
    """Its stream alone is lost."""
    client, number, server = asked(world)
    server.send(SETTLED + STREAM_ERRORS[name])
    answer = client.answer(number)
    assert (answer.status, answer.headers["x-tage-response-flags"]) == (502, "UPE")
    assert bytes([0, 0, 4, RST, 0, 0, 0, 0, 1]) in server.takes()
    assert not server.closed
    number = client.request()
    server.send(head(OK, stream=3) + frame(DATA, END_STREAM, 3, b"ok"))
    assert client.answer(number).body == b"ok"
    assert world.up("cx_protocol_error") == 1


@pytest.mark.parametrize("name", BEHIND_THE_HEAD)
@pytest.mark.parametrize("cut", ["send", "send_bytewise"])
def test_an_answer_that_breaks_off(world, name, cut):
    """The client must not take it for a whole one."""
    client, number, server = asked(world)
    client.takes_data = False
    getattr(server, cut)(SETTLED + BEHIND_THE_HEAD[name])
    answer = client.answer(number)
    assert answer.reset is not None
    assert not answer.ended
    assert world.up("cx_protocol_error") == 1


@pytest.mark.parametrize("name", CONNECTION_ERRORS)
def test_a_connection_that_is_none(world, name):
    client, number, server = asked(world)
    server.send(CONNECTION_ERRORS[name])
    answer = client.answer(number)
    assert server.closed
    if answer.reset is None:
        assert (answer.status, answer.headers["x-tage-response-flags"]) == (502, "UPE")
    assert frame(GOAWAY)[3:9] in server.takes()
    assert world.up("cx_protocol_error") == 1
    world.accept() if world.opening else None


def test_a_flood_of_resets_of_what_was_answered_goes_nowhere(world):
    client, number, server = asked(world)
    server.send(SETTLED + head(OK) + BODY + frame(RST, 0, 1, bytes(4)) * 50)
    assert client.answer(number).body == b"ok"


def test_a_server_that_allows_no_streams(world):
    """Requests wait for room, as long as their clients do."""
    client, number, server = asked(world)
    server.send(frame(SETTINGS, 0, 0, struct.pack(">HI", 3, 0)) + head(OK) + BODY)
    assert client.answer(number).body == b"ok"
    later = client.request()
    assert client.answer(later).headers == {}
    client.reset(later)
    later = client.request()
    server.send(frame(SETTINGS, 0, 0, struct.pack(">HI", 3, 1)))
    assert server.takes() != b""
    server.send(head(OK, stream=3) + frame(DATA, END_STREAM, 3, b"ok"))
    assert client.answer(later).body == b"ok"


def test_a_server_that_ends_in_the_middle_of_a_frame(world):
    client, number, server = asked(world)
    server.send(SETTLED + head(OK) + BODY[:-1])
    server.end()
    assert client.answer(number).reset is not None


def test_a_server_that_does_not_answer_pings(tmp_path):
    world = Http2World(tmp_path, asks={"keepalive_interval": 1_000, "keepalive_timeout": 500})
    client, number, server = asked(world)
    server.send(SETTLED)
    world.pass_time(1_000)
    assert bytes([0, 0, 8, PING, 0]) in server.takes()
    world.pass_time(600)
    assert server.closed
    assert client.answer(number).status == 503
    world.close()


def test_tiny_windows(tmp_path):
    """A server that takes a byte at a time: frames are as small, what waits is bounded, and others go on."""
    world = Http2World(tmp_path)
    client = world.client2()
    number = client.request(method="POST", body=bytes(1_000))
    server = world.accept()
    server.takes()
    server.send(frame(SETTINGS, 0, 0, struct.pack(">HI", 4, 0)))
    number = client.request(method="POST", body=bytes(1_000))
    assert b"\0" * 1_000 not in server.takes()
    server.send(frame(WINDOW, 0, 3, b"\0\0\0\1"))
    assert frame(DATA, 0, 3, b"\0") in server.takes()
    server.send(head(OK, stream=3) + frame(DATA, END_STREAM, 3, b"early"))
    assert client.answer(number).body == b"early"
    world.close()
