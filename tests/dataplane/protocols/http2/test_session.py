"""Messages between two sessions, and the streams' way from their beginning to their end."""

from __future__ import annotations

import pytest

from tage.dataplane.protocols.edits import HeaderEdits
from tage.dataplane.protocols.http2.session import Event
from tage.dataplane.protocols.message import ResponseHead

from . import wire
from .playbook import Side, Told, answer, begun, client, cuts, failed, of, server
from .wire import (
    CANCEL,
    GET,
    NO_ERROR,
    OK,
    POST,
    PROTOCOL_ERROR,
    REFUSED_STREAM,
    STREAM_CLOSED,
    continuation,
    data,
    frame,
    goaway,
    headers,
    literal,
    ping,
    rst,
    settings,
    window_update,
)

LINE = (b"GET", b"/", b"a")


def exchange(a: Side, b: Side) -> tuple[list[Told], list[Told]]:
    """What each is told, until neither has anything to say."""
    events: tuple[list[Told], list[Told]] = ([], [])
    while a.out.size or b.out.size:
        events[1].extend(b.feed(a.out.take()))
        events[0].extend(a.feed(b.out.take()))
    return events


# -- both roles --------------------------------------------------------------------------------------------------------


def test_a_request_and_its_answer():
    down, up = client(), server(answer)
    for id in (1, 3, 5):
        stream = begun(down)
        assert stream.id == id
        told, asked = exchange(down, up)
        assert asked == [Told("HEAD", id, (LINE, (), True))]
        assert told == [
            Told("HEAD", id, (200, ((b"content-length", b"4"),), False)),
            Told("DATA", id, (b"body", True)),
        ]
        assert stream.closed
        assert not down.session.streams
        assert not up.session.streams
        assert down.session.active == up.session.active == 0


def test_what_the_connection_begins_with():
    down = Side(False)
    first = down.out.take()
    assert first.startswith(wire.PREFACE)
    settings_frame, update = wire.frames(first)
    values = dict(settings_of(settings_frame))
    assert values == {wire.ENABLE_PUSH: 0, wire.INITIAL_WINDOW_SIZE: 262_144, wire.MAX_HEADER_LIST_SIZE: 61_440}
    assert (update.type, update.stream, update.number) == (wire.WINDOW_UPDATE, 0, 16_777_216 - 65_535)
    up = Side(True, header_table_size=0, max_frame_size=32_768, allow_connect=True, max_concurrent_streams=9)
    values = dict(settings_of(up.sent()[0]))
    assert values == {
        wire.HEADER_TABLE_SIZE: 0, wire.MAX_CONCURRENT_STREAMS: 9, wire.INITIAL_WINDOW_SIZE: 262_144,
        wire.MAX_FRAME_SIZE: 32_768, wire.MAX_HEADER_LIST_SIZE: 61_440, wire.ENABLE_CONNECT_PROTOCOL: 1,
    }  # fmt: skip


def settings_of(frame: wire.Frame) -> list[tuple[int, int]]:
    assert (frame.type, frame.stream) == (wire.SETTINGS, 0)
    parts = [frame.payload[at : at + 6] for at in range(0, len(frame.payload), 6)]
    return [(int.from_bytes(part[:2], "big"), int.from_bytes(part[2:], "big")) for part in parts]


def test_settings_hold_once_they_are_there():
    down = Side(False)
    assert down.session.peer_max_streams == 100
    assert not down.session.settings_acked
    down.feed(settings((wire.MAX_CONCURRENT_STREAMS, 5)))
    assert down.session.peer_max_streams == 5
    down.feed(settings())
    assert down.session.peer_max_streams == 5
    down.feed(wire.SETTINGS_ACK)
    assert down.session.settings_acked
    assert client().session.peer_max_streams == 0xFFFFFFFF


MANY = b"".join(
    [
        settings((wire.MAX_CONCURRENT_STREAMS, 100)),
        headers(1, POST, end=False),
        data(1, b"first"),
        headers(3, [*GET, (b"cookie", b"a=b"), (b"cookie", b"c=d")]),
        ping(),
        frame(77, 1, 3, b"unknown"),
        headers(5, POST, end=False, more=True),
        continuation(5, literal([(b"x-one", b"1")]), more=True),
        continuation(5, literal([(b"x-two", b"2")])),
        data(1, b"second", padding=7),
        window_update(0, 10),
        data(5, b"x" * 300),
        headers(1, [(b"x-checksum", b"0")]),
        rst(5),
        headers(7, [*GET, (b"Bad", b"")]),
        data(1, b"late"),
        ping(ack=True),
        headers(9, POST, end=False),
        data(9, end=True),
        goaway(0, CANCEL),
    ]
)


