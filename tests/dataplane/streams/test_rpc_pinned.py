from __future__ import annotations

import pytest

from tests.dataplane.streams.rpc_world import BUSY, ONE_WAY, REQUEST, RESPONSE, RpcWorld, frame, frames


@pytest.fixture
def world(tmp_path):
    world = RpcWorld(tmp_path, mode="pinned")
    yield world
    world.close()


def bound(world):
    """A client and the connection of its own, on which a request has been carried."""
    client = world.client(frame(number=1))
    [dialling] = world.dialling
    server = dialling.accept()
    [asked] = frames(server.takes())
    server.send(frame(RESPONSE, asked.id))
    assert len(frames(client.takes())) == 1
    return client, server


def test_each_client_has_a_connection_of_its_own(world):
    pairs = [bound(world) for _ in range(3)]
    for client, server in pairs:
        client.send(frame(number=2), frame(number=3))
        asked = frames(server.takes())
        assert len(asked) == 2
        server.send(b"".join(frame(RESPONSE, each.id) for each in reversed(asked)))
        assert [each.id for each in frames(client.takes())] == [3, 2]
    assert not world.dialling
    assert not world.opening


def test_a_servers_own_request_is_relayed_and_its_answer_too(world):
    (client, server), (other, _) = bound(world), bound(world)
    client.send(frame(number=9))
    [waiting] = frames(server.takes())
    server.send(frame(REQUEST, 500, b"and you?"))
    [asked] = frames(client.takes())
    assert (asked.kind, asked.body) == (REQUEST, b"and you?")
    assert other.takes() == b""
    client.send(frame(RESPONSE, asked.id, b"fine"))
    assert [(each.id, each.body) for each in frames(server.takes())] == [(500, b"fine")]
    server.send(frame(ONE_WAY, 501, b"news"))
    assert [each.body for each in frames(client.takes())] == [b"news"]
    server.send(frame(RESPONSE, waiting.id))
    assert [each.id for each in frames(client.takes())] == [9]


def test_its_connection_ends_with_the_client(world):
    client, server = bound(world)
    client.end()
    assert client.closed
    assert server.closed


def test_another_is_dialled_where_the_first_has_ended(world):
    client, server = bound(world)
    client.send(frame(number=2))
    server.reset()
    assert [each.status for each in frames(client.takes())] == [BUSY]
    client.send(frame(number=3))
    [dialling] = world.dialling
    second = dialling.accept()
    [asked] = frames(second.takes())
    second.send(frame(RESPONSE, asked.id))
    assert [each.id for each in frames(client.takes())] == [3]
