"""What the access log says of requests, whatever became of them."""

from __future__ import annotations

from typing import Any

import pytest

from tage.dataplane.telemetry.access_log.format import TextFormat
from tage.dataplane.telemetry.access_log.log import AccessLog
from tage.sidecar import plan
from tests.dataplane.streams.world import GET, OK, POST, UNAVAILABLE, World

OUTCOME = "%RESPONSE_CODE% %RESPONSE_FLAGS% %RESPONSE_CODE_DETAILS% %BYTES_RECEIVED% %BYTES_SENT%"
WHERE = "%ROUTE_NAME% %UPSTREAM_CLUSTER% %UPSTREAM_HOST% %UPSTREAM_REQUEST_ATTEMPT_COUNT%"
TIMES = "%DURATION% %REQUEST_DURATION% %RESPONSE_DURATION% %RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)%"


class Kept(AccessLog):
    """Lines, in place of a file."""

    def __init__(self, form: str) -> None:
        self.form = TextFormat(form)
        self.lines: list[str] = []

    def write(self, record: Any) -> None:
        self.lines.append(self.form.render(record).decode())


def log(world: World, form: str) -> list[str]:
    kept = Kept(form)
    world.listener.access_logs = [kept]
    return kept.lines


def test_a_request_that_goes_well(world):
    lines = log(world, f"%REQ(:METHOD)% %REQ(:AUTHORITY)% %PROTOCOL% {OUTCOME} {WHERE} %RESP(Content-Length)%")
    client = world.client(POST)
    server = world.accept()
    server.send(OK)
    assert lines == ["POST a HTTP/1.1 200 - via_upstream 5 2 - c 10.0.0.1:80 1 2"]
    client.send(GET)
    server.send(b"HTTP/1.1 404 No\r\ncontent-length: 0\r\n\r\n")
    assert lines[1] == "GET a HTTP/1.1 404 - via_upstream 0 0 - c 10.0.0.1:80 1 0"


def test_the_headers_are_those_that_went_upstream(world):
    lines = log(world, "%REQ(X-REQUEST-ID)% %REQ(X-FORWARDED-FOR)% %REQ(X-FORWARDED-PROTO)% %REQ(X-ENVOY-NONE)%")
    world.client(GET, b"")
    server = world.accept()
    sent = server.takes()
    server.send(OK)
    world.client(b"GET / HTTP/1.1\r\nhost: a\r\nX-Request-Id: mine\r\nX-Forwarded-For: x-request-id: b\r\n\r\n")
    server.send(OK)
    first, second = lines
    assert f"x-request-id: {first.split()[0]}\r\n".encode() in sent
    assert first.split()[1:] == ["10.1.2.3", "http", "-"]
    assert second == "mine x-request-id: b,10.1.2.3 http -"


def test_a_rewritten_path(world):
    lines = log(world, "%REQ(:PATH)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%")
    path = plan.StringMatch("prefix", "/a/")
    world.route(
        plan.Route(plan.RouteMatch(path), clusters=[plan.WeightedCluster("c")], prefix_rewrite="/b/"),
        plan.Route(plan.RouteMatch(plan.StringMatch("prefix", "/")), clusters=[plan.WeightedCluster("c")]),
    )
    client = world.client(b"GET /a/x?q HTTP/1.1\r\nhost: a\r\n\r\n")
    server = world.accept()
    server.send(OK)
    client.send(GET)
    server.send(OK)
    assert lines == ["/b/x?q /a/x?q", "/ /"]


