"""Small questions to a loopback port: does it accept connections, does it answer 200."""

from __future__ import annotations

import asyncio
import contextlib

MAX_REASON = 200
"""Bytes of an answer's body that a reason shows."""


async def accepts(address: str, port: int, seconds: float = 1.0) -> str:
    """Empty when something accepts connections there, else why not."""
    try:
        async with asyncio.timeout(seconds):
            _, writer = await asyncio.open_connection(address, port)
    except (OSError, TimeoutError) as error:
        return _reason(error, seconds)
    await _close(writer)
    return ""


async def refuses(address: str, port: int, seconds: float = 1.0) -> bool:
    """True only when nothing listens there; a busy listener that does not answer in time does not refuse."""
    try:
        async with asyncio.timeout(seconds):
            _, writer = await asyncio.open_connection(address, port)
    except ConnectionRefusedError:
        return True
    except (OSError, TimeoutError):
        return False
    await _close(writer)
    return False


async def answers_ok(address: str, port: int, path: str, seconds: float = 2.0) -> str:
    """Empty when GET `path` is answered 200, else why not: the answer's body or what went wrong."""
    request = f"GET {path} HTTP/1.1\r\nHost: {address}:{port}\r\nConnection: close\r\n\r\n"
    writer = None
    try:
        async with asyncio.timeout(seconds):
            reader, writer = await asyncio.open_connection(address, port)
            writer.write(request.encode())
            status = await reader.readline()
            if status.split()[1:2] == [b"200"]:
                return ""
            head_and_body = await reader.read(4096)
    except (OSError, TimeoutError) as error:
        return _reason(error, seconds)
    finally:
        if writer is not None:
            await _close(writer)
    body = head_and_body.partition(b"\r\n\r\n")[2][:MAX_REASON].decode(errors="replace")
    return " ".join(body.split()) or status.decode(errors="replace").strip() or "connection closed"


def _reason(error: Exception, seconds: float) -> str:
    if isinstance(error, TimeoutError):
        return f"no answer within {seconds:g} s"
    if isinstance(error, ConnectionRefusedError):
        return "connection refused"
    return str(error)


async def _close(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
