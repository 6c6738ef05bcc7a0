"""The HTTP/2 session, in both roles: what a client or a server may send, and much that neither may.

An input's checksum says which role reads it, which small limits hold, and what is done with what is told: answered at
once, held and gone on with, reset, abandoned, or written to while the transport is full.
"""

from __future__ import annotations

import random
import zlib
from collections.abc import Hashable

from fuzz.target import Target, cuts
from tage.dataplane.protocols.edits import HeaderEdits
from tage.dataplane.protocols.http2.errors import Violation
from tage.dataplane.protocols.http2.session import Event, Session
from tage.dataplane.protocols.http2.settings import Http2Settings
from tage.dataplane.protocols.message import RequestHead
from tage.dataplane.protocols.writer import ByteWriter
from tests.dataplane.protocols.http2 import test_h2spec as cases
from tests.dataplane.protocols.http2 import wire
from tests.dataplane.protocols.http2.playbook import Told, told
from tests.dataplane.protocols.http2.test_session import MANY

_HEAD = 1_024
_HEADERS = 20
_STREAMS = 8
_WINDOW = 65_535
_FRAME = 16_384
_CODES = range(14)
_STREAM = 1 << 17
"""Bytes: as much as an input is repeated for, to see that memory does not follow."""
_BYTEWISE = 400  # bytes; a longer input is read in larger pieces
_BODY = bytes(5_000)
_START = wire.PREFACE + wire.settings() + wire.SETTINGS_ACK


class _Side:
    """One role's session, and what is done with it: `mood` decides, so that the same input gives the same."""

    def __init__(self, server: bool, mood: int) -> None:
        self.server = server
        self.mood = mood
        self.out = ByteWriter()
        limits = Http2Settings(
            max_concurrent_streams=_STREAMS,
            initial_stream_window=_WINDOW,
            initial_connection_window=2 * _WINDOW,
            max_frame_size=_FRAME,
            max_head_bytes=_HEAD,
            max_headers=_HEADERS,
            allow_connect=bool(mood & 1),
        )
        self.session = Session(server, limits, self.out)
        self.session.start()
        self.asked = 0
        if not server:
            for _ in range(3):
                self._ask()

    def feed(self, data: bytes) -> list[Told]:
        events: list[Told] = []
        session = self.session
        session.feed(data)
        while (event := session.read(1)) != Event.MORE:
            each = told(session, event)
            events.append(each)
            if event == Event.FAILED:
                assert isinstance(session.error, Violation)
                assert session.error.code in _CODES
                assert session.read(1) == Event.FAILED
                assert session.buffered() == 0
                break
            self._react(event)
        self._check()
        return events

    def take(self) -> bytes:
        return self.out.take()

    def _check(self) -> None:
        session = self.session
        if session.failed:
            return
        assert len(session.streams) <= session.active <= (_STREAMS if self.server else self.asked)
        assert session.buffered() <= 3 * _FRAME + 2 * _HEAD
        for id, stream in session.streams.items():
            assert stream.id == id
            assert not stream.closed
            assert not (stream.local_ended and stream.remote_ended)
            assert stream.send_window <= 0x7FFFFFFF
            assert 0 <= stream.recv_window <= _WINDOW
            assert stream.pending_bytes <= 4 * len(_BODY)

    def _ask(self) -> None:
        head = RequestHead()
        head.method = (b"GET", b"HEAD", b"POST")[self.asked % 3]
        head.path, head.authority, head.scheme = b"/", b"a", b"http"
        stream = self.session.open(None)
        if stream is not None:
            self.asked += 1
            self.session.send_request(stream, head, HeaderEdits(), head.method != b"POST")

    def _react(self, event: int) -> None:
        session = self.session
        stream = session.stream
        # Of a stream's id and the event, so that it does not depend on where the input was cut.
        choice = (self.mood >> 1) + event + (0 if stream is None else stream.id >> 1)
        if stream is None:
            if event == Event.SETTINGS and self.mood & 8:
                session.go_away(0x7FFFFFFF if choice & 1 else session.last_peer_id, 0)
            return
        if event == Event.PROBLEM:
            if choice & 1:
                session.send_local(stream, 400, b"", True)
            session.reset(stream, wire.PROTOCOL_ERROR)
        elif event == Event.HEAD and self.server:
            if choice % 5 == 0:
                session.hold(stream)
            elif choice % 5 == 1:
                session.abandon(stream)
            session.send_local(stream, 200, b"x: y\r\n", choice % 7 == 0)
            session.send_data(stream, _BODY, choice % 3 == 0, b"a: b\r\n" if choice & 1 and choice % 3 == 0 else None)
        elif event == Event.DATA:
            if choice % 11 == 0:
                session.reset(stream, wire.CANCEL)
            session.proceed(stream)
        elif event == Event.END or event == Event.ROOM:
            session.send_data(stream, b"more", True, None)
        elif event == Event.RESET:
            session.block() if choice & 1 else session.unblock()
            if not self.server:
                self._ask()


def _play(server: bool, mood: int, pieces: list[bytes]) -> tuple[list[Told], bytes]:
    side = _Side(server, mood)
    events: list[Told] = []
    for piece in pieces:
        events.extend(side.feed(piece))
        if side.session.failed:
            break
    return events, side.take()


