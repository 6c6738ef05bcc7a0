"""Each of the things that cost more here than there, and where it ends: below its bound all is well, above it the
connection is over. `defences.py` has the bounds."""

from __future__ import annotations

import tracemalloc

import pytest

from . import wire
from .playbook import Side, Told, begun, client, failed, of, server
from .wire import (
    CANCEL,
    ENHANCE_YOUR_CALM,
    GET,
    INITIAL_WINDOW_SIZE,
    OK,
    POST,
    PROTOCOL_ERROR,
    STREAM_CLOSED,
    continuation,
    data,
    frame,
    headers,
    literal,
    ping,
    priority,
    rst,
    settings,
    window_update,
)

FRAMES = 10_000
RESETS = 1_000
CONTINUATIONS = 64
UNREAD = 4 << 20


def calm(side: Side, events: list[Told]) -> None:
    assert failed(events).code == ENHANCE_YOUR_CALM
    assert side.sent()[-1][:3] == (wire.GOAWAY, 0, 0)


def endless(side: Side, bad: bytes, most: int) -> int:
    """How many of `bad` are taken; fails where `most` are."""
    for count in range(most):
        events = side.feed(bad)
        if events and events[-1].event == "FAILED":
            calm(side, events)
            return count
        side.out.take()
    raise AssertionError(f"{most} of them were taken")


def react_with_reset(side: Side, event: int) -> None:
    if event == 10:
        side.session.reset(side.session.stream, PROTOCOL_ERROR)


# -- resets ------------------------------------------------------------------------------------------------------------


def ids(side: Side):
    return range(side.session.last_peer_id + 2 if side.session.last_peer_id else 1, 1 << 31, 2)


def test_rapid_reset():
    side = server()
    taken = 0
    for id in ids(side):
        events = side.feed(headers(id) + rst(id))
        if events[-1].event == "FAILED":
            break
        taken += 1
    calm(side, events)
    assert taken == RESETS
    # Whoever has the last one is told that it is gone.
    assert [each.event for each in events] == ["HEAD", "RESET", "FAILED"]


def test_resets_that_come_slowly_are_fine():
    side = server()
    for id in range(1, 4 * RESETS, 2):
        side.now += 40
        assert side.feed(headers(id) + rst(id))[-1] == Told("RESET", id, (CANCEL, None))
        side.out.take()


def test_resets_of_what_was_answered_are_fine():
    """As of a client that has seen enough of a stream."""
    side = server()
    for id in range(1, 6 * RESETS, 2):
        side.feed(headers(id))
        side.session.send_local(side.stream(id), 200, b"", False)
        side.session.send_data(side.stream(id), b"some", False, None)
        assert side.feed(rst(id))[-1].event == "RESET"
        side.out.take()


FAULTS = {
    "malformed": lambda id: headers(id, [*GET, (b"connection", b"close")]),
    "a window beyond its most": lambda id: headers(id) + window_update(id, 0x7FFFFFFF),
    "a window opened by nothing": lambda id: headers(id) + window_update(id, 0),
    "data behind the end": lambda id: headers(id) + data(id),
    "content-length": lambda id: headers(id, [*POST, (b"content-length", b"1")], end=False) + data(id, end=True),
    "PRIORITY on itself": lambda id: headers(id) + priority(id, id),
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=list(FAULTS))
def test_requests_that_have_themselves_reset(fault):
    side = server(react_with_reset)
    for id in range(1, 4 * RESETS, 2):
        events = side.feed(fault(id))
        if events[-1].event == "FAILED":
            break
        assert side.session.active == 0
    calm(side, events)
    assert id == 2 * RESETS + 1


def test_a_server_may_reset_what_it_is_asked():
    side = client()
    for _ in range(3 * RESETS):
        stream = begun(side)
        assert side.feed(rst(stream.id, wire.REFUSED_STREAM))[-1].event == "RESET"
        side.out.take()


