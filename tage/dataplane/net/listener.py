"""Accepting sockets. Not compiled: uvloop accepts, and calls the factory once a connection."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Any


class AcceptingSocket:
    """One listening socket, handed over already bound and listening."""

    def __init__(self, sock: socket.socket, factory: Callable[[], Any]) -> None:
        self._sock = sock
        self._factory = factory
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._factory, sock=self._sock, backlog=1024)

    def close(self) -> None:
        """Accepts no more; connections that are open stay."""
        if self._server is not None:
            self._server.close()
            self._server = None
        else:
            self._sock.close()
