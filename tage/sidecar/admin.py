"""The admin API's HTTP server: GET and HEAD over asyncio streams, with h11 as the protocol.

It binds loopback addresses only, for it has no protection of its own, and what a client can make it hold is bounded:
head, connections, time. What it says is in `admin_pages`.
"""

from __future__ import annotations

import asyncio
import errno
import logging
from collections.abc import Awaitable, Callable
from urllib.parse import parse_qsl, urlsplit

import h11
import msgspec

from tage.sidecar.bootstrap import is_loopback

MAX_HEAD = 16 << 10
"""Bytes of a request's head."""
MAX_CONNECTIONS = 64
IDLE_TIMEOUT = 30.0
"""Seconds that a connection may take to bring a request, or to take an answer."""
READ = 16 << 10

logger = logging.getLogger(__name__)


class AdminError(Exception):
    """The API cannot be served; the message says why and what to do."""


class Page(msgspec.Struct, frozen=True):
    """An answer."""

    body: str
    status: int = 200
    content_type: str = "text/plain; charset=UTF-8"


class Query(dict[str, str]):
    """A query's fields; of a field that stands there more than once, the last one's value."""

    def __init__(self, text: str = "") -> None:
        self._pairs = parse_qsl(text, keep_blank_values=True)
        super().__init__(self._pairs)

    def all(self, name: str) -> list[str]:
        """Every value of a field, in order."""
        return [value for each, value in self._pairs if each == name]


Handler = Callable[[str, Query], Page | Awaitable[Page]]
"""(path, query) -> answer."""


class AdminServer:
    def __init__(self, handler: Handler) -> None:
        self._handler = handler
        self._server: asyncio.Server | None = None
        self._connections = 0

    async def start(self, host: str, port: int) -> int:
        """Returns the port, which the kernel chooses where `port` is 0. Raises `AdminError`."""
        if not is_loopback(host):
            raise AdminError(
                f"admin address {host} is reachable from outside; the admin API has no protection yet: "
                "use a loopback address, 127.0.0.1 for example"
            )
        try:
            self._server = await asyncio.start_server(self._serve, host, port, limit=MAX_HEAD)
        except OSError as error:
            in_use = error.errno == errno.EADDRINUSE
            reason = "another process listens there" if in_use else error.strerror or error
            raise AdminError(f"admin address {host}:{port}: {reason}") from error
        return int(self._server.sockets[0].getsockname()[1])

    def close(self) -> None:
        if self._server is not None:
            self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connections += 1
        try:
            if self._connections <= MAX_CONNECTIONS:
                await self._converse(reader, writer)
        except (ConnectionError, TimeoutError) as error:
            logger.debug("admin: connection ended: %s", error or "idle")
        finally:
            self._connections -= 1
            writer.close()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = h11.Connection(h11.SERVER, max_incomplete_event_size=MAX_HEAD)
        while True:
            try:
                async with asyncio.timeout(IDLE_TIMEOUT):
                    request = await _request(connection, reader)
            except h11.RemoteProtocolError as error:
                if connection.our_state in (h11.IDLE, h11.SEND_RESPONSE):
                    status = error.error_status_hint
                    await _answer(connection, writer, Page(f"{error}\n", status), close=True)
                return
            if request is None:
                return
            await _answer(connection, writer, await self._page(request), head=request.method == b"HEAD")
            if connection.our_state is not h11.DONE or connection.their_state is not h11.DONE:
                return  # it sends a body, which nothing here takes, or it wants to close
            connection.start_next_cycle()

    async def _page(self, request: h11.Request) -> Page:
        if request.method not in (b"GET", b"HEAD"):
            return Page("only GET and HEAD are served here\n", 405)
        target = urlsplit(request.target.decode("ascii"))
        page = self._handler(target.path, Query(target.query))
        return page if isinstance(page, Page) else await page


async def _request(connection: h11.Connection, reader: asyncio.StreamReader) -> h11.Request | None:
    """The next request, its body not read but for an empty one; None at the connection's end."""
    request: h11.Request | None = None
    while True:
        event = connection.next_event()
        if event is h11.NEED_DATA:
            if request is not None:  # the body is still to come
                return request
            connection.receive_data(await reader.read(READ))
        elif isinstance(event, h11.Request):
            request = event
        elif isinstance(event, h11.EndOfMessage | h11.Data):
            return request
        else:  # ConnectionClosed, PAUSED
            return request


async def _answer(
    connection: h11.Connection, writer: asyncio.StreamWriter, page: Page, *, head: bool = False, close: bool = False
) -> None:
    body = page.body.encode()
    headers = [
        ("content-type", page.content_type),
        ("content-length", str(len(body))),
        ("cache-control", "no-cache, max-age=0"),
        ("x-content-type-options", "nosniff"),
    ]
    if close:
        headers.append(("connection", "close"))
    writer.write(connection.send(h11.Response(status_code=page.status, headers=headers)) or b"")
    if not head:
        writer.write(connection.send(h11.Data(data=body)) or b"")
    writer.write(connection.send(h11.EndOfMessage()) or b"")
    async with asyncio.timeout(IDLE_TIMEOUT):
        await writer.drain()
