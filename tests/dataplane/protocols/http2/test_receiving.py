"""The windows that we give: what may come, and when there is more."""

from __future__ import annotations

from . import wire
from .playbook import Side, Told, begun, client, failed, of, server
from .wire import CANCEL, FLOW_CONTROL_ERROR, OK, POST, data, headers

SMALL = {"initial_stream_window": 65_535, "initial_connection_window": 1 << 20}


def uploads(count: int = 1, **limits: int) -> Side:
    side = server(**limits)
    side.feed(b"".join(headers(id, POST, end=False) for id in range(1, 2 * count, 2)))
    return side


def updates(side: Side) -> list[tuple[int, int]]:
    return [(each.stream, each.number) for each in of(side.sent(), wire.WINDOW_UPDATE)]


def test_windows_are_opened_again_when_half_is_used():
    side = uploads(**SMALL)
    side.feed(data(1, bytes(16_384)))
    assert updates(side) == []
    side.feed(data(1, bytes(16_383)))
    assert updates(side) == []
    side.feed(data(1, b"x"))
    assert updates(side) == [(1, 32_768)]
    assert side.stream().recv_window == 65_535
    for _ in range(29):
        side.now += 51
        side.feed(data(1, bytes(16_384)))
    assert updates(side) == [(1, 32_768)] * 14
    side.feed(data(1, bytes(16_384)))
    assert updates(side) == [(0, 1 << 19), (1, 32_768)]


def test_windows_of_quick_streams_grow():
    """Each time that half of one is used quickly and its reader keeps up; all together by the connection's at most."""
    side = uploads(2, initial_stream_window=65_535, initial_connection_window=1 << 22)
    windows = []
    for id in (1, 3):
        for _ in range(2_000):
            side.feed(data(id, bytes(16_384)))
        windows.append(side.stream(id).recv_window + side.stream(id).unacked)
    assert windows == [1 << 22, 65_535 * 2]
    side.feed(data(3, end=True) + data(1, end=True))
    side.feed(headers(5, POST, end=False))
    for _ in range(100):
        side.feed(data(5, bytes(16_384)))
    assert side.stream(5).recv_window + side.stream(5).unacked > 1 << 20
    side.feed(headers(7, POST, end=False))
    for _ in range(500):
        side.session.hold(side.stream(7))
        side.feed(data(7, bytes(16_384)))
        side.session.proceed(side.stream(7))
    assert side.stream(7).recv_window + side.stream(7).unacked == 65_535, "one that is held now and then does not"


def test_padding_counts():
    side = uploads(**SMALL)
    for _ in range(127):
        side.feed(data(1, padding=255))
    assert updates(side) == []
    side.feed(data(1, b"", padding=255))
    assert updates(side) == [(1, 128 * 256)]


def test_a_stream_that_is_held_gets_no_more_and_the_connection_does():
    side = uploads(2, **SMALL)
    session = side.session
    session.hold(side.stream(1))
    for _ in range(3):
        side.feed(data(1, bytes(16_384)))
    side.feed(data(1, bytes(16_383)))
    assert updates(side) == []
    assert side.stream(1).recv_window == 0
    session.proceed(side.stream(1))
    assert updates(side) == [(1, 65_535)]
    for _ in range(40):
        side.feed(data(3, bytes(16_384)))
    assert (0, 1 << 19) in [(id, size // 16_384 * 16_384) for id, size in updates(side)]


def test_more_than_a_stream_may_send():
    side = uploads(2, **SMALL)
    side.session.hold(side.stream(1))
    for _ in range(4):
        side.feed(data(1, bytes(16_383)))
    assert side.feed(data(1, bytes(4))) == [Told("RESET", 1, (FLOW_CONTROL_ERROR, "more data than the window allowed"))]
    assert [(each.stream, each.code) for each in of(side.sent(), wire.RST_STREAM)] == [(1, FLOW_CONTROL_ERROR)]
    assert side.feed(data(3, b"fine")) == [Told("DATA", 3, (b"fine", False))]


def test_more_than_the_connection_may_send():
    """The connection's window is opened by the reading itself: only a single read can exceed it."""
    side = uploads(initial_stream_window=1 << 20, initial_connection_window=65_535, max_frame_size=1 << 20)
    assert failed(side.feed(data(1, bytes(65_536)))).code == FLOW_CONTROL_ERROR


def test_data_for_streams_that_are_gone_give_the_connections_window_back():
    side = uploads(**SMALL)
    side.session.reset(side.stream(1), CANCEL)
    for _ in range(33):
        assert side.feed(data(1, bytes(16_384))) == []
    assert updates(side) == [(0, 1 << 19)]


def test_an_abandoned_request_gets_no_more_window():
    side = uploads(**SMALL)
    side.session.abandon(side.stream(1))
    for _ in range(3):
        assert side.feed(data(1, bytes(16_384))) == []
    side.session.proceed(side.stream(1))
    assert updates(side) == []


def test_a_stream_that_has_ended_gets_no_more_window():
    side = uploads(**SMALL)
    side.feed(data(1, bytes(16_384)) + data(1, bytes(16_000)))
    side.feed(data(1, bytes(16_384), end=True))
    side.session.proceed(side.stream(1))
    assert updates(side) == []


def test_a_peer_that_has_not_confirmed_smaller_windows_may_send_by_the_first_ones():
    side = Side(True, initial_stream_window=10, initial_connection_window=1 << 20)
    side.feed(wire.PREFACE + wire.settings() + headers(1, POST, end=False))
    assert side.feed(data(1, bytes(16_384)))[0].event == "DATA"
    side.feed(wire.SETTINGS_ACK + headers(3, POST, end=False))
    assert side.feed(data(3, bytes(11)))[0].event == "RESET"


def test_windows_of_a_client():
    side = client(**SMALL)
    stream = begun(side)
    side.session.hold(stream)
    side.feed(headers(1, OK, end=False))
    for _ in range(3):
        side.feed(data(1, bytes(16_384)))
    assert updates(side) == []
    side.session.proceed(stream)
    assert updates(side) == [(1, 3 * 16_384)]
