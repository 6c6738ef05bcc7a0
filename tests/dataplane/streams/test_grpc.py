"""Calls of gRPC: their deadlines, their statuses in retries, outlier detection, statistics and logs."""

from __future__ import annotations

import pytest

from tage.dataplane.filters.fault import FaultFilter, Faults
from tage.dataplane.filters.local_rate_limit import LocalRateLimitFilter, RateLimits
from tage.dataplane.filters.token_bucket import TokenBucket
from tage.dataplane.routing.route import Fraction
from tage.dataplane.telemetry import layout, reader
from tage.dataplane.upstream import cells
from tage.sidecar import plan
from tests.dataplane.streams.http2_world import GRPC, Http2World
from tests.dataplane.streams.test_access_log import log
from tests.dataplane.streams.test_outliers import seen, watch

ANSWER = ("content-type", "application/grpc")
ALL = Fraction(100)


@pytest.fixture
def world(tmp_path):
    world = Http2World(tmp_path)
    yield world
    world.close()


def call(client, *headers, body=b"\0\0\0\0\1x", end=True):
    return client.request(*GRPC, *headers, method="POST", path="/p.S/M", body=body, end=end)


def asked(world, client, *headers, **options):
    """A call that has come to a server: its number at the client, the server, its number there and the message."""
    number = call(client, *headers, **options)
    server = world.server2()
    at, message = server.asked()
    return number, server, at, message


def only(server, at, status, *headers):
    """An answer that is one head."""
    server.respond(at, ANSWER, ("grpc-status", str(status)), *headers, body=None)


def outcome(answer):
    """grpc-status and grpc-message of an answer that is one head."""
    assert (answer.status, answer.ended, answer.body) == (200, True, b"")
    assert answer.headers["content-type"] == "application/grpc"
    return int(answer.headers["grpc-status"]), answer.headers.get("grpc-message")


def counted(world, name="upstream_rq_grpc_"):
    counters = reader.read([world.store.path]).counters
    return {key[2].removeprefix(name): value for key, value in counters.items() if key[2].startswith(name)}


# -- deadlines ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("most", "timeout", "asks", "limit"),
    [
        (0, 15_000, "1S", 1_000),
        (0, 500, "1S", 1_000),
        (5_000, 15_000, "1S", 1_000),
        (1_000, 15_000, "1H", 1_000),
        (1_000, 2_000, None, 2_000),
        (1_000, 2_000, "soon", 2_000),
        (None, 2_000, "1S", 2_000),
    ],
)
def test_the_callers_deadline(world, most, timeout, asks, limit):
    world.rule(timeout=timeout, grpc_timeout_max=most)
    client = world.client2()
    headers = [("grpc-timeout", asks)] if asks else []
    number, server, _at, _ = asked(world, client, *headers)
    world.loop.run(limit - 20)
    assert not client.answer(number).ended
    world.pass_time(20)
    assert outcome(client.answer(number)) == (4, "upstream request timeout")
    assert server.asked()[1].reset is not None
    assert world.up("rq_timeout") == 1
    assert counted(world) == {"200_4_UT": 1}


def test_a_call_that_streams_has_its_deadline_from_the_head_on(world):
    world.rule(timeout=15_000, grpc_timeout_max=0)
    client = world.client2()
    number, server, at, _ = asked(world, client, ("grpc-timeout", "2S"), end=False)
    world.pass_time(1_500)
    client.data(number, b"\0\0\0\0\1y")
    server.respond(at, ANSWER, body=b"\0\0\0\0\1z", end=False)
    client.data(number, b"", end=True)
    world.pass_time(300)
    answer = client.answer(number)
    assert (answer.status, answer.ended, answer.reset) == (200, False, None)
    world.pass_time(300)
    assert client.answer(number).trailers["grpc-status"] == "4"
    assert counted(world) == {"200_4_UT": 1}


def test_a_server_is_told_where_it_has_less_time(world):
    world.rule(grpc_timeout_max=1_500)
    client = world.client2()
    number, server, at, message = asked(world, client, ("grpc-timeout", "2S"))
    assert message.headers["grpc-timeout"] == "1500m"
    only(server, at, 0)
    assert outcome(client.answer(number)) == (0, None)
    number = call(client, ("grpc-timeout", "1S"))
    at, message = server.asked()
    assert message.headers["grpc-timeout"] == "1S"
    only(server, at, 0)


