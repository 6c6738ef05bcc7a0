"""The HTTP/1.1 load: keep-alive connections, one small GET after the other, routed by host and path.

Before anything is measured, `verify` checks that a proxy does the same work as the others: each virtual host and rule
leads to the right cluster, an unknown host is refused, the request id and x-forwarded-for arrive at the backend, both
sides are kept alive. With TLS, every proxy agrees to the same version and cipher suite. Where the proxy only carries
bytes (`opaque`), the same requests must arrive as they were sent.

wrk then checks the status of every answer, and the bytes it read are compared with the length of a verified answer; the
open-loop generator compares every body.
"""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bench.backend import BODY_BYTES, body_of
from bench.certificates import CIPHER, VERSION
from bench.load import Handshaken, Paced, Saturated, Target, handshakes, openloop, tls
from bench.processes import BenchError, find_program

SCRIPT = Path(__file__).with_name("wrk.lua")
HOST = "shop.bench.test"
PATH = "/api/items/42?lang=en"
CLUSTER = "items"
UNKNOWN = "unknown.bench.test"
REQUEST_TIMEOUT = 5
RATE_LIMIT = 12_000
TLS_RATE_LIMIT = 9_000
"""What the generator, in plain Python, can send; only reached where no slow proxy is in the run."""

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
    opaque: bool = False
    """The proxy carries bytes and knows nothing of HTTP."""
    mutual: bool = False
    """The backend demands a client certificate too, which must be the proxy's."""
    checks: tuple[tuple[str, str, dict[str, str], str], ...] = ()
    """(host, path, headers, the cluster that must answer), beside `ROUTES`."""
    user: str = ""
    """What every measured request has as x-user."""

    cluster = CLUSTER

    @property
    def request(self) -> str:
        """The measured one."""
        user = f"x-user: {self.user}\r\n" if self.user else ""
        return f"GET {PATH} HTTP/1.1\r\nHost: {HOST}\r\n{user}\r\n"

    def lacks(self) -> str:
        return "" if find_program("wrk") else "wrk (on Debian and Ubuntu: apt-get install wrk)"

    def rate_limit(self, tls: bool) -> float:
        return TLS_RATE_LIMIT if tls else RATE_LIMIT

    # -- equal work ----------------------------------------------------------------------------------------------------

    def verify(self, target: Target) -> None:
        try:
            if target.certificates is not None:
                self._agreed(target)
            with _client(target, HOST) as client:
                self._expect(client, HOST, PATH, 200, body_of(CLUSTER))
                if target.proxied:
                    self._arrived(client, target.marked)
            if target.proxied and not self.opaque:
                self._routed(target)
        except (OSError, http.client.HTTPException) as error:
            raise BenchError(f"port {target.port}: {type(error).__name__}: {error}") from error

    def _routed(self, target: Target) -> None:
        """A connection for each name, as TLS wants it."""
        for host in {host: None for host, _, _ in ROUTES}:
            with _client(target, host) as client:
                for path, cluster in [(path, cluster) for name, path, cluster in ROUTES if name == host]:
                    self._expect(client, host, path, 200, body_of(cluster))
        with _client(target, HOST) as client:
            for host, path, headers, cluster in self.checks:
                self._expect(client, host, path, 200, body_of(cluster), headers)
        with _client(target, UNKNOWN) as client:
            self._expect(client, UNKNOWN, "/", 404, None)

    @staticmethod
    def _agreed(target: Target) -> None:
        """Version and cipher suite, with what the generators offer."""
        assert target.certificates is not None
        argv = [sys.executable, "-m", "bench.load.tls", str(target.port), str(target.certificates.directory)]
        agreed = run(argv, REQUEST_TIMEOUT + 30, tls.environment(target.certificates)).strip()
        if agreed != f"{VERSION} {CIPHER}":
            raise BenchError(
                f"agrees to {agreed} instead of {VERSION} {CIPHER}; the proxies would not do the same work"
            )

    @staticmethod
    def _get(
        client: http.client.HTTPConnection, host: str, path: str, headers: Mapping[str, str] | None = None
    ) -> tuple[int, bytes]:
        client.request("GET", path, headers={"Host": host, **(headers or {})})
        answer = client.getresponse()
        return answer.status, answer.read()

    def _expect(
        self,
        client: http.client.HTTPConnection,
        host: str,
        path: str,
        status: int,
        body: bytes | None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        got, received = self._get(client, host, path, headers)
        if got != status or (body is not None and received != body):
            raise BenchError(
                f"{host}{path} {headers or ''}: expected {status} {body!r}, got {got} {received[:120]!r}; "
                "the proxies would not do the same work"
            )

    def _arrived(self, client: http.client.HTTPConnection, marked: bool) -> None:
        """What a proxy adds to a request must reach the backend, and be new for each request."""
        seen = []
        for _ in range(2):
            status, text = self._get(client, HOST, "/api/items/echo", {"x-user": self.user} if self.user else None)
            fields = dict(line.split("=", 1) for line in text.decode("latin-1").splitlines() if "=" in line)
            if status != 200 or fields.get("host") != HOST:
                raise BenchError(f"{HOST}/api/items/echo: got {status} {text[:120]!r}")
            self._added(fields)
            if fields.get("x-marked", "") != (self.user if marked else ""):
                raise BenchError(f"x-marked arrives as {fields.get('x-marked')!r}; the filter would not do its work")
            if fields.get("connection", "").lower() == "close":
                raise BenchError("the upstream connection is not kept alive")
            if self.mutual and (fields.get("tls"), fields.get("client")) != (f"{VERSION} {CIPHER}", "SUCCESS"):
                raise BenchError(f"to the backend: {fields.get('tls')}, client certificate: {fields.get('client')}")
            seen.append(fields.get("x-request-id"))
        if seen[0] == seen[1] and not self.opaque:
            raise BenchError("two requests have the same x-request-id")

    def _added(self, fields: dict[str, str]) -> None:
        for name in ("x-request-id", "x-forwarded-for"):  # for a loopback peer Envoy puts the host's own address
            if bool(fields.get(name)) == self.opaque:
                raise BenchError(f"{'an' if self.opaque else 'no'} {name} arrives at the backend")

    # -- load ----------------------------------------------------------------------------------------------------------

    def saturate(self, target: Target, seconds: int) -> Saturated:
        length = self._answer_length(target)
        wrk = find_program("wrk") or "wrk"
        scheme = "http" if target.certificates is None else "https"
        argv = [wrk, "-t1", f"-c{self.connections}", f"-d{seconds}s", "--timeout", f"{REQUEST_TIMEOUT}s"]
        argv += ["-H", f"x-user: {self.user}"] if self.user else []
        argv += ["-H", f"Host: {HOST}", "-s", str(SCRIPT), f"{scheme}://{HOST}:{target.port}{PATH}"]
        environment = tls.environment(target.certificates)
        if target.certificates is not None:
            environment["BENCH_CLIENT"] = str(target.certificates.client)
        output = run(argv, seconds + 30, environment)
        line = next((line for line in output.splitlines() if line.startswith("summary ")), None)
        if line is None:
            raise BenchError(f"wrk printed no summary:\n{output}")
        summary = json.loads(line.removeprefix("summary "))
        requests = summary["requests"]
        failures = sum(summary["errors"].values())
        if requests == 0:
            raise BenchError(f"wrk got no answer from port {target.port}:\n{output}")
        if abs(summary["bytes"] / requests - length) > LENGTH_SLACK:
            # Lengths differ on average, so an unknown number of answers was wrong: none of them counts.
            failures = max(failures, requests)
        return Saturated(requests, summary["duration_us"] / 1e6, failures)

    def paced(self, target: Target, rate: float, seconds: float) -> Paced:
        plan = openloop.Plan(
            target.port,
            self.request,
            body_of(CLUSTER).decode(),
            rate,
            seconds,
            self.connections,
            certificates="" if target.certificates is None else str(target.certificates.directory),
        )
        return Paced(rate=rate, **_generate("openloop", plan, target, seconds))

    def handshakes(self, target: Target, seconds: float) -> Handshaken:
        assert target.certificates is not None
        directory = str(target.certificates.directory)
        plan = handshakes.Plan(target.port, self.request, body_of(CLUSTER).decode(), seconds, directory)
        return Handshaken(**_generate("handshakes", plan, target, seconds))

    def _answer_length(self, target: Target) -> int:
        """Bytes of one whole answer to the measured request, head included."""
        with _client(target, HOST) as client:
            client.request("GET", PATH, headers={"Host": HOST})
            answer = client.getresponse()
            status_line = len(f"HTTP/1.1 {answer.status} {answer.reason}\r\n")
            fields = sum(len(f"{name}: {value}\r\n") for name, value in answer.getheaders())
            body = len(answer.read())
        if body != BODY_BYTES:
            raise BenchError(f"port {target.port} answers with {body} bytes instead of {BODY_BYTES}")
        return status_line + fields + len("\r\n") + body


@contextmanager
def _client(target: Target, name: str) -> Iterator[http.client.HTTPConnection]:
    """One connection, for the TLS server `name`; a request after its end raises `http.client.NotConnected`."""
    client = http.client.HTTPConnection("127.0.0.1", target.port)
    client.sock = tls.connect(target.port, target.certificates, name, seconds=REQUEST_TIMEOUT)
    client.auto_open = 0
    try:
        yield client
    finally:
        client.close()


def _generate(module: str, plan: openloop.Plan | handshakes.Plan, target: Target, seconds: float) -> dict[str, Any]:
    """Runs one of the project's own generators."""
    argv = [sys.executable, "-m", f"bench.load.{module}", json.dumps(asdict(plan))]
    found: dict[str, Any] = json.loads(run(argv, seconds + 30, tls.environment(target.certificates)))
    return found


def run(argv: list[str], seconds: float, environment: Mapping[str, str]) -> str:
    """Runs a generator (on the harness's own core, which children inherit) and returns what it printed."""
    try:
        done = subprocess.run(
            argv,
            capture_output=True,
            text=True,
            timeout=seconds,
            stdin=subprocess.DEVNULL,
            check=False,
            env={**os.environ, **environment},
        )
    except subprocess.TimeoutExpired as error:
        raise BenchError(f"{argv[0]} did not end within {seconds:g} s") from error
    if done.returncode:
        raise BenchError(f"{argv[0]} ended with status {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout
