"""The soak's load: every answer is compared whole, every failure counted once and explained."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from bench.load.pacing import Pacing
from bench.soak.load import SLOT, Outcome, Plan, SoakLoad
from tests.bench.server import ThreadedServer

Answer = Callable[[int, bytes, bytes, bytes], bytes]
"""(number of the request, method, target, body) -> all bytes of the answer; none: close."""


def ok(content: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(content), content)


def echo(number: int, method: bytes, target: bytes, body: bytes) -> bytes:
    version = b"v1" if number % 4 else b"v2"
    return ok(b"%b %b %b\n%b" % (version, method, target.removeprefix(b"http://echo"), body))


class Server(ThreadedServer):
    """Stands for the client entry."""

    def __init__(self, answer: Answer) -> None:
        self.requests: list[tuple[bytes, bytes, bytes]] = []
        self._answer = answer
        self._lock = threading.Lock()
        super().__init__()

    def _serve(self, connection: socket.socket) -> None:
        with connection, connection.makefile("rb") as stream:
            while line := stream.readline():
                method, target, _ = line.split(b" ")
                length = 0
                while (field := stream.readline()) != b"\r\n":
                    name, _, value = field.partition(b":")
                    length = int(value) if name.lower() == b"content-length" else length
                body = stream.read(length)
                with self._lock:
                    self.requests.append((method, target, body))
                    answer = self._answer(len(self.requests), method, target, body)
                if not answer:
                    return
                connection.sendall(answer)


@pytest.fixture
def serve() -> Iterator[Callable[[Answer], Server]]:
    servers: list[Server] = []

    def start(answer: Answer) -> Server:
        servers.append(Server(answer))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


def run(server: Server, rate: float = 400.0, seconds: float = 0.4) -> Outcome:
    plan = Plan("127.0.0.1", server.port, rate, time.monotonic() + 0.05, seconds, connections=4)
    return SoakLoad(plan).run()


@pytest.mark.parametrize("rate", [400.0, 0.0])
def test_all_requests_differ_and_all_answers_count(serve, rate):
    server = serve(echo)
    outcome = run(server, rate)
    assert outcome.failures == 0
    assert outcome.reasons == []
    assert outcome.requests == len(server.requests) == len(outcome.latencies_us) > 40
    assert len({target for _, target, _ in server.requests}) == outcome.requests
    assert {len(body) for method, _, body in server.requests if method == b"POST"} == {100, 4096}
    assert {len(body) for method, _, body in server.requests if method == b"GET"} == {0}
    v1, v2 = (sum(counts[version] for counts in outcome.slots.values()) for version in (0, 1))
    assert v1 + v2 == outcome.requests
    assert v2 == outcome.requests // 4
    assert 0 <= min(outcome.slots) <= max(outcome.slots) <= 1.5 / SLOT


def wrong(kind: str) -> Answer:
    """Every tenth answer is wrong in this way."""

    def answer(number: int, method: bytes, target: bytes, body: bytes) -> bytes:
        right = echo(number, method, target, body)
        if number % 10:
            return right
        return {
            "status": b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 9\r\n\r\nno host\r\n",
            "close": b"",
            "more": right + b"!",
            "other": echo(number, method, target[:-1] + b"x", body),
            "byte": right[:-1] + b"?",
            "version": right.replace(b"v1 ", b"v3 ").replace(b"v2 ", b"v3 "),
        }[kind]

    return answer


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("status", "HTTP/1.1 503 Service Unavailable no host"),
        ("close", "connection closed"),
        ("more", "another answer"),
        ("other", "another answer"),
        ("byte", "another answer"),
        ("version", "another answer: b'v3 "),
    ],
)
def test_a_failed_request_is_counted_once_and_explained(serve, kind, reason):
    server = serve(wrong(kind))
    outcome = run(server)
    assert outcome.failures == len(server.requests) // 10 > 5
    assert outcome.requests == len(server.requests) - outcome.failures
    assert all(why.startswith(reason) and at > 0 for at, why in outcome.reasons)


def test_an_answer_that_does_not_come_fails_after_the_timeout(serve, monkeypatch):
    monkeypatch.setattr(Pacing, "timeout", 0.2)
    monkeypatch.setattr(Pacing, "check_every", 0.02)
    server = serve(lambda number, *request: echo(number, *request)[: -1 if number == 9 else None])
    outcome = run(server)
    assert outcome.requests == len(server.requests) - 1
    ((at, why),) = outcome.reasons
    assert why == "no answer within 0.2 s"
    assert 0.2 < at < 1.0
