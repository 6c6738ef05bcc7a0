"""What is sent when: windows, MAX_FRAME_SIZE, a transport that is full, and who is next."""

from __future__ import annotations

import random

import pytest

from tage.dataplane.protocols.http2.session import Event

from . import wire
from .playbook import Side, Told, begun, client, failed, of, server
from .wire import (
    FLOW_CONTROL_ERROR,
    INITIAL_WINDOW_SIZE,
    MAX_FRAME_SIZE,
    POST,
    Frame,
    data,
    headers,
    rst,
    settings,
    window_update,
)

WINDOW = 65_535


def asked(count: int = 1, **limits: int) -> Side:
    """A server with so many requests whose heads have been answered."""
    side = server(**limits)
    side.feed(b"".join(headers(id, POST) for id in range(1, 2 * count, 2)))
    for stream in list(side.session.streams.values()):
        side.session.send_local(stream, 200, b"", False)
    side.out.take()
    return side


def sizes(frames: list[Frame]) -> list[tuple[int, int]]:
    return [(each.stream, len(each.payload)) for each in of(frames, wire.DATA)]


def body(frames: list[Frame], id: int = 1) -> bytes:
    return b"".join(each.payload for each in frames if each.type == wire.DATA and each.stream == id)


# -- windows -----------------------------------------------------------------------------------------------------------


def test_a_body_goes_out_in_frames_as_far_as_the_window_permits():
    side = asked()
    stream = side.stream()
    payload = random.Random(1).randbytes(WINDOW + 20_000)
    side.session.send_data(stream, payload, True, None)
    sent = side.sent()
    assert sizes(sent) == [(1, 16_384)] * 3 + [(1, 16_383)]
    assert stream.pending_bytes == 20_000
    assert stream.send_window == 0
    assert not stream.local_ended
    assert side.feed(window_update(1, 100)) == []
    assert side.out.size == 0, "the connection's window is used up"
    assert side.feed(window_update(0, 50)) == []
    more = side.sent()
    assert sizes(more) == [(1, 50)]
    side.feed(window_update(0, 1 << 20) + window_update(1, 1 << 20))
    rest = side.sent()
    assert sizes(rest) == [(1, 50), (1, 16_384), (1, 3_516)]
    assert body(sent + more + rest) == payload
    assert [each.ended for each in rest] == [False, False, True]
    assert stream.closed


def test_the_peers_frame_size():
    side = asked()
    side.feed(settings((MAX_FRAME_SIZE, 20_000)))
    side.out.take()
    side.session.send_data(side.stream(), bytes(45_000), False, None)
    assert sizes(side.sent()) == [(1, 20_000), (1, 20_000), (1, 5_000)]


def test_end_and_trailers_wait_behind_the_data():
    side = asked(2)
    first, second = side.stream(1), side.stream(3)
    side.feed(settings((INITIAL_WINDOW_SIZE, 3)))
    side.out.take()
    for stream, trailers in ((first, None), (second, b"a: b\r\n")):
        side.session.send_data(stream, b"abc", False, None)
        side.session.send_data(stream, b"def", False, None)
        side.session.send_data(stream, None, True, trailers)
        assert not stream.closed
    assert sizes(side.sent()) == [(1, 3), (3, 3)]
    side.feed(window_update(1, 100) + window_update(3, 100))
    sent = side.sent()
    assert [(each.type, each.stream, each.ended) for each in sent] == [
        (wire.DATA, 1, True), (wire.DATA, 3, False), (wire.HEADERS, 3, True)
    ]  # fmt: skip
    assert (body(sent, 1), body(sent, 3)) == (b"def", b"def")
    assert first.closed
    assert second.closed


def test_an_end_needs_no_window():
    side = asked(2)
    side.feed(settings((INITIAL_WINDOW_SIZE, 0)))
    side.out.take()
    side.session.send_data(side.stream(1), None, True, None)
    side.session.send_data(side.stream(3), b"", True, b"a: b\r\n")
    assert [(each.type, each.ended, len(each.payload) > 0) for each in side.sent()] == [
        (wire.DATA, True, False), (wire.HEADERS, True, True)
    ]  # fmt: skip


def test_h2spec_6_9_1_a_window_of_one():
    side = server()
    side.feed(settings((INITIAL_WINDOW_SIZE, 1)) + headers(1))
    side.out.take()
    side.session.send_local(side.stream(), 200, b"", False)
    side.session.send_data(side.stream(), b"body", True, None)
    assert sizes(side.sent()) == [(1, 1)]


def test_h2spec_6_9_2_a_window_that_grows_behind_the_head():
    side = server()
    side.feed(settings((INITIAL_WINDOW_SIZE, 0)) + headers(1))
    side.session.send_local(side.stream(), 200, b"", False)
    side.session.send_data(side.stream(), b"body", True, None)
    assert sizes(side.sent()) == []
    side.feed(settings((INITIAL_WINDOW_SIZE, 1)))
    sent = side.sent()
    assert [each.type for each in sent] == [wire.SETTINGS, wire.DATA]
    assert sizes(sent) == [(1, 1)]


def test_h2spec_6_9_2_a_window_below_nothing():
    side = server()
    side.feed(settings((INITIAL_WINDOW_SIZE, 3)) + headers(1))
    stream = side.stream()
    side.session.send_local(stream, 200, b"", False)
    side.session.send_data(stream, b"0123456789", True, None)
    side.out.take()
    side.feed(settings((INITIAL_WINDOW_SIZE, 2)))
    assert stream.send_window == -1
    side.out.take()
    side.feed(window_update(1, 1))
    assert side.sent() == []
    side.feed(window_update(1, 1))
    assert sizes(side.sent()) == [(1, 1)]


def test_h2spec_6_5_3_the_last_of_several_values_holds():
    side = server()
    side.feed(settings((INITIAL_WINDOW_SIZE, 100), (INITIAL_WINDOW_SIZE, 1)) + headers(1))
    side.session.send_local(side.stream(), 200, b"", False)
    side.session.send_data(side.stream(), b"body", True, None)
    assert sizes(side.sent()) == [(1, 1)]


def test_a_new_initial_window_moves_those_of_all_streams_and_of_no_other():
    side = asked(2)
    side.session.send_data(side.stream(1), bytes(1000), False, None)
    side.feed(settings((INITIAL_WINDOW_SIZE, 100_000)) + headers(5))
    assert [stream.send_window for stream in side.session.streams.values()] == [99_000, 100_000, 100_000]
    side.out.take()
    side.session.send_data(side.stream(3), bytes(100_000), False, None)
    assert sum(size for _, size in sizes(side.sent())) == WINDOW - 1000, "the connection's is as it was"


def test_windows_of_a_client():
    side = client()
    side.feed(settings((INITIAL_WINDOW_SIZE, 10)))
    side.out.take()
    stream = begun(side, b"POST", end=False)
    side.out.take()
    side.session.send_data(stream, b"x" * 25, True, None)
    assert sizes(side.sent()) == [(1, 10)]
    side.feed(window_update(1, 100))
    assert sizes(side.sent()) == [(1, 15)]
    assert stream.local_ended


def test_a_stream_that_waits_and_is_reset_is_dropped():
    side = asked(2)
    side.feed(settings((INITIAL_WINDOW_SIZE, 0)))
    first = side.stream(1)
    side.session.send_data(first, bytes(70_000), True, None)
    assert first.full
    side.feed(rst(1))
    assert (first.pending_bytes, first.full, first.closed) == (0, False, True)
    side.out.take()
    side.feed(window_update(1, 1000) + settings((INITIAL_WINDOW_SIZE, 1000)))
    assert sizes(side.sent()) == []


# -- fairness ----------------------------------------------------------------------------------------------------------


def test_streams_take_turns_when_the_connections_window_is_opened():
    side = asked(4)
    for stream in list(side.session.streams.values()):
        side.session.send_data(stream, bytes(50_000), True, None)
    assert {id for id, _ in sizes(side.sent())} == {1, 3}
    side.feed(window_update(0, 16_384 * 6))
    assert sizes(side.sent()) == [(3, 16_384), (5, 16_384), (7, 16_384)] * 2
    side.feed(window_update(0, 1 << 20))
    assert not side.session.streams


