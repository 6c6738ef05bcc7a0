"""The open-loop generator of HTTP/2: `openloop`'s requests, due at times that do not depend on the answers, on few
connections with many streams.

A request's bytes are made once: the first of a connection puts its fields into the peer's HPACK table, all later ones
refer to them, so these differ in their stream's id alone. Of an answer every byte of DATA is compared, and its stream
must end as it should; header blocks are counted, not decoded. An answer of the proxy's own has another body.

Run as a process: `python -m bench.load.openloop_http2 '{"port": ..., ...}'` with the fields of `Plan`; prints one line
of JSON, the fields of `openloop.Outcome`.
"""

from __future__ import annotations

import json
import select
import struct
import sys
import time
from collections import Counter, deque
from dataclasses import asdict, dataclass, field

import hpack

from bench.latencies import in_microseconds
from bench.load.generator import connect_plain, fine_timers
from bench.load.openloop import Outcome
from bench.load.pacing import TIMEOUT, Pacing

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE = 0, 1, 3, 4, 6, 7, 8
END_STREAM, ACK, END_HEADERS = 1, 1, 4
HEADER_TABLE_SIZE, ENABLE_PUSH, INITIAL_WINDOW_SIZE = 1, 2, 4
WINDOW = 65535
LARGEST_WINDOW = (1 << 31) - 1


@dataclass(frozen=True)
class Plan:
    port: int
    host: str
    path: str
    headers: list[list[str]]
    message: str
    """The request's body (latin-1); empty: a GET."""
    body: str
    """The answer's (latin-1)."""
    rate: float
    seconds: float
    connections: int
    streams: int
    seed: int = 7


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    return struct.pack(">IBI", len(payload) << 8 | kind, flags, stream) + payload


@dataclass
class Asked:
    due: float
    body: bytearray = field(default_factory=bytearray)


