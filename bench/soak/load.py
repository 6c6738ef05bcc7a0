"""The load of the soak run: HTTP/1.1 through the client entry, half GET, half POST, every answer compared whole.

Each request has a number of its own that the answer must repeat, with method and body: an answer that belongs to
another request is a failure, as are any status but 200, a close, a reset and an answer that takes too long. A failed
request is counted once, with its reason and time, and never sent again. A sidecar may send an idempotent request a
second time when a kept connection ended before the answer's first byte; a POST never goes twice, so half of the load
shows what such a replay would hide.

At a rate the loop is open; with rate 0 it is closed, which shows what the mesh can carry (`bench.load.generator`).

Answers are also counted by version and by the time at which their request was sent, so that it can be checked
afterwards which weights were in force when.

Run as a process: `python -m bench.soak.load '{"host": ..., ...}'` with the fields of `Plan`; prints one line of JSON,
the fields of `Outcome`. `begin` is of CLOCK_MONOTONIC.
"""

from __future__ import annotations

import gc
import json
import random
import sys
import time
from dataclasses import asdict, dataclass, field

from bench.load.generator import Connection, Generator, connect_plain, fine_timers
from bench.load.pacing import TIMEOUT

SLOT = 0.02
"""Seconds: the grain of the counts by time."""
LISTED = 100
"""Failures kept with their reasons; all are counted."""
POST_BYTES, LARGE_POST_BYTES, LARGE_EVERY = 100, 4096, 16
"""Body of a POST, and of every sixteenth."""

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


class SoakLoad(Generator):
    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._random = random.Random(plan.seed)
        self._number = 0
        self._outcome = Outcome()
        self._bodies = [b"x" * POST_BYTES, b"y" * LARGE_POST_BYTES]
        self._head = f"Host: {plan.service}\r\n".encode()
        self._target = f"http://{plan.service}/load/{plan.seed}-".encode()
        super().__init__(lambda: connect_plain(plan.host, plan.port), plan.connections, plan.seed)

    def run(self) -> Outcome:
        plan = self._plan
        gc.disable()  # nothing here makes cycles, and a pause would look like one of the mesh
        time.sleep(max(0.0, plan.begin - time.monotonic()))
        cpu = time.process_time()
        end = plan.begin + plan.seconds
        if plan.rate:
            self._send_at_rate(plan.rate, plan.begin, end)
        else:
            self._send_at_once(end)
        self._outcome.busy = (time.process_time() - cpu) / (time.monotonic() - plan.begin)
        self._drain(time.monotonic() + TIMEOUT)
        self._close()
        return self._outcome

    def _request(self, connection: Connection) -> bytes:
        self._number += 1
        # The connection's last answer decides nothing: which method comes next is drawn.
        if self._random.random() < 0.5:
            method, body, length = b"GET", b"", b""
        else:
            method, body = b"POST", self._bodies[self._number % LARGE_EVERY == 0]
            length = b"Content-Length: %d\r\n" % len(body)
        number = b"%d" % self._number
        # The answer's body, without the version in front.
        connection.expected = b"%b /load/%d-%b\n%b" % (method, self._plan.seed, number, body)
        return b"%b %b%b HTTP/1.1\r\n%b%b\r\n%b" % (method, self._target, number, self._head, length, body)

    def _look_at(self, connection: Connection) -> None:
        received = connection.received
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
        self._answered(connection)

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
    print(json.dumps(asdict(SoakLoad(plan).run())))


if __name__ == "__main__":
    main()
