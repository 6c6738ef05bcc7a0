"""The RPC generator sees every answer that is not the right one; what it calls right has come from the backend."""

from __future__ import annotations

import itertools
import socket
import time
from collections.abc import Callable, Iterator

import pytest

from bench.rpc.asking import REASONS
from bench.rpc.generate import Plan
from bench.rpc.wires import CLUSTERS, SERVICES, TOKEN, WIRES, Wire
from tests.bench.server import ThreadedServer

pytestmark = pytest.mark.processes

UNKNOWN_ID, OTHER, OTHER_SERVICE, LATE, CLOSED, *_, NO_FRAME = REASONS
Answers = Callable[[list[bytes]], list[bytes]]


class Server(ThreadedServer):
    """Answers in plain Python what it finds in one read; `change` makes of those answers what is sent."""

    def __init__(self, wire: Wire, change: Answers, pause: float = 0.0) -> None:
        self._wire = wire
        self._change = change
        self._pause = pause
        super().__init__()

    def _serve(self, connection: socket.socket) -> None:
        try:
            self._answer_all(connection)
        except OSError:
            return  # the generator has ended the connection, as it does after what is no frame

    def _answer_all(self, connection: socket.socket) -> None:
        received = b""
        with connection:
            while data := connection.recv(65536):
                received += data
                answers = []
                while len(received) >= self._wire.request.header:
                    size = self._wire.request.size(received)
                    if len(received) < size:
                        break
                    answers.append(self._answer(received[:size]))
                    received = received[size:]
                time.sleep(self._pause)
                for piece in self._change(answers):
                    if not piece:
                        return
                    connection.sendall(piece)

    def _answer(self, asked: bytes) -> bytes:
        wire = self._wire
        service = next(number for number, name in enumerate(SERVICES) if name.encode() in asked)
        at = len(asked) - len(wire.requests[0]) + wire.requests[0].index(TOKEN)
        answer = wire.answers[2 * service].replace(TOKEN, asked[at : at + len(TOKEN)])
        return answer[: wire.id_at] + wire.id_of(asked) + answer[wire.id_at + wire.id_bytes :]


@pytest.fixture
def serve() -> Iterator[Callable[..., Server]]:
    servers: list[Server] = []

    def start(*args: object) -> Server:
        servers.append(Server(*args))  # type: ignore[arg-type]
        return servers[-1]

    yield start
    for server in servers:
        server.close()


@pytest.fixture(params=WIRES.values(), ids=WIRES)
def wire(request):
    return request.param


def once(change: Answers, least: int = 1) -> Answers:
    """`change` for one batch alone, the first after nine that has so many answers."""
    count = itertools.count(1)
    done = False

    def changed(answers: list[bytes]) -> list[bytes]:
        nonlocal done
        if done or next(count) < 10 or len(answers) < least:
            return answers
        done = True
        return change(answers)

    return changed


def plan(port: int, wire: Wire, **more: object) -> Plan:
    return Plan(port, wire.name, **{"connections": 2, "depth": 4, "seconds": 0.3, **more})  # type: ignore[arg-type]


def test_right_answers_are_counted_by_cluster(generate, serve, wire):
    outcome = generate(plan(serve(wire, lambda answers: answers).port, wire))
    assert (outcome.failures, outcome.reason) == (0, "")
    assert sum(outcome.by_cluster.values()) == outcome.requests > 20
    assert outcome.by_cluster["orders-1"] == pytest.approx(outcome.requests / 2, abs=8)
    assert outcome.by_cluster["orders-2"] == 0


def test_answers_may_come_in_any_order_and_in_pieces(generate, serve, wire):
    def scattered(answers):
        whole = b"".join(reversed(answers))
        return [whole[i : i + 50] for i in range(0, len(whole), 50)]

    outcome = generate(plan(serve(wire, scattered).port, wire))
    assert (outcome.failures, outcome.reason) == (0, "")
    assert outcome.requests > 20


def other_id(wire: Wire, answers: list[bytes]) -> list[bytes]:
    """One more than the sequence is at: nobody has asked for it."""
    end = wire.id_at + wire.id_bytes
    first = answers[0]
    return [first[: end - 4] + b"\x0f" + first[end - 3 :], *answers]


def swapped(wire: Wire, answers: list[bytes]) -> list[bytes]:
    """Two callers get each other's answers."""
    (one, two), end = answers[:2], wire.id_at + wire.id_bytes
    first = one[: wire.id_at] + wire.id_of(two) + one[end:]
    second = two[: wire.id_at] + wire.id_of(one) + two[end:]
    return [first, second, *answers[2:]]


