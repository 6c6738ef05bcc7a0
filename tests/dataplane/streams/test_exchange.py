"""Requests and answers that go well: every kind of body, both ways, one after the other on kept connections."""

import re

import pytest

from tage.sidecar import plan
from tests.dataplane.streams.world import GET, OK, POST, World


def head_of(message: bytes) -> dict[bytes, bytes]:
    """The headers, by lower-case name; a repeated name fails."""
    lines = message.split(b"\r\n\r\n")[0].split(b"\r\n")[1:]
    headers = [line.split(b": ", 1) for line in lines]
    result = {name.lower(): value for name, value in headers}
    assert len(result) == len(headers)
    return result


def exchange(world: World, request: bytes, response: bytes) -> tuple[bytes, bytes]:
    """What the server and what the client get of one request on connections of its own."""
    client = world.client(request)
    server = world.accept()
    server.send(response)
    return server.takes(), client.takes()


def test_keep_alive_on_both_sides(world):
    client = world.client(GET)
    server = world.accept()
    for _ in range(5):
        assert server.takes().startswith(b"GET / HTTP/1.1\r\nhost: a\r\n")
        server.send(OK)
        assert client.takes() == OK
        client.send(GET)
    server.send(OK)
    assert not client.closed
    assert not world.opening
    assert world.cluster.hosts[0].idle_connections() == 1
    assert world.down("rq_total") == world.down("rq_2xx") == 6
    assert world.up("rq_total") == world.up("rq_2xx") == 6
    assert world.up("cx_total") == 1
    assert world.of_route("rq_total") == world.of_route("rq_2xx") == 6


def test_connections_are_shared_by_clients_one_after_the_other(world):
    server = world.warm()
    for _ in range(3):
        client = world.client(GET)
        server.send(OK)
        assert client.takes() == OK
    assert world.up("cx_total") == 1


def test_requests_at_the_same_time_have_a_connection_each(world):
    clients = [world.client(GET) for _ in range(3)]
    servers = [world.accept() for _ in range(3)]
    for i in (2, 0, 1):
        servers[i].send(OK.replace(b"ok", b"%02d" % i))
    assert [client.takes()[-2:] for client in clients] == [b"00", b"01", b"02"]
    assert world.cluster.hosts[0].idle_connections() == 3


def test_whoever_waits_gets_the_connection_that_is_free_first(world):
    first, second = world.client(GET), world.client(GET)
    server = world.accept()
    server.takes()
    server.send(OK)
    assert first.takes() == OK
    assert server.takes().startswith(b"GET / ")
    server.send(OK)
    assert second.takes() == OK
    world.accept()
    assert world.cluster.hosts[0].idle_connections() == 2


@pytest.mark.parametrize("cut", ["whole", "bytewise"])
def test_pipelined_requests_are_answered_in_order(world, cut):
    requests = b"".join(b"POST /%d HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\n\r\n%d" % (i, i) for i in range(5))
    client = world.client()
    if cut == "whole":
        client.send(requests)
    else:
        client.send_bytewise(requests)
    server = world.accept()
    got = b""
    for i in range(5):
        forwarded = server.takes()
        assert forwarded.startswith(b"POST /%d " % i)
        assert forwarded.endswith(b"\r\n\r\n%d" % i)
        server.send(OK.replace(b"ok", b"%02d" % i))
        got += client.takes()
    assert re.findall(rb"\r\n\r\n(\d\d)", got) == [b"00", b"01", b"02", b"03", b"04"]
    assert client.reading


def test_what_is_pipelined_waits_unread(world):
    client = world.client(GET + GET)
    assert not client.reading
    client.transport.feed(GET)
    assert client.transport.inbox
    server = world.accept()
    for _ in range(3):
        assert client.takes() == b""
        assert server.takes().count(b"GET / ") == 1
        server.send(OK)
        assert client.takes() == OK
    assert client.reading


def test_pipelined_local_and_forwarded_answers_keep_their_order(world):
    world.route(
        plan.Route(plan.RouteMatch(plan.StringMatch("exact", "/local")), direct=plan.DirectResponse(200, "here")),
        plan.Route(plan.RouteMatch(plan.StringMatch("prefix", "/far")), clusters=[plan.WeightedCluster("c")]),
    )
    far, local, nowhere = (GET.replace(b"/ ", path + b" ", 1) for path in (b"/far", b"/local", b"/nowhere"))
    client = world.client(local + far + nowhere + local + far)
    assert client.takes().endswith(b"\r\n\r\nhere")
    server = world.accept()
    server.send(OK)
    assert re.findall(rb"HTTP/1.1 (\d+)", client.takes()) == [b"200", b"404", b"200"]
    server.send(OK)
    assert client.takes() == OK