def test_one_large_body_does_not_keep_a_small_one_waiting():
    side = asked(2)
    side.feed(settings((INITIAL_WINDOW_SIZE, 1 << 24)))
    side.session.send_data(side.stream(1), bytes(10 << 20), True, None)
    side.session.send_data(side.stream(3), b"small", True, None)
    side.out.take()
    side.feed(window_update(0, 40_000))
    assert sizes(side.sent()) == [(1, 16_384), (3, 5), (1, 16_384), (1, 40_000 - 5 - 2 * 16_384)]


def test_a_stream_without_a_window_keeps_nobody_waiting():
    side = asked(2)
    side.session.send_data(side.stream(1), bytes(WINDOW + 1), True, None)
    side.feed(window_update(0, 100))
    side.out.take()
    side.session.send_data(side.stream(3), b"x" * 50, True, None)
    assert sizes(side.sent()) == [(3, 50)]


# -- back-pressure -----------------------------------------------------------------------------------------------------


def test_a_full_stream_says_when_there_is_room():
    side = asked()
    stream = side.stream()
    side.feed(settings((INITIAL_WINDOW_SIZE, 0)) + window_update(0, 1 << 20))
    side.session.send_data(stream, bytes(65_536), False, None)
    assert not stream.full
    side.session.send_data(stream, b"x", False, None)
    assert stream.full
    assert side.feed(window_update(1, 65_537 - 16_384)) == []
    assert side.feed(window_update(1, 1)) == [Told("ROOM", 1)]
    assert not stream.full
    assert side.feed(window_update(1, 1)) == []


def test_a_stream_whose_source_has_ended_needs_no_room():
    side = asked()
    stream = side.stream()
    side.feed(settings((INITIAL_WINDOW_SIZE, 0)) + window_update(0, 1 << 20))
    side.session.send_data(stream, bytes(70_000), True, None)
    assert side.feed(window_update(1, 69_000)) == []
    assert not stream.full


def test_several_streams_have_room_at_once():
    side = asked(3)
    side.feed(settings((INITIAL_WINDOW_SIZE, 100_000)))
    for stream in side.session.streams.values():
        side.session.send_data(stream, bytes(90_000), False, None)
    told = side.feed(window_update(0, 1 << 20) + wire.ping())
    assert told == [Told("ROOM", 3), Told("ROOM", 5)]


def test_a_full_transport_lets_data_wait_and_heads_pass():
    side = asked(3)
    session = side.session
    session.block()
    for id in (1, 3):
        session.send_data(side.stream(id), b"x" * 40_000, False, None)
    session.send_data(side.stream(1), b"y" * 40_000, False, None)
    session.send_data(side.stream(5), None, True, b"a: b\r\n")
    side.feed(headers(7))
    session.send_local(side.stream(7), 204, b"", True)
    assert [(each.type, each.stream) for each in side.sent()] == [(wire.HEADERS, 5), (wire.HEADERS, 7)]
    assert [side.stream(id).full for id in (1, 3)] == [True, False]
    assert session.roomy() is None
    session.unblock()
    sent = side.sent()
    assert sizes(sent) == [(1, 16_384), (3, 16_384), (1, 16_384), (3, 16_383)]
    assert session.roomy() is None, "the window is used up, and much still waits"
    assert side.feed(window_update(0, 1 << 20)) == [Told("ROOM", 1)]
    assert session.roomy() is None


def test_room_behind_a_full_transport_is_asked_for():
    side = asked(2)
    session = side.session
    side.feed(settings((INITIAL_WINDOW_SIZE, 1 << 20)) + window_update(0, 1 << 20))
    session.block()
    for stream in session.streams.values():
        session.send_data(stream, bytes(100_000), False, None)
        assert stream.full
    session.unblock()
    assert [session.roomy().id, session.roomy().id, session.roomy()] == [1, 3, None]
    assert not any(stream.full for stream in session.streams.values())


def test_room_that_was_not_asked_for_is_told_with_the_next_read():
    side = asked(2)
    session = side.session
    side.feed(settings((INITIAL_WINDOW_SIZE, 1 << 20)) + window_update(0, 1 << 20))
    session.block()
    for stream in session.streams.values():
        session.send_data(stream, bytes(100_000), False, None)
    session.unblock()
    assert side.feed(rst(1)) == [Told("ROOM", 1), Told("ROOM", 3), Told("RESET", 1, (wire.CANCEL, None))]
    session.block()
    session.send_data(side.stream(3), bytes(100_000), False, None)
    session.unblock()
    session.reset(side.stream(3), wire.CANCEL)
    assert session.roomy() is None


