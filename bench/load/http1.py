"""The HTTP/1.1 load: keep-alive connections, one small GET after the other, routed by host and path.

Before anything is measured, `verify` checks that a proxy does the same work as the others: each virtual host and rule
leads to the right cluster, an unknown host is refused, the request id and x-forwarded-for arrive at the backend, both
sides are kept alive. wrk then checks the status of every answer, and the bytes it read are compared with the length of
a verified answer; the open-loop generator compares every body.
"""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

from bench.backend import BODY_BYTES, body_of
from bench.load import Paced, Saturated
from bench.load.openloop import Plan
from bench.processes import BenchError, find_program

SCRIPT = Path(__file__).with_name("wrk.lua")
HOST = "shop.bench.test"
PATH = "/api/items/42?lang=en"
CLUSTER = "items"
REQUEST_TIMEOUT = 5

ROUTES = (
    ("www.bench.test", "/health", "web"),
    ("www.bench.test", "/any", "web"),
    ("shop.bench.test", "/api/cart", "web"),
    ("shop.bench.test", "/api/items/1", "items"),
    ("shop.bench.test", "/", "web"),
    ("reviews.bench.test", "/v2/reviews", "reviews"),
    ("reviews.bench.test", "/v1/reviews", "web"),
)
"""(host, path, the cluster that must answer): every rule of the peers' configurations."""

LENGTH_SLACK = 16
"""Bytes by which an answer's head may differ from the verified one (x-envoy-upstream-service-time has 1-4 digits)."""


@dataclass(frozen=True)
class Http1Load:
    """`connections` keep-alive connections, one request under way on each."""

    connections: int = 32

    def lacks(self) -> str:
        return "" if find_program("wrk") else "wrk (on Debian and Ubuntu: apt-get install wrk)"

    # -- equal work ----------------------------------------------------------------------------------------------------

    def verify(self, port: int, proxied: bool = True) -> None:
        client = http.client.HTTPConnection("127.0.0.1", port, timeout=REQUEST_TIMEOUT)
        try:
            if not proxied:
                self._expect(client, HOST, PATH, 200, body_of(CLUSTER))
                return
            for host, path, cluster in ROUTES:
                self._expect(client, host, path, 200, body_of(cluster))
            self._expect(client, HOST, PATH, 200, body_of(CLUSTER))
            self._arrived(client)
            kept = client.sock
            if kept is None:
                raise BenchError("the downstream connection was not kept alive")
            self._expect(client, "unknown.bench.test", "/", 404, None)
        except (OSError, http.client.HTTPException) as error:
            raise BenchError(f"port {port}: {type(error).__name__}: {error}") from error
        finally:
            client.close()

    @staticmethod
    def _get(client: http.client.HTTPConnection, host: str, path: str) -> tuple[int, bytes]:
        client.request("GET", path, headers={"Host": host})
        answer = client.getresponse()
        return answer.status, answer.read()

    def _expect(
        self, client: http.client.HTTPConnection, host: str, path: str, status: int, body: bytes | None
    ) -> None:
        got, received = self._get(client, host, path)
        if got != status or (body is not None and received != body):
            raise BenchError(
                f"{host}{path}: expected {status} {body!r}, got {got} {received[:120]!r}; "
                "the proxies would not do the same work"
            )

    def _arrived(self, client: http.client.HTTPConnection) -> None:
        """What the proxy adds to a request must reach the backend, and be new for each request."""
        seen = []
        for _ in range(2):
            status, text = self._get(client, HOST, "/api/items/echo")
            fields = dict(line.split("=", 1) for line in text.decode("latin-1").splitlines() if "=" in line)
            if status != 200 or fields.get("host") != HOST:
                raise BenchError(f"{HOST}/api/items/echo: got {status} {text[:120]!r}")
            if not fields.get("x-request-id"):
                raise BenchError("no x-request-id arrives at the backend")
            if not fields.get("x-forwarded-for"):  # for a loopback peer Envoy puts the host's own address
                raise BenchError("no x-forwarded-for arrives at the backend")
            if fields.get("connection", "").lower() == "close":
                raise BenchError("the upstream connection is not kept alive")
            seen.append(fields["x-request-id"])
        if seen[0] == seen[1]:
            raise BenchError("two requests have the same x-request-id")

    # -- load ----------------------------------------------------------------------------------------------------------

    def saturate(self, port: int, seconds: int) -> Saturated:
        length = self._answer_length(port)
        wrk = find_program("wrk") or "wrk"
        argv = [wrk, "-t1", f"-c{self.connections}", f"-d{seconds}s", "--timeout", f"{REQUEST_TIMEOUT}s"]
        argv += ["-H", f"Host: {HOST}", "-s", str(SCRIPT), f"http://127.0.0.1:{port}{PATH}"]
        output = _run(argv, seconds + 30)
        line = next((line for line in output.splitlines() if line.startswith("summary ")), None)
        if line is None:
            raise BenchError(f"wrk printed no summary:\n{output}")
        summary = json.loads(line.removeprefix("summary "))
        requests = summary["requests"]
        failures = sum(summary["errors"].values())
        if requests == 0:
            raise BenchError(f"wrk got no answer from port {port}:\n{output}")
        if abs(summary["bytes"] / requests - length) > LENGTH_SLACK:
            # Lengths differ on average, so an unknown number of answers was wrong: none of them counts.
            failures = max(failures, requests)
        return Saturated(requests, summary["duration_us"] / 1e6, failures)

    def paced(self, port: int, rate: float, seconds: float) -> Paced:
        request = f"GET {PATH} HTTP/1.1\r\nHost: {HOST}\r\n\r\n"
        plan = Plan(port, request, body_of(CLUSTER).decode(), rate, seconds, self.connections)
        argv = [sys.executable, "-m", "bench.load.openloop", json.dumps(asdict(plan))]
        return Paced(rate=rate, **json.loads(_run(argv, seconds + 30)))

    def _answer_length(self, port: int) -> int:
        """Bytes of one whole answer to the measured request, head included."""
        client = http.client.HTTPConnection("127.0.0.1", port, timeout=REQUEST_TIMEOUT)
        try:
            client.request("GET", PATH, headers={"Host": HOST})
            answer = client.getresponse()
            status_line = len(f"HTTP/1.1 {answer.status} {answer.reason}\r\n")
            fields = sum(len(f"{name}: {value}\r\n") for name, value in answer.getheaders())
            body = len(answer.read())
        finally:
            client.close()
        if body != BODY_BYTES:
            raise BenchError(f"port {port} answers with {body} bytes instead of {BODY_BYTES}")
        return status_line + fields + len("\r\n") + body


def _run(argv: list[str], seconds: float) -> str:
    """Runs a generator (on the harness's own core, which children inherit) and returns what it printed."""
    try:
        done = subprocess.run(
            argv, capture_output=True, text=True, timeout=seconds, stdin=subprocess.DEVNULL, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise BenchError(f"{argv[0]} did not end within {seconds:g} s") from error
    if done.returncode:
        raise BenchError(f"{argv[0]} ended with status {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout
