"""The soak's application: repeats what it was asked, however the bytes come."""

import pytest

from bench.soak.backend import Echo

GET = b"GET /a/1 HTTP/1.1\r\nHost: echo\r\n\r\n"
POST = b"POST /a/2 HTTP/1.1\r\nhost: echo\r\nContent-Length: 5\r\n\r\nhello"


class Transport:
    def __init__(self) -> None:
        self.written = b""

    def write(self, data: bytes) -> None:
        self.written += data


def answers(*pieces: bytes) -> list[bytes]:
    """The bodies of the answers."""
    transport = Transport()
    echo = Echo(b"v1")
    echo.connection_made(transport)  # type: ignore[arg-type]
    for piece in pieces:
        echo.data_received(piece)
    bodies, rest = [], transport.written
    while rest:
        head, _, rest = rest.partition(b"\r\n\r\n")
        first, length = head.split(b"\r\n")
        assert first == b"HTTP/1.1 200 OK"
        size = int(length.removeprefix(b"Content-Length: "))
        bodies.append(rest[:size])
        rest = rest[size:]
    return bodies


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_method_target_and_body_come_back(size):
    stream = GET + POST + GET
    pieces = [stream[at : at + size] for at in range(0, len(stream), size)]
    assert answers(*pieces) == [b"v1 GET /a/1\n", b"v1 POST /a/2\nhello", b"v1 GET /a/1\n"]


def test_an_incomplete_request_is_not_answered():
    assert answers(GET[:-1]) == answers(POST[:-1]) == []
