from __future__ import annotations

import pytest

from tage.dataplane.protocols.xprotocol.settings import DownstreamSettings
from tage.sidecar import plan
from tage.xprotocol import Protocol
from tage.xprotocol_testing.fakes import FakeTransport
from tests.dataplane.streams.rpc_world import (
    BUSY,
    ERROR,
    GO_AWAY,
    HEARTBEAT,
    HEARTBEAT_ACK,
    ONE_WAY,
    RESPONSE,
    TIMEOUT,
    UNKNOWN,
    UNREADABLE,
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


def test_a_request_and_its_answer(world):
    client = world.client(frame(number=7, body=b"question"))
    server = world.accept()
    [asked] = frames(server.takes())
    assert (asked.service, asked.method, asked.body) == (b"a", b"m", b"question")
    server.send(frame(RESPONSE, asked.id, b"answer"))
    assert client.takes() == frame(RESPONSE, 7, b"answer")
    assert world.down("rq_2xx") == 1


def test_bytewise(world):
    client = world.client()
    client.send_bytewise(frame(number=7, body=b"question"))
    server = world.accept()
    [asked] = frames(server.takes())
    server.send_bytewise(frame(RESPONSE, asked.id, b"answer"))
    assert client.takes() == frame(RESPONSE, 7, b"answer")


def test_many_at_once_are_answered_as_they_come(world):
    client = world.client(b"".join(frame(number=i, body=b"%d" % i) for i in range(100)))
    server = world.accept()
    asked = frames(server.takes())
    assert [each.body for each in asked] == [b"%d" % i for i in range(100)]
    assert len({each.id for each in asked}) == 100
    server.send(b"".join(frame(RESPONSE, each.id, each.body) for each in reversed(asked)))
    assert [(each.id, each.body) for each in frames(client.takes())] == [(i, b"%d" % i) for i in reversed(range(100))]
    assert len(world.servers) == 1


def test_clients_with_the_same_ids(world):
    clients = [world.client(frame(number=1, body=b"%d" % i)) for i in range(3)]
    server = world.accept()
    asked = frames(server.takes())
    server.send(b"".join(frame(RESPONSE, each.id, each.body) for each in asked))
    for i, client in enumerate(clients):
        assert client.takes() == frame(RESPONSE, 1, b"%d" % i)


def test_a_heartbeat_is_answered_here(world):
    client = world.client(frame(HEARTBEAT, 9))
    assert [(each.kind, each.id) for each in frames(client.takes())] == [(HEARTBEAT_ACK, 9)]
    assert not world.opening


def test_a_heartbeat_that_has_no_answer(tmp_path):
    class Quiet(Toy):
        heartbeat_ack = None

    world = RpcWorld(tmp_path, protocol=Quiet())
    client = world.client(frame(HEARTBEAT, 9))
    assert client.takes() == b""
    assert not client.closed
    assert not world.failures


def test_one_way(world):
    client = world.client(frame(ONE_WAY, 1, b"gone"))
    server = world.accept()
    assert [each.body for each in frames(server.takes())] == [b"gone"]
    assert client.takes() == b""
    assert world.down("rq_2xx") == 1
    world.check_quiet()


def test_no_route(world):
    world.route(domains=["other"])
    client = world.client(frame(number=3))
    [answer] = frames(client.takes())
    assert (answer.id, answer.status) == (3, UNKNOWN)
    assert b"no route" in answer.body
    assert world.down("rq_4xx") == 1


def test_no_answer_to_a_one_way_call_that_fails(world):
    world.route(domains=["other"])
    client = world.client(frame(ONE_WAY, 3))
    assert client.takes() == b""
    assert world.down("rq_4xx") == 1


def test_the_host_is_not_there(world):
    client = world.client(frame(number=3))
    world.refuse()
    [answer] = frames(client.takes())
    assert (answer.id, answer.status) == (3, BUSY)


def test_the_frames_timeout(world):
    client = world.client(frame(number=3, timeout=500))
    server = world.accept()
    [asked] = frames(server.takes())
    world.pass_time(400)
    assert client.takes() == b""
    world.pass_time(150)
    [answer] = frames(client.takes())
    assert (answer.id, answer.status) == (3, TIMEOUT)
    server.send(frame(RESPONSE, asked.id))
    assert client.takes() == b""
    assert world.up("rq_late_response") == 1


def test_the_routes_timeout_where_it_is_less(world):
    world.rule(timeout=200)
    client = world.client(frame(number=3, timeout=500))
    world.accept()
    world.pass_time(220)
    assert [each.status for each in frames(client.takes())] == [TIMEOUT]


def test_by_service_method_and_metadata(world):
    world.add_cluster("d")

    def to(cluster, path, **match):
        return plan.Route(
            plan.RouteMatch(plan.StringMatch("prefix", path), **match), clusters=[plan.WeightedCluster(cluster)]
        )

    world.route(
        to("d", "/a/other"),
        to("d", "/", headers=[plan.HeaderMatch("user", plan.StringMatch("exact", "ann"))]),
        to("c", "/"),
    )
    client = world.client(frame(number=1), frame(number=2, method=b"other"), frame(number=3, metadata={"user": "ann"}))
    hosts = [host.cluster.name for host in world.opening]
    assert hosts == ["c", "d"]
    first, second = world.accept(), world.accept()
    assert len(frames(first.takes())) == 1
    assert len(frames(second.takes())) == 2
    client.reset()


def test_headers_are_changed_on_the_wire(world):
    tenant = plan.HeaderMutation("tenant", "gold")
    world.rule(request_headers=plan.HeaderMutations([tenant], ["secret"]))
    world.client(frame(number=1, metadata={"Secret": "x", "user": "ann"}, body=b"b"))
    server = world.accept()
    [asked] = frames(server.takes())
    assert asked.metadata == b"\4user\3ann\6tenant\4gold"
    assert asked.body == b"b"


def test_a_client_that_goes_gives_its_requests_up(world):
    client = world.client(frame(number=1))
    other = world.client(frame(number=1, body=b"stays"))
    server = world.accept()
    asked = frames(server.takes())
    client.reset()
    server.send(b"".join(frame(RESPONSE, each.id, each.body) for each in asked))
    assert other.takes() == frame(RESPONSE, 1, b"stays")
    assert world.up("rq_late_response") == 1


def test_a_client_that_ends_its_side_is_answered(world):
    client = world.client(frame(number=1))
    server = world.accept()
    client.end()
    [asked] = frames(server.takes())
    server.send(frame(RESPONSE, asked.id, b"answer"))
    assert client.takes() == frame(RESPONSE, 1, b"answer")
    assert client.closed


def test_what_is_no_frame_ends_the_connection_alone(world):
    other, server = world.connected()
    client = world.client(frame(number=5), b"GET / HTTP/1.1\r\n\r\n")
    assert client.closed
    assert world.down("cx_protocol_error") == 1
    assert not server.closed
    other.send(frame(number=2))
    asked = frames(server.takes())
    server.send(frame(RESPONSE, asked[-1].id))
    assert [each.id for each in frames(other.takes())] == [2]


def test_a_frame_that_is_too_large(tmp_path):
    world = RpcWorld(tmp_path, limit=1000)
    client = world.client(frame(number=1, body=bytes(1000)))
    assert client.closed
    world.close()


def test_a_client_is_read_no_further_than_it_may_ask(tmp_path):
    world = RpcWorld(tmp_path, max_requests=2)
    client = world.client(b"".join(frame(number=i) for i in range(5)))
    server = world.accept()
    asked = frames(server.takes())
    assert len(asked) == 2
    assert not client.reading
    server.send(frame(RESPONSE, asked[0].id))
    asked += frames(server.takes())
    assert len(asked) == 3
    for each in asked[1:]:
        server.send(frame(RESPONSE, each.id))
    for each in frames(server.takes()):
        server.send(frame(RESPONSE, each.id))
    assert len(frames(client.takes())) == 5
    world.close()


@pytest.mark.parametrize("answered_first", [False, True])
def test_a_large_request_has_a_connection_of_its_own(tmp_path, answered_first):
    world = RpcWorld(tmp_path, whole=1000)
    client, shared = world.connected()
    body = bytes(range(256)) * 40
    request = frame(number=2, body=body)
    client.send(request[:1500])
    [dialling] = world.dialling
    own = dialling.accept()
    client.send(request[1500:5000])
    if answered_first:
        number = int.from_bytes(own.takes()[4:8], "big")
        own.send(frame(RESPONSE, number, b"enough"))
        assert own.closed
    client.send(request[5000:] + frame(number=3))
    if not answered_first:
        [asked] = frames(own.takes())
        assert asked.body == body
        own.send(frame(RESPONSE, asked.id, b"enough"))
        assert own.closed
    [asked] = frames(shared.takes())
    shared.send(frame(RESPONSE, asked.id))
    assert [(each.id, each.body) for each in frames(client.takes())] == [(2, b"enough"), (3, b"")]
    world.close()


def test_a_large_answer_comes_in_pieces_and_others_behind_it(tmp_path):
    world = RpcWorld(tmp_path, limit=1_000_000)
    client, server = world.connected()
    client.send(frame(number=2), frame(number=3), frame(number=4))
    asked = {each.id: None for each in frames(server.takes())}
    first, second, third = asked
    body = bytes(range(256)) * 2000
    large = frame(RESPONSE, first, body)
    server.send(large[:300_000])
    got = client.takes()
    assert len(got) >= 262_144
    server.send(large[300_000:] + frame(RESPONSE, second, b"x") + frame(RESPONSE, third, body))
    answers = frames(got + client.takes())
    assert [(each.id, each.body) for each in answers] == [(2, body), (3, b"x"), (4, body)]
    world.close()


def test_a_client_that_takes_nothing_is_cut_off_and_no_other_waits(tmp_path):
    world = RpcWorld(tmp_path)
    slow, server = world.connected()
    other = world.client()
    slow.block()
    body = bytes(100_000)
    for i in range(2, 400):
        slow.send(frame(number=i))
        for each in frames(server.takes()):
            server.send(frame(RESPONSE, each.id, body))
        other.send(frame(number=i))
        for each in frames(server.takes()):
            server.send(frame(RESPONSE, each.id, b"quick"))
        assert [each.body for each in frames(other.takes())] == [b"quick"]
        if slow.closed:
            break
    assert not slow.reading or slow.closed
    assert server.reading
    world.close()


def test_it_idles_and_is_closed(world):
    world.listener.idle_timeout = 10_000
    client, _ = world.connected()
    world.pass_time(5_000)
    client.send(frame(HEARTBEAT, 1))
    world.pass_time(6_000)
    assert not client.closed
    world.pass_time(5_000)
    assert client.closed
    assert world.down("cx_idle_timeout") == 1


def test_half_a_frame_is_not_waited_for_for_ever(world):
    world.listener.head_timeout = 5_000
    client = world.client(frame(number=1)[:10])
    world.pass_time(5_100)
    assert client.closed


def test_draining_tells_the_client_and_loses_no_call(world):
    client, server = world.connected()
    client.send(frame(number=2))
    [connection] = world.listener.connections
    connection.drain()
    assert [each.kind for each in frames(client.takes())] == [GO_AWAY]
    client.send(frame(number=3))
    for each in frames(server.takes()):
        server.send(frame(RESPONSE, each.id))
    assert [each.id for each in frames(client.takes())] == [2, 3]
    assert not client.closed
    world.pass_time(2_100)
    assert client.closed


class Raises(Toy):
    name = "toy"

    def names(self, frame, shape):
        raise RuntimeError("a bug")


def test_a_protocol_that_raises_harms_its_own_connection(tmp_path):
    world = RpcWorld(tmp_path)
    other, _ = world.connected()
    world.listener.speak(DownstreamSettings(Raises(), failed=world.failures.append))
    client = world.client(frame(number=1))
    assert client.closed
    assert [str(error) for error in world.failures] == ["a bug"]
    assert not other.closed
    world.close()


class Unreadable(Toy):
    name = "toy"

    def names(self, frame, shape):
        return None


def test_a_request_without_readable_names_is_refused_in_the_protocols_words(tmp_path):
    world = RpcWorld(tmp_path, protocol=Unreadable())
    client = world.client(frame(number=4))
    [answer] = frames(client.takes())
    assert (answer.id, answer.status) == (4, UNREADABLE)
    assert not client.closed
    world.close()


def test_frame_depth_looks_at_nothing(tmp_path):
    world = RpcWorld(tmp_path, protocol=Unreadable(), names=False)
    world.connected()
    world.close()


def test_a_cluster_of_another_protocol(world):
    world.cluster.speak(None)
    client = world.client(frame(number=4))
    [answer] = frames(client.takes())
    assert answer.status == BUSY
    assert b"another protocol" in answer.body


def test_a_route_that_answers_itself(world):
    world.rule(clusters=[], direct=plan.DirectResponse(418, "teapot"))
    client = world.client(frame(number=4))
    [answer] = frames(client.takes())
    assert answer.id == 4
    assert answer.status in (ERROR, UNREADABLE)


def test_the_protocol_is_public():
    assert issubclass(Toy, Protocol)


def test_nothing_is_said_in_the_middle_of_an_answer(tmp_path):
    world = RpcWorld(tmp_path, limit=1_000_000)
    client, server = world.connected()
    client.send(frame(number=2))
    [asked] = frames(server.takes())
    body = bytes(range(256)) * 2000
    large = frame(RESPONSE, asked.id, body)
    server.send(large[:300_000])
    client.send(frame(HEARTBEAT, 7))
    [connection] = world.listener.connections
    connection.drain()
    server.send(large[300_000:])
    said = [(each.kind, each.id) for each in frames(client.takes())]
    assert said == [(RESPONSE, 2), (HEARTBEAT_ACK, 7), (GO_AWAY, 0)]
    world.close()


def test_a_large_answer_that_breaks_off_ends_the_clients_connection(tmp_path):
    world = RpcWorld(tmp_path, limit=1_000_000)
    client, server = world.connected()
    client.send(frame(number=2))
    [asked] = frames(server.takes())
    server.send(frame(RESPONSE, asked.id, bytes(500_000))[:300_000])
    server.reset()
    assert client.closed
    world.close()


def test_what_does_not_fit_fails_that_call_alone(world):
    tenant = plan.HeaderMutation("tenant", "x" * 300)  # a length has one byte
    world.rule(request_headers=plan.HeaderMutations([tenant]))
    client, server = world.client(frame(number=4)), world.accept()
    [answer] = frames(client.takes())
    assert answer.id == 4
    assert answer.status == ERROR
    assert server.takes() == b""
    assert not client.closed
    assert not server.closed


def test_an_answer_that_an_edit_does_not_fit_is_an_error_of_that_call(world):
    tenant = plan.HeaderMutation("tenant", "x" * 300)
    world.rule(response_headers=plan.HeaderMutations([tenant]))
    client = world.client(frame(number=4))
    server = world.accept()
    [asked] = frames(server.takes())
    server.send(frame(RESPONSE, asked.id, b"secret"))
    [answer] = frames(client.takes())
    assert (answer.id, answer.status) == (4, ERROR)
    assert not client.closed


def test_metadata_that_rules_ask_for_have_to_be_readable(world):
    """A rule that keeps somebody out must not be passed by for metadata that nobody can read."""
    out = [plan.HeaderMatch("user", plan.StringMatch("exact", "eve"))]
    match = plan.RouteMatch(plan.StringMatch("prefix", "/"))
    world.route(
        plan.Route(plan.RouteMatch(match.path, headers=out), direct=plan.DirectResponse(403)),
        plan.Route(match, clusters=[plan.WeightedCluster("c")]),
    )
    broken = bytearray(frame(number=4, metadata={"user": "eve"}))
    broken[22] = 200  # a key that is longer than all there is
    client = world.client(bytes(broken))
    [answer] = frames(client.takes())
    assert (answer.id, answer.status) == (4, UNREADABLE)
    assert not world.opening


class RaisesOnEdits(Toy):
    name = "toy"

    def with_headers(self, frame, shape, headers):
        raise RuntimeError("a bug")


@pytest.mark.parametrize("size", [10, 5000])
def test_an_edit_on_which_the_protocol_raises_is_an_error_of_that_call(tmp_path, size):
    """The larger goes on a connection that was dialled for it, and of no use to others."""
    world = RpcWorld(tmp_path, protocol=RaisesOnEdits(), whole=1000)
    tenant = plan.HeaderMutation("tenant", "gold")
    world.rule(request_headers=plan.HeaderMutations([tenant]))
    client = world.client(frame(number=2, body=bytes(size)))
    server = world.dialling[0].accept() if size > 1000 else world.accept()
    [answer] = frames(client.takes())
    assert (answer.id, answer.status) == (2, ERROR)
    assert server.takes() == b""
    assert server.closed == (size > 1000)
    assert [str(error) for error in world.failures] == ["a bug"]
    world.close()


@pytest.mark.parametrize("tls", [False, True])
def test_rules_know_whether_a_call_came_over_tls(world, monkeypatch, tls):
    if tls:
        plain = FakeTransport.get_extra_info
        monkeypatch.setattr(
            FakeTransport,
            "get_extra_info",
            lambda self, name, default=None: object() if name == "ssl_object" else plain(self, name, default),
        )
    path = plan.StringMatch("prefix", "/")
    secure = plan.RouteMatch(path, headers=[plan.HeaderMatch(":scheme", plan.StringMatch("exact", "https"))])
    world.route(
        plan.Route(secure, direct=plan.DirectResponse(404)),
        plan.Route(plan.RouteMatch(path), direct=plan.DirectResponse(503)),
    )
    client = world.client(frame(number=4))
    assert [each.status for each in frames(client.takes())] == [UNKNOWN if tls else BUSY]
