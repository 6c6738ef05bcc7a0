from __future__ import annotations

import pytest

from tage.sidecar import plan
from tage.xprotocol import Frame, u32
from tests.dataplane.streams.rpc_world import (
    BUSY,
    ERROR,
    GO_AWAY,
    HEARTBEAT,
    HEARTBEAT_ACK,
    ONE_WAY,
    REQUEST,
    RESPONSE,
    TIMEOUT,
    UNKNOWN,
    OrderedToy,
    RpcWorld,
    Toy,
    frame,
    frames,
)


@pytest.fixture
def world(tmp_path):
    world = RpcWorld(tmp_path)
    yield world
    world.close()


def retry(*conditions, attempts=2):
    return plan.RetryPolicy(list(conditions), attempts)


def test_requests_share_a_connection_while_it_opens(world):
    clients = [world.client(frame(number=1)) for _ in range(20)]
    assert len(world.opening) == 1
    server = world.accept()
    for each in frames(server.takes()):
        server.send(frame(RESPONSE, each.id))
    assert [len(frames(client.takes())) for client in clients] == [1] * 20


def test_another_connection_where_one_is_full(tmp_path):
    world = RpcWorld(tmp_path, max_requests=2)
    clients = [world.client(frame(number=i)) for i in range(5)]
    servers = []
    while world.opening:
        servers.append(world.accept())
    assert len(servers) == 3
    for server in servers:
        asked = frames(server.takes())
        assert len(asked) <= 2
        server.send(b"".join(frame(RESPONSE, each.id) for each in asked))
    assert all(len(frames(client.takes())) == 1 for client in clients)
    client = world.client(frame(number=9))
    assert not world.opening
    client.reset()
    world.close()


def test_an_answer_that_nobody_asked_for_goes_to_nobody(world):
    client, server = world.connected()
    server.send(frame(RESPONSE, 12_345, b"what"))
    assert client.takes() == b""
    assert world.up("rq_late_response") == 1
    assert not server.closed


def test_two_answers_to_one_request(world):
    client = world.client(frame(number=1))
    server = world.accept()
    [asked] = frames(server.takes())
    server.send(frame(RESPONSE, asked.id, b"first") + frame(RESPONSE, asked.id, b"second"))
    assert [each.body for each in frames(client.takes())] == [b"first"]


def test_the_connection_breaks_with_requests_on_it(world):
    client = world.client(frame(number=1), frame(number=2))
    server = world.accept()
    server.reset()
    assert [(each.id, each.status) for each in frames(client.takes())] == [(1, BUSY), (2, BUSY)]
    assert world.up("rq_rx_reset") == 2


def test_retried_on_another_host(tmp_path):
    world = RpcWorld(tmp_path, hosts=2)
    world.rule(retry=retry("5xx"))
    client = world.client(frame(number=1, body=b"again"))
    server = world.accept()
    [asked] = frames(server.takes())
    server.send(frame(RESPONSE, asked.id, status=ERROR))
    world.pass_time(100)
    second = world.accept()
    [asked] = frames(second.takes())
    assert asked.body == b"again"
    second.send(frame(RESPONSE, asked.id, b"well"))
    assert frames(client.takes())[0].body == b"well"
    world.close()


def test_the_protocols_status_counts(world):
    client = world.client(frame(number=1), frame(number=2), frame(number=3))
    server = world.accept()
    for each, status in zip(frames(server.takes()), (BUSY, ERROR, TIMEOUT), strict=True):
        server.send(frame(RESPONSE, each.id, status=status))
    assert [each.status for each in frames(client.takes())] == [BUSY, ERROR, TIMEOUT]
    assert world.up("rq_5xx") == 3


def test_a_mirror_gets_the_same_frame(world):
    world.add_cluster("m")
    world.rule(mirrors=[plan.Mirror("m", 100)])
    client = world.client(frame(number=1, body=b"twice"))
    servers = [world.accept(), world.accept()]
    for server in servers:
        [asked] = frames(server.takes())
        assert (asked.service, asked.body) == (b"a", b"twice")
        server.send(frame(RESPONSE, asked.id, b"answer"))
    assert len(frames(client.takes())) == 1


def test_what_is_no_frame_ends_the_connection_and_all_on_it(world):
    client = world.client(frame(number=1), frame(number=2))
    server = world.accept()
    [asked, _] = frames(server.takes())
    server.send(frame(RESPONSE, asked.id) + b"HTTP/1.1 400 Bad Request\r\n\r\n")
    assert server.closed
    assert [each.id for each in frames(client.takes())] == [1, 2]
    assert world.up("cx_protocol_error") == 1
    client.send(frame(number=3))
    assert len(world.opening) == 1
    client.reset()