def test_streams_that_were_reset_here_are_remembered_up_to_a_number():
    side = server(max_concurrent_streams=2_000)
    count = 1_100
    side.feed(b"".join(headers(id, POST, end=False) for id in range(1, 2 * count, 2)))
    for stream in list(side.session.streams.values()):
        side.session.reset(stream, CANCEL)
    side.out.take()
    side.feed(b"".join(data(id, b"x") for id in range(1, 2 * count, 2)))
    told = side.sent()
    assert {each.code for each in told} == {STREAM_CLOSED}
    assert len(told) == count - 1_024


# -- frames that move nothing ------------------------------------------------------------------------------------------


FLOODS = {
    "PING": ping(),
    "PING ACK": ping(ack=True),
    "SETTINGS": settings(),
    "SETTINGS ACK": wire.SETTINGS_ACK,
    "PRIORITY": priority(1, 3),
    "PRIORITY of idle streams": priority(101, 3),
    "unknown": frame(99, 0, 1, b"x"),
    "empty DATA": data(1),
    "DATA of padding": data(1, padding=1),
    "WINDOW_UPDATE": window_update(0, 1),
    "WINDOW_UPDATE of a stream": window_update(1, 1),
    "GOAWAY": wire.goaway(0),
    "RST_STREAM of a closed stream": rst(3),
    "DATA of a closed stream": data(3),
}


@pytest.mark.parametrize("bad", FLOODS.values(), ids=list(FLOODS))
def test_a_flood(bad: bytes):
    side = server()
    side.feed(headers(1, POST, end=False) + headers(3) + rst(3))
    assert FRAMES - 10 < endless(side, bad, 2 * FRAMES) <= FRAMES


@pytest.mark.parametrize("bad", FLOODS.values(), ids=list(FLOODS))
def test_as_many_over_a_long_time_are_fine(bad: bytes):
    side = server()
    side.feed(headers(1, POST, end=False) + headers(3) + rst(3))
    for _ in range(2 * FRAMES):
        side.now += 4
        assert not [each for each in side.feed(bad) if each.event == "FAILED"]
        side.out.take()


def test_a_large_settings_frame_costs_what_is_in_it():
    side = server()
    many = settings(*[(INITIAL_WINDOW_SIZE, 65_535 - i % 2) for i in range(2_700)])
    assert endless(side, many, 10) == 3


def test_window_updates_for_what_is_sent_are_fine():
    """As of a client that opens both windows for each frame."""
    side = server()
    side.feed(headers(1))
    side.session.send_local(side.stream(1), 200, b"", False)
    for _ in range(2 * FRAMES):
        side.session.send_data(side.stream(1), bytes(1_000), False, None)
        assert not side.feed(window_update(0, 1_000) + window_update(1, 1_000))
        side.out.take()
    assert side.stream(1).pending_bytes == 0


def test_windows_that_are_opened_by_one():
    """Each lets a byte go: a frame of ten, here and there."""
    side = server()
    side.feed(settings((INITIAL_WINDOW_SIZE, 0)) + headers(1))
    side.session.send_local(side.stream(1), 200, b"", False)
    side.session.send_data(side.stream(1), bytes(60_000), True, None)
    assert endless(side, window_update(1, 1), 2 * FRAMES) <= FRAMES


def test_requests_earn_frames():
    side = server()
    for id in range(1, 10_000, 2):
        side.feed(headers(id) + ping() + priority(id, 0) + window_update(id, 9))
        side.session.send_local(side.stream(id), 204, b"", True)
        side.out.take()
    assert not side.session.failed


def test_interim_heads_without_end():
    side = client()
    begun(side)
    assert endless(side, headers(1, [(b":status", b"103")], end=False), 2 * FRAMES) <= FRAMES


# -- header blocks -----------------------------------------------------------------------------------------------------