def test_messages_in_any_cut():
    def play(pieces: list[bytes]) -> tuple[list[Told], list[wire.Frame]]:
        side = server(answer)
        return side.feed(*pieces), side.sent()

    told, sent = play([MANY])
    assert told == [
        Told("SETTINGS"),
        Told("HEAD", 1, ((b"POST", b"/", b"a"), (), False)),
        Told("DATA", 1, (b"first", False)),
        Told("HEAD", 3, (LINE, ((b"cookie", b"a=b; c=d"),), True)),
        Told("HEAD", 5, ((b"POST", b"/", b"a"), ((b"x-one", b"1"), (b"x-two", b"2")), False)),
        Told("DATA", 1, (b"second", False)),
        Told("DATA", 5, (b"x" * 300, False)),
        Told("END", 1, b"x-checksum: 0\r\n"),
        Told("RESET", 5, (CANCEL, None)),
        Told("PROBLEM", 7, (False, "a header name with upper-case letters")),
        Told("PONG", 0, int.from_bytes(b"12345678", "big")),
        Told("HEAD", 9, ((b"POST", b"/", b"a"), (), False)),
        Told("END", 9),
        Told("GOAWAY", 0, (0, CANCEL)),
    ]
    assert [(each.stream, each.code) for each in of(sent, wire.RST_STREAM)] == [(7, PROTOCOL_ERROR), (1, STREAM_CLOSED)]
    for pieces in cuts(MANY):
        assert play(pieces) == (told, sent)


def test_what_waits_to_be_read_is_counted():
    side = server()
    side.feed(headers(1, POST, end=False, more=True) + bytes(5))
    assert side.session.buffered() == len(literal(POST)) + 5
    side = server()
    side.session.feed(ping())
    side.session.feed(ping())
    assert side.session.buffered() == 34
    assert side.session.read(0) == Event.MORE
    assert len(side.sent()) == 2


# -- a server's streams ------------------------------------------------------------------------------------------------


def test_a_stream_is_there_until_both_sides_have_ended():
    side = server()
    side.feed(headers(1, POST, end=False))
    stream = side.stream()
    session = side.session
    assert (stream.id, stream.local_ended, stream.remote_ended, stream.closed) == (1, False, False, False)
    assert session.last_peer_id == 1
    session.send_local(stream, 200, b"", True)
    assert (stream.local_ended, stream.closed) == (True, False)
    assert side.feed(data(1, b"x", end=True)) == [Told("DATA", 1, (b"x", True))]
    assert stream.closed
    assert not session.streams


def test_a_head_is_the_streams_own():
    side = server()
    side.feed(headers(1) + headers(3, [*GET, (b"x-a", b"b")]))
    assert side.stream(1).head.headers() == []
    assert side.stream(3).head.headers() == [(b"x-a", b"b")]


def test_interim_heads_and_trailers_of_a_response():
    up, down = server(), client()
    up.feed(headers(1))
    begun(down)
    stream = up.stream()
    head = ResponseHead()
    head.status = 103
    up.session.send_response(stream, head, None, False)
    assert not stream.answered
    head.status = 200
    up.session.send_response(stream, head, HeaderEdits(), False)
    assert stream.answered
    up.session.send_data(stream, b"abc", True, b"grpc-status: 0\r\n")
    assert down.feed(up.out.take()) == [
        Told("HEAD", 1, (103, (), False)),
        Told("HEAD", 1, (200, (), False)),
        Told("DATA", 1, (b"abc", False)),
        Told("END", 1, b"grpc-status: 0\r\n"),
    ]


def test_a_response_of_trailers_alone():
    up, down = server(), client()
    up.feed(headers(1))
    begun(down)
    up.session.send_local(up.stream(), 200, b"grpc-status: 12\r\n", True)
    assert down.feed(up.out.take()) == [Told("HEAD", 1, (200, ((b"grpc-status", b"12"),), True))]
    assert not down.session.streams


def test_nothing_is_sent_behind_the_end():
    side = server()
    side.feed(headers(1, POST, end=False))
    stream, session = side.stream(), side.session
    session.send_local(stream, 200, b"", False)
    session.send_data(stream, None, True, None)
    before = side.out.take()
    assert wire.frames(before)[-1] == (wire.DATA, wire.END_STREAM, 1, b"")
    session.send_data(stream, b"more", True, b"a: b\r\n")
    session.send_local(stream, 200, b"", True)
    session.send_data(stream, b"", False, None)
    assert side.out.size == 0
    session.reset(stream, CANCEL)
    session.reset(stream, CANCEL)
    assert [each.code for each in side.sent()] == [CANCEL]
    assert session.active == 0


def test_a_head_larger_than_a_frame_goes_on_in_continuation():
    up, down = server(), client(max_head_bytes=100_000)
    up.feed(headers(1))
    begun(down)
    up.session.send_local(up.stream(), 200, b"x-large: " + b"v" * 40_000 + b"\r\n", True)
    up.session.ping(1)
    written = up.out.take()
    sent = wire.frames(written)
    assert [(each.type, each.flags, len(each.payload) <= 16_384) for each in sent[:-1]] == [
        (wire.HEADERS, wire.END_STREAM, True),
        (wire.CONTINUATION, 0, True),
        (wire.CONTINUATION, wire.END_HEADERS, True),
    ]
    assert sent[-1].type == wire.PING
    assert down.feed(written) == [Told("HEAD", 1, (200, ((b"x-large", b"v" * 40_000),), True))]


def test_a_head_of_just_a_frame_needs_no_continuation():
    for size in range(16_380 - 20, 16_384):
        up = server()
        up.feed(headers(1))
        up.session.send_local(up.stream(), 200, b"x-large: " + b"v" * size + b"\r\n", True)
        sent = up.sent()
        assert sum(len(each.payload) for each in sent) - size < 20
        assert [each.flags for each in sent] in (
            [wire.END_STREAM | wire.END_HEADERS], [wire.END_STREAM, wire.END_HEADERS]
        )  # fmt: skip
        assert len(sent) == 1 or len(sent[0].payload) == 16_384


def test_a_reset_is_told_and_what_comes_behind_it_is_ignored():
    side = server()
    side.feed(headers(1, POST, end=False))
    stream = side.stream()
    side.session.reset(stream, CANCEL)
    assert stream.closed
    assert side.sent() == [(wire.RST_STREAM, 0, 1, CANCEL.to_bytes(4, "big"))]
    late = data(1, b"late") + window_update(1, 9) + headers(1, [(b"x", b"y")]) + rst(1)
    assert side.feed(late + headers(3)) == [Told("HEAD", 3, (LINE, (), True))]
    assert side.sent() == []
    assert side.feed(data(1)) == []
    assert [each.code for each in side.sent()] == [STREAM_CLOSED], "the peer has ended it, nothing more may come"


def test_a_header_block_of_a_stream_that_was_reset_is_unpacked():
    """For the table: a literal that is indexed, and an index to it on the next stream."""
    side = server()
    side.feed(headers(1, POST, end=False))
    side.session.reset(side.stream(), CANCEL)
    indexed = b"\x40\x03x-a\x01b"
    assert side.feed(frame(wire.HEADERS, 5, 1, indexed)) == []
    assert side.feed(frame(wire.HEADERS, 5, 3, literal(GET) + b"\xbe")) == [
        Told("HEAD", 3, (LINE, ((b"x-a", b"b"),), True))
    ]


def test_a_stream_beyond_those_announced_is_refused_and_its_block_unpacked():
    side = server(max_concurrent_streams=2)
    side.feed(headers(1) + headers(3))
    block = literal(POST) + b"\x40\x03x-a\x01b"
    assert side.feed(frame(wire.HEADERS, 4, 5, block) + data(5, b"abc") + data(5, b"d", end=True)) == []
    assert [(each.stream, each.code) for each in side.sent()] == [(5, REFUSED_STREAM)]
    side.session.send_local(side.stream(1), 204, b"", True)
    told = side.feed(frame(wire.HEADERS, 5, 7, literal(GET) + b"\xbe"))
    assert told == [Told("HEAD", 7, (LINE, ((b"x-a", b"b"),), True))]
    assert side.session.last_peer_id == 7


