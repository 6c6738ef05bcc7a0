"""The RPC backend answers every request with its id and its token, however the bytes come."""

import socket

import pytest

from bench.rpc.wires import CLUSTERS, TOKEN, WIRES, Wire

pytestmark = pytest.mark.processes


@pytest.fixture(params=WIRES.values(), ids=WIRES)
def wire(request):
    return request.param


def connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=10)


def numbered(wire: Wire, frame: bytes, number: int, token: bytes) -> bytes:
    end = wire.id_at + wire.id_bytes
    frame = frame[: wire.id_at] + number.to_bytes(wire.id_bytes, "big") + frame[end:]
    return frame.replace(TOKEN, token)


def receive(sock: socket.socket, size: int) -> bytes:
    received = b""
    while len(received) < size and (data := sock.recv(65536)):
        received += data
    return received


def test_each_port_is_a_cluster(backend, wire):
    for cluster, name in enumerate(CLUSTERS):
        with connect(backend[name]) as sock:
            sock.sendall(numbered(wire, wire.requests[0], 77, b"01234567"))
            expected = numbered(wire, wire.answers[cluster], 77, b"01234567")
            assert receive(sock, len(expected)) == expected


def test_many_requests_at_once_and_heartbeats_among_them(backend, wire):
    asked, expected = b"", b""
    for number in range(1, 600):
        token = b"%08d" % number
        asked += numbered(wire, wire.requests[number % 2], number, token)
        expected += numbered(wire, wire.answers[0], number, token)
        if number % 7 == 0:
            asked += numbered(wire, wire.heartbeats[0], number, b"")
            expected += numbered(wire, wire.heartbeats[1], number, b"")
    with connect(backend["orders-1"]) as sock:
        sock.sendall(asked)
        assert receive(sock, len(expected)) == expected


def test_a_request_that_comes_byte_by_byte(backend, wire):
    asked = numbered(wire, wire.requests[1], 5, b"abcdefgh")
    expected = numbered(wire, wire.answers[2], 5, b"abcdefgh")
    with connect(backend["stocks-1"]) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for i in range(len(asked)):
            sock.sendall(asked[i : i + 1])
        assert receive(sock, len(expected)) == expected


def test_a_frame_longer_than_any_may_be_ends_the_connection(backend, wire):
    at, size = wire.request.lengths[-1]
    frame = wire.requests[0]
    with connect(backend["orders-1"]) as sock:
        sock.sendall(frame[:at] + b"\xff" * size + frame[at + size :])
        assert sock.recv(1) == b""


def test_another_protocol_ends_the_connection(backend):
    with connect(backend["orders-1"]) as sock:
        sock.sendall(b"GET / HTTP/1.1\r\n\r\n")
        assert sock.recv(1) == b""
