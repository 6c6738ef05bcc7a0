"""Servers behind the sidecar, each on a thread with an event loop of its own.

`Backend` speaks HTTP/1.1 by h11, which refuses what the sidecar may not send; what the answer is, its `handler` says.
`RawBackend` gives a test the bytes. Both listen from the start to the end of a test module, so that bootstraps can name
their ports, and tests change what they do.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import json
import socket
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import h11

from tests.e2e.ports import LOOPBACK, PATIENCE
from tests.e2e.wire import joined


@dataclass
class Request:
    method: str
    target: str
    headers: dict[str, str]
    """By lower-case name; several of one name are joined by a comma."""
    body: bytes
    connection: int
    """Which of the backend's connections it came on, counted from 1."""
    trailers: dict[str, str] = field(default_factory=dict)


@dataclass
class Answer:
    """`body`: bytes go with their length, pieces go chunked."""

    status: int = 200
    body: bytes | AsyncIterator[bytes] = b""
    headers: list[tuple[str, str]] = field(default_factory=list)
    close: bool = False
    trailers: list[tuple[str, str]] = field(default_factory=list)
    """Behind pieces."""
    abort: str = ""
    """`close`: the connection ends instead of an answer; `cut`: it ends behind the answer's head."""


Handler = Callable[[Request], Answer | Awaitable[Answer]]


def describe(request: Request) -> Answer:
    """What was received, as JSON."""
    content = {
        "method": request.method,
        "target": request.target,
        "headers": request.headers,
        "body": request.body.decode("latin-1"),
        "connection": request.connection,
    }
    return Answer(body=json.dumps(content).encode(), headers=[("content-type", "application/json")])


def mirror(request: Request) -> Answer:
    """The body, or the target where there is none."""
    return Answer(body=request.body or request.target.encode())