@pytest.mark.parametrize("ended", [True, False])
def test_a_malformed_request_that_is_answered_is_reset_as_well(ended: bool):
    up, down = server(), client()
    begun(down)
    bad = [*POST, (b"connection", b"close")]
    assert up.feed(headers(1, bad, end=ended))[0][:2] == ("PROBLEM", 1)
    stream = up.session.stream
    assert stream.head is None
    assert up.session.head is None
    up.session.send_local(stream, 400, b"", True)
    answered = up.out.take()
    assert wire.frames(answered)[-1] == (wire.RST_STREAM, 0, 1, PROTOCOL_ERROR.to_bytes(4, "big"))
    assert down.feed(answered) == [Told("HEAD", 1, (400, (), True))]
    assert stream.closed
    late = b"" if ended else data(1, b"more")
    assert up.feed(late + headers(3)) == [Told("HEAD", 3, (LINE, (), True))]
    assert up.session.active == 1


@pytest.mark.parametrize("ended", [True, False])
def test_a_request_that_is_too_large_is_answered_and_reset_only_if_it_goes_on(ended: bool):
    side = server(max_head_bytes=200)
    side.feed(headers(1, [*POST, (b"x-large", b"v" * 200)], end=ended))
    side.session.send_local(side.session.stream, 431, b"", True)
    sent = side.sent()
    assert [each.type for each in sent] == ([wire.HEADERS] if ended else [wire.HEADERS, wire.RST_STREAM])
    assert ended or sent[1].code == NO_ERROR
    assert not side.session.streams


def test_a_request_that_is_too_large():
    side = server(max_head_bytes=200)
    large = headers(1, [*GET, (b"x-large", b"v" * 200)])
    assert side.feed(large) == [Told("PROBLEM", 1, (True, "a head larger than the limit"))]
    side.session.reset(side.session.stream, PROTOCOL_ERROR)
    assert side.feed(headers(3, [*GET, (b"connection", b"x")]))[0].what[0] is False


def test_extended_connect_only_where_it_is_enabled():
    ask = [(b":method", b"CONNECT"), (b":protocol", b"websocket"), *GET[1:]]
    assert server().feed(headers(1, ask, end=False))[0].event == "PROBLEM"
    side = server(allow_connect=True)
    assert side.feed(headers(1, ask, end=False))[0].event == "HEAD"
    assert side.session.head.upgrade == b"websocket"


def test_an_abandoned_request_is_reset_behind_its_answer():
    side = server()
    side.feed(headers(1, POST, end=False))
    stream, session = side.stream(), side.session
    session.send_local(stream, 413, b"", False)
    session.abandon(stream)
    assert side.feed(data(1, b"x" * 1000)) == []
    session.send_data(stream, b"too large", True, None)
    sent = side.sent()
    assert [(each.type, each.stream) for each in sent[-2:]] == [(wire.DATA, 1), (wire.RST_STREAM, 1)]
    assert sent[-1].code == NO_ERROR
    assert stream.closed
    assert side.feed(data(1, b"x", end=True)) == []


def test_an_abandoned_request_that_ends_before_its_answer():
    side = server()
    side.feed(headers(1, POST, end=False))
    stream, session = side.stream(), side.session
    session.abandon(stream)
    assert side.feed(data(1, b"x") + headers(1, [(b"a", b"b")])) == []
    assert stream.remote_ended
    session.send_local(stream, 413, b"", True)
    assert [each.type for each in side.sent()] == [wire.HEADERS]
    assert stream.closed


def test_a_request_abandoned_behind_its_answer_is_reset_at_once():
    side = server()
    side.feed(headers(1, POST, end=False))
    side.session.send_local(side.stream(), 413, b"", True)
    side.session.abandon(side.stream())
    assert side.sent()[-1] == (wire.RST_STREAM, 0, 1, bytes(4))


# -- a client's streams ------------------------------------------------------------------------------------------------


def test_ids_rise_in_the_order_of_the_heads():
    side = client()
    first, second = side.session.open(1), side.session.open(2)
    assert side.session.active == 2
    side.session.reset(second, CANCEL)
    assert second.closed
    assert (side.session.active, side.out.size) == (1, 0), "the server has not heard of it"
    assert begun(side).id == 1
    assert first.id == 0
    assert side.session.active == 2


def test_ids_run_out():
    side = client()
    side.session.next_id = 0x7FFFFFFB
    waiting = side.session.open(None)
    assert begun(side).id == 0x7FFFFFFB
    last = begun(side)
    assert last.id == 0x7FFFFFFD
    assert side.session.open(None) is None, "the last one is promised"
    side.session.reset(waiting, CANCEL)
    assert begun(side).id == 0x7FFFFFFF
    assert side.session.open(None) is None
    assert side.feed(headers(0x7FFFFFFF, OK)) == [Told("HEAD", 0x7FFFFFFF, (200, (), True))]