def test_a_deadline_is_that_of_all_tries(world):
    world.rule(grpc_timeout_max=0, retry=plan.RetryPolicy(["unavailable"], 10, backoff_base=1, backoff_max=1))
    client = world.client2()
    number, server, at, _ = asked(world, client, ("grpc-timeout", "1S"))
    for _ in range(3):
        world.pass_time(300)
        only(server, at, 14)
        world.pass_time(20)
        at, _ = server.asked()
    world.pass_time(200)
    assert outcome(client.answer(number)) == (4, "upstream request timeout")


def test_other_requests_have_no_grpc_timeout(world):
    world.rule(timeout=2_000, grpc_timeout_max=0)
    client = world.client2()
    number = client.request(("grpc-timeout", "1S"))
    world.server2()
    world.pass_time(1_500)
    assert not client.answer(number).ended
    world.pass_time(500)
    assert client.answer(number).status == 504


# -- retries -----------------------------------------------------------------------------------------------------------


def test_a_status_in_the_head_is_tried_again(world):
    world.rule(retry=plan.RetryPolicy(["unavailable", "cancelled"], 2, backoff_base=1, backoff_max=1))
    client = world.client2()
    number, server, at, _ = asked(world, client)
    only(server, at, 14)
    world.pass_time(20)
    again, message = server.asked()
    assert again != at
    assert message.body == b"\0\0\0\0\1x"
    only(server, again, 1)
    world.pass_time(20)
    last, _ = server.asked()
    server.respond(last, ANSWER, body=b"\0\0\0\0\1y", trailers={"grpc-status": "0"})
    answer = client.answer(number)
    assert (answer.body, answer.trailers) == (b"\0\0\0\0\1y", {"grpc-status": "0"})
    assert (world.up("rq_retry"), world.up("rq_retry_success"), world.up("rq_total")) == (2, 1, 3)
    assert counted(world) == {"200_0_-": 1}


def test_retries_end_with_the_last_answer(world):
    world.rule(retry=plan.RetryPolicy(["unavailable"], 1, backoff_base=1, backoff_max=1))
    client = world.client2()
    number, server, at, _ = asked(world, client)
    for _ in range(2):
        at, _ = server.asked()
        only(server, at, 14, ("grpc-message", "down"))
        world.pass_time(20)
    assert outcome(client.answer(number)) == (14, "down")
    assert (world.up("rq_retry"), world.up("rq_retry_success")) == (1, 0)
    assert counted(world) == {"200_14_-": 1}


def test_other_statuses_and_those_of_trailers_are_not_tried_again(world):
    world.rule(retry=plan.RetryPolicy(["unavailable"], 2))
    client = world.client2()
    number, server, at, _ = asked(world, client)
    only(server, at, 13)
    assert outcome(client.answer(number)) == (13, None)
    number = call(client)
    at, _ = server.asked()
    server.respond(at, ANSWER, body=b"", trailers={"grpc-status": "14"})
    assert client.answer(number).trailers == {"grpc-status": "14"}
    number = client.request()
    at, _ = server.asked()
    server.respond(at, ("grpc-status", "14"))
    assert client.answer(number).ended
    assert world.up("rq_retry") == 0
    assert counted(world) == {"200_13_-": 1, "200_14_-": 1}


# -- outlier detection -------------------------------------------------------------------------------------------------


def test_outlier_detection_sees_the_status_in_the_head(world):
    """As Envoy: what HTTP status it stands for; trailers come too late."""
    (host,) = watch(world)
    client = world.client2()
    _number, server, at, _ = asked(world, client)
    only(server, at, 14)
    assert seen(host) == (1, 0, 1)
    for status, expected in [(13, (2, 0, 0)), (5, (3, 1, 0)), (0, (4, 2, 0))]:
        call(client)
        at, _ = server.asked()
        only(server, at, status)
        assert seen(host) == expected
    call(client)
    at, _ = server.asked()
    server.respond(at, ANSWER, body=b"", trailers={"grpc-status": "14"})
    assert seen(host) == (5, 3, 0)


# -- statistics and logs -----------------------------------------------------------------------------------------------


