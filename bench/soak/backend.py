"""The application of the soak mesh: answers with its version, the request line's method and target, and the request's
body. `HOST`, `PORT` and `VERSION` come from the environment.

Plain and quick on purpose: one core may have to carry it beside the mesh. What it is sent comes from a sidecar, so it
reads only what a sidecar writes: a complete head with `content-length` or no body.
"""

from __future__ import annotations

import asyncio
import os
from typing import cast

import uvloop

HEAD_END = b"\r\n\r\n"
LENGTH = b"\r\ncontent-length:"


class Echo(asyncio.Protocol):
    """One connection."""

    def __init__(self, version: bytes) -> None:
        self._version = version
        self._received = b""
        self._transport: asyncio.WriteTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.WriteTransport, transport)  # uvloop's has no asyncio base

    def data_received(self, data: bytes) -> None:
        self._received += data
        while (request := self._next()) is not None:
            method, target, body = request
            answer = b"%b %b %b\n%b" % (self._version, method, target, body)
            assert self._transport is not None
            self._transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(answer), answer))

    def _next(self) -> tuple[bytes, bytes, bytes] | None:
        """Method, target and body of a request that is here as a whole."""
        received = self._received
        end = received.find(HEAD_END)
        if end < 0:
            return None
        length = 0
        found = received[:end].lower().find(LENGTH)
        if found >= 0:
            length = int(received[found + len(LENGTH) : end].split(b"\r\n", 1)[0])
        start = end + len(HEAD_END)
        if len(received) < start + length:
            return None
        self._received = received[start + length :]
        method, target, _ = received[: received.find(b"\r\n")].split(b" ")
        return method, target, received[start : start + length]


async def serve() -> None:
    version = os.environ["VERSION"].encode()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Echo(version), os.environ["HOST"], int(os.environ["PORT"]))
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve())
