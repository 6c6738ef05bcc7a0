"""Asks a proxy a thousand times a second, on a connection of its own, for something that its worker answers by itself:
how long the worker lets a ready connection wait.

A slow answer comes with what happened meanwhile: how long the worker ran, how long it was ready to run and waited for
its core, and how long the probe itself waited for its own. The next question goes out when the last is answered and the
next millisecond has come, so one pause is seen once, and whole but for its first millisecond at most.

Run as a process: `python -m bench.load.probe '{"port": ..., ...}'` with the fields of `Plan`; prints one line of JSON,
the fields of `Outcome`.
"""

from __future__ import annotations

import gc
import json
import os
import socket
import sys
import time
from dataclasses import asdict, dataclass, field

from bench.load.generator import fine_timers
from bench.load.pacing import TIMEOUT

PERIOD = 0.001
CPUCLOCK_SCHED = 2
"""Linux, include/linux/posix-timers_types.h: a process's CPU clock in nanoseconds."""


@dataclass(frozen=True)
class Plan:
    port: int
    request: str
    worker: int
    """Its process id."""
    seconds: float
    threshold: float = 0.001
    """Seconds from which an answer is slow."""


@dataclass(frozen=True)
class Pause:
    """Seconds; `at` is of CLOCK_MONOTONIC."""

    at: float
    seconds: float
    ran: float
    """The worker's CPU time meanwhile."""
    waited: float
    """How long the worker was ready to run, but something else had its core."""
    probe_waited: float
    """The same of the probe."""


@dataclass
class Outcome:
    probes: int = 0
    pauses: list[Pause] = field(default_factory=list)


class Clocks:
    """What has passed for worker and probe."""

    def __init__(self, worker: int) -> None:
        self._worker_cpu = (~worker << 3) | CPUCLOCK_SCHED
        self._worker = os.open(f"/proc/{worker}/schedstat", os.O_RDONLY)
        self._own = os.open("/proc/self/schedstat", os.O_RDONLY)

    def read(self) -> tuple[float, float, float]:
        """Seconds that the worker ran, that it waited, that the probe waited."""
        return time.clock_gettime(self._worker_cpu), _waited(self._worker), _waited(self._own)

    def close(self) -> None:
        os.close(self._worker)
        os.close(self._own)


def _waited(schedstat: int) -> float:
    return int(os.pread(schedstat, 128, 0).split()[1]) / 1e9


def probe(plan: Plan) -> Outcome:
    """Raises OSError when the proxy ends the connection."""
    request = plan.request.encode("latin-1")
    outcome = Outcome()
    clocks = Clocks(plan.worker)
    with socket.create_connection(("127.0.0.1", plan.port), timeout=TIMEOUT) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        due = time.monotonic()
        end = due + plan.seconds
        while due < end:
            time.sleep(max(0.0, due - time.monotonic()))
            before = clocks.read()
            sent = time.monotonic()
            sock.sendall(request)
            _read(sock)
            seconds = time.monotonic() - sent
            outcome.probes += 1
            if seconds >= plan.threshold:
                passed = [now - earlier for now, earlier in zip(clocks.read(), before, strict=True)]
                outcome.pauses.append(Pause(sent, seconds, *passed))
            due = max(due + PERIOD, sent + seconds)
    clocks.close()
    return outcome


def _read(sock: socket.socket) -> None:
    """One whole answer, whatever it says."""
    received = b""
    while True:
        head, found, body = received.partition(b"\r\n\r\n")
        if found and len(body) >= _length(head):
            return
        data = sock.recv(65536)
        if not data:
            raise OSError("the proxy ended the probe's connection")
        received += data


def _length(head: bytes) -> int:
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    return 0


def main() -> None:
    plan = Plan(**json.loads(sys.argv[1]))
    fine_timers()
    gc.disable()
    try:
        print(json.dumps(asdict(probe(plan))))
    except OSError as error:
        sys.exit(f"probe: {error}")


if __name__ == "__main__":
    main()
