"""Load drivers. A row's load knows how to check that a proxy does its work, how to saturate it, and how to send at a
given rate; what the harness needs of one is `Load`. One module a driver:

``http1``       the HTTP/1.1 load: the check of equal work, wrk for saturation, `openloop` for a given rate
``openloop``    an open-loop HTTP/1.1 generator, run as a process of its own
``handshakes``  a new TLS connection for each request, run as a process of its own
``hold``        idle keep-alive connections, run as a process of its own
``http2``       the HTTP/2 and gRPC load: the check of equal work (`http2_client`), h2load, `openloop_http2`
``rpc``         the RPC load: the check of equal work; the generator is `bench.rpc`
``probe``       how long a worker lets a ready connection wait, run as a process of its own
``generator``   what open-loop generators share
``tls``         TLS of the generators
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from bench.certificates import Certificates


@dataclass(frozen=True)
class Target:
    """Where a load goes: a proxy or the backend itself, on loopback; over TLS with `certificates`, else without."""

    port: int
    proxied: bool = True
    certificates: Certificates | None = None
    adds: tuple[str, ...] = ()
    """Which of x-request-id and x-forwarded-for the proxy adds; looked at in rows of HTTP/2, where not all add both."""
    marked: bool = False
    """A filter adds x-marked to each request, with what the request's x-user has."""


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
    p999_us: float
    max_us: float
    lateness_p99_us: float
    """How late the generator itself was, where a connection was free: part of each latency, for all proxies alike."""
    busy: float
    """Share of a core that the generator used; near 1 the figures are the generator's own."""
    reason: str = ""
    """Of the first failure."""


@dataclass(frozen=True)
class Handshaken:
    """Connections one after the other, each with a full handshake (none resumed) and one request."""

    connections: int
    seconds: float
    failures: int


class Load(Protocol):
    @property
    def cluster(self) -> str:
        """The one that the backend is asked for without a proxy."""

    def rate_limit(self, tls: bool) -> float:
        """Requests a second that the open-loop generator sends without being late itself; a higher rate would show the
        generator."""

    def lacks(self) -> str:
        """What must be installed for this load, in the user's words; empty when nothing is missing."""

    def verify(self, target: Target) -> None:
        """Checks that what listens there does the row's work; raises `BenchError` saying what differs."""

    def saturate(self, target: Target, seconds: int) -> Saturated: ...

    def paced(self, target: Target, rate: float, seconds: float) -> Paced: ...

    def handshakes(self, target: Target, seconds: float) -> Handshaken: ...
