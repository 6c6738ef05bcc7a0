"""Accepting sockets. Not compiled: it runs once a connection."""

from __future__ import annotations

import asyncio
import socket
import sys

from tage.dataplane.net.entrance import MAX_INSPECTED, Arrival, Entrance
from tage.dataplane.net.reactor import Reactor
from tage.dataplane.net.timers import TimerWheel

_ACCEPTS = 64
"""Connections that are accepted before others have their turn."""
_PAUSE_SECONDS = 0.1


class AcceptingSocket:
    """One listening socket, handed over already bound and listening. `entrance` says what its connections meet; it may
    be replaced at any time, for those to come."""

    def __init__(self, reactor: Reactor, wheel: TimerWheel, sock: socket.socket, entrance: Entrance) -> None:
        self.entrance = entrance
        self._reactor = reactor
        self._wheel = wheel
        self._sock = sock
        self._open = True
        self._accepting = False
        self._arriving = 0
        self._again: asyncio.TimerHandle | None = None

    def start(self) -> None:
        self._sock.setblocking(False)
        self._resume()

    def _resume(self) -> None:
        self._again = None
        if self._open and not self._accepting:
            asyncio.get_running_loop().add_reader(self._sock.fileno(), self._accept)
            self._accepting = True

    def _pause(self) -> None:
        if self._accepting:
            asyncio.get_running_loop().remove_reader(self._sock.fileno())
            self._accepting = False

    def _accept(self) -> None:
        for _ in range(_ACCEPTS):
            if self._arriving >= MAX_INSPECTED:
                self._pause()  # until one of them has found its way
                return
            try:
                sock, _peer = self._sock.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                # Out of descriptors or memory: the kernel would offer the same connection again and again.
                print(f"worker: cannot accept: {error.strerror}; trying again in a moment", file=sys.stderr, flush=True)
                self._pause()
                self._again = asyncio.get_running_loop().call_later(_PAUSE_SECONDS, self._resume)
                return
            sock.setblocking(False)
            chain = self.entrance.direct
            if chain is not None:
                self._reactor.attach(sock, chain.make())
            else:
                self._arriving += 1
                Arrival(self.entrance, self._reactor, self._wheel, sock, self._arrived).start()

    def _arrived(self) -> None:
        self._arriving -= 1
        if self._again is None:
            self._resume()

    def close(self) -> None:
        """Accepts no more; connections that are open, or on their way, stay."""
        self._open = False
        self._pause()
        if self._again is not None:
            self._again.cancel()
            self._again = None
        self._sock.close()