class Connection:
    """Raises OSError when nothing listens, or what listens sends no SETTINGS."""

    def __init__(self, plan: Plan) -> None:
        self.sock = connect_plain("127.0.0.1", plan.port)
        self.under_way: dict[int, Asked] = {}
        self.received = b""
        self.window = WINDOW
        self.stream = 1
        self.message = plan.message.encode("latin-1")
        settings = struct.pack(">HIHI", ENABLE_PUSH, 0, INITIAL_WINDOW_SIZE, LARGEST_WINDOW)
        opened = struct.pack(">I", LARGEST_WINDOW - WINDOW)
        self.sock.sendall(PREFACE + frame(SETTINGS, 0, 0, settings) + frame(WINDOW_UPDATE, 0, 0, opened))
        self._blocks = self._encode(plan, self._table_size())

    def _table_size(self) -> int:
        """Of the peer's SETTINGS, which come first."""
        deadline = time.monotonic() + TIMEOUT
        while len(self.received) < 9 or len(self.received) < 9 + int.from_bytes(self.received[:3], "big"):
            if not select.select([self.sock], [], [], max(0.0, deadline - time.monotonic()))[0]:
                raise OSError("no SETTINGS come")
            data = self.sock.recv(65536)
            if not data:
                raise OSError("the connection ends before SETTINGS come")
            self.received += data
        size = int.from_bytes(self.received[:3], "big")
        found = dict(struct.iter_unpack(">HI", self.received[9 : 9 + size // 6 * 6]))
        return min(int(found.get(HEADER_TABLE_SIZE, 4096)), 4096)

    def _encode(self, plan: Plan, table_size: int) -> tuple[bytes, bytes]:
        """The first request's block, and every later one's."""
        encoder = hpack.Encoder()
        encoder.header_table_size = table_size
        fields = [(":method", "POST" if plan.message else "GET"), (":scheme", "http"), (":authority", plan.host)]
        fields += [(":path", plan.path), *((name, value) for name, value in plan.headers)]
        first, second, third = (encoder.encode(fields) for _ in range(3))
        if second != third:
            raise OSError("the request's fields do not fit into the peer's HPACK table")
        return first, second

    def has_room(self, streams: int) -> bool:
        return len(self.under_way) < streams and self.window >= len(self.message)

    def request(self, due: float) -> bytes:
        stream = self.stream
        block = self._blocks[stream > 1]
        self.stream += 2
        self.under_way[stream] = Asked(due)
        if not self.message:
            return frame(HEADERS, END_STREAM | END_HEADERS, stream, block)
        self.window -= len(self.message)
        return frame(HEADERS, END_HEADERS, stream, block) + frame(DATA, END_STREAM, stream, self.message)


class OpenLoop(Pacing[Connection]):
    def __init__(self, plan: Plan) -> None:
        super().__init__(plan.seed)
        self._plan = plan
        self._body = plan.body.encode("latin-1")
        self._connections: dict[int, Connection] = {}
        self._turn: deque[Connection] = deque()
        self._answers = 0
        self._latencies: list[float] = []
        self._failures: Counter[str] = Counter()
        for _ in range(plan.connections):
            self._open()

    def run(self) -> Outcome:
        busy = self._pace(self._plan.rate, self._plan.seconds)
        for connection in self._connections.values():
            connection.sock.close()
        self._poller.close()
        return Outcome(
            requests=self._answers,
            failures=self._failures.total(),
            busy=busy,
            reason=next(iter(self._failures), ""),
            **in_microseconds(self._latencies, self._lateness),
        )

    # -- the loop ------------------------------------------------------------------------------------------------------

    def _drain(self, deadline: float) -> None:
        while (self._waiting or any(c.under_way for c in self._connections.values())) and time.monotonic() < deadline:
            self._receive(0.05)
        self._failures["never sent: no stream became free"] += len(self._waiting)
        self._failures[self._no_answer] += sum(len(c.under_way) for c in self._connections.values())
        self._failures += Counter()  # without what never happened

    def _free(self) -> Connection | None:
        """The next connection in turn that has a free stream."""
        for _ in range(len(self._turn)):
            self._turn.rotate(-1)
            if self._turn[0].has_room(self._plan.streams):
                return self._turn[0]
        return None

    def _send(self, connection: Connection, due: float) -> None:
        request = connection.request(due)
        try:
            sent = connection.sock.send(request)
        except OSError as error:
            self._lose(connection, f"cannot send: {error.strerror}")
            return
        if sent != len(request):
            self._lose(connection, f"only {sent} of {len(request)} bytes could be sent")

    def _look_for_late(self, now: float) -> None:
        for connection in list(self._connections.values()):
            if any(self._is_late(asked.due, now) for asked in connection.under_way.values()):
                self._lose(connection, self._no_answer)

    # -- answers -------------------------------------------------------------------------------------------------------

    def _take_events(self, timeout: float) -> None:
        for descriptor, _ in self._poller.poll(timeout):
            connection = self._connections[descriptor]
            try:
                data = connection.sock.recv(262144)
            except BlockingIOError:
                continue
            except OSError as error:
                self._lose(connection, f"connection lost: {error.strerror}")
                continue
            if not data:
                self._lose(connection, "connection closed")
                continue
            connection.received += data
            self._read(connection)

    def _read(self, connection: Connection) -> None:
        received, at = connection.received, 0
        while len(received) - at >= 9:
            head, flags, stream = struct.unpack_from(">IBI", received, at)
            end = at + 9 + (head >> 8)
            if end > len(received):
                break
            problem = self._take(connection, head & 0xFF, flags, stream, received[at + 9 : end])
            if problem:
                self._lose(connection, problem)
                return
            at = end
        connection.received = received[at:]

    def _take(self, connection: Connection, kind: int, flags: int, stream: int, payload: bytes) -> str:
        """One frame; what is wrong with the connection, or empty."""
        if stream:
            asked = connection.under_way.get(stream)
            if asked is None:
                return "" if kind == WINDOW_UPDATE else f"a frame of type {kind} on a stream that nobody asked on"
            if kind == DATA:
                asked.body += payload
            if kind == RST_STREAM:
                self._end(connection, stream, f"RST_STREAM with {int.from_bytes(payload, 'big')}")
            elif kind in (DATA, HEADERS) and flags & END_STREAM:
                wrong = asked.body != self._body
                self._end(connection, stream, f"another answer: {bytes(asked.body[:80])!r}" if wrong else "")
        elif kind == GOAWAY:
            return f"GOAWAY with {int.from_bytes(payload[4:8], 'big')}"
        elif kind == WINDOW_UPDATE:
            connection.window += int.from_bytes(payload, "big")
        elif kind in (SETTINGS, PING) and not flags & ACK:
            connection.sock.send(frame(kind, ACK, 0, payload if kind == PING else b""))
        return ""

    def _end(self, connection: Connection, stream: int, problem: str) -> None:
        asked = connection.under_way.pop(stream)
        if problem:
            self._failures[problem] += 1
            return
        self._answers += 1
        if asked.due >= self._count_from:
            self._latencies.append(time.monotonic() - asked.due)

    # -- connections ---------------------------------------------------------------------------------------------------

    def _open(self) -> None:
        connection = Connection(self._plan)
        self._connections[connection.sock.fileno()] = connection
        self._turn.append(connection)
        self._poller.register(connection.sock, select.EPOLLIN)
        self._read(connection)  # what came with the SETTINGS

    def _lose(self, connection: Connection, reason: str) -> None:
        """It ends with all that is under way on it: as many failures, but one at least. Another takes its place."""
        self._failures[reason] += max(len(connection.under_way), 1)
        del self._connections[connection.sock.fileno()]
        self._turn.remove(connection)
        self._poller.unregister(connection.sock)
        connection.sock.close()
        try:
            self._open()
        except OSError as error:
            raise SystemExit(f"cannot connect again: {error.strerror or error}") from error


def main() -> None:
    plan = Plan(**json.loads(sys.argv[1]))
    fine_timers()
    try:
        print(json.dumps(asdict(OpenLoop(plan).run())))
    except OSError as error:
        sys.exit(f"cannot connect to port {plan.port}: {error.strerror or error}")


if __name__ == "__main__":
    main()
