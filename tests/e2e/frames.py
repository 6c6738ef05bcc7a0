"""One end of an HTTP/2 connection at the level of frames, well-formed or not. Frames are packed here and HPACK is that
of PyPI, so that no codec of Tage's is its own judge. Every wait is bounded."""

from __future__ import annotations

import select
import socket
import struct
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

import hpack

from tests.e2e.ports import LOOPBACK, PATIENCE

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
END_STREAM, ACK, END_HEADERS, PADDED = 1, 1, 4, 8
HEADER_TABLE_SIZE, ENABLE_PUSH, MAX_CONCURRENT_STREAMS, INITIAL_WINDOW_SIZE, MAX_FRAME_SIZE = range(1, 6)
NO_ERROR, PROTOCOL_ERROR, INTERNAL_ERROR, FLOW_CONTROL_ERROR = range(4)
REFUSED_STREAM, CANCEL, COMPRESSION_ERROR, ENHANCE_YOUR_CALM = 7, 8, 9, 11
WINDOW, LARGEST_WINDOW = 65_535, (1 << 31) - 1

Fields = Iterable[tuple[str | bytes, str | bytes]]


@dataclass(frozen=True)
class Frame:
    kind: int
    flags: int
    stream: int
    payload: bytes

    @property
    def code(self) -> int:
        """Of RST_STREAM or GOAWAY."""
        return int.from_bytes(self.payload[:4] if self.kind == RST_STREAM else self.payload[4:8], "big")


def frame(kind: int, flags: int = 0, stream: int = 0, payload: bytes = b"") -> bytes:
    return struct.pack(">IBI", len(payload) << 8 | kind, flags, stream) + payload


def settings(values: dict[int, int]) -> bytes:
    return frame(SETTINGS, 0, 0, b"".join(struct.pack(">HI", *each) for each in values.items()))


def window_update(stream: int, size: int) -> bytes:
    return frame(WINDOW_UPDATE, 0, stream, struct.pack(">I", size))


def rst_stream(stream: int, code: int = CANCEL) -> bytes:
    return frame(RST_STREAM, 0, stream, struct.pack(">I", code))


@dataclass
class Answer:
    """What came of one request."""

    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    trailers: dict[str, str] = field(default_factory=dict)
    ended: bool = False
    reset: int | None = None
    """The code of its RST_STREAM."""

    @property
    def status(self) -> int:
        return int(self.headers.get(":status", "0"))

    @property
    def over(self) -> bool:
        return self.ended or self.reset is not None


