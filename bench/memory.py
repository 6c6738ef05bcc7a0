"""Memory of a sidecar: PSS of all its processes, once it has settled."""

from __future__ import annotations

import time

from bench.processes import Process, pss_mb

SETTLE_SECONDS = 10.0
INTERVAL_SECONDS = 0.5
STEADY = 0.01


def settled_mb(process: Process) -> float:
    """MiB, when two readings half a second apart differ by less than a hundredth, or after `SETTLE_SECONDS`."""
    deadline = time.monotonic() + SETTLE_SECONDS
    last = pss_mb(process.pids())
    while True:
        time.sleep(INTERVAL_SECONDS)
        now = pss_mb(process.pids())
        if abs(now - last) <= STEADY * last or time.monotonic() > deadline:
            return now
        last = now