@pytest.mark.parametrize("cut", ["whole", "bytewise"])
@pytest.mark.parametrize(
    ("framing", "body", "forwarded"),
    [
        (b"content-length: 5", b"hello", b"hello"),
        (b"transfer-encoding: chunked", b"2\r\nhe\r\n3;x=y\r\nllo\r\n0\r\nt: v\r\n\r\n", b"hello"),
        (b"transfer-encoding: chunked", b"0\r\n\r\n", b""),
        (b"content-length: 0", b"", b""),
    ],
)
def test_request_bodies(world, cut, framing, body, forwarded):
    client = world.client(b"PUT /x HTTP/1.1\r\nhost: a\r\n" + framing + b"\r\n\r\n")
    server = world.accept()
    if cut == "whole":
        client.send(body or GET[:0])
    else:
        client.send_bytewise(body)
    got = server.takes()
    assert head_of(got).get(framing.split(b":")[0]) == framing.split(b": ")[1]
    assert unframed(got) == forwarded
    server.send(OK)
    assert client.takes() == OK
    client.send(GET)
    server.send(OK)
    assert client.takes() == OK


def unframed(message: bytes) -> bytes:
    """The body, out of its chunks if it has any."""
    head, body = message.split(b"\r\n\r\n", 1)
    if b"transfer-encoding: chunked" not in head:
        return body
    parts = b""
    while True:
        size, body = body.split(b"\r\n", 1)
        length = int(size, 16)
        assert body[length : length + 2] == b"\r\n"
        if length == 0:
            assert body == b"\r\n"
            return parts
        parts, body = parts + body[:length], body[length + 2 :]


@pytest.mark.parametrize("cut", ["whole", "bytewise"])
@pytest.mark.parametrize("version", [b"HTTP/1.1", b"HTTP/1.0"])
@pytest.mark.parametrize(
    ("framing", "body", "end"),
    [
        (b"content-length: 5\r\n", b"hello", False),
        (b"transfer-encoding: chunked\r\n", b"1\r\nh\r\n4\r\nello\r\n0\r\n\r\n", False),
        (b"", b"hello", True),
    ],
)
def test_response_bodies(world, cut, version, framing, body, end):
    client = world.client(GET.replace(b"HTTP/1.1", version))
    server = world.accept()
    response = b"HTTP/1.1 200 Fine\r\nx-a: b\r\n" + framing + b"\r\n" + body
    if cut == "whole":
        server.send(response)
    else:
        server.send_bytewise(response)
    if end:
        server.end()
        assert server.closed
    got = client.takes()
    assert got.startswith(b"HTTP/1.1 200 Fine\r\nx-a: b\r\n")
    assert unframed(got) == b"hello"
    if version == b"HTTP/1.0":
        assert b"chunked" not in got
        assert head_of(got)[b"connection"] == b"close"
        assert client.closed
    else:
        assert not client.closed
        assert b"connection" not in head_of(got)
    assert world.cluster.hosts[0].idle_connections() == (0 if end else 1)


def test_http_10_clients_may_keep_the_connection(world):
    client = world.client(b"GET / HTTP/1.0\r\nconnection: keep-alive\r\n\r\n")
    server = world.accept()
    assert head_of(server.takes())[b"host"] == b""
    server.send(OK)
    got = client.takes()
    assert head_of(got) == {b"content-length": b"2", b"connection": b"keep-alive"}
    assert not client.closed


