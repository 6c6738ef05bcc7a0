"""One side of a connection, driven by a test: feed this, expect these events and these frames."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from tage.dataplane.protocols.edits import HeaderEdits
from tage.dataplane.protocols.http2.errors import Violation
from tage.dataplane.protocols.http2.session import Event, Session
from tage.dataplane.protocols.http2.settings import Http2Settings
from tage.dataplane.protocols.http2.stream_state import StreamState
from tage.dataplane.protocols.message import RequestHead
from tage.dataplane.protocols.writer import ByteWriter

from . import wire
from .wire import Frame

MORE, FAILED = Event.MORE, Event.FAILED


class Told(NamedTuple):
    """One event, in values that can be compared."""

    event: str
    stream: int = 0
    what: object = None


class Side:
    """`react` is called with each event's session, and may send. Time stands still unless `now` (ms) is set."""

    def __init__(self, server: bool, react: Callable[[Side, int], None] | None = None, **settings: int) -> None:
        self.out = ByteWriter()
        self.pieces: list[bytes] = []
        self.session = Session(server, Http2Settings(**settings), self.out)
        self.react = react
        self.now = 1_000_000
        self.session.start()

    def feed(self, *pieces: bytes) -> list[Told]:
        """What is told of it, one piece after the other; FAILED once."""
        events: list[Told] = []
        for piece in pieces:
            self.session.feed(piece)
            if events and events[-1].event == "FAILED":
                assert self.session.read(self.now) == FAILED
                continue
            while (event := self.session.read(self.now)) != MORE:
                events.append(told(self.session, event))
                if self.react is not None:
                    self.react(self, event)
                if event == FAILED:
                    break
        return events

    def gather(self) -> None:
        """Large parts of bodies are not copied from here on."""
        self.session.gather(self.pieces)

    def sent(self) -> list[Frame]:
        written = b"".join([*self.pieces, self.out.take()])
        self.pieces.clear()
        return wire.frames(written)

    def stream(self, id: int = 1) -> StreamState:
        return self.session.streams[id]


def told(session: Session, event: int) -> Told:
    stream = 0 if session.stream is None else session.stream.id
    what: object = None
    match event:
        case Event.HEAD:
            head = session.head
            line = (head.method, head.path, head.authority) if session.server else head.status
            what = (line, tuple(head.headers()), session.ended)
        case Event.DATA:
            assert session.payload, "a payload is never empty"
            what = (session.payload, session.ended)
        case Event.END:
            what = session.trailers
        case Event.RESET:
            what = (session.code, session.problem)
        case Event.PROBLEM:
            what = (session.too_large, session.problem)
        case Event.GOAWAY:
            what = (session.last_id, session.code)
        case Event.PONG:
            what = session.opaque
        case Event.FAILED:
            what = session.error
    return Told(Event(event).name, stream, what)


def server(react: Callable[[Side, int], None] | None = None, **settings: int) -> Side:
    """Which has had a client's preface and SETTINGS, and whose own have been confirmed and are forgotten."""
    side = Side(True, react, **settings)
    assert side.feed(wire.PREFACE + wire.settings() + wire.SETTINGS_ACK) == [Told("SETTINGS")]
    side.out.take()
    return side


def client(react: Callable[[Side, int], None] | None = None, **settings: int) -> Side:
    side = Side(False, react, **settings)
    assert side.feed(wire.settings() + wire.SETTINGS_ACK) == [Told("SETTINGS")]
    side.out.take()
    return side


def begun(side: Side, method: bytes = b"GET", *, end: bool = True) -> StreamState:
    """A request of a client's."""
    head = RequestHead()
    head.method, head.path, head.authority, head.scheme = method, b"/", b"a", b"http"
    stream = side.session.open("owner")
    assert stream is not None
    side.session.send_request(stream, head, HeaderEdits(), end)
    return stream


def answer(side: Side, event: int) -> None:
    """As a server that answers each request at its end, with 200 and 4 bytes, and refuses what is malformed."""
    session = side.session
    stream = session.stream
    if event == Event.PROBLEM:
        session.reset(stream, wire.PROTOCOL_ERROR)
    elif event == Event.END or (event in (Event.HEAD, Event.DATA) and session.ended):
        session.send_local(stream, 200, b"content-length: 4\r\n", False)
        session.send_data(stream, b"body", True, None)


def failed(events: list[Told]) -> Violation:
    """The violation that they end with."""
    assert events[-1].event == "FAILED", events
    assert isinstance(events[-1].what, Violation)
    return events[-1].what


def cuts(data: bytes) -> Iterator[list[bytes]]:
    """Whole, byte by byte, and in two at every place."""
    yield [data]
    yield [data[i : i + 1] for i in range(len(data))]
    for at in range(1, len(data)):
        yield [data[:at], data[at:]]


def of(frames: Iterable[Frame], type: int) -> list[Frame]:
    return [frame for frame in frames if frame.type == type]
