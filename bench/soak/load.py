"""The load of the soak run: HTTP/1.1 through the client entry, half GET, half POST, every answer compared whole.

Each request has a number of its own that the answer must repeat, with method and body: an answer that belongs to
another request is a failure, as are any status but 200, a close, a reset and an answer that takes too long. A failed
request is counted once, with its reason and time, and never sent again. A sidecar may send an idempotent request a
second time when a kept connection ended before the answer's first byte; a POST never goes twice, so half of the load
shows what such a replay would hide.

At a rate the loop is open: requests fall due at times of a Poisson process with a fixed seed, whatever the answers do,
and a latency counts from when a request was due. With rate 0 the loop is closed, each connection sends as soon as it is
answered: what the mesh can carry.

Answers are also counted by version and by the time at which their request was sent, so that it can be checked
afterwards which weights were in force when.

Run as a process: `python -m bench.soak.load '{"host": ..., ...}'` with the fields of `Plan`; prints one line of JSON,
the fields of `Outcome`. `begin` and all times are seconds of CLOCK_MONOTONIC, the same clock for all processes.
"""

from __future__ import annotations

import gc
import json
import random
import select
import socket
import sys
import time
from collections import deque
from contextlib import suppress
from dataclasses import asdict, dataclass, field

from bench.load.openloop import fine_timers

TIMEOUT = 5.0
"""Seconds that an answer may take from its request's due time; later is a failure."""
SLOT = 0.02
"""Seconds: the grain of the counts by time."""
LISTED = 100
"""Failures kept with their reasons; all are counted."""
POST_BYTES, LARGE_POST_BYTES, LARGE_EVERY = 100, 4096, 16
"""Body of a POST, and of every sixteenth. Small enough for an empty socket buffer to take it whole."""
CHECK_SECONDS = 0.25
"""Between two looks for answers that take too long."""

VERSIONS = (b"v1 ", b"v2 ")
_OK = b"HTTP/1.1 200 "
_HEAD_END = b"\r\n\r\n"


@dataclass(frozen=True)
class Plan:
    host: str
    port: int
    rate: float
    begin: float
    seconds: float
    connections: int = 32
    seed: int = 7
    service: str = "echo"


@dataclass
class Outcome:
    requests: int = 0
    """Answered, and rightly."""
    failures: int = 0
    reasons: list[tuple[float, str]] = field(default_factory=list)
    """(when, why) of the first failures."""
    latencies_us: list[int] = field(default_factory=list)
    slots: dict[int, list[int]] = field(default_factory=dict)
    """Number of the slot since `begin` -> answers of v1 and of v2 to what was sent in it."""
    busy: float = 0.0
    """Share of a core that the generator used."""


class Connection:
    """One keep-alive connection with at most one request under way; `due` is 0 when there is none."""

    __slots__ = ("due", "expected", "received", "sent", "sock")

    def __init__(self, host: str, port: int) -> None:
        self.sock = socket.create_connection((host, port), timeout=TIMEOUT)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock.setblocking(False)
        self.due = 0.0
        self.sent = 0.0
        self.expected = b""
        """The answer's body without the version in front."""
        self.received = b""