class Peer:
    """A client. What comes is taken when the test asks for it; SETTINGS and PING are acknowledged, windows are opened
    again as bodies come unless the stream is among `stopped`. `goaway` is the code that the connection was ended with,
    `closed` says that it ended."""

    def __init__(self, port: int, values: dict[int, int] | None = None, sock: socket.socket | None = None) -> None:
        self.socket = sock or socket.create_connection((LOOPBACK, port), PATIENCE)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.encoder, self._decoder = hpack.Encoder(), hpack.Decoder()
        self._decoder.max_header_list_size = 1 << 20
        self._received = b""
        self._block: tuple[int, int, bytes] | None = None
        self.answers: dict[int, Answer] = {}
        self.settings: dict[int, int] = {}
        self.stopped: set[int] = set()
        self.goaway: int | None = None
        self.last_stream = 0
        """Of GOAWAY."""
        self.closed = False
        self.pongs = 0
        self._stream = 1
        self.send(PREFACE + settings(values or {}))

    def __enter__(self) -> Peer:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    # -- sending -------------------------------------------------------------------------------------------------------

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def try_send(self, data: bytes) -> bool:
        """Whether the connection still took it; what comes meanwhile is taken, so that neither side waits for ever."""
        view, deadline = memoryview(data), time.monotonic() + PATIENCE
        while view and not self.closed:
            assert time.monotonic() < deadline, "the sidecar neither reads nor ends the connection"
            readable, writable, _ = select.select([self.socket], [self.socket], [], 1.0)
            if readable:
                self._take(0.0)
            if writable and not self.closed:
                try:
                    view = view[self.socket.send(view[: 1 << 16]) :]
                except (BrokenPipeError, ConnectionResetError):
                    self.closed = True
        return not self.closed

    def next_stream(self) -> int:
        stream = self._stream
        self._stream += 2
        self.answers[stream] = Answer()
        return stream

    def block(self, fields: Fields) -> bytes:
        """A header block that refers to the connection's table; fields as they are, allowed or not."""
        return bytes(self.encoder.encode([hpack.HeaderTuple(name, value) for name, value in fields], huffman=False))

    def request(
        self,
        authority: str = "a.test",
        path: str = "/",
        method: str = "GET",
        fields: Fields = (),
        body: bytes | None = None,
        end: bool = True,
    ) -> int:
        """The stream. A body may not be larger than the windows; not `end`: more will follow."""
        pseudo = [(":method", method), (":scheme", "http"), (":authority", authority), (":path", path)]
        return self.headers([*pseudo, *fields], body, end)

    def headers(self, fields: Fields, body: bytes | None = None, end: bool = True) -> int:
        """A request of these fields alone."""
        stream = self.next_stream()
        flags = END_HEADERS | (END_STREAM if end and body is None else 0)
        data = frame(HEADERS, flags, stream, self.block(fields))
        if body is not None:
            data += frame(DATA, END_STREAM if end else 0, stream, body)
        self.send(data)
        return stream

    # -- receiving -----------------------------------------------------------------------------------------------------

    def answer(self, stream: int, seconds: float = PATIENCE) -> Answer:
        """Once it is over. Fails the test when the connection ends before."""
        answer = self.answers[stream]
        self.wait(lambda: answer.over, f"an answer on stream {stream}", seconds)
        assert answer.over, f"the connection ended (GOAWAY {self.goaway}) without an answer on stream {stream}"
        return answer

    def get(self, authority: str = "a.test", path: str = "/") -> Answer:
        return self.answer(self.request(authority, path))

    def ending(self, seconds: float = PATIENCE) -> int | None:
        """The code of GOAWAY, once the connection has ended; None where it ended without."""
        self.wait(lambda: False, "the end of the connection", seconds)
        return self.goaway

    def ping(self) -> None:
        """All that was sent before has been read when this returns."""
        self.send(frame(PING, 0, 0, b"upto now"))
        before = self.pongs
        self.wait(lambda: self.pongs > before, "an answer to PING", PATIENCE)
        assert not self.closed, f"the connection ended (GOAWAY {self.goaway})"

    def wait(self, condition: Callable[[], object], what: str, seconds: float = PATIENCE) -> None:
        """Until it holds, or the connection has ended."""
        deadline = time.monotonic() + seconds
        while not self.closed and not condition():
            left = deadline - time.monotonic()
            assert left > 0, f"waited {seconds:g} s in vain: {what}"
            self._take(min(left, 1.0))

    def _take(self, seconds: float) -> None:
        if not select.select([self.socket], [], [], seconds)[0]:
            return
        try:
            data = self.socket.recv(1 << 18)
        except ConnectionResetError:
            data = b""
        self.closed = self.closed or not data
        self._received += data
        for each in self._frames():
            self._handle(each)

    def _frames(self) -> Iterator[Frame]:
        at = 0
        while len(self._received) - at >= 9:
            head, flags, stream = struct.unpack_from(">IBI", self._received, at)
            end = at + 9 + (head >> 8)
            if end > len(self._received):
                break
            yield Frame(head & 0xFF, flags, stream & LARGEST_WINDOW, self._received[at + 9 : end])
            at = end
        self._received = self._received[at:]

    def _handle(self, each: Frame) -> None:
        answer = self.answers.get(each.stream)
        if self._block is not None:
            assert each.kind == CONTINUATION, f"{each} between parts of a header block"
        if each.kind in (HEADERS, CONTINUATION):
            self._headers(each)
        elif each.kind == DATA:
            assert answer is not None, f"{each} on a stream that nobody began"
            answer.body += each.payload
            answer.ended = bool(each.flags & END_STREAM)
            if each.payload:
                opened = window_update(0, len(each.payload))
                if each.stream not in self.stopped and not answer.ended:
                    opened += window_update(each.stream, len(each.payload))
                self._reply(opened)
        elif each.kind == RST_STREAM:
            assert answer is not None, f"{each} for a stream that nobody began"
            answer.reset = each.code
        elif each.kind == SETTINGS and not each.flags & ACK:
            self.settings.update(struct.iter_unpack(">HI", each.payload))
            self._reply(frame(SETTINGS, ACK))
        elif each.kind == PING:
            if each.flags & ACK:
                self.pongs += 1
            else:
                self._reply(frame(PING, ACK, 0, each.payload))
        elif each.kind == GOAWAY:
            self.goaway = each.code
            self.last_stream = int.from_bytes(each.payload[:4], "big")

    def _headers(self, each: Frame) -> None:
        flags, stream, block = self._block or (each.flags, each.stream, b"")
        block += each.payload
        if not each.flags & END_HEADERS:
            self._block = flags, stream, block
            return
        self._block = None
        answer = self.answers[stream]
        fields = {bytes(n).decode(): bytes(v).decode() for n, v in self._decoder.decode(block, raw=True)}
        if ":status" in fields and fields[":status"][0] != "1":
            answer.headers = fields
        elif ":status" not in fields:
            answer.trailers = fields
        answer.ended = bool(flags & END_STREAM)

    def _reply(self, data: bytes) -> None:
        if not self.closed:
            try:
                self.socket.sendall(data)
            except (BrokenPipeError, ConnectionResetError):
                self.closed = True
