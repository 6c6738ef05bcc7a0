"""The HTTP/2 load: what h2load prints is read with care, and the check of equal work lets no other work through."""

from __future__ import annotations

import pytest

from bench.backend import Speaks
from bench.exchanges import PLAIN, STREAM, UNARY, grpc_message
from bench.load import Target
from bench.load.http2 import Http2Load, saturated
from bench.nghttpd import start_items
from bench.processes import BenchError, find_program, wait_for
from bench.rows import ROWS
from tests.bench.http2_server import Behaviour, Server
from tests.bench.server import listens

SUMMARY = """\
finished in {took}, 56305.50 req/s, 9.07MB/s
requests: {done} total, {started} started, {done} done, {ok} succeeded, {failed} failed, {errored} errored, 0 timeout
status codes: {ok} 2xx, 0 3xx, {other} 4xx, 0 5xx
traffic: 18.15MB (19031455) total, 5.48MB (5743161) headers (space savings 49.00%), 10.74MB ({data}) data
"""


def summary(took="2.00s", done=1000, failed=0, errored=0, other=0, data=100_000) -> str:
    ok = done - failed - errored - other
    return SUMMARY.format(
        took=took, done=done, started=done + 64, ok=ok, failed=failed, errored=errored, other=other, data=data
    )


def test_what_h2load_counted():
    found = saturated(summary(), 100, 64)
    assert (found.requests, found.seconds, found.failures, found.rps) == (1000, 2.0, 0, 500)
    assert saturated(summary(took="950.00ms"), 100, 64).seconds == pytest.approx(0.95)


@pytest.mark.parametrize("what", [{"failed": 3}, {"errored": 3}, {"other": 3}])
def test_failures_count(what):
    assert saturated(summary(**what), 100, 64).failures == 3


@pytest.mark.parametrize("data", [99_900, 107_000])
def test_other_lengths_count_as_wrong_answers(data):
    assert saturated(summary(data=data), 100, 64).failures == 1000


def test_parts_of_what_was_under_way_at_the_end_are_no_wrong_answers():
    found = saturated(summary(done=10, data=1_250), 100, 4)
    assert (found.requests, found.failures) == (12, 0)


def test_no_summary_and_no_answer_are_told():
    with pytest.raises(BenchError, match="printed no summary"):
        saturated("cannot connect", 100, 64)
    with pytest.raises(BenchError, match="got no answer"):
        saturated(summary(done=64, failed=64, data=0), 100, 64)


def test_an_answer_is_its_pieces():
    assert STREAM.answer_bytes == len(STREAM.answer) == 640 * 16384
    assert grpc_message(b"abc") == b"\0\0\0\0\x03abc"
    assert (PLAIN.method, UNARY.method) == ("GET", "POST")


def test_rows_have_a_backend_that_fits():
    assert ROWS["h2-4x16"].speaks is Speaks.HTTP2
    assert ROWS["grpc-4x16"].speaks is ROWS["grpc-stream"].speaks is Speaks.GRPC
    assert not ROWS["grpc-stream"].is_paced("tage")
    assert ROWS["h2-4x16"].is_paced("nghttpx")


@pytest.fixture
def serve():
    servers: list[Server] = []

    def start(**behaviour: object) -> Target:
        servers.append(Server(Behaviour(**behaviour)))  # type: ignore[arg-type]
        return Target(servers[-1].port, proxied=False)

    yield start
    for server in servers:
        server.close()


def test_what_answers_rightly_passes(serve):
    Http2Load().verify(serve(body=PLAIN.answer))


@pytest.mark.parametrize(
    ("behaviour", "exchange", "told"),
    [
        ({"body": b"other"}, PLAIN, "got 200 b'other'"),
        ({"reset": True}, PLAIN, "RST_STREAM with <ErrorCodes.REFUSED_STREAM"),
        ({"go_away": True}, PLAIN, "GOAWAY with <ErrorCodes.ENHANCE_YOUR_CALM"),
        ({"body": UNARY.answer}, UNARY, "grpc-status None in the trailers"),
    ],
)
def test_other_work_is_told(serve, behaviour, exchange, told):
    with pytest.raises(BenchError, match=told):
        Http2Load(exchange=exchange).verify(serve(**behaviour))


def test_a_rule_that_leads_elsewhere_is_told(serve):
    target = serve(body=PLAIN.answer)
    with pytest.raises(BenchError, match=r"www.bench.test/health: got 200 b'items"):
        Http2Load().verify(Target(target.port, proxied=True))


def test_nobody_there_is_told():
    with pytest.raises(BenchError, match="ConnectionRefusedError"):
        Http2Load().verify(Target(1))


@pytest.mark.processes
@pytest.mark.skipif(
    not (find_program("nghttpd") and find_program("h2load")), reason="nghttpd and h2load are not installed"
)
@pytest.mark.parametrize("exchange", [PLAIN, UNARY, STREAM], ids=["plain", "unary", "stream"])
def test_the_backend_alone(exchange, tmp_path):
    items = start_items(tmp_path / "nghttpd", 0, grpc=exchange.grpc)
    with items.process:
        port = items.ports["items"]
        wait_for(lambda: listens(port), 10, "nghttpd", items.process)
        load, target = Http2Load(2, 2, exchange), Target(port, proxied=False)
        load.verify(target)
        found = load.saturate(target, 1)
        assert found.failures == 0
        assert found.requests > 10
        if exchange is not STREAM:
            assert load.paced(target, 200, 0.3).failures == 0
