"""Load on keep-alive connections while a test does its worst.

Nothing is retried: a reset, a timeout, a close without an answer, a wrong status and a wrong body are failures. A
connection that an answer said would close is opened anew, as any client does, or ends its part of the load.
"""

from __future__ import annotations

import asyncio
import itertools
import threading
import zlib
from collections import Counter
from types import TracebackType

import h11

from tests.e2e.ports import LOOPBACK, PATIENCE, until

_BODY = bytes(range(256)) * 64


class Load:
    """As a context: runs from the first answer on every connection to the context's end.

    The backend has to mirror the body, or the target where there is none (`backend.mirror`).
    """

    def __init__(
        self, port: int, host: str, connections: int = 8, *, address: str = LOOPBACK, reconnect: bool = True
    ) -> None:
        self._target = (address, port)
        self._host = host
        self._connections = connections
        self._reconnect = reconnect
        self._serial = itertools.count()
        self._ending = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), name="load", daemon=True)
        self.answers: Counter[str] = Counter()
        """By the header x-backend."""
        self.failures: list[str] = []
        self.closes = 0
        """Connections that the sidecar announced to close, and closed."""

    @property
    def total(self) -> int:
        return self.answers.total()

    def __enter__(self) -> Load:
        self._thread.start()
        self.wait_more(4 * self._connections)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._ending.set()
        self.join()

    def wait_more(self, count: int) -> None:
        """Until so many more requests were answered."""
        goal = self.total + count
        until(lambda: self.total >= goal or self.failures, f"{count} more answers; there were {self.total}")

    def join(self) -> None:
        """Until all connections have ended."""
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive(), "the load does not end"

    async def _run(self) -> None:
        await asyncio.gather(*(self._connection() for _ in range(self._connections)))

    async def _connection(self) -> None:
        while not self._ending.is_set() and not self.failures:
            sent = "connect"
            try:
                async with asyncio.timeout(PATIENCE):
                    reader, writer = await asyncio.open_connection(*self._target)
                try:
                    while not self._ending.is_set():
                        sent = await self._exchange(reader, writer)
                        if sent:
                            break
                finally:
                    writer.close()
            except (OSError, TimeoutError, h11.RemoteProtocolError, AssertionError) as error:
                self.failures.append(f"{sent}: {type(error).__name__}: {error}")
                return
            if not self._reconnect:
                return

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> str:
        """One request and its answer; what is left to do: something, if the connection is over."""
        serial = next(self._serial)
        target = f"/load/{serial}"
        events = h11.Connection(h11.CLIENT)
        body = _BODY[: zlib.crc32(target.encode()) % len(_BODY)] if serial % 4 == 0 else b""
        method, headers = "GET", [("host", self._host)]
        if body:
            method, headers = "POST", [*headers, ("content-length", str(len(body)))]
        data = events.send(h11.Request(method=method, target=target, headers=headers)) or b""
        data += (events.send(h11.Data(data=body)) or b"") if body else b""
        data += events.send(h11.EndOfMessage()) or b""
        got: list[bytes] = []
        head: h11.Response | None = None
        async with asyncio.timeout(PATIENCE):
            writer.write(data)
            while True:
                event = events.next_event()
                if event is h11.NEED_DATA:
                    received = await reader.read(1 << 16)
                    if not received and head is None:
                        raise AssertionError(f"{method} {target}: closed without an answer")
                    events.receive_data(received)
                elif isinstance(event, h11.Response):
                    head = event
                elif isinstance(event, h11.Data):
                    got.append(bytes(event.data))
                elif isinstance(event, h11.EndOfMessage):
                    break
            assert head is not None
            whole = b"".join(got)
            assert head.status_code == 200, f"{method} {target}: {head.status_code} {whole[:200]!r}"
            assert whole == (body or target.encode()), f"{method} {target}: a wrong body of {len(whole)} bytes"
            self.answers[next((v.decode() for n, v in head.headers if n == b"x-backend"), "")] += 1
            if (b"connection", b"close") not in list(head.headers):
                return ""
            rest = await reader.read()
            assert rest == b"", f"{method} {target}: {len(rest)} bytes after the last answer"
            self.closes += 1
            return "closed"
