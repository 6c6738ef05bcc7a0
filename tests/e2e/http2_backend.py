"""A backend behind the sidecar that speaks HTTP/2 by prior knowledge, by `h2` from PyPI, which refuses what the sidecar
may not send. What the answer is, its `handler` says."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.exceptions
import h2.settings

from tests.e2e.backend import _Listener
from tests.e2e.ports import LOOPBACK
from tests.e2e.wire import joined


@dataclass
class Request:
    headers: dict[str, str]
    """Pseudo-headers too; several of one name are joined by a comma."""
    connection: int
    """Which of the backend's connections it came on, counted from 1."""
    stream: int
    body: bytes = b""
    trailers: dict[str, str] = field(default_factory=dict)


@dataclass
class Answer:
    status: int = 200
    body: bytes = b""
    headers: list[tuple[str, str]] = field(default_factory=list)
    trailers: list[tuple[str, str]] = field(default_factory=list)
    reset: h2.errors.ErrorCodes | None = None
    """Instead of an answer."""


Handler = Callable[[Request], Answer | Awaitable[Answer]]


def echo(request: Request) -> Answer:
    """The body, or the path where there is none."""
    return Answer(body=request.body or request.headers[":path"].encode())


class Http2Backend(_Listener):
    """`requests` are those that came whole, in order. `close` fails the test if any came that HTTP/2 does not allow."""

    def __init__(self, handler: Handler = echo, streams: int = 100, address: tuple[str, int] = (LOOPBACK, 0)) -> None:
        self.handler = handler
        self.requests: list[Request] = []
        self.resets = 0
        """Streams that the sidecar has reset."""
        self.streams = streams
        """On a connection at a time."""
        self._violations: list[str] = []
        super().__init__(address)

    def close(self) -> None:
        super().close()
        assert self._violations == []

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
        await _Connection(self, reader, writer, number).serve()

    def violated(self, what: str) -> None:
        self._violations.append(what)


class _Connection:
    def __init__(
        self, backend: Http2Backend, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int
    ) -> None:
        self._backend = backend
        self._reader = reader
        self._writer = writer
        self._number = number
        self._h2 = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False, header_encoding=None))
        self._requests: dict[int, Request] = {}
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._windows = asyncio.Event()

    async def serve(self) -> None:
        self._h2.update_settings({h2.settings.SettingCodes.MAX_CONCURRENT_STREAMS: self._backend.streams})
        self._h2.initiate_connection()
        self._flush()
        try:
            while data := await self._reader.read(1 << 16):
                for event in self._h2.receive_data(data):
                    self._take(event)
                self._flush()
        except h2.exceptions.ProtocolError as error:
            self._backend.violated(f"{type(error).__name__}: {error}")
            self._flush()
        finally:
            for task in self._tasks.values():
                task.cancel()

    def _take(self, event: h2.events.Event) -> None:
        if isinstance(event, h2.events.RequestReceived):
            assert event.stream_id
            self._requests[event.stream_id] = Request(joined(event.headers), self._number, event.stream_id)
        elif isinstance(event, h2.events.DataReceived):
            self._requests[event.stream_id].body += event.data
            self._h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        elif isinstance(event, h2.events.TrailersReceived):
            self._requests[event.stream_id].trailers = joined(event.headers)
        elif isinstance(event, h2.events.StreamEnded):
            request = self._requests.pop(event.stream_id)
            self._backend.requests.append(request)
            self._tasks[event.stream_id] = asyncio.ensure_future(self._answer(request))
        elif isinstance(event, h2.events.StreamReset):
            self._backend.resets += 1
            self._requests.pop(event.stream_id, None)
            if task := self._tasks.pop(event.stream_id, None):
                task.cancel()
        elif isinstance(event, h2.events.WindowUpdated | h2.events.RemoteSettingsChanged):
            self._windows.set()

    async def _answer(self, request: Request) -> None:
        answer = self._backend.handler(request)
        answer = await answer if inspect.isawaitable(answer) else answer
        stream = request.stream
        if answer.reset is not None:
            self._h2.reset_stream(stream, answer.reset)
        else:
            self._h2.send_headers(stream, [(":status", str(answer.status)), *answer.headers])
            await self._body(stream, answer.body, end=not answer.trailers)
            if answer.trailers:
                self._h2.send_headers(stream, answer.trailers, end_stream=True)
        self._tasks.pop(stream, None)
        self._flush()

    async def _body(self, stream: int, body: bytes, *, end: bool) -> None:
        left = memoryview(body)
        while left:
            size = min(self._h2.local_flow_control_window(stream), self._h2.max_outbound_frame_size, len(left))
            if size <= 0:
                self._windows.clear()
                await self._windows.wait()
                continue
            self._h2.send_data(stream, bytes(left[:size]))
            left = left[size:]
            self._flush()
            await self._writer.drain()
        if end:
            self._h2.end_stream(stream)

    def _flush(self) -> None:
        self._writer.write(self._h2.data_to_send())
