"""A client at the level of bytes, and h11 to judge the answers: what it refuses fails the test."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import dataclass, field
from types import TracebackType

import h11

from tests.e2e.ports import LOOPBACK, PATIENCE


@dataclass
class Response:
    status: int
    reason: str
    headers: dict[str, str]
    """By lower-case name; several of one name are joined by a comma."""
    body: bytes = b""
    interim: list[int] = field(default_factory=list)
    """Status codes of the 1xx answers before it."""
    trailers: dict[str, str] = field(default_factory=dict)
    """As the headers; there once the body was read to its end."""

    @property
    def flags(self) -> str:
        return self.headers.get("x-tage-response-flags", "")


class Client:
    """One connection. Every wait is bounded."""

    def __init__(self, port: int, host: str = LOOPBACK) -> None:
        self.socket = socket.create_connection((host, port), PATIENCE)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._rest = b""

    def __enter__(self) -> Client:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        self.socket.close()

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def get(self, host: str, path: str = "/", **headers: str) -> Response:
        self.send(head("GET", path, host, **headers))
        return self.response()

    def post(self, host: str, path: str, body: bytes, **headers: str) -> Response:
        self.send(head("POST", path, host, content_length=str(len(body)), **headers) + body)
        return self.response("POST")

    def response(self, method: str = "GET") -> Response:
        """The next answer, to a request with that method."""
        response, pieces = self.stream(method)
        response.body = b"".join(pieces)
        return response

    def stream(self, method: str = "GET") -> tuple[Response, Iterator[bytes]]:
        """The next answer with its body still to be read, piece by piece."""
        events = h11.Connection(h11.CLIENT, max_incomplete_event_size=1 << 20)
        events.send(h11.Request(method=method, target="/", headers=[("host", "x")]))
        events.send(h11.EndOfMessage())
        if self._rest:  # none would mean the end
            events.receive_data(self._rest)
        interim: list[int] = []
        while isinstance(event := self._next(events), h11.InformationalResponse):
            interim.append(event.status_code)
        assert isinstance(event, h11.Response), f"{event} instead of an answer"
        response = Response(event.status_code, event.reason.decode(), joined(event.headers), interim=interim)
        return response, self._pieces(events, response)

    def _pieces(self, events: h11.Connection, response: Response) -> Iterator[bytes]:
        while isinstance(event := self._next(events), h11.Data):
            yield event.data
        assert isinstance(event, h11.EndOfMessage), f"{event} instead of the body's end"
        response.trailers = joined(event.headers)
        self._rest = events.trailing_data[0]

    def _next(self, events: h11.Connection) -> object:
        while (event := events.next_event()) is h11.NEED_DATA:
            events.receive_data(self.socket.recv(1 << 18))
        return event

    def read_until(self, text: bytes) -> bytes:
        """Bytes as they come, up to and with `text`."""
        while text not in self._rest:
            data = self.socket.recv(1 << 16)
            assert data, f"the end before {text!r}: {self._rest!r}"
            self._rest += data
        before, _, self._rest = self._rest.partition(text)
        return before + text

    def assert_closed(self) -> None:
        """The sidecar has ended the connection, in order and with nothing further to say."""
        assert self._rest == b""
        assert self.socket.recv(1 << 16) == b""


def head(method: str, path: str, host: str, **headers: str) -> bytes:
    """Of a request; underscores in header names stand for hyphens."""
    lines = [f"{method} {path} HTTP/1.1", f"host: {host}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def joined(headers: list[tuple[bytes, bytes]]) -> dict[str, str]:
    result: dict[str, str] = {}
    for raw_name, raw_value in headers:
        name, value = raw_name.decode().lower(), raw_value.decode("latin-1")
        result[name] = f"{result[name]}, {value}" if name in result else value
    return result
