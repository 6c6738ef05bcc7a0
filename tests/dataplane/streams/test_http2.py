"""Requests over HTTP/2 on either side, or both: what goes across, and what becomes of ends, resets and windows."""

from __future__ import annotations

import pytest

from tage.sidecar import plan
from tests.dataplane.streams.http2_world import GRPC, Http2World

H1_OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


@pytest.fixture
def make(tmp_path):
    made = []

    def one(*args, **kwargs):
        path = tmp_path / str(len(made))
        path.mkdir()
        made.append(Http2World(path, *args, **kwargs))
        return made[-1]

    yield one
    for world in made:
        world.close()


@pytest.fixture
def world(make):
    return make()


def test_a_request_and_its_answer(world):
    client = world.client2()
    number = client.request(("x-a", "1"), method="POST", path="/p?q", body=b"hello")
    server = world.server2()
    at, asked = server.asked()
    assert asked.headers[":method"] == "POST"
    assert asked.headers[":path"] == "/p?q"
    assert asked.headers[":authority"] == "a"
    assert asked.headers[":scheme"] == "http"
    assert asked.headers["x-a"] == "1"
    assert asked.headers["x-forwarded-for"] == "10.1.2.3"
    assert "x-request-id" in asked.headers
    assert (asked.body, asked.ended) == (b"hello", True)
    server.respond(at, ("x-b", "2"), body=b"world")
    answer = client.answer(number)
    assert (answer.status, answer.headers["x-b"], answer.body, answer.ended) == (200, "2", b"world", True)
    assert world.down("rq_2xx") == 1


def test_many_requests_share_a_connection_and_are_answered_in_any_order(world):
    client = world.client2()
    numbers = [client.request(path=f"/{i}") for i in range(20)]
    server = world.server2()
    server.look()
    assert not world.opening
    for at, asked in sorted(server.messages.items(), reverse=True):
        server.respond(at, body=asked.headers[":path"].encode())
    client.look()
    for i, number in enumerate(numbers):
        assert client.messages[number].body == b"/%d" % i


def test_more_requests_than_a_server_takes_on_one_connection(make):
    """What a host allows is known with its settings; those that still wait then get connections of their own."""
    world = make()
    client = world.client2()
    numbers = [client.request(path=f"/{i}") for i in range(230)]
    servers = []
    while world.opening:
        servers.append(world.server2(MAX_CONCURRENT_STREAMS=100))
    assert len(servers) == 3
    for server in servers:
        server.look()
        for at in list(server.messages):
            server.respond(at)
    client.look()
    assert all(client.messages[number].body == b"ok" for number in numbers)
    assert world.up("cx_total") == 3


