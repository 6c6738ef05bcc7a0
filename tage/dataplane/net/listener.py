"""Accepting sockets. Not compiled: it runs once a connection."""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import Callable
from typing import Any

from tage.dataplane.net.reactor import Reactor

_ACCEPTS = 64
"""Connections that are accepted before others have their turn."""
_PAUSE_SECONDS = 0.1


class AcceptingSocket:
    """One listening socket, handed over already bound and listening; `factory` makes each connection."""

    def __init__(self, reactor: Reactor, sock: socket.socket, factory: Callable[[], Any]) -> None:
        self._reactor = reactor
        self._sock = sock
        self._factory = factory
        self._accepting = False
        self._again: asyncio.TimerHandle | None = None

    def start(self) -> None:
        self._sock.setblocking(False)
        asyncio.get_running_loop().add_reader(self._sock.fileno(), self._accept)
        self._accepting = True

    def _accept(self) -> None:
        for _ in range(_ACCEPTS):
            try:
                sock, _peer = self._sock.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                # Out of descriptors or memory: the kernel would offer the same connection again and again.
                print(f"worker: cannot accept: {error.strerror}; trying again in a moment", file=sys.stderr, flush=True)
                self._pause()
                return
            sock.setblocking(False)
            self._reactor.attach(sock, self._factory())

    def _pause(self) -> None:
        loop = asyncio.get_running_loop()
        loop.remove_reader(self._sock.fileno())
        self._again = loop.call_later(_PAUSE_SECONDS, self.start)

    def close(self) -> None:
        """Accepts no more; connections that are open stay."""
        if self._accepting:
            self._accepting = False
            if self._again is not None:
                self._again.cancel()
            asyncio.get_running_loop().remove_reader(self._sock.fileno())
        self._sock.close()
