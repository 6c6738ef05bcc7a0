"""The HTTP/2 load: few connections in plain text by prior knowledge, many requests under way on each; plain HTTP and
gRPC (`bench.exchanges`).

Before anything is measured, `verify` checks that a proxy does the same work as the others: each virtual host and rule
leads to the right cluster, an unknown host is refused, and what the proxy is to add arrives at the backend, a new
request id each time. A gRPC call's answer must have its trailers.

h2load then saturates, with one authority and path: it has its own HPACK and cannot change the authority from request to
request. It checks every status; the bytes of bodies are compared with what the answers must have. The open-loop
generator (`openloop_http2`) compares every body.
"""

from __future__ import annotations

import json
import re
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

from bench.backend import body_of
from bench.exchanges import CLUSTER, HOST, PLAIN, Exchange
from bench.load import Handshaken, Paced, Saturated, Target, openloop_http2
from bench.load.http1 import ROUTES, UNKNOWN, run
from bench.load.http2_client import Answer, Client
from bench.processes import BenchError, find_program

ECHO = ("www.bench.test", "/echo")
RATE_LIMIT = 10_000
"""What the open-loop generator, in plain Python, can send; only reached where no slow proxy is in the run."""
_REQUESTS = re.compile(r"^requests: .* (\d+) done, (\d+) succeeded, (\d+) failed, (\d+) errored, (\d+) timeout", re.M)
_STATUSES = re.compile(r"^status codes: (\d+) 2xx", re.M)
_DATA = re.compile(r"^traffic: .* headers .*, \S+ \((\d+)\) data", re.M)
_SECONDS = re.compile(r"^finished in ([\d.]+)(us|ms|s)", re.M)
_UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1.0}


@dataclass(frozen=True)
class Http2Load:
    connections: int = 4
    streams: int = 16
    """Requests under way on a connection."""
    exchange: Exchange = PLAIN

    cluster = CLUSTER

    def lacks(self) -> str:
        return "" if find_program("h2load") else "h2load (on Debian and Ubuntu: apt-get install nghttp2-client)"

    def rate_limit(self, tls: bool) -> float:
        return RATE_LIMIT

    # -- equal work ----------------------------------------------------------------------------------------------------

    def verify(self, target: Target) -> None:
        try:
            with Client(target.port) as client:
                self._measured(client)
                if target.proxied:
                    self._routed(client)
                    self._arrived(client, target.adds)
        except OSError as error:
            raise BenchError(f"port {target.port}: {type(error).__name__}: {error}") from error

    def _measured(self, client: Client) -> None:
        exchange = self.exchange
        answer = client.ask(HOST, exchange.path, exchange.method, exchange.headers, exchange.message)
        if answer.status != 200 or answer.body != exchange.answer:
            raise _differs(HOST, exchange.path, answer)
        if exchange.grpc:
            kind, status = answer.headers.get("content-type"), answer.trailers.get("grpc-status")
            if (kind, status) != ("application/grpc", "0"):
                raise BenchError(f"{exchange.path}: content-type {kind}, grpc-status {status} in the trailers")

    @staticmethod
    def _routed(client: Client) -> None:
        for host, path, cluster in ROUTES:
            answer = client.ask(host, path)
            if answer.status != 200 or answer.body != body_of(cluster):
                raise _differs(host, path, answer)
        answer = client.ask(UNKNOWN, "/")
        if answer.status != 404:
            raise _differs(UNKNOWN, "/", answer)

    @staticmethod
    def _arrived(client: Client, adds: tuple[str, ...]) -> None:
        """What a proxy adds to a request must reach the backend; a request id is new for each request."""
        seen = []
        for _ in range(2):
            answer = client.ask(*ECHO)
            fields = dict(line.split("=", 1) for line in answer.body.decode("latin-1").splitlines() if "=" in line)
            if answer.status != 200 or fields.get("host") != ECHO[0]:
                raise _differs(*ECHO, answer)
            for name in ("x-request-id", "x-forwarded-for"):
                if bool(fields.get(name)) != (name in adds):
                    raise BenchError(f"{'no' if name in adds else 'an'} {name} arrives at the backend")
            seen.append(fields["x-request-id"])
        if seen[0] == seen[1] and "x-request-id" in adds:
            raise BenchError("two requests have the same x-request-id")

    # -- load ----------------------------------------------------------------------------------------------------------

    def saturate(self, target: Target, seconds: int) -> Saturated:
        exchange = self.exchange
        with tempfile.TemporaryDirectory(prefix="tage-bench-") as directory:
            argv = [find_program("h2load") or "h2load", f"-c{self.connections}", f"-m{self.streams}", f"-D{seconds}"]
            argv += [f"--connect-to=127.0.0.1:{target.port}"]
            if exchange.message:
                message = Path(directory) / "message"
                message.write_bytes(exchange.message)
                argv += ["-d", str(message)]
            for name, value in exchange.headers:
                argv += ["-H", f"{name}: {value}"]
            output = run([*argv, f"http://{HOST}{exchange.path}"], seconds + 30, {})
        return saturated(output, exchange.answer_bytes, self.connections * self.streams)

    def paced(self, target: Target, rate: float, seconds: float) -> Paced:
        exchange = self.exchange
        plan = openloop_http2.Plan(
            port=target.port,
            host=HOST,
            path=exchange.path,
            headers=[list(each) for each in exchange.headers],
            message=exchange.message.decode("latin-1"),
            body=exchange.answer.decode("latin-1"),
            rate=rate,
            seconds=seconds,
            connections=self.connections,
            streams=self.streams,
        )
        argv = [sys.executable, "-m", "bench.load.openloop_http2", json.dumps(asdict(plan))]
        return Paced(rate=rate, **json.loads(run(argv, seconds + 30, {})))

    def handshakes(self, target: Target, seconds: float) -> Handshaken:
        raise BenchError("the HTTP/2 load knows no TLS")


def saturated(output: str, answer_bytes: int, under_way: int) -> Saturated:
    """What h2load printed. At its end it drops what is `under_way`, of which parts may be in its bytes. Raises
    `BenchError` when the text is not h2load's summary, or nothing was answered."""
    requests, statuses = _REQUESTS.search(output), _STATUSES.search(output)
    data, took = _DATA.search(output), _SECONDS.search(output)
    if requests is None or statuses is None or data is None or took is None:
        raise BenchError(f"h2load printed no summary:\n{output}")
    done, succeeded, *failed = (int(number) for number in requests.groups())
    if not succeeded:
        raise BenchError(f"h2load got no answer:\n{output}")
    received = int(data.group(1))
    failures = max(sum(failed), done - int(statuses.group(1)))
    if not 0 <= received - succeeded * answer_bytes <= under_way * answer_bytes:
        # Lengths differ in all, so an unknown number of answers was wrong: none of them counts.
        failures = max(failures, succeeded)
    # Large answers that were dropped half-way were carried half-way.
    return Saturated(received // answer_bytes, float(took.group(1)) * _UNITS[took.group(2)], failures)


def _differs(host: str, path: str, answer: Answer) -> BenchError:
    return BenchError(
        f"{host}{path}: got {answer.status} {answer.body[:120]!r}; the proxies would not do the same work"
    )