class Generator:
    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._random = random.Random(plan.seed)
        self._poller = select.epoll()
        self._connections: dict[int, Connection] = {}
        self._idle: deque[Connection] = deque()
        self._waiting: deque[float] = deque()
        """Due times of requests for which no connection is free."""
        self._number = 0
        self._outcome = Outcome()
        self._bodies = [b"x" * POST_BYTES, b"y" * LARGE_POST_BYTES]
        self._head = f"Host: {plan.service}\r\n".encode()
        self._target = f"http://{plan.service}/load/{plan.seed}-".encode()

    def run(self) -> Outcome:
        plan = self._plan
        for _ in range(plan.connections):
            self._open()
        gc.disable()  # nothing here makes cycles, and a pause would look like one of the mesh
        time.sleep(max(0.0, plan.begin - time.monotonic()))
        cpu = time.process_time()
        end = plan.begin + plan.seconds
        if plan.rate:
            self._send_at_rate(end)
        else:
            self._send_at_once(end)
        self._outcome.busy = (time.process_time() - cpu) / (time.monotonic() - plan.begin)
        self._drain(time.monotonic() + TIMEOUT)
        for connection in list(self._connections.values()):
            connection.sock.close()
        return self._outcome

    # -- the loops -----------------------------------------------------------------------------------------------------

    def _send_at_rate(self, end: float) -> None:
        gaps = random.Random(self._plan.seed)
        rate, clock = self._plan.rate, time.monotonic
        descriptor = [self._poller.fileno()]
        due = self._plan.begin + gaps.expovariate(rate)
        check = clock() + CHECK_SECONDS
        while due < end:
            now = clock()
            while due <= now and due < end:
                if self._idle:
                    self._send(self._idle.popleft(), due)
                else:
                    self._waiting.append(due)
                due += gaps.expovariate(rate)
            if now >= check:
                self._look_for_late(now)
                check = now + CHECK_SECONDS
            # select() has microseconds where epoll_wait() has milliseconds.
            left = min(due, end, check) - clock()
            if left <= 0 or select.select(descriptor, (), (), left)[0]:
                self._receive(0.0)

    def _send_at_once(self, end: float) -> None:
        while (now := time.monotonic()) < end:
            while self._idle:
                self._send(self._idle.popleft(), now)
            self._receive(CHECK_SECONDS)
            self._look_for_late(now)

    def _drain(self, deadline: float) -> None:
        """Until the last answer; what is not there at the deadline has failed."""
        while (self._waiting or self._under_way()) and time.monotonic() < deadline:
            self._receive(0.05)
        for _ in self._waiting:
            self._count_failure("never sent: no connection became free")
        for _ in self._under_way():
            self._count_failure(f"no answer within {TIMEOUT:g} s")

    def _under_way(self) -> list[Connection]:
        return [connection for connection in self._connections.values() if connection.due]

    # -- requests and answers ------------------------------------------------------------------------------------------

    def _send(self, connection: Connection, due: float) -> None:
        self._number += 1
        # The connection's last answer decides nothing: which method comes next is drawn.
        if self._random.random() < 0.5:
            method, body, length = b"GET", b"", b""
        else:
            method, body = b"POST", self._bodies[self._number % LARGE_EVERY == 0]
            length = b"Content-Length: %d\r\n" % len(body)
        number = b"%d" % self._number
        connection.expected = b"%b /load/%d-%b\n%b" % (method, self._plan.seed, number, body)
        request = b"%b %b%b HTTP/1.1\r\n%b%b\r\n%b" % (method, self._target, number, self._head, length, body)
        connection.due = due
        connection.sent = time.monotonic()
        try:
            sent = connection.sock.send(request)
        except OSError as error:
            self._fail(connection, f"cannot send: {error.strerror}")
            return
        if sent != len(request):
            self._fail(connection, f"only {sent} of {len(request)} bytes could be sent")

    def _receive(self, timeout: float) -> None:
        for descriptor, _ in self._poller.poll(timeout):
            connection = self._connections[descriptor]
            try:
                data = connection.sock.recv(65536)
            except BlockingIOError:
                continue
            except OSError as error:
                self._fail(connection, f"connection lost: {error.strerror}")
                continue
            if not data:
                self._fail(connection, "connection closed" if connection.due else "idle connection closed")
                continue
            connection.received += data
            self._look_at(connection)
        while self._waiting and self._idle:
            self._send(self._idle.popleft(), self._waiting.popleft())

    def _look_at(self, connection: Connection) -> None:
        received = connection.received
        if not connection.due:
            self._fail(connection, f"bytes that nobody asked for: {received[:80]!r}")
            return
        end = received.find(_HEAD_END)
        if end < 0:
            return
        if not received.startswith(_OK):
            self._fail(connection, _first_line(received))
            return
        start = end + len(_HEAD_END) + len(VERSIONS[0])
        missing = start + len(connection.expected) - len(received)
        if missing > 0:
            return
        version = received[start - len(VERSIONS[0]) : start]
        if missing or received[start:] != connection.expected or version not in VERSIONS:
            self._fail(connection, f"another answer: {received[end + 4 :][:80]!r}, not {connection.expected[:80]!r}")
            return
        outcome = self._outcome
        outcome.requests += 1
        outcome.latencies_us.append(int((time.monotonic() - connection.due) * 1e6))
        slot = int((connection.sent - self._plan.begin) / SLOT)
        outcome.slots.setdefault(slot, [0, 0])[VERSIONS.index(version)] += 1
        connection.received = b""
        connection.due = 0.0
        self._idle.append(connection)

    def _look_for_late(self, now: float) -> None:
        for connection in self._under_way():
            if now - connection.due > TIMEOUT:
                self._fail(connection, f"no answer within {TIMEOUT:g} s")

    # -- connections ---------------------------------------------------------------------------------------------------

    def _open(self) -> None:
        connection = Connection(self._plan.host, self._plan.port)
        self._connections[connection.sock.fileno()] = connection
        self._poller.register(connection.sock, select.EPOLLIN)
        self._idle.append(connection)

    def _fail(self, connection: Connection, reason: str) -> None:
        """Counts a failed request, or a connection that was closed without being asked to, and replaces it."""
        self._count_failure(reason)
        del self._connections[connection.sock.fileno()]
        self._poller.unregister(connection.sock)
        with suppress(ValueError):
            self._idle.remove(connection)
        connection.sock.close()
        try:
            self._open()
        except OSError as error:
            raise SystemExit(f"cannot connect to {self._plan.host}:{self._plan.port}: {error.strerror}") from error

    def _count_failure(self, reason: str) -> None:
        self._outcome.failures += 1
        if len(self._outcome.reasons) < LISTED:
            self._outcome.reasons.append((round(time.monotonic() - self._plan.begin, 3), reason))


def _first_line(received: bytes) -> str:
    """Status line, and the sidecar's reason where it stands in the body."""
    head, _, body = received.partition(_HEAD_END)
    status = head.partition(b"\r\n")[0]
    return b" ".join((status, body[:120])).decode(errors="replace").strip()


def main() -> None:
    plan = Plan(**json.loads(sys.argv[1]))
    fine_timers()
    print(json.dumps(asdict(Generator(plan).run())))


if __name__ == "__main__":
    main()