def test_a_response_is_read_in_any_cut():
    answer = b"".join(
        [
            headers(1, [(b":status", b"100")], end=False),
            headers(1, [(b":status", b"200"), (b"content-length", b"6")], end=False),
            data(1, b"abc", padding=3),
            data(1, b"def"),
            headers(1, [(b"x-trailer", b"t")]),
            rst(1, NO_ERROR),
        ]
    )
    expected = [
        Told("HEAD", 1, (100, (), False)),
        Told("HEAD", 1, (200, ((b"content-length", b"6"),), False)),
        Told("DATA", 1, (b"abc", False)),
        Told("DATA", 1, (b"def", False)),
        Told("END", 1, b"x-trailer: t\r\n"),
        Told("RESET", 1, (NO_ERROR, None)),
    ]
    for pieces in cuts(answer):
        side = client()
        begun(side, b"POST", end=False)
        assert side.feed(*pieces) == expected
        assert side.session.active == 0


REFUSED = [
    ("DATA in front of the head", data(1, b"x")),
    ("DATA of nothing in front of the head", data(1, end=True)),
    ("no :status", headers(1, [(b"x", b"y")])),
    (":status of two digits", headers(1, [(b":status", b"20")])),
    (":status twice", headers(1, [*OK, *OK])),
    ("a request's pseudo-header", headers(1, [*OK, (b":path", b"/")])),
    ("connection", headers(1, [*OK, (b"connection", b"close")])),
    ("transfer-encoding", headers(1, [*OK, (b"transfer-encoding", b"chunked")])),
    ("an upper-case name", headers(1, [*OK, (b"X-A", b"b")])),
    ("an interim head that ends the stream", headers(1, [(b":status", b"103")])),
    ("101", headers(1, [(b":status", b"101")], end=False)),
    ("less than content-length", headers(1, [*OK, (b"content-length", b"9")], end=False) + data(1, b"x", end=True)),
    ("more than content-length", headers(1, [*OK, (b"content-length", b"1")], end=False) + data(1, b"xy")),
    ("content-length, and no body", headers(1, [*OK, (b"content-length", b"1")])),
    ("a body of 204", headers(1, [(b":status", b"204")], end=False) + data(1, b"x")),
    ("a second head", headers(1, OK, end=False) + headers(1, OK)),
    ("trailers that do not end it", headers(1, OK, end=False) + headers(1, [(b"x", b"y")], end=False)),
    ("a head that is too large", headers(1, [*OK, (b"x", b"v" * 4000)])),
    ("trailers that are too large", headers(1, OK, end=False) + headers(1, [(b"x", b"v" * 4000)])),
    ("a window beyond 2^31-1", window_update(1, 0x7FFFFFFF)),
    ("a window opened by nothing", window_update(1, 0)),
]


@pytest.mark.parametrize(("name", "bad"), REFUSED, ids=[name for name, _ in REFUSED])
def test_a_response_that_is_refused_ends_its_stream_alone(name: str, bad: bytes):
    for pieces in cuts(bad) if len(bad) < 200 else [[bad]]:
        side = client(max_head_bytes=2000)
        begun(side)
        other = begun(side)
        side.out.take()
        events = side.feed(*pieces, headers(3, OK))
        *_, reset, last = events
        assert (reset.event, reset.stream) == ("RESET", 1)
        assert reset.what[1], "no words"
        assert last == Told("HEAD", 3, (200, (), True))
        assert [(each.stream, each.code) for each in side.sent()] == [(1, reset.what[0])]
        assert other.closed
        assert not side.session.streams


BROKEN = [
    ("a head for a stream that has not begun", headers(5, OK), PROTOCOL_ERROR),
    ("data for a stream that has not begun", data(5, b"x"), PROTOCOL_ERROR),
    ("a head for an even id", headers(2, OK), PROTOCOL_ERROR),
    ("a window for an even id", window_update(2, 1), PROTOCOL_ERROR),
    ("PUSH_PROMISE", frame(wire.PUSH_PROMISE, 4, 1, b"\0\0\0\x02" + literal(GET)), PROTOCOL_ERROR),
    ("ENABLE_PUSH of 1", settings((wire.ENABLE_PUSH, 1)), PROTOCOL_ERROR),
    ("a head for a stream that is over", headers(1, OK) + headers(1, OK), STREAM_CLOSED),
    ("a frame that is too large", data(1, bytes(16_385)), wire.FRAME_SIZE_ERROR),
]