def test_http1_to_http2(make):
    world = make(clients=False)
    client = world.client(
        b"POST /x HTTP/1.1\r\nHost: a\r\nX-A: 1\r\nConnection: x-b\r\nX-B: 2\r\nContent-Length: 5\r\n\r\nhello"
    )
    server = world.server2()
    at, asked = server.asked()
    assert asked.headers[":authority"] == "a"
    assert asked.headers["x-a"] == "1"
    assert asked.headers["content-length"] == "5"
    assert not {"host", "connection", "x-b"} & set(asked.headers)
    assert (asked.body, asked.ended) == (b"hello", True)
    server.respond(at, ("content-length", "2"))
    assert client.takes() == b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
    client.send(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
    at, asked = server.asked()
    server.respond(at, body=b"abc", trailers={"x-sum": "1"})
    assert client.takes() == b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"


def test_http2_to_http1(make):
    world = make(servers=False)
    client = world.client2()
    number = client.request(("cookie", "a=1"), ("cookie", "b=2"), method="POST", body=b"hello")
    server = world.accept()
    taken = server.takes()
    assert taken.startswith(b"POST / HTTP/1.1\r\nhost: a\r\n")
    assert b"\r\ncookie: a=1; b=2\r\n" in taken
    assert taken.endswith(b"\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n")
    server.send(b"HTTP/1.1 200 Fine\r\nX-B: 2\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok")
    answer = client.answer(number)
    assert answer.lines == [(":status", "200"), ("x-b", "2"), ("content-length", "2")]
    assert (answer.body, answer.ended) == (b"ok", True)


def test_grpc(world):
    client = world.client2()
    number = client.request(*GRPC, method="POST", path="/p.S/M", body=b"\0\0\0\0\1x")
    server = world.server2()
    at, asked = server.asked()
    assert asked.headers["te"] == "trailers"
    server.respond(at, ("content-type", "application/grpc"), body=b"\0\0\0\0\1y", trailers={"grpc-status": "0"})
    answer = client.answer(number)
    assert (answer.body, answer.trailers, answer.ended) == (b"\0\0\0\0\1y", {"grpc-status": "0"}, True)


def test_errors_of_our_own(world):
    world.route(plan.Route(plan.RouteMatch(plan.StringMatch("prefix", "/only")), direct=plan.DirectResponse(200)))
    client = world.client2()
    number, call = client.request(), client.request(*GRPC, method="POST", path="/x", body=b"")
    answer = client.answer(number)
    assert (answer.status, answer.headers["server"], answer.headers["x-tage-response-flags"]) == (404, "tage", "NR")
    assert answer.body.startswith(b"no route")
    answer = client.answer(call)
    assert (answer.status, answer.headers["grpc-status"], answer.ended, answer.body) == (200, "12", True, b"")


def test_a_reset_by_the_client_reaches_the_server(world):
    client, server = world.pair()
    number = client.request(method="POST", body=b"x", end=False)
    at, _ = server.asked()
    client.reset(number)
    server.look()
    assert server.messages[at].reset == 8
    assert world.down("rq_rx_reset") == 1


def test_a_client_that_says_it_goes(world):
    """What it sends behind its GOAWAY is still taken; the connection does not end under it."""
    client, _ = world.pair()
    client.end.send(bytes.fromhex("000008 07 00 00000000 00000000 00000000"))
    client.end.send(bytes.fromhex("000008 06 00 00000000 0102030405060708"))
    assert bytes.fromhex("000008 06 01 00000000 0102030405060708") in client.end.takes()
    assert not client.end.closed
    world.pass_time(1_100)
    assert client.end.transport.wrote_eof
    client.end.end()
    assert client.end.closed


def test_a_client_that_goes_on_behind_its_error_is_told_and_heard_out(world):
    """To close on unread bytes would reset the connection, and the client could lose the GOAWAY."""
    client, _ = world.pair()
    client.end.send(bytes.fromhex("000004 06 00 00000000 01020304"))
    client.look()
    assert client.gone.error_code == 6, "FRAME_SIZE_ERROR"
    assert client.end.transport.wrote_eof
    for _ in range(5):
        world.pass_time(99)
        assert not client.end.closed
        client.end.send(bytes.fromhex("000008 06 00 00000000 0102030405060708"))
    world.pass_time(600)
    assert client.end.closed
    assert client.end.takes() == b""


def test_a_client_that_sends_no_more_and_has_used_up_its_window(world):
    """Nobody will open it again."""
    client, server = world.pair()
    client.takes_data = False
    number = client.request()
    server.look()
    at, _ = server.asked()
    server.respond(at, body=None, end=False)
    for _ in range(1000):
        client.look()
        room = min(server.h2.local_flow_control_window(at), server.h2.max_outbound_frame_size)
        if room == 0:
            break
        server.data(at, bytes(room))
    client.end.end()
    assert client.answer(number).reset is not None
    assert client.end.closed
    server.look()
    assert server.messages[at].reset is not None


def test_a_reset_by_the_server(world):
    client, server = world.pair()
    number = client.request()
    at, _ = server.asked()
    server.reset(at, 2)
    answer = client.answer(number)
    assert (answer.status, answer.headers["x-tage-response-flags"]) == (503, "UR")
    number = client.request()
    at, _ = server.asked()
    server.respond(at, body=b"part", end=False)
    assert client.answer(number).body == b"part"
    server.reset(at, 2)
    assert client.answer(number).reset == 2


def test_goaway_of_a_server(world):
    """What it has not looked at is sent again, elsewhere; the rest is answered."""
    client, server = world.pair()
    first, second = client.request(method="POST", body=b"1"), client.request(method="POST", body=b"2")
    server.look()
    at = sorted(server.messages)[-2:]
    server.h2.close_connection(last_stream_id=at[0])
    server.end.send(server.h2.data_to_send())
    other = world.server2()
    again, asked = other.asked()
    assert asked.body == b"2"
    other.respond(again, body=b"two")
    assert client.answer(second).body == b"two"
    server.end.send(bytes.fromhex(f"000001 01 04 {at[0]:08x} 88"))  # h2 says nothing more after its GOAWAY
    server.end.send(bytes.fromhex(f"000003 00 01 {at[0]:08x}") + b"one")
    assert client.answer(first).body == b"one"
    assert server.end.closed, "nothing is left to be answered"


def test_a_slow_stream_holds_up_no_other_and_its_memory_is_bounded(make):
    world = make(asks={"initial_stream_window": 65_535})
    client, server = world.pair()
    client.takes_data = False
    slow = client.request(path="/slow")
    at, _ = server.asked()
    sent = 0
    server.h2.send_headers(at, [(":status", "200")])
    server.flush()
    for _ in range(1000):
        room = min(server.h2.local_flow_control_window(at), server.h2.max_outbound_frame_size)
        if room == 0:
            break
        server.data(at, bytes(room))
        sent += room
        server.look()
        client.look()
    assert sent < 500_000
    quick = client.request(path="/quick")
    number, _ = server.asked()
    server.respond(number, body=b"q")
    client.look()
    got = client.messages[slow]
    assert len(got.body) == 65_533  # the pair's first answer had the rest
    client.h2.increment_flow_control_window(1_000_000)
    client.flush()
    assert client.answer(quick).body == b"q"
    client.h2.increment_flow_control_window(1_000_000, slow)
    client.flush()
    client.takes_data = True
    server.look()
    server.data(at, b"", end=True)
    assert len(client.answer(slow).body) == sent
    assert client.messages[slow].ended


def test_a_large_request_to_a_slow_server(make):
    world = make(listens={"initial_stream_window": 65_535})
    client, server = world.pair()
    server.takes_data = False
    number = client.request(method="POST", body=b"", end=False)
    sent = 0
    for _ in range(1000):
        client.look()
        room = min(client.h2.local_flow_control_window(number), client.h2.max_outbound_frame_size)
        if room == 0:
            break
        client.data(number, bytes(room))
        sent += room
        server.look()
    assert 65_535 < sent < 500_000
    at, asked = server.asked()
    assert len(asked.body) == 65_535
    server.h2.increment_flow_control_window(1_000_000)
    server.h2.increment_flow_control_window(1_000_000, at)
    server.flush()
    client.look()
    client.data(number, b"", end=True)
    server.look()
    assert (len(asked.body), asked.ended) == (sent, True)
    server.respond(at)
    assert client.answer(number).ended


@pytest.mark.parametrize("cut", ["send", "send_bytewise"])
@pytest.mark.parametrize("http2", [True, False])
def test_a_listener_that_takes_both(make, cut, http2):
    world = make(clients=False, servers=False, auto=True)
    if http2:
        client = world.client2()
        number = client.request()
        world.accept().send(H1_OK)
        assert client.answer(number).body == b"ok"
    else:
        client = world.client()
        getattr(client, cut)(b"PRX / HTTP/1.1\r\nhost: a\r\n\r\n")
        world.accept().send(H1_OK)
        assert client.takes() == H1_OK


def test_draining(world):
    client, server = world.pair()
    client.request()
    at, _ = server.asked()
    [connection] = world.listener.connections
    connection.drain()
    world.loop.settle()
    client.look()
    assert client.gone.last_stream_id == 0x7FFFFFFF
    world.pass_time(1_000)
    assert client.end.takes() == bytes.fromhex("000008 07 00 00000000 00000003 00000000"), "GOAWAY, the last was 3"
    assert not client.end.closed
    server.respond(at)
    assert b"ok" in client.end.takes()
    assert client.end.transport.wrote_eof
    client.end.end()
    assert client.end.closed


def test_a_client_that_sends_no_more(world):
    """What it asked for completely is answered, and nothing else."""
    client, server = world.pair()
    whole, part = client.request(), client.request(method="POST", body=b"x", end=False)
    server.look()
    first, second = sorted(server.messages)[-2:]
    client.end.end()
    server.look()
    assert server.messages[second].reset == 8
    assert not client.end.closed
    server.respond(first)
    assert client.answer(whole).body == b"ok"
    assert client.messages[part].reset == 0
    assert client.end.closed


def test_websocket_over_extended_connect_to_http1(make):
    world = make(servers=False, listens={"allow_connect": True})
    world.rule(upgrades={"websocket": True})
    client = world.client2()
    number = client.h2.get_next_available_stream_id()
    client.h2.send_headers(
        number,
        [(":method", "CONNECT"), (":protocol", "websocket"), (":scheme", "http"), (":authority", "a"),
         (":path", "/chat"), ("sec-websocket-version", "13")],
    )  # fmt: skip
    client.flush()
    server = world.accept()
    taken = server.takes()
    assert taken.startswith(b"GET /chat HTTP/1.1\r\nhost: a\r\n")
    assert b"\r\nconnection: upgrade\r\nupgrade: websocket\r\n" in taken
    assert b"\r\nsec-websocket-key: " in taken
    server.send(
        b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n"
        b"sec-websocket-accept: x\r\n\r\nhi"
    )
    answer = client.answer(number)
    assert (answer.status, answer.body) == (200, b"hi")
    assert "sec-websocket-accept" not in answer.headers
    client.data(number, b"there")
    assert server.takes() == b"there"
    client.data(number, b"", end=True)
    server.end()
    assert client.answer(number).ended


def test_websocket_from_http1_over_extended_connect(make):
    world = make(clients=False)
    world.rule(upgrades={"websocket": True})
    client = world.client(
        b"GET /chat HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\n"
        b"sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nsec-websocket-version: 13\r\n\r\n"
    )
    server = world.server2(ENABLE_CONNECT_PROTOCOL=1)
    at, asked = server.asked()
    assert asked.headers[":method"] == "CONNECT"
    assert asked.headers[":protocol"] == "websocket"
    assert "sec-websocket-key" not in asked.headers
    server.respond(at, body=b"hi", end=False)
    taken = client.takes()
    assert taken.startswith(b"HTTP/1.1 101 Switching Protocols\r\n")
    assert b"\r\nsec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n" in taken
    assert taken.endswith(b"\r\n\r\nhi")
    client.send(b"there")
    assert server.asked()[1].body == b"there"
    server.data(at, b"", end=True)
    client.end()
