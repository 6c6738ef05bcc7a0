"""Remote calls without a library: a server on asyncio, and a client whose calls share one connection.

What a call looks like on the wire is a `Wire`'s business: `wire_bolt` (SOFARPC), `wire_dubbo`, `wire_ledger` (the
bookshop's own). Nothing here knows of a mesh; clients connect to the address in TAGE_SIDECAR_<PROTOCOL> and name the
interface that they want.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

TIMEOUT = 5.0
"""Seconds for one call; it goes along on the wire."""


@dataclass
class Call:
    service: str
    method: str
    arguments: list[Any]
    metadata: dict[str, str] = field(default_factory=dict)
    id: int = 0
    timeout: int = 0
    """Milliseconds; 0: none."""
    one_way: bool = False


@dataclass
class Answer:
    """`error` says why there is no result; empty: there is one."""

    id: int
    result: Any = None
    error: str = ""


@dataclass
class Heartbeat:
    id: int
    is_answer: bool = False


Message = Call | Answer | Heartbeat


class Wire(Protocol):
    """A protocol: frames and messages. `size` is the length of the frame that `data` begins with, 0 if there is too
    little of it to tell; it and `read` raise `ValueError`."""

    name: str

    def size(self, data: bytes) -> int: ...

    def read(self, frame: bytes) -> Message: ...

    def write(self, message: Message) -> bytes: ...


class CallError(Exception):
    """There is no result: the other side's words, or what became of the connection."""


class Frames:
    """Bytes in, messages out."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._data = b""

    def feed(self, data: bytes) -> list[Message]:
        self._data += data
        found = []
        while (size := self._wire.size(self._data)) and len(self._data) >= size:
            found.append(self._wire.read(self._data[:size]))
            self._data = self._data[size:]
        return found


# -- serving -----------------------------------------------------------------------------------------------------------

Handler = Callable[..., Any]
"""Arguments -> result; metadata comes as the keyword `metadata`."""


def serve(wire: Wire, service: str, methods: Mapping[str, Handler]) -> None:
    """Answer calls where HOST and PORT say, until the process is ended."""
    with asyncio.Runner() as runner:
        runner.run(_serve(wire, service, methods))


async def _serve(wire: Wire, service: str, methods: Mapping[str, Handler]) -> None:
    host, port = os.environ.get("HOST", "127.0.0.1"), int(os.environ.get("PORT", "8080"))
    loop, ended = asyncio.get_running_loop(), asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, ended.set)
    async with await loop.create_server(lambda: _Caller(wire, service, methods), host, port):
        print(f"{service} ({wire.name}) listens on {host}:{port}", flush=True)
        await ended.wait()


class _Caller(asyncio.Protocol):
    """One that calls us."""

    def __init__(self, wire: Wire, service: str, methods: Mapping[str, Handler]) -> None:
        self._frames = Frames(wire)
        self._wire = wire
        self._service = service
        self._methods = methods

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        try:
            for message in self._frames.feed(data):
                reply = _reply(message, self._service, self._methods)
                if reply is not None:
                    self._transport.write(self._wire.write(reply))
        except ValueError as error:
            print(f"{self._service}: {error}", flush=True)
            self._transport.close()

    def pause_writing(self) -> None:
        """It does not read its answers: neither do we read its calls."""
        self._transport.pause_reading()

    def resume_writing(self) -> None:
        self._transport.resume_reading()


def _reply(message: Message, service: str, methods: Mapping[str, Handler]) -> Message | None:
    if isinstance(message, Heartbeat):
        return None if message.is_answer else Heartbeat(message.id, is_answer=True)
    if isinstance(message, Answer):
        raise ValueError("an answer, where calls are expected")
    if message.service != service or message.method not in methods:
        answer = Answer(message.id, error=f"no {message.service}.{message.method} here")
    else:
        try:
            answer = Answer(message.id, methods[message.method](*message.arguments, metadata=message.metadata))
        except (TypeError, ValueError, LookupError) as error:
            answer = Answer(message.id, error=str(error))
    return None if message.one_way else answer


# -- calling -----------------------------------------------------------------------------------------------------------


class Client:
    """For any number of threads: their calls go over one connection, made when it is needed, and the answers are told
    apart by their ids."""

    def __init__(self, wire: Wire, address: str) -> None:
        """`address` is HOST:PORT."""
        host, _, port = address.rpartition(":")
        self._wire = wire
        self._address = (host, int(port))
        self._lock = threading.Lock()
        self._connection: _Connection | None = None

    def call(self, service: str, method: str, *arguments: Any, metadata: Mapping[str, str] | None = None) -> Any:
        """The result. Raises `CallError`."""
        call = Call(service, method, list(arguments), dict(metadata or {}), timeout=int(TIMEOUT * 1000))
        answer = self._open().ask(call)
        if answer.error:
            raise CallError(f"{service}.{method}: {answer.error}")
        return answer.result

    def tell(self, service: str, method: str, *arguments: Any, metadata: Mapping[str, str] | None = None) -> None:
        """A one-way call: nobody says what became of it. Raises `CallError` if it cannot be sent."""
        self._open().send(Call(service, method, list(arguments), dict(metadata or {}), one_way=True))

    def _open(self) -> _Connection:
        with self._lock:
            if self._connection is None or self._connection.closed:
                self._connection = _Connection(self._wire, self._address)
            return self._connection


class _Connection:
    def __init__(self, wire: Wire, address: tuple[str, int]) -> None:
        self.closed = False
        self._wire = wire
        self._lock = threading.Lock()
        self._next = 0
        self._waiting: dict[int, tuple[threading.Event, list[Answer]]] = {}
        try:
            self._socket = socket.create_connection(address, TIMEOUT)
        except OSError as error:
            raise CallError(f"{address[0]}:{address[1]}: {error}") from error
        self._socket.settimeout(None)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        threading.Thread(target=self._receive, daemon=True).start()

    def ask(self, call: Call) -> Answer:
        arrived, answers = threading.Event(), list[Answer]()
        with self._lock:
            self._next += 1
            call.id = self._next
            self._waiting[call.id] = arrived, answers
        try:
            self.send(call)
            # The other side, or a sidecar on the way, keeps to the same time; it is left a moment to say so.
            if not arrived.wait(TIMEOUT + 1):
                raise CallError(f"{call.service}.{call.method}: no answer")
        finally:
            self._waiting.pop(call.id, None)
        if not answers:
            raise CallError(f"{call.service}.{call.method}: the connection was closed")
        return answers[0]

    def send(self, message: Message) -> None:
        try:
            with self._lock:
                self._socket.sendall(self._wire.write(message))
        except OSError as error:
            self._close()
            raise CallError(f"the connection: {error}") from error

    def _receive(self) -> None:
        frames = Frames(self._wire)
        try:
            while data := self._socket.recv(65536):
                for message in frames.feed(data):
                    if isinstance(message, Heartbeat) and not message.is_answer:
                        self.send(Heartbeat(message.id, is_answer=True))
                    elif isinstance(message, Answer) and message.id in self._waiting:
                        arrived, answers = self._waiting[message.id]
                        answers.append(message)
                        arrived.set()
        except (OSError, ValueError, KeyError, CallError) as error:
            print(f"{self._wire.name}: {error}", flush=True)
        finally:
            self._close()

    def _close(self) -> None:
        """Whoever still waits hears of it."""
        self.closed = True
        self._socket.close()
        for arrived, _ in list(self._waiting.values()):
            arrived.set()