def test_calls_are_counted_by_their_statuses(world):
    client = world.client2()
    _number, server, at, _ = asked(world, client)
    server.respond(at, ANSWER, body=b"", trailers={"grpc-message": "x", "grpc-status": "5"})
    for headers, trailers in [
        ([("grpc-status", "0")], None),
        ([], None),
        ([], {"grpc-status": "4711"}),
        ([("grpc-status", "3")], {"grpc-status": "0"}),
    ]:
        call(client)
        at, _ = server.asked()
        server.respond(at, ANSWER, *headers, body=b"", trailers=trailers)
    call(client)
    at, _ = server.asked()
    server.respond(at, status=503)
    client.request()
    at, _ = server.asked()
    server.respond(at)
    client.look()
    assert counted(world) == {"200_5_-": 1, "200_0_-": 2, "200_2_-": 2, "503_14_-": 1}
    assert counted(world, "upstream_rq_code_") == {"200_-": 1}
    histograms = reader.read([world.store.path]).histograms
    assert histograms["cluster", "c", "upstream_rq_time"].count == 7
    assert histograms["cluster", "c", "upstream_grpc_time"].count == 6


def test_what_is_answered_here_is_counted_too(world):
    world.cluster.max_requests = 0
    client = world.client2()
    number = call(client)
    assert outcome(client.answer(number)) == (14, "upstream overflow: a circuit breaker's limit is reached")
    assert counted(world) == {"200_14_UO": 1}
    assert (world.down("rq_2xx"), world.up("rq_5xx")) == (1, 1)


def test_a_caller_that_leaves_has_cancelled(world):
    client = world.client2()
    number, _server, _at, _ = asked(world, client)
    client.reset(number)
    assert counted(world) == {"0_1_DC": 1}


def test_an_answer_that_is_cut_short(world):
    client = world.client2()
    number, server, at, _ = asked(world, client)
    server.respond(at, ANSWER, body=b"\0\0\0\0\1y", end=False)
    server.reset(at, 2)
    answer = client.answer(number)
    assert answer.body == b"\0\0\0\0\1y"
    assert answer.trailers == {"grpc-status": "14", "grpc-message": "upstream reset the request"}
    assert counted(world) == {"200_14_UR": 1}


def test_what_a_log_says(world):
    lines = log(world, "%PROTOCOL% %RESPONSE_CODE% %GRPC_STATUS% %GRPC_STATUS_NUMBER% %TRAILER(grpc-message)%")
    client = world.client2()
    _number, server, at, _ = asked(world, client)
    server.respond(at, ANSWER, body=b"", trailers={"grpc-status": "5", "grpc-message": "no such book"})
    call(client)
    at, _ = server.asked()
    only(server, at, 4711, ("grpc-message", "x"))
    client.request()
    at, _ = server.asked()
    server.respond(at)
    world.cluster.max_requests = 0
    call(client)
    assert lines == [
        "HTTP/2 200 NotFound 5 no such book",
        "HTTP/2 200 4711 4711 -",
        "HTTP/2 200 - - -",
        "HTTP/2 200 Unavailable 14 -",
    ]


# -- filters -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "headers", "expected"),
    [
        ({"grpc_status": 9}, [], 9),
        ({"grpc_status": 0}, [], 0),
        ({"abort_status": 503}, [], 14),
        ({"abort_status": 418}, [], 2),
        ({}, [("x-envoy-fault-abort-grpc-request", "5")], 5),
        ({}, [("x-envoy-fault-abort-request", "404"), ("x-envoy-fault-abort-grpc-request", "5")], 12),
    ],
)
def test_faults(world, fault, headers, expected):
    stats = world.store.group(layout.FAULT, "s")
    world.listener.filters = [FaultFilter("f", Faults(abort=ALL, **fault), stats)]
    client = world.client2()
    assert outcome(client.answer(call(client, *headers))) == (expected, "fault filter abort")
    assert stats.value("fault.aborts_injected") == 1
    assert not world.opening


@pytest.mark.parametrize(("exhausted", "expected"), [(True, 8), (False, 14)])
def test_rate_limits(world, exhausted, expected):
    stats = world.store.group(layout.LOCAL_RATE_LIMIT, "s")
    bucket = TokenBucket(cells.alone(16), 0, 1, 1, 60_000)
    limits = RateLimits(stats, bucket, enabled=ALL, enforced=ALL, resource_exhausted=exhausted)
    world.listener.filters = [LocalRateLimitFilter("l", limits)]
    client = world.client2()
    number, server, at, _ = asked(world, client)
    only(server, at, 0)
    assert outcome(client.answer(number)) == (0, None)
    assert outcome(client.answer(call(client))) == (expected, "local_rate_limited")
