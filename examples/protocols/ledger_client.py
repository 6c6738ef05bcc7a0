"""A client that speaks ledger: `python ledger_client.py 127.0.0.1:9000 --calls 100`.

Without an address it calls through the mesh: TAGE_SIDECAR_X_LEDGER says where its sidecar takes in ledger. All calls
share one connection; at the end stands how many were answered, and by which version.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections import Counter

import ledger_wire as wire

AT_ONCE = 10
TIMEOUT = 5.0
"""Seconds that a call may take."""


class Connection:
    """One connection that any number of calls share, told apart by their ids."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writer = writer
        self._waiting: dict[int, asyncio.Future[wire.Message]] = {}
        self._next = 0
        self._reading = asyncio.create_task(self._read(reader))

    async def call(self, service: str, method: str, metadata: dict[bytes, bytes], body: bytes) -> wire.Message:
        """The answer. Raises TimeoutError, ConnectionError."""
        if self._reading.done():
            raise ConnectionError("the connection has ended")
        self._next += 1
        id, answer = self._next, asyncio.get_running_loop().create_future()
        self._waiting[id] = answer
        timeout = int(TIMEOUT * 1000)
        request = wire.Message(wire.REQUEST, id, service.encode(), method.encode(), metadata, body, timeout)
        try:
            async with asyncio.timeout(TIMEOUT):
                self._writer.write(wire.encode(request))
                await self._writer.drain()
                return await answer
        finally:
            del self._waiting[id]

    async def _read(self, reader: asyncio.StreamReader) -> None:
        reason = "the connection has ended"
        try:
            while (message := await wire.read(reader)) is not None:
                answer = self._waiting.get(message.id)
                if message.kind == wire.RESPONSE and answer is not None and not answer.done():
                    answer.set_result(message)
        except (wire.FramingError, ConnectionError) as error:
            reason = str(error)
        for answer in self._waiting.values():
            if not answer.done():
                answer.set_exception(ConnectionError(reason))

    async def close(self) -> None:
        self._writer.close()
        await self._reading


async def main() -> int:
    parser = argparse.ArgumentParser(description="Calls a service by ledger.")
    parser.add_argument("address", nargs="?", default=os.environ.get("TAGE_SIDECAR_X_LEDGER", "127.0.0.1:9000"))
    parser.add_argument("--service", default="accounts")
    parser.add_argument("--method", default="echo")
    parser.add_argument("--metadata", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--calls", type=int, default=10)
    options = parser.parse_args()
    host, _, port = options.address.rpartition(":")
    connection = Connection(*await asyncio.open_connection(host, int(port)))
    metadata = dict(each.encode().split(b"=", 1) for each in options.metadata)
    outcomes: Counter[str] = Counter()
    numbers = iter(range(options.calls))

    async def caller() -> None:
        for number in numbers:
            try:
                answer = await connection.call(options.service, options.method, metadata, b"%d" % number)
            except (TimeoutError, ConnectionError) as error:
                outcomes[f"failed: {type(error).__name__} {error}"] += 1
                continue
            if answer.number == wire.OK:
                outcomes[f"answered by {answer.metadata.get(b'version', b'?').decode()}"] += 1
            else:
                outcomes[f"refused with status {answer.number}: {answer.body.decode(errors='replace')}"] += 1

    await asyncio.gather(*(caller() for _ in range(AT_ONCE)))
    await connection.close()
    for outcome, count in sorted(outcomes.items()):
        print(f"{count:6} {outcome}")
    return 0 if all(outcome.startswith("answered") for outcome in outcomes) else 1


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