def _pieces(data: bytes) -> list[bytes]:
    step = 1 if len(data) <= _BYTEWISE else 37
    return [data[at : at + step] for at in range(0, len(data), step)]


def _check(data: bytes) -> Hashable:
    """The same events and the same answers, however it is cut; what is answered can be read by the other role."""
    mood = zlib.adler32(data)
    server = bool(mood & 1)
    mood >>= 1
    data = _START + data if server else _START[len(wire.PREFACE) :] + data
    events, sent = _play(server, mood, [data])
    assert _play(server, mood, _pieces(data)) == (events, sent)
    assert _play(server, mood, cuts(data)) == (events, sent)
    for frame in wire.frames(sent):
        assert len(frame.payload) <= 1 << 24
    return server, tuple(_short(event) for event in events[1:5])


def _short(event: Told) -> Hashable:
    return event if event.event in ("FAILED", "RESET", "PROBLEM") else event.event


def _consume(data: bytes) -> None:
    """`data` again and again behind another beginning, read and forgotten."""
    mood = zlib.adler32(data)
    side = _Side(bool(mood & 1), mood >> 1)
    side.feed(_START if side.server else _START[len(wire.PREFACE) :])
    piece = data[:2_048]
    for _ in range(_STREAM // max(len(piece), 64)):
        if side.session.failed:
            return
        side.feed(piece)
        side.take()


def _make(rng: random.Random) -> bytes:
    """Frames of a conversation that may well be one, lengths right and all; of either side, for chance says which
    reads it."""
    ids = [0, 1, 1, 3, 3, 5, 7, 9, 2, 0x7FFFFFFF]
    parts = []
    for _ in range(rng.randrange(1, 14)):
        id = rng.choice(ids)
        match rng.randrange(12):
            case 0 | 1 | 2:
                pairs = rng.choice((wire.GET, wire.POST, wire.OK, wire.OK, [(b"x", b"y")], [(b":status", b"103")]))
                extra = [(rng.choice(_NAMES), rng.choice(_VALUES)) for _ in range(rng.randrange(3))]
                more = rng.random() < 0.2
                parts.append(wire.headers(id, [*pairs, *extra], end=rng.random() < 0.5, more=more))
                if more:
                    block = wire.literal(extra)
                    parts += [wire.continuation(id, block, more=True)] * rng.randrange(3)
                    parts.append(wire.continuation(id, block))
            case 3 | 4:
                size = rng.choice((0, 1, 4, 10, 100))
                padding = rng.choice((None, None, 0, 3))
                parts.append(wire.data(id, rng.randbytes(size), end=rng.random() < 0.3, padding=padding))
            case 5:
                parts.append(wire.window_update(id, rng.choice((0, 1, 100, 65_535, 0x7FFFFFFF))))
            case 6:
                setting = rng.choice((1, 2, 3, 4, 4, 5, 6, 8, 99))
                value = rng.choice((0, 1, 2, 100, 4_096, 16_384, 65_535, 0x7FFFFFFF, 0xFFFFFFFF))
                parts.append(wire.settings((setting, value)))
            case 7:
                parts.append(wire.rst(id, rng.randrange(14)))
            case 8:
                parts.append(wire.ping(ack=rng.random() < 0.5))
            case 9:
                parts.append(wire.priority(id, rng.choice(ids)))
            case 10:
                parts.append(wire.goaway(id, rng.randrange(14), b"debug"))
            case 11:
                parts.append(wire.frame(rng.randrange(12), rng.randrange(64), id, rng.randbytes(rng.randrange(12))))
    return b"".join(parts)


_NAMES = (b"x-a", b"content-length", b"cookie", b"te", b"host", b"connection", b":protocol", b":path", b"expect", b"X")
_VALUES = (b"", b"0", b"4", b"10", b"a", b"trailers", b"100-continue", b"websocket", b"/", b" x", b"v" * 200)

_TOKENS = [
    *(bytes((0, 0, size, type, flags, 0, 0, 0, id)) for size in (0, 4) for type in range(10) for flags in (0, 5)
      for id in (0, 1)),
    wire.literal(wire.GET), wire.literal(wire.POST), wire.literal(wire.OK), wire.literal([(b"content-length", b"4")]),
    wire.literal([(b"x", b"y")]), wire.rst(1), wire.rst(3), wire.settings((4, 0)), wire.settings((4, 70_000)),
    wire.window_update(0, 70_000), wire.window_update(1, 70_000), wire.data(1, b"data"), wire.data(1, end=True),
    wire.headers(1), wire.headers(3), wire.headers(1, wire.OK), wire.headers(1, wire.OK, end=False),
    b"\x7f\xff\xff\xff", b"\x80\0\0\0", b"\xff\xff\xff\xff", b"\0\0\0\x01",
]  # fmt: skip


def _seeds() -> list[bytes]:
    rows = [case.wire for case in (*cases.CONNECTION, *cases.STREAM, *cases.FINE)]
    return [*rows, MANY]


TARGET = Target(
    name="http2",
    seeds=_seeds,
    check=_check,
    consume=_consume,
    max_memory=768 << 10,
    tokens=_TOKENS,
    make=_make,
    max_size=4_096,
)
