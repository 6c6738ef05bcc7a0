"""The RPC load: connections with several requests under way on each, to two services in turn (`bench.rpc`).

Before anything is measured, `verify` checks that a proxy does the same work as the others: it answers heartbeats, the
route of each service leads to that service's clusters, by their weights, a service that nobody has is refused by an
answer of the protocol, and every answer is right. While it is measured, every byte of every answer is compared.
"""

from __future__ import annotations

import json
import math
import socket
import subprocess
import sys
from dataclasses import asdict, dataclass
from typing import Any

from bench.build import is_compiled
from bench.load import Handshaken, Paced, Saturated, Target
from bench.processes import BenchError
from bench.rpc import generate
from bench.rpc.wires import CLUSTERS, SERVICES, WEIGHTS, WIRES, Wire

ANSWER_SECONDS = 5.0
CHECK_SECONDS = 0.5
DEVIATIONS = 5
"""Standard deviations by which a cluster's share of the check's requests may differ from its weight."""
SHARES = {cluster: WEIGHTS[number % len(WEIGHTS)] / 100 / len(SERVICES) for number, cluster in enumerate(CLUSTERS)}
"""Of all requests; the services have equally many."""
RATE_LIMIT = 50_000


@dataclass(frozen=True)
class RpcLoad:
    wire: str
    connections: int
    depth: int
    """Requests under way on a connection, at most."""
    routed: bool = True
    """By service; else one weighted route has all four clusters."""

    cluster = CLUSTERS[0]

    def lacks(self) -> str:
        return "" if is_compiled("bench.rpc.asking") else "the RPC generator (python -m bench.build compiles it)"

    def rate_limit(self, tls: bool) -> float:
        return RATE_LIMIT

    # -- equal work ----------------------------------------------------------------------------------------------------

    def verify(self, target: Target) -> None:
        wire = WIRES[self.wire]
        try:
            with socket.create_connection(("127.0.0.1", target.port), timeout=ANSWER_SECONDS) as sock:
                self._alive(sock, wire)
                if target.proxied and self.routed:
                    self._refused(sock, wire)
        except OSError as error:
            raise BenchError(f"port {target.port}: {type(error).__name__}: {error}") from error
        outcome = self._generate(target, CHECK_SECONDS)
        if outcome.failures or not outcome.requests:
            raise BenchError(f"port {target.port}: {outcome.failures} failed: {outcome.reason}")
        if target.proxied:
            self._weighed(outcome)

    @staticmethod
    def _alive(sock: socket.socket, wire: Wire) -> None:
        beat, answer = wire.heartbeats
        got = _ask(sock, wire, beat)
        known = wire.id_at + wire.id_bytes  # MOSN's body for Dubbo is one byte longer
        if got[:known] != answer[:known] or not wire.succeeded(got):
            raise BenchError(f"a heartbeat is answered with {got[:64].hex(' ')} instead of {answer.hex(' ')}")

    @staticmethod
    def _refused(sock: socket.socket, wire: Wire) -> None:
        answer = _ask(sock, wire, wire.stray)
        if wire.id_of(answer) != wire.id_of(wire.stray) or wire.succeeded(answer):
            raise BenchError(f"a service without a route is answered with {answer[:64].hex(' ')}")

    @staticmethod
    def _weighed(outcome: generate.Outcome) -> None:
        for cluster, share in SHARES.items():
            got = outcome.by_cluster[cluster] / outcome.requests
            if abs(got - share) > DEVIATIONS * math.sqrt(share * (1 - share) / outcome.requests):
                raise BenchError(f"{cluster} gets {got:.0%} of the requests instead of {share:.0%}")

    # -- load ----------------------------------------------------------------------------------------------------------

    def saturate(self, target: Target, seconds: int) -> Saturated:
        outcome = self._generate(target, seconds)
        if not outcome.requests:
            raise BenchError(f"no right answer from port {target.port}: {outcome.reason}")
        return Saturated(outcome.requests, outcome.seconds, outcome.failures)

    def paced(self, target: Target, rate: float, seconds: float) -> Paced:
        found = self._generate(target, seconds, rate)
        return Paced(
            requests=found.requests,
            failures=found.failures,
            rate=rate,
            p50_us=found.p50_us,
            p90_us=found.p90_us,
            p99_us=found.p99_us,
            p999_us=found.p999_us,
            max_us=found.max_us,
            lateness_p99_us=found.lateness_p99_us,
            busy=found.busy,
            reason=found.reason,
        )

    def handshakes(self, target: Target, seconds: float) -> Handshaken:
        raise BenchError("the RPC load knows no TLS")

    def _generate(self, target: Target, seconds: float, rate: float = 0.0) -> generate.Outcome:
        """In a process of its own (on the harness's core, which children inherit)."""
        routed = self.routed and target.proxied
        plan = generate.Plan(target.port, self.wire, self.connections, self.depth, seconds, rate, routed)
        argv = [sys.executable, "-m", "bench.rpc.generate", json.dumps(asdict(plan))]
        try:
            done = subprocess.run(argv, capture_output=True, text=True, timeout=seconds + 30, check=False)
        except subprocess.TimeoutExpired as error:
            raise BenchError(f"the RPC generator did not end within {seconds + 30:g} s") from error
        if done.returncode:
            raise BenchError(f"the RPC generator ended with status {done.returncode}:\n{done.stdout}{done.stderr}")
        found: dict[str, Any] = json.loads(done.stdout)
        return generate.Outcome(**found)


def _ask(sock: socket.socket, wire: Wire, request: bytes) -> bytes:
    """Sends a frame; the next one that comes."""
    sock.sendall(request)
    received = b""
    while len(received) < wire.response.header or len(received) < wire.response.size(received):
        data = sock.recv(65536)
        if not data:
            raise BenchError(f"the connection ends after {request[:32].hex(' ')}")
        received += data
    return received
