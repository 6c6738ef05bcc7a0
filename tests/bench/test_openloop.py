"""The open-loop generator: every request is sent and checked, and a stall is seen by all who would have come."""

import socket
import threading
import time

import pytest

from bench.load.openloop import OpenLoop, Plan
from tests.bench.server import ThreadedServer

BODY = "x" * 100
REQUEST = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"


class Server(ThreadedServer):
    """Answers each request with `answer`; stops for `stall` seconds once it has answered `before_stall`."""

    def __init__(self, answer: bytes, before_stall: int = -1, stall: float = 0.0) -> None:
        self._answer = answer
        self._left = before_stall
        self._stall = stall
        self._lock = threading.Lock()
        super().__init__()

    def _serve(self, connection: socket.socket) -> None:
        with connection:
            while connection.recv(4096):
                with self._lock:  # held through the stall: all connections wait
                    self._left -= 1
                    if self._left == 0:
                        time.sleep(self._stall)
                connection.sendall(self._answer)


@pytest.fixture
def serve():
    servers: list[Server] = []

    def start(*args: object) -> Server:
        servers.append(Server(*args))  # type: ignore[arg-type]
        return servers[-1]

    yield start
    for server in servers:
        server.close()


def answer(status: str = "200 OK", body: str = BODY) -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()


def run(server: Server, rate: float = 300, seconds: float = 0.5, connections: int = 4):
    return OpenLoop(Plan(server.port, REQUEST, BODY, rate, seconds, connections)).run()


def test_sends_at_the_rate_and_checks_every_answer(serve):
    outcome = run(serve(answer()))
    assert outcome.failures == 0
    assert outcome.requests == pytest.approx(300, rel=0.25)  # warm-up included; Poisson
    assert 0 < outcome.p50_us <= outcome.p90_us <= outcome.p99_us <= outcome.max_us


def test_a_stall_counts_for_all_that_fell_due_in_it(serve):
    outcome = run(serve(answer(), 250, 0.3))
    assert outcome.failures == 0
    # Some 90 of about 150 requests fell due while nothing was answered; a closed loop would have seen four.
    assert outcome.max_us > 250_000
    assert outcome.p90_us > 100_000


@pytest.mark.parametrize("wrong", [answer("503 Service Unavailable"), answer(body="y" * 100), answer(body=BODY + "z")])
def test_a_wrong_answer_is_a_failure(serve, wrong):
    outcome = run(serve(wrong), rate=100, seconds=0.1)
    assert outcome.requests == 0
    assert outcome.failures > 0