def damaged(wire: Wire, answers: list[bytes]) -> list[bytes]:
    return [answers[0].replace(b"s-1....", b"s-1...."[:-1] + b"!"), *answers[1:]]


def status_changed(wire: Wire, answers: list[bytes]) -> list[bytes]:
    at = wire.status_at + wire.status_bytes - 1
    return [answers[0][:at] + b"\x07" + answers[0][at + 1 :], *answers[1:]]


def from_another_service(wire: Wire, answers: list[bytes]) -> list[bytes]:
    first = answers[0]
    for here, there in (("A" + CLUSTERS[0], "D" + CLUSTERS[3]), ("C" + CLUSTERS[2], "B" + CLUSTERS[1])):
        if here.encode() in first:
            size = len(max(here, there, key=len))
            padded = [text.ljust(size, ".").encode() for text in (here, there)]
            return [first.replace(*padded), *answers[1:]]
    raise AssertionError(first)


@pytest.mark.parametrize(
    ("change", "reason", "failures"),
    [
        (other_id, UNKNOWN_ID, 1),
        (lambda wire, answers: [answers[0], *answers], UNKNOWN_ID, 1),
        (swapped, OTHER, 2),
        (damaged, OTHER, 1),
        (status_changed, OTHER, 1),
        (from_another_service, OTHER_SERVICE, 1),
    ],
)
def test_one_wrong_answer_is_seen(generate, serve, wire, change, reason, failures):
    server = serve(wire, once(lambda answers: change(wire, answers), 2), 0.001)
    outcome = generate(plan(server.port, wire, connections=1, depth=8))
    assert outcome.failures == failures
    assert outcome.reason.startswith(f"{failures} times {reason}")
    assert outcome.requests > 20


def test_a_lost_answer_is_a_failure(generate, serve):
    wire = WIRES["bolt"]  # the wait for what is late is the same for all
    server = serve(wire, once(lambda answers: answers[1:]))
    outcome = generate(plan(server.port, wire, connections=1))
    assert outcome.failures == 1
    assert outcome.reason == f"1 times {LATE}"


@pytest.mark.parametrize("rate", [0, 300])
def test_an_ended_connection_costs_what_was_under_way_and_is_replaced(generate, serve, wire, rate):
    server = serve(wire, once(lambda answers: [b""]))
    outcome = generate(plan(server.port, wire, connections=1, rate=rate))
    assert 1 <= outcome.failures <= 4
    assert CLOSED in outcome.reason or "connection lost" in outcome.reason
    assert outcome.requests > 20


def test_bytes_that_are_no_frame_end_the_connection(generate, serve, wire):
    server = serve(wire, once(lambda answers: [b"\xff" * 64]))
    outcome = generate(plan(server.port, wire, connections=1))
    assert 1 <= outcome.failures <= 5
    assert NO_FRAME in outcome.reason
    assert "ff ff ff" in outcome.reason


def test_the_open_loop_sends_at_the_rate(generate, backend, wire):
    outcome = generate(plan(backend["orders-1"], wire, rate=1000.0, seconds=1.0, routed=False))
    assert (outcome.failures, outcome.reason) == (0, "")
    assert outcome.requests == pytest.approx(1500, rel=0.15)  # warm-up included; Poisson
    assert 0 < outcome.p50_us <= outcome.p90_us <= outcome.p99_us <= outcome.p999_us <= outcome.max_us


def test_a_stall_counts_for_all_that_fell_due_in_it(generate, serve):
    wire = WIRES["bolt"]

    def stall(answers):
        time.sleep(0.4)
        return answers

    count = itertools.count()
    server = serve(wire, lambda answers: stall(answers) if next(count) == 250 else answers)
    outcome = generate(plan(server.port, wire, connections=1, depth=4, rate=400.0, seconds=1.0))
    assert outcome.failures == 0
    # Some 160 of about 400 requests fell due while nothing was answered, on one connection with four places.
    assert outcome.max_us > 350_000
    assert outcome.p90_us > 100_000


def test_the_backend_as_a_cluster_of_the_wrong_service(generate, backend, wire):
    outcome = generate(plan(backend["stocks-1"], wire))
    assert outcome.by_cluster["stocks-1"] == outcome.requests
    assert outcome.failures == pytest.approx(outcome.requests, rel=0.2, abs=10)
    assert OTHER_SERVICE in outcome.reason