def test_an_id_in_use_is_passed_over(world):
    slow, server = world.connected()
    slow.send(frame(number=2, body=b"slow"))
    [waiting] = frames(server.takes())
    server.connection.calls.last_id = 2**32 - 3
    seen = set()
    for i in range(waiting.id + 5):
        slow.send(frame(number=10 + i))
        [asked] = frames(server.takes())
        assert asked.id not in (waiting.id, 0)
        seen.add(asked.id)
        server.send(frame(RESPONSE, asked.id))
        assert [each.id for each in frames(slow.takes())] == [10 + i]
    assert {2**32 - 1, 1} <= seen
    server.send(frame(RESPONSE, waiting.id, b"at last"))
    assert [(each.id, each.body) for each in frames(slow.takes())] == [(2, b"at last")]


def test_an_id_that_was_given_up_stays_reserved(world):
    client, server = world.connected()
    client.send(frame(number=2, timeout=100))
    [given_up] = frames(server.takes())
    world.pass_time(150)
    assert frames(client.takes())[0].status == TIMEOUT
    server.connection.calls.last_id = given_up.id - 1
    client.send(frame(number=3))
    [asked] = frames(server.takes())
    assert asked.id != given_up.id
    server.send(frame(RESPONSE, given_up.id, b"late") + frame(RESPONSE, asked.id, b"right"))
    assert [(each.id, each.body) for each in frames(client.takes())] == [(3, b"right")]


def test_a_peer_that_goes_away_loses_no_call(world):
    client, server = world.connected()
    client.send(frame(number=2))
    server.send(frame(GO_AWAY))
    client.send(frame(number=3))
    other = world.accept()
    for end in (server, other):
        [asked] = frames(end.takes())
        end.send(frame(RESPONSE, asked.id))
    assert sorted(each.id for each in frames(client.takes())) == [2, 3]
    assert server.closed
    assert not other.closed


def test_a_silent_peer_is_asked(tmp_path):
    world = RpcWorld(tmp_path, heartbeat_interval=10_000)
    _, server = world.connected()
    server.takes()
    world.pass_time(10_100)
    [beat] = frames(server.takes())
    assert beat.kind == HEARTBEAT
    server.send(frame(HEARTBEAT_ACK, beat.id))
    world.pass_time(60_000)
    assert {each.kind for each in frames(server.takes())} == {HEARTBEAT}
    assert server.closed
    world.close()


def test_a_slow_call_is_not_taken_for_a_silent_peer(tmp_path):
    world = RpcWorld(tmp_path, heartbeat_interval=10_000, idle_timeout=15_000)
    world.rule(timeout=0)
    client, server = world.connected()
    client.send(frame(number=2))
    [asked] = frames(server.takes())
    for _ in range(10):
        world.pass_time(10_000)
        for beat in frames(server.takes()):
            server.send(frame(HEARTBEAT_ACK, beat.id))
    assert not server.closed
    server.send(frame(RESPONSE, asked.id, b"slow"))
    assert frames(client.takes())[0].body == b"slow"
    world.close()


def test_it_idles_and_is_closed(tmp_path):
    world = RpcWorld(tmp_path, idle_timeout=5_000)
    _, server = world.connected()
    world.pass_time(5_200)
    assert server.closed
    assert world.up("cx_idle_timeout") == 1
    world.close()


def test_a_heartbeat_of_the_peers_is_answered(world):
    _, server = world.connected()
    server.send(frame(HEARTBEAT, 77))
    assert [(each.kind, each.id) for each in frames(server.takes())] == [(HEARTBEAT_ACK, 77)]


def test_a_request_of_the_peers_is_refused(world):
    client, server = world.connected()
    server.send(frame(REQUEST, 5))
    [answer] = frames(server.takes())
    assert (answer.id, answer.status) == (5, UNKNOWN)
    assert client.takes() == b""


def test_a_peer_that_takes_nothing_gets_no_more(world):
    client, server = world.connected()
    server.block()
    for i in range(10):
        client.send(frame(number=i, body=bytes(50_000)))
    assert world.opening, "a second connection for what the first has no room for"
    other = world.accept()
    server.unblock()
    for end in (server, other):
        for each in frames(end.takes()):
            end.send(frame(RESPONSE, each.id))
    assert len(frames(client.takes())) == 10


def test_one_way_calls_do_not_take_room(tmp_path):
    world = RpcWorld(tmp_path, max_requests=1)
    client, server = world.connected()
    client.send(*(frame(ONE_WAY, i) for i in range(20)))
    assert len(frames(server.takes())) == 20
    assert not world.opening
    world.close()


