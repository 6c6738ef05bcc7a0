"""Opens upstream connections: TCP, and TLS on it where the cluster has it. Not compiled: it runs once a connection."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable
from typing import Any

from tage.dataplane.net.greeting import greeting
from tage.dataplane.net.reactor import Reactor
from tage.dataplane.net.tls_transport import attach_tls
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
        """One timeout for TCP and TLS together, as in Envoy."""
        cluster = host.cluster
        make = dial.make if dial is not None and dial.make is not None else self._make
        failure, reason, opened = Failure.CONNECT_FAILURE, "", False
        try:
            async with asyncio.timeout(cluster.connect_timeout / 1000 or None):
                connection = await self.attach(host, make, dial.preface if dial is not None else b"")
                opened = True
        except TimeoutError:
            cluster.stats.count("upstream_cx_connect_timeout", 1)
            failure, reason = Failure.CONNECT_TIMEOUT, "connection timeout"
        except NotSecured as error:
            reason = f"TLS error: {error}"
        except OSError as error:
            # The loop puts words of its own in `strerror`.
            reason = os.strerror(error.errno) if error.errno else str(error) or "connection reset"
        except (ValueError, OverflowError) as error:  # no address, or no port, that there could be
            reason = str(error)
        if not opened:
            cluster.stats.count("upstream_cx_connect_fail", 1)
            if dial is None:
                host.connect_failed(failure, reason)
            else:
                host.dial_failed(dial, failure, reason)
        elif dial is None:
            host.connected(connection)
        else:
            host.dialled(dial, connection)

    async def attach(self, host: Any, make: Callable[[Any], Any], preface: bytes = b"") -> Any:
        """Connects what `make(host)` gives to the host, over TLS where its cluster has it, and gives it. There is no
        limit of time. Raises `OSError`, `NotSecured`, and `ValueError` or `OverflowError` for what is no address or no
        port."""
        sock = await self._connect(host, preface)
        connection = make(host)
        if host.cluster.tls is not None:
            await self._secure(host, sock, connection)
        else:
            self._reactor.attach(sock, connection)
        return connection

    async def _connect(self, host: Any, preface: bytes) -> socket.socket:
        family = socket.AF_INET6 if ":" in host.address else socket.AF_INET
        sock = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        try:
            if host.cluster.tcp_keepalive is not None:
                _keep_alive(sock, *host.cluster.tcp_keepalive)
            await self._loop.sock_connect(sock, (host.address, host.port))
            if preface:
                await self._loop.sock_sendall(sock, preface)
        except BaseException:  # being cancelled among it
            sock.close()
            raise
        return sock

    async def _secure(self, host: Any, sock: socket.socket, connection: Any) -> None:
        tls = host.cluster.tls
        done: asyncio.Future[str] = self._loop.create_future()

        def told(reason: str) -> None:
            if not done.done():
                done.set_result(reason)

        greet = greeting(tls.trust, host.cluster.stats, told)
        try:
            transport = attach_tls(
                self._reactor, sock, connection, tls.context, greet, server=False, server_name=tls.sni
            )
        except (OSError, ValueError):  # the server has gone already, or the server name is none
            sock.close()
            raise
        try:
            reason = await done
        except asyncio.CancelledError:
            transport.abort()
            raise
        if reason:
            raise NotSecured(reason)


class NotSecured(Exception):
    """The handshake failed, or the server is not one that is expected here."""


def _keep_alive(sock: socket.socket, probes: int, time: int, interval: int) -> None:
    """tcp(7). Times in seconds; 0 leaves what the system has."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in (
        (socket.TCP_KEEPCNT, probes),
        (socket.TCP_KEEPIDLE, time),
        (socket.TCP_KEEPINTVL, interval),
    ):
        if value:
            sock.setsockopt(socket.IPPROTO_TCP, option, value)
