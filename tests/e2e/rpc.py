"""Remote calls for tests of whole sidecars: the bookshop's private protocol (examples/bookshop/ledger.py) by hand, so
that nothing of Tage reads what Tage has written; bootstraps that speak protocols."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import socket
import struct
from collections.abc import Callable
from types import TracebackType
from typing import Any, NamedTuple

from tests.e2e.backend import _Listener
from tests.e2e.bootstraps import Json, cluster, listener
from tests.e2e.ports import LOOPBACK, PATIENCE

RESPONSE, REQUEST, ONE_WAY, HEARTBEAT, HEARTBEAT_ACK = range(5)
OK, ERROR, TIMEOUT, BUSY, UNKNOWN = range(5)

_HEAD = struct.Struct(">2sBBIIHHII")


class Message(NamedTuple):
    kind: int
    id: int
    number: int
    """A request's timeout in ms; a response's status."""
    service: str
    method: str
    metadata: dict[str, str]
    body: bytes

    @property
    def status(self) -> int:
        return self.number >> 16


def encode(
    kind: int,
    number: int = 0,
    *,
    timeout: int = 0,
    status: int = 0,
    service: str = "",
    method: str = "",
    metadata: dict[str, str] | None = None,
    body: bytes = b"",
    magic: bytes = b"LG",
) -> bytes:
    """A response's status is a u16 where a request has the first half of its timeout."""
    pairs = b"".join(struct.pack(">H", len(text)) + text.encode() for item in (metadata or {}).items() for text in item)
    third = status << 16 if kind == RESPONSE else timeout
    head = _HEAD.pack(magic, 1, kind, number, third, len(service), len(method), len(pairs), len(body))
    return head + service.encode() + method.encode() + pairs + body


def decode(head: bytes, rest: bytes) -> Message:
    _, _, kind, number, third, service, method, metadata, _ = _HEAD.unpack(head)
    at = service + method
    texts = []
    end = at + metadata
    position = at
    while position < end:
        (size,) = struct.unpack_from(">H", rest, position)
        texts.append(rest[position + 2 : position + 2 + size].decode())
        position += 2 + size
    return Message(
        kind,
        number,
        third,
        rest[:service].decode(),
        rest[service:at].decode(),
        dict(zip(texts[::2], texts[1::2], strict=True)),
        rest[end:],
    )


def rest_of(head: bytes) -> int:
    return sum(_HEAD.unpack(head)[5:])


class Client:
    """One connection."""

    def __init__(self, port: int, sock: socket.socket | None = None) -> None:
        self.sock = sock or socket.create_connection((LOOPBACK, port), timeout=PATIENCE)
        self._ids = itertools.count(1)

    def __enter__(self) -> Client:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        self.sock.close()

    def send(self, method: str = "count", service: str = "com.tage.Stock", **fields: Any) -> int:
        number = next(self._ids)
        self.sock.sendall(encode(fields.pop("kind", REQUEST), number, service=service, method=method, **fields))
        return number

    def receive(self) -> Message:
        """Raises `ConnectionError` at the end."""
        head = self.exactly(_HEAD.size)
        return decode(head, self.exactly(rest_of(head)))

    def call(self, method: str = "count", service: str = "com.tage.Stock", **fields: Any) -> Message:
        number = self.send(method, service, **fields)
        answer = self.receive()
        assert (answer.kind, answer.id) == (RESPONSE, number)
        return answer

    def exactly(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            more = self.sock.recv(count - len(data))
            if not more:
                raise ConnectionError(f"the connection ended {len(data)} bytes into {count}")
            data += more
        return data

    def assert_closed(self) -> None:
        with contextlib.suppress(ConnectionResetError):
            assert self.sock.recv(1) == b""


Handler = Callable[[Message], bytes | None]


def echo(request: Message) -> bytes:
    """Its body, and in the metadata what it was called as."""
    return encode(
        RESPONSE,
        request.id,
        metadata={"called": f"{request.service}.{request.method}", **request.metadata},
        body=request.body,
    )


class RpcBackend(_Listener):
    """Answers each request with what `handler` makes of it; None: not at all."""

    def __init__(self, handler: Handler = echo) -> None:
        self.handler = handler
        self.requests: list[Message] = []
        super().__init__()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
        try:
            while True:
                head = await reader.readexactly(_HEAD.size)
                message = decode(head, await reader.readexactly(rest_of(head)))
                if message.kind == HEARTBEAT:
                    writer.write(encode(HEARTBEAT_ACK, message.id))
                    continue
                self.requests.append(message)
                answer = self.handler(message)
                if answer is not None:
                    writer.write(answer)
                    await writer.drain()
        except asyncio.IncompleteReadError:
            return


# -- bootstraps --------------------------------------------------------------------------------------------------------

_STRUCT = "type.googleapis.com/xds.type.v3.TypedStruct"


def typed(type_name: str, value: Json) -> Json:
    return {"@type": _STRUCT, "type_url": f"type.googleapis.com/{type_name}", "value": value}


def rpc_chain(protocol: str, name: str, hosts: list[Json], codec: Json | None = None, **manager: Any) -> Json:
    """A filter chain for calls of this protocol."""
    (chain,) = listener(name, 1, hosts, **manager)["filter_chains"]
    value = {"protocol": protocol, **(codec or {})}
    first = {
        "name": "tage.filters.network.x_protocol",
        "typed_config": typed("tage.network.v1alpha1.XProtocol", value),
    }
    return {"filters": [first, *chain["filters"]]}


def rpc_listener(protocol: str, name: str, port: int, hosts: list[Json], **fields: Any) -> Json:
    found = listener(name, port, hosts)
    found["filter_chains"] = [rpc_chain(protocol, name, hosts, **fields)]
    return found


def rpc_cluster(protocol: str, name: str, *ports: int, options: Json | None = None, **fields: Any) -> Json:
    value = {"protocol": protocol, **(options or {})}
    return cluster(
        name,
        *ports,
        typed_extension_protocol_options={
            "tage.upstreams.x_protocol": typed("tage.upstreams.v1alpha1.XProtocol", value)
        },
        **fields,
    )


def inspector(*protocols: str) -> Json:
    """A listener filter."""
    value = {"protocols": list(protocols)}
    return {
        "name": "tage.filters.listener.x_protocol_inspector",
        "typed_config": typed("tage.listener.v1alpha1.XProtocolInspector", value),
    }