def test_one_at_a_time(tmp_path):
    world = RpcWorld(tmp_path, mode="ping_pong")
    clients = [world.client(frame(number=i)) for i in range(3)]
    servers = [world.accept(), world.accept(), world.accept()]
    for server in servers:
        [asked] = frames(server.takes())
        server.send(frame(RESPONSE, asked.id))
    assert [len(frames(client.takes())) for client in clients] == [1, 1, 1]
    clients[0].send(frame(number=7, timeout=50))
    assert not world.opening
    world.pass_time(100)
    assert frames(clients[0].takes())[0].status == TIMEOUT
    assert sum(server.closed for server in servers) == 1, "what comes late there is not to meet another request"
    world.close()


def test_in_order_without_ids(tmp_path):
    world = RpcWorld(tmp_path, protocol=OrderedToy())
    clients = [world.client(frame(body=b"%d" % i)) for i in range(4)]
    server = world.accept()
    for each in frames(server.takes()):
        server.send(frame(RESPONSE, body=each.body))
    assert [frames(client.takes())[0].body for client in clients] == [b"0", b"1", b"2", b"3"]
    world.close()


def test_in_order_one_that_is_given_up_ends_the_connection(tmp_path):
    world = RpcWorld(tmp_path, protocol=OrderedToy())
    first, second = world.client(frame(timeout=100)), world.client(frame())
    server = world.accept()
    world.pass_time(150)
    assert server.closed
    assert frames(first.takes())[0].status == TIMEOUT
    assert frames(second.takes())[0].status == BUSY
    world.close()


def test_its_host_is_taken_out_of_the_cluster(world):
    client, server = world.connected()
    client.send(frame(number=2))
    [asked] = frames(server.takes())
    world.cluster.set_hosts([("10.0.0.9", 80, 1, True)])
    assert not server.closed
    client.send(frame(number=3))
    other = world.accept()
    assert other.connection.peer_address() == ("10.0.0.9", 80)
    server.send(frame(RESPONSE, asked.id))
    assert server.closed
    [asked] = frames(other.takes())
    other.send(frame(RESPONSE, asked.id))
    assert [each.id for each in frames(client.takes())] == [2, 3]


def test_it_takes_as_many_requests_as_it_may(tmp_path):
    world = RpcWorld(tmp_path, max_requests_per_connection=3)
    client = world.client(frame(number=1), frame(number=2))
    server = world.accept()
    client.send(frame(number=3), frame(number=4))
    other = world.accept()
    asked = frames(server.takes())
    assert len(asked) == 3
    server.send(b"".join(frame(RESPONSE, each.id) for each in asked))
    assert server.closed
    [asked] = frames(other.takes())
    other.send(frame(RESPONSE, asked.id))
    assert len(frames(client.takes())) == 4
    world.close()


def test_a_call_may_be_quiet_for_longer_than_a_stream_of_http(world):
    world.rule(timeout=0, idle_timeout=5_000)
    client, server = world.connected()
    client.send(frame(number=2))
    [asked] = frames(server.takes())
    world.pass_time(60_000)
    server.send(frame(RESPONSE, asked.id, b"at last"))
    assert [each.body for each in frames(client.takes())] == [b"at last"]


def test_nothing_is_said_in_the_middle_of_a_request(tmp_path):
    """The peer's heartbeat comes while a large request goes out in pieces."""
    world = RpcWorld(tmp_path, hosts=1)
    world.listener.rpc.whole = 1000
    request = frame(number=2, body=bytes(5000))
    client = world.client(request[:1500])
    [dialling] = world.dialling
    server = dialling.accept()
    server.send(frame(HEARTBEAT, 7))
    client.send(request[1500:])
    [asked] = frames(server.takes())
    assert asked.body == bytes(5000)
    server.send(frame(RESPONSE, asked.id))
    assert [each.id for each in frames(client.takes())] == [2]
    world.close()


class Unreadable(Toy):
    name = "toy"
    response = Frame({0: b"TY", 2: RESPONSE}, header=20, id=u32(4), parts=Toy.response.parts)

    def response_status(self, data, shape):
        raise RuntimeError("a bug")

    def reply(self, request, shape, status, message):
        return frame(RESPONSE, int.from_bytes(request[4:8], "big"), message, status=BUSY)


def test_an_answer_on_which_the_protocol_raises_is_an_error_for_who_asked(tmp_path):
    world = RpcWorld(tmp_path, protocol=Unreadable())
    client = world.client(frame(number=1), frame(number=2))
    server = world.accept()
    [first, _] = frames(server.takes())
    server.send(frame(RESPONSE, first.id))
    assert server.closed
    assert sorted(each.id for each in frames(client.takes())) == [1, 2]
    assert [str(error) for error in world.failures] == ["a bug"]
    world.close()
