"""The templates are whole frames of their protocols, and differ where the check of an answer needs it."""

import pytest

from bench.rpc.wires import CLUSTERS, SERVICES, TOKEN, WIRES


@pytest.fixture(params=WIRES.values(), ids=WIRES)
def wire(request):
    return request.param


def test_the_lengths_in_a_frame_say_where_it_ends(wire):
    for frame in (*wire.requests, wire.stray, wire.heartbeats[0]):
        assert wire.request.size(frame) == len(frame)
    for frame in (*wire.answers, wire.heartbeats[1]):
        assert wire.response.size(frame) == len(frame)


def test_there_is_a_request_for_each_service_and_an_answer_for_each_cluster(wire):
    for service, frame in zip(SERVICES, wire.requests, strict=True):
        assert service.encode() in frame
    for number, (cluster, frame) in enumerate(zip(CLUSTERS, wire.answers, strict=True)):
        assert bytes([ord("A") + number]) + cluster.encode() in frame
        assert wire.succeeded(frame)


def test_templates_of_a_kind_have_one_shape(wire):
    assert len({(len(frame), frame.index(TOKEN)) for frame in wire.answers}) == 1
    assert len({len(frame) - frame.index(TOKEN) for frame in wire.requests}) == 1
    assert all(frame.count(TOKEN) == 1 for frame in (*wire.requests, *wire.answers))


def test_the_payload_is_a_hundred_bytes(wire):
    for frame in (*wire.requests, *wire.answers):
        end = frame.index(TOKEN) + len(TOKEN)
        assert frame[end - 98 : end].isascii()


def test_first_bytes_tell_the_protocols_apart():
    assert len({wire.requests[0][0] for wire in WIRES.values()}) == len(WIRES)


def test_only_a_heartbeat_is_taken_for_one(wire):
    at, mask, value = wire.heartbeat
    assert wire.heartbeats[0][at] & mask == value
    assert all(frame[at] & mask != value for frame in wire.requests)
    assert wire.id_of(wire.heartbeats[0]) == wire.id_of(wire.heartbeats[1])