def test_times(world):
    lines = log(world, TIMES)
    client = world.client(POST[:-3])
    world.pass_time(1_000)
    client.send(POST[-3:])
    server = world.accept()
    world.pass_time(2_000)
    server.send(OK[:-1])
    world.pass_time(4_000)
    server.send(OK[-1:])
    duration, request, response, service = map(int, lines[0].split())
    assert (request // 1000, response // 1000, duration // 1000) == (1, 3, 7)
    assert service == response


def test_bytes_are_counted_without_framing(world):
    lines = log(world, "%BYTES_RECEIVED% %BYTES_SENT%")
    client = world.client(
        b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n", b"4\r\nabcd\r\n"
    )
    server = world.accept()
    client.send(b"0\r\n\r\n")
    server.send(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n", b"2\r\nab\r\n", b"0\r\n\r\n")
    assert lines == ["7 3"]


def test_addresses(world):
    lines = log(world, "%DOWNSTREAM_REMOTE_ADDRESS% %DOWNSTREAM_LOCAL_ADDRESS% %UPSTREAM_LOCAL_ADDRESS%")
    world.client(GET, peer=("::1", 5, 0, 0))
    world.accept().send(OK)
    world.client(GET, peer=None).reset()
    assert lines == ["[::1]:5 - -", "- - -"]


def test_connections_have_numbers_of_their_own(world):
    lines = log(world, "%CONNECTION_ID%")
    client = world.client(GET)
    server = world.accept()
    server.send(OK)
    client.send(GET)
    server.send(OK)
    world.client(GET)
    server.send(OK)
    assert lines[0] == lines[1] != lines[2]
    assert all(0 <= int(line) < 1 << 53 for line in lines)


def test_without_a_cluster(world):
    lines = log(world, f"{OUTCOME} {WHERE}")
    direct = plan.Route(
        plan.RouteMatch(plan.StringMatch("exact", "/direct")), "hello", direct=plan.DirectResponse(418, "tea")
    )
    none = plan.Route(plan.RouteMatch(plan.StringMatch("exact", "/none")), clusters=[plan.WeightedCluster("none")])
    world.route(direct, none)
    for path, expected in (
        (b"/direct", "418 - direct_response 0 3 hello - - 0"),
        (b"/none", "503 NC cluster_not_found 0 {} - - - 0"),
        (b"/other", "404 NR route_not_found 0 {} - - - 0"),
    ):
        client = world.client(b"GET %s HTTP/1.1\r\nhost: a\r\n\r\n" % path)
        body = client.takes().partition(b"\r\n\r\n")[2]
        assert lines.pop() == expected.format(len(body))


def test_no_body_answers_head(world):
    lines = log(world, "%BYTES_SENT%")
    world.route()
    world.client(b"HEAD / HTTP/1.1\r\nhost: a\r\n\r\n")
    assert lines == ["0"]


def test_no_connection(world):
    lines = log(world, f"{OUTCOME} {WHERE} %UPSTREAM_TRANSPORT_FAILURE_REASON%")
    client = world.client(GET)
    world.refuse()
    sent = len(client.takes().partition(b"\r\n\r\n")[2])
    details = "upstream_reset_before_response_started{connection_failure}"
    assert lines == [f"503 UF {details} 0 {sent} - c 10.0.0.1:80 1 Connection_refused"]


def test_no_host(make_world):
    world = make_world(hosts=0)
    lines = log(world, "%RESPONSE_FLAGS% %RESPONSE_CODE_DETAILS% %UPSTREAM_CLUSTER% %UPSTREAM_HOST%")
    world.client(GET)
    assert lines == ["UH no_healthy_upstream c -"]


def test_retries_are_one_request(world):
    lines = log(world, f"{OUTCOME} {WHERE}")
    world.rule(retry=plan.RetryPolicy(["5xx"], 2))
    world.client(GET)
    server = world.accept()
    server.send(UNAVAILABLE)
    world.pass_time(100)
    assert not lines
    server.send(OK)
    assert lines == ["200 - via_upstream 0 2 - c 10.0.0.1:80 2"]


def test_the_client_goes(world):
    lines = log(world, OUTCOME)
    client = world.client(GET)
    world.accept()
    client.reset()
    assert lines == ["0 DC downstream_remote_disconnect 0 0"]


def test_the_answer_breaks_off(world):
    lines = log(world, f"{OUTCOME} %RESP(Content-Length)%")
    world.client(GET)
    server = world.accept()
    server.send(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc")
    server.end()
    assert lines == ["200 UC upstream_reset_after_response_started{connection_termination} 0 3 10"]


def test_a_timeout(world):
    lines = log(world, "%RESPONSE_CODE% %RESPONSE_FLAGS% %RESPONSE_CODE_DETAILS%")
    world.rule(timeout=1_000)
    world.client(GET)
    world.accept()
    world.pass_time(1_000)
    assert lines == ["504 UT response_timeout"]


@pytest.mark.parametrize(
    ("sends", "expected"),
    [
        ([b"NONSENSE\r\n\r\n"], "400 DPE codec_error - - - HTTP/1.1 10.1.2.3:40000"),
        (
            [b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: x\r\n\r\n"],
            "400 DPE codec_error - - - HTTP/1.1 10.1.2.3:40000",
        ),
        (
            [b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n", b"zz\r\n"],
            "400 DPE codec_error POST - c HTTP/1.1 10.1.2.3:40000",
        ),
    ],
)
def test_malformed_requests(world, sends, expected):
    lines = log(
        world,
        "%RESPONSE_CODE% %RESPONSE_FLAGS% %RESPONSE_CODE_DETAILS% %REQ(:METHOD)% %ROUTE_NAME% %UPSTREAM_CLUSTER%"
        " %PROTOCOL% %DOWNSTREAM_REMOTE_ADDRESS%",
    )
    world.client(*sends)
    assert lines == [expected]


def test_a_head_that_does_not_arrive(world):
    lines = log(world, OUTCOME)
    client = world.client(GET[:5])
    world.pass_time(60_000)
    sent = len(client.takes().partition(b"\r\n\r\n")[2])
    assert lines == [f"408 DT request_header_timeout 0 {sent}"]


def test_a_log_that_goes_or_comes_during_a_request(world):
    lines = log(world, "%RESPONSE_CODE%")
    logs = world.listener.access_logs
    client = world.client(GET)
    server = world.accept()
    world.listener.access_logs = None
    server.send(OK)
    client.send(GET)
    world.listener.access_logs = logs
    server.send(OK)
    assert not lines
    client.send(GET)
    server.send(OK)
    assert lines == ["200"]
