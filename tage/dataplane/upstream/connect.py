"""Opens upstream connections. Not compiled: it runs once a connection."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable
from typing import Any

from tage.dataplane.net.reactor import Reactor
from tage.dataplane.upstream.connection import Failure


class Connector:
    """A cluster's `connect`: `make(host)` gives a connection of its protocol that is not open yet."""

    def __init__(self, loop: asyncio.AbstractEventLoop, reactor: Reactor, make: Callable[[Any], Any]) -> None:
        self._loop = loop
        self._reactor = reactor
        self._make = make
        self._tasks: set[asyncio.Task[None]] = set()

    def __call__(self, host: Any, dial: Any = None) -> asyncio.Task[None]:
        """`dial`: for one receiver alone (`cluster.Dial`)."""
        task = self._loop.create_task(self._open(host, dial))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _open(self, host: Any, dial: Any = None) -> None:
        cluster = host.cluster
        failure, reason = Failure.NONE, ""
        sock = None
        try:
            async with asyncio.timeout(cluster.connect_timeout / 1000 or None):
                sock = await self._connect(host, dial.preface if dial is not None else b"")
        except TimeoutError:
            cluster.stats.count("upstream_cx_connect_timeout", 1)
            failure, reason = Failure.CONNECT_TIMEOUT, "connection timeout"
        except OSError as error:
            # The loop puts words of its own in `strerror`.
            reason = os.strerror(error.errno) if error.errno else str(error)
            failure = Failure.CONNECT_FAILURE
        except (ValueError, OverflowError) as error:  # no address, or no port, that there could be
            failure, reason = Failure.CONNECT_FAILURE, str(error)
        if sock is None:
            cluster.stats.count("upstream_cx_connect_fail", 1)
            if dial is None:
                host.connect_failed(failure, reason)
            else:
                host.dial_failed(dial, failure, reason)
        elif dial is None:
            connection = self._make(host)
            self._reactor.attach(sock, connection)
            host.connected(connection)
        else:
            connection = (dial.make or self._make)(host)
            self._reactor.attach(sock, connection)
            host.dialled(dial, connection)

    async def _connect(self, host: Any, preface: bytes) -> socket.socket:
        family = socket.AF_INET6 if ":" in host.address else socket.AF_INET
        sock = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        try:
            await self._loop.sock_connect(sock, (host.address, host.port))
            if preface:
                await self._loop.sock_sendall(sock, preface)
        except BaseException:  # being cancelled among it
            sock.close()
            raise
        return sock
