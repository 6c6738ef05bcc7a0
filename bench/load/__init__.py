"""Load drivers. A row's load knows how to check that a proxy does its work, how to saturate it, and how to send at a
given rate; what the harness needs of one is `Load`. One module a driver:

``http1``       the HTTP/1.1 load: the check of equal work, wrk for saturation, `openloop` for a given rate
``openloop``    an open-loop HTTP/1.1 generator, run as a process of its own
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class Saturated:
    """As many requests as the proxy takes, for `seconds`."""

    requests: int
    seconds: float
    failures: int
    """Resets, timeouts, wrong statuses and wrong lengths."""

    @property
    def rps(self) -> float:
        return self.requests / self.seconds


@dataclass(frozen=True)
class Paced:
    """Requests at a given rate; latencies in microseconds, from the time a request was due."""

    requests: int
    failures: int
    rate: float
    p50_us: float
    p90_us: float
    p99_us: float
    max_us: float
    lateness_p99_us: float
    """How late the generator itself was, where a connection was free: part of each latency, for all proxies alike."""
    busy: float
    """Share of a core that the generator used; near 1 the figures are the generator's own."""


class Load(Protocol):
    def lacks(self) -> str:
        """What must be installed for this load, in the user's words; empty when nothing is missing."""

    def verify(self, port: int, proxied: bool = True) -> None:
        """Checks that what listens on loopback `port` does the row's work; raises `BenchError` saying what differs."""

    def saturate(self, port: int, seconds: int) -> Saturated: ...

    def paced(self, port: int, rate: float, seconds: float) -> Paced: ...
