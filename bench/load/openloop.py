"""An open-loop HTTP/1.1 generator: requests fall due at times that do not depend on the answers.

Why not a tool from a package: wrk and h2load send a connection's next request only when its last is answered and count
from the sending (h2load --rps too), so a proxy that stalls for 100 ms is asked less, and the wait of those who would
have come is never seen. Here the gaps between requests are drawn from an exponential distribution (a Poisson process)
with a fixed seed, the same for every proxy, and a latency runs from the time a request was due: waiting for a free
connection counts.

It waits with select() on the epoll descriptor, because that has microseconds where epoll_wait() has milliseconds; one
timer tick of a millisecond would send requests in bursts. Every answer is compared: status and all bytes of the body.

Run as a process: `python -m bench.load.openloop '{"port": ..., ...}'` with the fields of `Plan`; prints one line of
JSON.
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
from dataclasses import asdict, dataclass

WARM_UP_SECONDS = 0.5
"""Requests due before this are sent and checked, but not in the latencies."""
LAST_ANSWER_SECONDS = 5.0
"""How long after the last request was due its answer may take; later is a failure."""


@dataclass(frozen=True)
class Plan:
    port: int
    request: str
    body: str
    rate: float
    seconds: float
    connections: int = 32
    seed: int = 7


@dataclass
class Outcome:
    requests: int
    failures: int
    p50_us: float
    p90_us: float
    p99_us: float
    max_us: float
    lateness_p99_us: float
    busy: float


class Connection:
    """One keep-alive connection with at most one request under way."""

    __slots__ = ("due", "received", "sock")

    def __init__(self, port: int) -> None:
        self.sock = socket.create_connection(("127.0.0.1", port), timeout=LAST_ANSWER_SECONDS)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock.setblocking(False)
        self.due = 0.0
        self.received = b""


class Generator:
    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._request = plan.request.encode("latin-1")
        self._body = plan.body.encode("latin-1")
        self._poller = select.epoll()
        self._connections: dict[int, Connection] = {}
        self._idle: deque[Connection] = deque()
        self._waiting: deque[float] = deque()
        """Due times of requests for which no connection is free."""
        self._latencies: list[float] = []
        self._lateness: list[float] = []
        self._answered = 0
        self._failures = 0
        self._count_from = 0.0

    def run(self) -> Outcome:
        for _ in range(self._plan.connections):
            self._open()
        gc.disable()
        cpu = time.process_time()
        began = time.perf_counter()
        self._count_from = began + WARM_UP_SECONDS
        end = began + WARM_UP_SECONDS + self._plan.seconds
        self._send_until(end)
        self._drain(end + LAST_ANSWER_SECONDS)
        busy = (time.process_time() - cpu) / (time.perf_counter() - began)
        outstanding = len(self._waiting) + sum(1 for c in self._connections.values() if c.due)
        return Outcome(
            requests=self._answered,
            failures=self._failures + outstanding,
            p50_us=_quantile(self._latencies, 0.50),
            p90_us=_quantile(self._latencies, 0.90),
            p99_us=_quantile(self._latencies, 0.99),
            max_us=_quantile(self._latencies, 1.0),
            lateness_p99_us=_quantile(self._lateness, 0.99),
            busy=busy,
        )

    # -- the loop ------------------------------------------------------------------------------------------------------

    def _send_until(self, end: float) -> None:
        gaps = random.Random(self._plan.seed)
        rate, clock = self._plan.rate, time.perf_counter
        descriptor = [self._poller.fileno()]
        due = clock() + gaps.expovariate(rate)
        while due < end:
            now = clock()
            while due <= now and due < end:
                if self._idle:
                    self._lateness.append(now - due)
                    self._send(self._idle.popleft(), due)
                    now = clock()
                else:
                    self._waiting.append(due)
                due += gaps.expovariate(rate)
            left = min(due, end) - clock()
            if left <= 0 or select.select(descriptor, (), (), left)[0]:
                self._receive(0.0)

    def _drain(self, deadline: float) -> None:
        while (self._waiting or any(c.due for c in self._connections.values())) and time.perf_counter() < deadline:
            self._receive(0.05)

    def _send(self, connection: Connection, due: float) -> None:
        connection.due = due
        try:
            sent = connection.sock.send(self._request)
        except OSError:
            sent = -1
        if sent != len(self._request):  # a request of some hundred bytes always fits into an empty socket buffer
            self._fail(connection)

    def _receive(self, timeout: float) -> None:
        for descriptor, _ in self._poller.poll(timeout):
            connection = self._connections[descriptor]
            try:
                data = connection.sock.recv(65536)
            except BlockingIOError:
                continue
            except OSError:
                data = b""
            if not data:
                self._fail(connection)
                continue
            connection.received += data
            self._complete(connection)
        while self._waiting and self._idle:
            self._send(self._idle.popleft(), self._waiting.popleft())

    def _complete(self, connection: Connection) -> None:
        received = connection.received
        head = received.find(b"\r\n\r\n")
        if head < 0 or len(received) < head + 4 + len(self._body):
            return
        if not connection.due or not received.startswith(b"HTTP/1.1 200 ") or received[head + 4 :] != self._body:
            self._fail(connection)
            return
        self._answered += 1
        if connection.due >= self._count_from:
            self._latencies.append(time.perf_counter() - connection.due)
        connection.received = b""
        connection.due = 0.0
        self._idle.append(connection)

    def _open(self) -> None:
        connection = Connection(self._plan.port)
        self._connections[connection.sock.fileno()] = connection
        self._poller.register(connection.sock, select.EPOLLIN)
        self._idle.append(connection)

    def _fail(self, connection: Connection) -> None:
        """Counts a failed request (or an unasked-for close) and replaces the connection."""
        self._failures += 1
        del self._connections[connection.sock.fileno()]
        self._poller.unregister(connection.sock)
        with suppress(ValueError):
            self._idle.remove(connection)
        connection.sock.close()
        try:
            self._open()
        except OSError as error:
            raise SystemExit(f"cannot connect again to 127.0.0.1:{self._plan.port}: {error}") from error


def _quantile(seconds: list[float], q: float) -> float:
    if not seconds:
        return 0.0
    ordered = sorted(seconds)
    return ordered[min(len(ordered) - 1, int(q * len(ordered)))] * 1e6


def fine_timers() -> None:
    """Asks the kernel not to round this process's waits up by its usual 50 us."""
    with suppress(OSError), open("/proc/self/timerslack_ns", "w") as slack:  # without it waits are a little longer
        slack.write("1")


def main() -> None:
    plan = Plan(**json.loads(sys.argv[1]))
    fine_timers()
    print(json.dumps(asdict(Generator(plan).run())))


if __name__ == "__main__":
    main()
