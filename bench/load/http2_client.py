"""A blocking HTTP/2 client for the check of equal work: plain text, prior knowledge, one request at a time. It is `h2`
from PyPI, so no codec of Tage's is its own judge."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import h2.config
import h2.connection
import h2.events
import h2.exceptions

from bench.processes import BenchError

SECONDS = 5.0
READ = 65536


@dataclass
class Answer:
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    trailers: dict[str, str] = field(default_factory=dict)

    @property
    def status(self) -> int:
        return int(self.headers.get(":status", "0"))


class Client:
    """A context manager. Raises OSError when nothing listens or answers."""

    def __init__(self, port: int) -> None:
        self._sock = socket.create_connection(("127.0.0.1", port), timeout=SECONDS)
        self._h2 = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding="utf-8"))
        self._h2.initiate_connection()
        self._flush()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._sock.close()

    def ask(
        self, host: str, path: str, method: str = "GET", headers: Sequence[tuple[str, str]] = (), body: bytes = b""
    ) -> Answer:
        """Raises `BenchError` when the stream or the connection ends without an answer."""
        stream = self._h2.get_next_available_stream_id()
        pseudo = [(":method", method), (":scheme", "http"), (":authority", host), (":path", path)]
        self._h2.send_headers(stream, [*pseudo, *headers], end_stream=not body)
        if body:
            self._h2.send_data(stream, body, end_stream=True)
        answer = Answer()
        while not self._advance(stream, answer):
            pass
        return answer

    def _advance(self, stream: int, answer: Answer) -> bool:
        """Whether the answer is whole, after one more read."""
        self._flush()
        data = self._sock.recv(READ)
        if not data:
            raise BenchError("the connection ends before the answer does")
        try:
            events = self._h2.receive_data(data)
        except h2.exceptions.ProtocolError as error:
            raise BenchError(f"{type(error).__name__}: {error}") from error
        ended = False
        for event in events:
            ended = self._take(event, stream, answer) or ended
        self._flush()
        return ended

    def _take(self, event: h2.events.Event, stream: int, answer: Answer) -> bool:
        if isinstance(event, h2.events.ConnectionTerminated):
            raise BenchError(f"GOAWAY with {event.error_code!r}")
        if getattr(event, "stream_id", None) != stream:
            return False
        if isinstance(event, h2.events.ResponseReceived):
            answer.headers = _fields(event.headers)
        elif isinstance(event, h2.events.DataReceived):
            answer.body += event.data
            self._h2.acknowledge_received_data(event.flow_controlled_length, stream)
        elif isinstance(event, h2.events.TrailersReceived):
            answer.trailers = _fields(event.headers)
        elif isinstance(event, h2.events.StreamReset):
            raise BenchError(f"RST_STREAM with {event.error_code!r}")
        return isinstance(event, h2.events.StreamEnded)

    def _flush(self) -> None:
        """A server that has closed is still to be read: what it said before, then the end, which `_advance` tells."""
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self._sock.sendall(self._h2.data_to_send())


def _fields(headers: Iterable[Any]) -> dict[str, str]:
    """As text, which the connection's `header_encoding` makes of them."""
    return dict(headers)
