"""The open-loop generator of HTTP/2: every request is sent and checked; a stall is seen by all who would have come."""

import pytest

from bench.load.openloop_http2 import OpenLoop, Plan
from tests.bench.http2_server import Behaviour, Server

BODY = "x" * 100


@pytest.fixture
def serve():
    servers: list[Server] = []

    def start(**behaviour: object) -> Server:
        servers.append(Server(Behaviour(**behaviour)))  # type: ignore[arg-type]
        return servers[-1]

    yield start
    for server in servers:
        server.close()


def run(server: Server, rate: float = 300, seconds: float = 0.5, message: str = "", streams: int = 4):
    headers = [["content-type", "application/grpc"]] if message else []
    return OpenLoop(
        Plan(server.port, "shop.test", "/a", headers, message, BODY, rate, seconds, connections=2, streams=streams)
    ).run()


def test_sends_at_the_rate_and_checks_every_answer(serve):
    server = serve()
    outcome = run(server)
    assert (outcome.failures, outcome.reason) == (0, "")
    assert outcome.requests == pytest.approx(300, rel=0.25)  # warm-up included; Poisson
    assert 0 < outcome.p50_us <= outcome.p90_us <= outcome.p99_us <= outcome.max_us
    # The first request's fields and the later ones', which refer to the table, are the same.
    assert len(server.seen) == outcome.requests
    assert all(each[b":authority"] == b"shop.test" and each[b":method"] == b"GET" for each in server.seen)


def test_a_call_with_a_message_and_trailers(serve):
    server = serve(trailers=True)
    outcome = run(server, message="m" * 105)
    assert outcome.failures == 0
    assert outcome.requests > 100
    assert all(each[b":method"] == b"POST" and each[b"content-type"] == b"application/grpc" for each in server.seen)


def test_more_messages_than_the_connections_window_holds(serve):
    outcome = run(serve(), message="m" * 3_000)
    assert outcome.failures == 0
    assert outcome.requests > 100


def test_a_stall_counts_for_all_that_fell_due_in_it(serve):
    outcome = run(serve(before_stall=250, stall=0.3))
    assert outcome.failures == 0
    # Some 90 of about 150 requests fell due while nothing was answered; a closed loop would have seen eight.
    assert outcome.max_us > 250_000
    assert outcome.p90_us > 100_000


@pytest.mark.parametrize(
    ("behaviour", "reason"),
    [
        ({"body": b"y" * 100}, "another answer: b'yyy"),
        ({"body": b"x" * 101}, "another answer"),
        ({"reset": True}, "RST_STREAM with 7"),
        ({"go_away": True}, "GOAWAY with 11"),
    ],
)
def test_another_answer_is_a_failure(serve, behaviour, reason):
    outcome = run(serve(**behaviour), rate=100, seconds=0.1)
    assert outcome.requests == 0
    assert outcome.failures > 0
    assert outcome.reason.startswith(reason)
