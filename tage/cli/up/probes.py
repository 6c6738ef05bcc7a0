"""Small questions to a loopback port: does it accept connections, does it answer 200."""

from __future__ import annotations

import asyncio
import contextlib

MAX_REASON = 200
"""Characters of an answer's body that a reason shows."""

MAX_ANSWER = 16 * 1024 * 1024
"""Bytes of an answer that are read."""


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
    try:
        status, body = await get(address, port, path, seconds)
    except (OSError, TimeoutError) as error:
        return _reason(error, seconds)
    if status == "200":
        return ""
    return " ".join(body[:MAX_REASON].split()) or (f"answered {status}" if status else "connection closed")


async def get(address: str, port: int, path: str, seconds: float = 2.0) -> tuple[str, str]:
    """GET over a connection of its own: the status and the body, as far as they came. Raises OSError, TimeoutError."""
    request = f"GET {path} HTTP/1.1\r\nHost: {address}:{port}\r\nConnection: close\r\n\r\n"
    async with asyncio.timeout(seconds):
        reader, writer = await asyncio.open_connection(address, port)
        try:
            writer.write(request.encode())
            answer = bytearray()
            while len(answer) < MAX_ANSWER and (data := await reader.read(64 * 1024)):
                answer += data
        finally:
            await _close(writer)
    head, _, body = bytes(answer).partition(b"\r\n\r\n")
    words = head.split(b"\r\n", 1)[0].split()
    return (words[1].decode(errors="replace") if len(words) > 1 else ""), body.decode(errors="replace")


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