def test_continuation_without_end():
    side = server()
    side.feed(headers(1, more=True))
    for _ in range(CONTINUATIONS):
        assert side.feed(continuation(1, b"", more=True)) == []
    calm(side, side.feed(continuation(1, b"", more=True)))


def test_a_block_in_as_many_frames_as_may_be():
    side = server()
    side.feed(headers(1, more=True))
    assert side.feed(*[continuation(1, b"", more=i < 63) for i in range(64)])[0].event == "HEAD"


def test_a_block_of_too_many_bytes():
    side = server(max_head_bytes=20_000)
    side.feed(headers(1, more=True))
    count = 0
    while not (events := side.feed(continuation(1, bytes(8_000), more=True))):
        count += 1
        assert side.session.buffered() < 2 * 20_000 + 16_384 + 1
    assert count == (2 * 20_000 + 16_384) // 8_000
    calm(side, events)
    assert side.session.buffered() == 0


def test_a_block_that_unpacks_to_much():
    """An entry of 4,000 bytes, and 16,000 references to it: 64 MB."""
    side = server(react_with_reset)
    entry = b"\x40\x01a\x7f" + bytes((4_000 - 127 & 127 | 128, (4_000 - 127) >> 7)) + b"v" * 4_000
    side.feed(frame(wire.HEADERS, 5, 1, literal(GET) + entry))
    tracemalloc.start()
    try:
        events = side.feed(frame(wire.HEADERS, 5, 3, literal(GET) + b"\xbe" * 16_000))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert events == [Told("PROBLEM", 3, (True, "a head larger than the limit"))]
    assert peak < 512 << 10
    assert side.feed(frame(wire.HEADERS, 5, 5, literal(GET) + b"\xbe"))[0].what[1] == ((b"a", b"v" * 4_000),)


def test_too_many_headers():
    side = server(max_headers=10)
    told = side.feed(headers(1, [*GET, *[(b"a", b"b")] * 11]))
    assert told == [Told("PROBLEM", 1, (True, "a head larger than the limit"))]


# -- a peer that does not read -----------------------------------------------------------------------------------------


def test_what_nobody_reads_is_bounded():
    """A transport that is full, and a peer that goes on asking: what is put meanwhile is bounded."""
    side = server()
    side.session.block()
    most = 0
    while not (events := side.feed(headers(side.session.last_peer_id + 2 if side.session.last_peer_id else 1))) or (
        events[-1].event != "FAILED"
    ):
        side.session.send_local(side.session.stream, 200, b"x-large: " + b"v" * 10_000 + b"\r\n", False)
        side.session.send_data(side.session.stream, bytes(100), True, None)
        side.session.reset(side.session.stream, CANCEL)
        most = side.out.size
        assert most < UNREAD + 64_000
    assert most > UNREAD - 64_000
    assert failed(events).code == ENHANCE_YOUR_CALM


def test_what_is_read_in_the_end_is_fine():
    side = server()
    for _ in range(3):
        side.session.block()
        for _ in range(300):
            side.feed(headers(side.session.last_peer_id + 2 if side.session.last_peer_id else 1))
            side.session.send_local(side.session.stream, 200, b"x-large: " + b"v" * 10_000 + b"\r\n", True)
        side.out.take()
        side.session.unblock()
    assert not side.session.failed


# -- streams -----------------------------------------------------------------------------------------------------------


def test_more_streams_than_announced_hold_no_memory():
    side = server(max_concurrent_streams=10)
    for id in range(1, 10_000, 2):
        side.feed(headers(id, POST, end=False))
    assert side.session.active == len(side.session.streams) == 10
    assert len(of(side.sent(), wire.RST_STREAM)) == 5_000 - 10


def test_a_hostile_server_opens_no_streams():
    side = client()
    begun(side)
    assert side.feed(headers(1, OK))[0].event == "HEAD"
    for id in (0, 2, 3, 0x7FFFFFFF):
        other = client()
        begun(other)
        assert failed(other.feed(headers(id, OK))).code == PROTOCOL_ERROR