def test_http_10_without_a_length_ends_with_the_connection(world):
    client = world.client(b"GET / HTTP/1.0\r\nconnection: keep-alive\r\n\r\n")
    server = world.accept()
    server.send(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n")
    assert client.takes() == b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nok"
    server.send(b"0\r\n\r\n")
    assert client.closed


def test_an_http_10_server_closes_after_its_answer(world):
    client = world.client(GET)
    server = world.accept()
    server.send(b"HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nok")
    assert client.takes() == b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
    assert server.closed
    assert not client.closed


@pytest.mark.parametrize(
    "response",
    [
        b"HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n",
    ],
)
def test_answers_to_head_have_no_body(world, response):
    client = world.client(GET.replace(b"GET", b"HEAD"))
    server = world.accept()
    server.send(response)
    assert client.takes() == response.replace(b"transfer-encoding: chunked\r\n", b"")
    client.send(GET)
    server.send(OK)
    assert client.takes() == OK


@pytest.mark.parametrize("response", [b"HTTP/1.1 204 No\r\n\r\n", b"HTTP/1.1 304 Same\r\ncontent-length: 9\r\n\r\n"])
def test_answers_without_a_body(world, response):
    client = world.client(GET)
    server = world.accept()
    server.send(response)
    assert client.takes() == response
    client.send(GET)
    server.send(OK)
    assert client.takes() == OK


def test_expect_100_continue_is_relayed_both_ways(world):
    client = world.client(b"POST / HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 5\r\n\r\n")
    server = world.accept()
    assert head_of(server.takes())[b"expect"] == b"100-continue"
    server.send(b"HTTP/1.1 100 Continue\r\n\r\n")
    assert client.takes() == b"HTTP/1.1 100 Continue\r\n\r\n"
    client.send(b"hello")
    assert server.takes() == b"hello"
    server.send(OK)
    assert client.takes() == OK
    assert not client.closed
    assert not server.closed


def test_expect_100_continue_refused(world):
    client = world.client(b"POST / HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 5\r\n\r\n")
    server = world.accept()
    server.send(b"HTTP/1.1 403 No\r\ncontent-length: 0\r\n\r\n")
    assert client.takes() == b"HTTP/1.1 403 No\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
    assert server.closed


def test_early_hints_and_several_interim_answers(world):
    client = world.client(GET)
    server = world.accept()
    hints = b"HTTP/1.1 103 Early Hints\r\nlink: </a.css>\r\n\r\n"
    server.send(hints + hints + OK)
    assert client.takes() == hints + hints + OK
    assert world.down("rq_2xx") == 1
    assert world.down("rq_1xx") == 0


def test_interim_answers_do_not_go_to_http_10_clients(world):
    client = world.client(b"GET / HTTP/1.0\r\n\r\n")
    server = world.accept()
    server.send(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\n\r\n" + OK)
    assert client.takes().startswith(b"HTTP/1.1 200 OK")
    assert client.closed


def test_a_client_that_announces_the_end_gets_it(world):
    client = world.client(GET.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n"))
    server = world.accept()
    assert b"connection" not in head_of(server.takes())
    server.send(OK)
    assert head_of(client.takes())[b"connection"] == b"close"
    assert client.closed
    assert not client.transport.aborted
    assert not server.closed


def test_a_server_that_announces_the_end_is_left(world):
    client = world.client(GET)
    server = world.accept()
    server.send(OK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
    assert client.takes() == OK
    assert server.closed
    assert not client.closed


def test_both_directions_at_once(world):
    """An answer that streams while the request still does."""
    client = world.client(b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n")
    server = world.accept()
    assert unframed(server.takes() + b"0\r\n\r\n") == b"ab"
    server.send(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nAB\r\n")
    assert client.takes().endswith(b"\r\n\r\n2\r\nAB\r\n")
    client.send(b"2\r\ncd\r\n")
    assert server.takes() == b"2\r\ncd\r\n"
    server.send(b"2\r\nCD\r\n")
    assert client.takes() == b"2\r\nCD\r\n"
    client.send(b"0\r\n\r\n")
    assert server.takes() == b"0\r\n\r\n"
    server.send(b"0\r\n\r\n")
    assert client.takes() == b"0\r\n\r\n"
    assert not server.closed


def test_early_answer_ends_both_connections_and_hears_the_client_out(world):
    client = world.client(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 100\r\n\r\nhello")
    server = world.accept()
    server.send(OK)
    assert head_of(client.takes())[b"connection"] == b"close"
    assert server.closed
    assert not client.closed
    assert client.transport.wrote_eof
    client.send(b"more of it")
    client.end()
    assert client.closed
    assert not client.transport.aborted


def test_hop_by_hop_headers_stay_behind(world):
    hop = b"connection: x-mine\r\nx-mine: 1\r\nkeep-alive: 5\r\nte: trailers\r\ntrailer: t\r\nproxy-connection: a\r\n"
    request = GET.replace(b"\r\n\r\n", b"\r\n" + hop + b"upgrade: h2c\r\nx-yours: 2\r\n\r\n")
    got_server, got_client = exchange(world, request, OK.replace(b"content", hop + b"x-yours: 3\r\ncontent", 1))
    assert sorted(head_of(got_server)) == [
        b"host",
        b"x-forwarded-for",
        b"x-forwarded-proto",
        b"x-request-id",
        b"x-yours",
    ]
    assert got_client == OK.replace(b"content", b"x-yours: 3\r\ncontent", 1)


def test_forwarding_headers_are_added(world):
    headers = head_of(exchange(world, GET, OK)[0])
    assert re.fullmatch(
        rb"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", headers[b"x-request-id"]
    )
    assert headers[b"x-forwarded-for"] == b"10.1.2.3"
    assert headers[b"x-forwarded-proto"] == b"http"


def test_forwarding_headers_that_are_there(world):
    there = (
        b"X-Request-ID: mine\r\nX-Forwarded-For: 1.1.1.1\r\nx-forwarded-for: 2.2.2.2\r\nX-Forwarded-Proto: https\r\n"
    )
    headers = head_of(exchange(world, GET[:-2] + there + b"\r\n", OK)[0])
    assert headers[b"x-request-id"] == b"mine"
    assert headers[b"x-forwarded-for"] == b"1.1.1.1,2.2.2.2,10.1.2.3"
    assert headers[b"x-forwarded-proto"] == b"https"


def test_forwarding_headers_switched_off(world):
    world.listener.append_x_forwarded_for = False
    world.listener.generate_request_id = False
    there = b"\r\nX-Forwarded-For: 1.1.1.1\r\n\r\n"
    headers = head_of(exchange(world, GET.replace(b"\r\n\r\n", there), OK)[0])
    assert headers[b"x-forwarded-for"] == b"1.1.1.1"
    assert b"x-request-id" not in headers


def test_a_peer_without_an_address(world):
    client = world.client(GET, peer=None)
    server = world.accept()
    assert b"x-forwarded-for" not in head_of(server.takes())
    server.send(OK)
    assert client.takes() == OK


def test_request_ids_differ(world):
    server = world.warm()
    client = world.client()
    ids = set()
    for _ in range(50):
        client.send(GET)
        ids.add(head_of(server.takes())[b"x-request-id"])
        server.send(OK)
    assert len(ids) == 50


def test_prefix_rewrite(world):
    match = plan.RouteMatch(plan.StringMatch("prefix", "/old/"))
    world.route(plan.Route(match, clusters=[plan.WeightedCluster("c")], prefix_rewrite="/"))
    request = GET.replace(b"GET / ", b"GET /old/a?b=/old/ ")
    assert exchange(world, request, OK)[0].startswith(b"GET /a?b=/old/ HTTP/1.1\r\n")


def test_absolute_form_goes_on_in_origin_form(world):
    got, _ = exchange(world, b"GET http://other:81/x?y HTTP/1.1\r\nhost: ignored\r\n\r\n", OK)
    assert got.startswith(b"GET /x?y HTTP/1.1\r\nhost: other:81\r\n")
    assert head_of(got)[b"host"] == b"other:81"


def test_a_route_that_answers_itself(world):
    world.rule(direct=plan.DirectResponse(418, "short and stout"), clusters=[])
    client = world.client(POST)
    got = client.takes()
    assert got.startswith(b"HTTP/1.1 418 ")
    assert got.endswith(b"\r\n\r\nshort and stout")
    assert b"x-tage-response-flags" not in got
    assert not client.closed
    assert world.down("rq_4xx") == world.of_route("rq_4xx") == 1


def test_a_client_may_end_its_side_behind_its_requests(world):
    client = world.client(GET + GET.replace(b"/ ", b"/2 ", 1))
    client.end()
    server = world.accept()
    server.send(OK)
    assert client.takes() == OK
    assert b"GET /2 " in server.takes()
    server.send(OK)
    assert head_of(client.takes())[b"connection"] == b"close"
    assert client.closed
    assert not client.transport.aborted


@pytest.mark.parametrize("rest", [b"GET / HT", b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 9\r\n\r\nhell", b"\r\n"])
def test_a_client_may_break_off_behind_a_request(world, rest):
    client = world.client(GET + rest)
    client.end()
    server = world.accept()
    server.send(OK)
    client.takes()
    assert client.closed
    assert world.down("rq_2xx") == 1


def test_unusual_statuses(world):
    client = world.client()
    server = None
    for status in (200, 299, 399, 451, 599, 600, 999):
        client.send(GET)
        server = server or world.accept()
        server.send(b"HTTP/1.1 %d X\r\ncontent-length: 0\r\n\r\n" % status)
        assert client.takes() == b"HTTP/1.1 %d X\r\ncontent-length: 0\r\n\r\n" % status
    counted = [world.down(f"rq_{n}xx") for n in range(1, 6)]
    assert counted == [0, 2, 1, 1, 1]
    assert counted == [world.up(f"rq_{n}xx") for n in range(1, 6)] == [world.of_route(f"rq_{n}xx") for n in range(1, 6)]
    world.classless = 2
    for name in ("rq_rx_reset", "rq_idle_timeout", "rq_header_timeout"):
        assert world.down(name) == 0
    for name in ("rq_timeout", "rq_per_try_timeout", "rq_retry", "rq_retry_success"):
        assert world.up(name) == 0


@pytest.mark.parametrize("name", [b"x-forwarded-client-cert", b"X-Forwarded-Client-Cert"])
def test_nobody_says_of_himself_what_certificate_he_has(world, name):
    client = world.client(
        GET.replace(b"\r\n\r\n", b"\r\n" + name + b": Hash=1\r\nx-a: b\r\n" + name + b": By=2\r\n\r\n")
    )
    server = world.accept()
    headers = head_of(server.takes())
    assert name.lower() not in headers
    assert headers[b"x-a"] == b"b"
    server.send(OK)
    assert client.takes() == OK
