"""A server that speaks ledger: `HOST=127.0.0.1 PORT=9000 python ledger_server.py`.

Nothing here knows of a mesh: `tage up` says by HOST and PORT where to listen. Answers are signed with VERSION.
"""

from __future__ import annotations

import asyncio
import os

import ledger_wire as wire

VERSION = os.environ.get("VERSION", "v1").encode()

AT_ONCE = 1000
"""Calls of one connection that are worked on at a time; those beyond it wait unread."""


async def answer(call: wire.Message) -> tuple[int, bytes]:
    """What this service does: (status, body)."""
    if call.method == b"echo":
        return wire.OK, call.body
    if call.method == b"sleep":
        await asyncio.sleep(1)
        return wire.OK, b"slept for a second"
    return wire.NOT_FOUND, b"no method " + call.method


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One connection. Calls are answered as they are done, not in the order in which they came: they have ids."""
    room = asyncio.Semaphore(AT_ONCE)
    calls: set[asyncio.Task[None]] = set()

    async def work(call: wire.Message) -> None:
        try:
            status, body = await answer(call)
            if call.kind == wire.REQUEST:
                metadata = {b"version": VERSION}
                writer.write(wire.encode(wire.Message(wire.RESPONSE, call.id, b"", b"", metadata, body, status)))
                await writer.drain()
        finally:
            room.release()

    try:
        while (message := await wire.read(reader)) is not None:
            if message.kind == wire.HEARTBEAT:
                writer.write(wire.encode(wire.Message(wire.HEARTBEAT_ACK, message.id)))
                await writer.drain()
            elif message.kind in (wire.REQUEST, wire.ONE_WAY):
                await room.acquire()
                task = asyncio.create_task(work(message))
                calls.add(task)
                task.add_done_callback(calls.discard)
    except (wire.FramingError, ConnectionError) as error:
        print(f"connection closed: {error}", flush=True)
    finally:
        for task in calls:
            task.cancel()
        writer.close()


async def main() -> None:
    host, port = os.environ.get("HOST", "127.0.0.1"), int(os.environ.get("PORT", "9000"))
    server = await asyncio.start_server(serve, host, port)
    print(f"ledger {VERSION.decode()} listens on {host}:{server.sockets[0].getsockname()[1]}", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