@pytest.mark.parametrize(("name", "bad", "code"), BROKEN, ids=[name for name, *_ in BROKEN])
def test_a_server_that_breaks_the_connection(name: str, bad: bytes, code: int):
    side = client()
    begun(side)
    side.out.take()
    assert failed(side.feed(bad + headers(1, OK))).code == code
    (last,) = side.sent()
    assert (last.type, last.number, last.code) == (wire.GOAWAY, 0, code)
    assert side.session.open(None) is None


def test_a_response_to_head_and_304_say_lengths_of_bodies_that_do_not_come():
    side = client()
    begun(side, b"HEAD")
    assert side.feed(headers(1, [*OK, (b"content-length", b"99")]))[0].event == "HEAD"
    assert side.session.head.body_length == 0
    begun(side)
    told = side.feed(headers(3, [(b":status", b"304"), (b"content-length", b"99")], end=False) + data(3, end=True))
    assert [each.event for each in told] == ["HEAD", "END"]
    begun(side, b"HEAD")
    assert side.feed(headers(5, OK, end=False) + data(5, b"x"))[-1].what[0] == PROTOCOL_ERROR


def test_what_comes_for_a_stream_that_we_reset_is_ignored():
    side = client()
    stream = begun(side)
    side.session.reset(stream, CANCEL)
    side.out.take()
    begun(side)
    side.out.take()
    late = headers(1, OK, end=False) + data(1, b"x") + headers(1, [(b"a", b"b")])
    assert side.feed(late + headers(3, OK)) == [Told("HEAD", 3, (200, (), True))]
    assert side.sent() == []


# -- GOAWAY ------------------------------------------------------------------------------------------------------------


def test_a_server_that_goes_away_takes_no_more_streams():
    side = client()
    begun(side)
    begun(side)
    assert side.feed(goaway(1, NO_ERROR)) == [Told("GOAWAY", 0, (1, NO_ERROR))]
    assert side.session.goaway_received
    assert side.session.open(None) is None
    assert list(side.session.streams) == [1, 3], "whose owner ends them"
    assert side.feed(headers(1, OK)) == [Told("HEAD", 1, (200, (), True))]


def test_we_go_away_gracefully_then_for_good():
    side = server()
    side.session.go_away(0x7FFFFFFF, NO_ERROR)
    assert side.feed(headers(1) + headers(3, POST, end=False)) == [
        Told("HEAD", 1, (LINE, (), True)),
        Told("HEAD", 3, ((b"POST", b"/", b"a"), (), False)),
    ]
    side.session.go_away(side.session.last_peer_id, NO_ERROR)
    assert [each.number for each in side.sent()] == [0x7FFFFFFF, 3]
    block = literal(POST) + b"\x40\x03x-a\x01b"
    ignored = frame(wire.HEADERS, 4, 5, block) + data(5, b"x") + window_update(5, 1) + rst(5) + headers(7)
    assert side.feed(ignored) == []
    assert side.sent() == []
    assert side.session.last_peer_id == 3
    assert side.feed(frame(wire.HEADERS, 5, 3, b"\xbe")) == [Told("END", 3, b"x-a: b\r\n")], "the table is the same"


def test_goaway_does_not_rise():
    side = server()
    side.session.go_away(7, NO_ERROR)
    side.session.go_away(9, CANCEL)
    assert [(each.number, each.code) for each in side.sent()] == [(7, NO_ERROR), (7, CANCEL)]


def test_nothing_is_sent_once_the_connection_has_failed():
    side = server()
    side.feed(headers(1))
    stream = side.stream()
    failed(side.feed(headers(2)))
    side.out.take()
    session = side.session
    session.send_local(stream, 200, b"", False)
    session.send_data(stream, b"x", True, None)
    session.reset(stream, CANCEL)
    session.go_away(1, NO_ERROR)
    session.ping(1)
    session.unblock()
    assert side.out.size == 0
    assert stream.closed


def test_pings():
    side = client()
    side.session.ping(0x0102030405060708)
    assert side.sent() == [(wire.PING, 0, 0, bytes(range(1, 9)))]
    assert side.feed(ping(bytes(range(1, 9)), ack=True)) == [Told("PONG", 0, 0x0102030405060708)]