class _Listener:
    """Accepts connections on its own thread until `close`."""

    def __init__(self, address: tuple[str, int] = (LOOPBACK, 0)) -> None:
        self.connections = 0
        """That were accepted."""
        self._socket = socket.create_server(address)
        self.address, self.port = self._socket.getsockname()[:2]
        self._loop = asyncio.new_event_loop()
        self._writers: set[asyncio.StreamWriter] = set()
        self._thread = threading.Thread(target=self._run, name=f"backend:{self.port}", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        # With the usual backlog of 100 a crowd's connections would be tried again after a second, and time out.
        serving = asyncio.start_server(self._accepted, sock=self._socket, limit=1 << 20, backlog=1024)
        server = self._loop.run_until_complete(serving)
        self._loop.run_forever()
        server.close()
        tasks = asyncio.all_tasks(self._loop)
        for task in tasks:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        self._loop.close()

    async def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._writers.add(writer)
        # asyncio does so only for sockets made with IPPROTO_TCP, which `create_server` does not give.
        writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            await self._serve(reader, writer, self.connections)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # the peer went away, or the backend is closed
        finally:
            self._writers.discard(writer)
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
        raise NotImplementedError

    def call(self, function: Callable[[], object]) -> None:
        """On its thread, soon."""
        self._loop.call_soon_threadsafe(function)

    def drop_connections(self) -> None:
        """Closes all, in order; done when this returns."""

        async def drop() -> None:
            for writer in list(self._writers):
                writer.close()
                with contextlib.suppress(ConnectionError):
                    await writer.wait_closed()

        asyncio.run_coroutine_threadsafe(drop(), self._loop).result(PATIENCE)

    def close(self) -> None:
        self.call(self._loop.stop)
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive()


class Backend(_Listener):
    """`requests` are those that came whole, in order. `close` fails the test if any came that HTTP does not allow."""

    def __init__(self, handler: Handler = describe, name: str = "", address: tuple[str, int] = (LOOPBACK, 0)) -> None:
        self.handler = handler
        self.expect_continue: Callable[[h11.Request], Answer | None] = lambda request: None
        """What a request with `Expect: 100-continue` is answered at once; None: it shall go on."""
        self.name = name
        self.requests: list[Request] = []
        self._violations: list[str] = []
        super().__init__(address)

    def close(self) -> None:
        super().close()
        assert self._violations == []

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
        events = h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 20)
        while events.our_state is h11.IDLE:
            request = await self._request(events, reader, writer, number)
            if request is None:
                return
            self.requests.append(request)
            answer = self.handler(request)
            answer = await answer if inspect.isawaitable(answer) else answer
            await self._answer(events, writer, answer, head_only=request.method == "HEAD")
            if events.our_state is h11.DONE and events.their_state is h11.DONE:
                events.start_next_cycle()

    async def _request(
        self, events: h11.Connection, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int
    ) -> Request | None:
        request: h11.Request | None = None
        body: list[bytes] = []
        while True:
            try:
                event = events.next_event()
            except h11.RemoteProtocolError as error:
                if not events.trailing_data[1]:  # whoever is gone may leave half a message behind
                    self._violations.append(str(error))
                return None
            if event is h11.NEED_DATA:
                if request is not None and events.they_are_waiting_for_100_continue:
                    early = self.expect_continue(request)
                    if early is not None:
                        await self._answer(events, writer, early)
                        return None
                    writer.write(events.send(h11.InformationalResponse(status_code=100, headers=[])) or b"")
                events.receive_data(await reader.read(1 << 16))
            elif isinstance(event, h11.Request):
                request = event
            elif isinstance(event, h11.Data):
                body.append(bytes(event.data))
            elif isinstance(event, h11.EndOfMessage):
                assert request is not None
                method, target = request.method.decode(), request.target.decode()
                trailers = joined(event.headers)
                return Request(method, target, joined(request.headers), b"".join(body), number, trailers)
            else:
                return None

    async def _answer(
        self, events: h11.Connection, writer: asyncio.StreamWriter, answer: Answer, *, head_only: bool = False
    ) -> None:
        if answer.abort == "close":
            raise ConnectionAbortedError
        headers: list[tuple[Any, Any]] = [*answer.headers]
        if self.name:
            headers.append(("x-backend", self.name))
        if answer.close:
            headers.append(("connection", "close"))
        if isinstance(answer.body, bytes):
            if answer.status >= 200 and answer.status not in (204, 304):
                headers.append(("content-length", str(len(answer.body))))
        else:
            headers.append(("transfer-encoding", "chunked"))
        writer.write(events.send(h11.Response(status_code=answer.status, headers=headers)) or b"")
        if answer.abort == "cut":
            await writer.drain()
            raise ConnectionAbortedError
        if head_only:
            pass
        elif isinstance(answer.body, bytes):
            writer.write(events.send(h11.Data(data=answer.body)) or b"")
        else:
            async for piece in answer.body:
                writer.write(events.send(h11.Data(data=piece)) or b"")
                await writer.drain()
        writer.write(events.send(h11.EndOfMessage(headers=[*answer.trailers])) or b"")
        await writer.drain()


RawHandler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class RawBackend(_Listener):
    """`handler` has the connection until it returns."""

    def __init__(self, handler: RawHandler | None = None) -> None:
        self.handler: RawHandler = handler or _hang_up
        super().__init__()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
        await self.handler(reader, writer)
        with contextlib.suppress(ConnectionError):
            await writer.drain()

    def answers(self, *answers: bytes) -> None:
        """Each connection gets one request's head read and these bytes written, as many heads as there are answers;
        then it is closed."""

        async def play(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            for answer in answers:
                await reader.readuntil(b"\r\n\r\n")
                writer.write(answer)

        self.handler = play


async def _hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    pass


class DeadPort:
    """A port where connections are refused, and that nobody else gets meanwhile."""

    def __init__(self, port: int = 0) -> None:
        self._socket = socket.socket()
        self._socket.bind((LOOPBACK, port))
        self.port = self._socket.getsockname()[1]

    def close(self) -> None:
        self._socket.close()