def test_blocked_and_without_windows_nothing_goes_out_until_both_are_there():
    side = asked()
    side.session.block()
    side.session.send_data(side.stream(), bytes(WINDOW + 10), True, None)
    side.feed(window_update(0, 100) + window_update(1, 100))
    assert side.sent() == []
    side.session.unblock()
    sent = side.sent()
    assert sum(size for _, size in sizes(sent)) == WINDOW + 10
    assert sent[-1].ended


# -- any order ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(30))
def test_bodies_arrive_whatever_the_windows_do(seed: int):
    """Windows are opened, resized and used up at random, the transport is full now and then: nothing goes beyond a
    window, nothing is lost or out of order, and in the end all is there, with large parts copied or not."""
    rng = random.Random(seed)
    side = asked(6)
    if seed & 1:
        side.gather()
    session = side.session
    streams = dict(session.streams)
    initial, connection = WINDOW, WINDOW
    windows = dict.fromkeys(streams, WINDOW)
    put = dict.fromkeys(streams, b"")
    got = dict.fromkeys(streams, b"")
    ended: set[int] = set()
    finished: set[int] = set()

    def take() -> None:
        nonlocal connection
        for each in side.sent():
            if each.type == wire.DATA:
                got[each.stream] += each.payload
                windows[each.stream] -= len(each.payload)
                connection -= len(each.payload)
                assert connection >= 0
                assert windows[each.stream] >= 0 or not each.payload
            if each.ended:
                assert each.stream not in finished
                finished.add(each.stream)

    for _ in range(400):
        id = rng.choice(list(streams))
        match rng.randrange(6):
            case 0 if id not in ended:
                payload = rng.randbytes(rng.choice((0, 1, 100, 5_000, 40_000)))
                end = rng.random() < 0.05
                session.send_data(streams[id], payload, end, b"a: b\r\n" if end and rng.random() < 0.5 else None)
                put[id] += payload
                if end:
                    ended.add(id)
            case 1:
                increment = rng.randrange(1, 30_000)
                connection += increment
                side.feed(window_update(0, increment))
            case 2 if id not in finished:
                increment = rng.randrange(1, 30_000)
                windows[id] += increment
                side.feed(window_update(id, increment))
            case 3:
                size = rng.choice((0, 1, 1_000, WINDOW, 200_000))
                for each in windows:
                    windows[each] += size - initial
                initial = size
                side.feed(settings((INITIAL_WINDOW_SIZE, size)))
            case 4:
                session.block()
            case 5:
                session.unblock()
        take()
    session.unblock()
    for id in streams:
        if id not in ended:
            session.send_data(streams[id], None, True, None)
    connection += 1 << 24
    side.feed(window_update(0, 1 << 24))
    for id in streams:
        windows[id] += 1 << 24
        side.feed(window_update(id, 1 << 24))
    take()
    assert got == put
    assert finished == set(streams)
    assert not session.streams


def test_a_window_beyond_its_most_by_settings_is_the_connections_error():
    side = asked()
    side.feed(window_update(1, 0x7FFFFFFF - WINDOW))
    assert failed(side.feed(settings((INITIAL_WINDOW_SIZE, WINDOW + 1)))).code == FLOW_CONTROL_ERROR


def test_data_frames_are_small_enough_for_a_body_in_pieces():
    """Pieces that waited go out together."""
    side = asked()
    side.session.block()
    for _ in range(100):
        side.session.send_data(side.stream(), b"x" * 100, False, None)
    side.session.unblock()
    assert sizes(side.sent()) == [(1, 10_000)]
    assert side.session.read(0) == Event.MORE
    assert side.feed(data(1, b"x"))[0].event == "RESET", "its request had ended"


def test_large_parts_of_bodies_are_not_copied():
    side = asked()
    side.gather()
    large, small = bytes(2_048), bytes(2_047)
    side.session.send_data(side.stream(), small, False, None)
    side.session.send_data(side.stream(), large, False, None)
    side.session.send_data(side.stream(), small, True, None)
    assert [len(piece) for piece in side.pieces] == [9 + 2_047 + 9, 2_048]
    assert side.pieces[1] is large
    assert sizes(side.sent()) == [(1, 2_047), (1, 2_048), (1, 2_047)]
