"""An open-loop HTTP/1.1 generator: requests fall due at times that do not depend on the answers.

Why not a tool from a package: wrk and h2load send a connection's next request only when its last is answered and count
from the sending (h2load --rps too), so a proxy that stalls for 100 ms is asked less, and the wait of those who would
have come is never seen. `pacing` has the loop. Every answer is compared: status and all bytes of the body.

Run as a process: `python -m bench.load.openloop '{"port": ..., ...}'` with the fields of `Plan`; prints one line of
JSON, the fields of `Outcome`.
"""

from __future__ import annotations

import json
import socket
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from bench.certificates import Certificates
from bench.latencies import in_microseconds
from bench.load import tls
from bench.load.generator import Connection, Generator, fine_timers


@dataclass(frozen=True)
class Plan:
    port: int
    request: str
    body: str
    rate: float
    seconds: float
    connections: int = 32
    seed: int = 7
    certificates: str = ""
    """Folder of the run's certificates; empty: no TLS."""


@dataclass
class Outcome:
    requests: int
    failures: int
    p50_us: float
    p90_us: float
    p99_us: float
    p999_us: float
    max_us: float
    lateness_p99_us: float
    busy: float
    reason: str
    """Of the first failure."""


class OpenLoop(Generator):
    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._bytes = plan.request.encode("latin-1")
        self._body = plan.body.encode("latin-1")
        self._certificates = Certificates(Path(plan.certificates)) if plan.certificates else None
        self._latencies: list[float] = []
        self._answers = 0
        self._failures = 0
        self._reason = ""
        super().__init__(self._connection, plan.connections, plan.seed)

    def run(self) -> Outcome:
        busy = self._pace(self._plan.rate, self._plan.seconds)
        self._close()
        return Outcome(
            requests=self._answers,
            failures=self._failures,
            busy=busy,
            reason=self._reason,
            **in_microseconds(self._latencies, self._lateness),
        )

    def _connection(self) -> socket.socket:
        sock = tls.connect(self._plan.port, self._certificates)
        sock.setblocking(False)
        return sock

    def _request(self, connection: Connection) -> bytes:
        return self._bytes

    def _look_at(self, connection: Connection) -> None:
        received = connection.received
        head = received.find(b"\r\n\r\n")
        if head < 0 or len(received) < head + 4 + len(self._body):
            return
        if not received.startswith(b"HTTP/1.1 200 ") or received[head + 4 :] != self._body:
            self._fail(connection, f"another answer: {received[:80]!r}")
            return
        self._answers += 1
        if connection.due >= self._count_from:
            self._latencies.append(time.monotonic() - connection.due)
        self._answered(connection)

    def _count_failure(self, reason: str) -> None:
        self._failures += 1
        self._reason = self._reason or reason


def main() -> None:
    plan = Plan(**json.loads(sys.argv[1]))
    fine_timers()
    print(json.dumps(asdict(OpenLoop(plan).run())))


if __name__ == "__main__":
    main()
