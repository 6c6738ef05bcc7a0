"""Opens upstream connections: TCP, and TLS on it where the cluster has it. Not compiled: it runs once a connection."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable
from typing import Any

from tage.dataplane.net.connection import Connection
from tage.dataplane.net.greeting import greeting
from tage.dataplane.net.reactor import Reactor
from tage.dataplane.net.tls_transport import attach_tls
from tage.dataplane.upstream.connection import Failure


class Connector:
    """A cluster's `connect`: `make(pool)` gives a connection of its protocol that is not open yet; where ALPN decides
    which one (FOR_ALPN), `make(pool, agreed)` with what that has agreed to, empty where it has to nothing."""

    def __init__(self, loop: asyncio.AbstractEventLoop, reactor: Reactor, make: Callable[..., Any]) -> None:
        self._loop = loop
        self._reactor = reactor
        self._make = make
        self._tasks: set[asyncio.Task[None]] = set()

    def __call__(self, pool: Any, dial: Any = None) -> asyncio.Task[None]:
        """`dial`: for one receiver alone (`pool.Dial`)."""
        task = self._loop.create_task(self._open(pool, dial))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _open(self, pool: Any, dial: Any = None) -> None:
        """One timeout for TCP and TLS together, as in Envoy."""
        cluster = pool.cluster
        make = dial.make if dial is not None and dial.make is not None else self._make
        by_alpn = make is self._make and pool.by_alpn
        failure, reason, opened = Failure.CONNECT_FAILURE, "", False
        try:
            async with asyncio.timeout(cluster.connect_timeout / 1000 or None):
                connection = await self._attach(
                    pool,
                    (lambda agreed: make(pool, agreed)) if by_alpn else (lambda _: make(pool)),
                    dial.preface if dial is not None else b"",
                    pool.tls(),
                    by_alpn=by_alpn,
                )
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
                pool.connect_failed(failure, reason)
            else:
                pool.dial_failed(dial, failure, reason)
        elif dial is None:
            pool.connected(connection)
        else:
            pool.dialled(dial, connection)

    async def attach(self, host: Any, make: Callable[[Any], Any], preface: bytes = b"") -> Any:
        """Connects what `make(host)` gives to the host, over TLS where its cluster has it, and gives it. There is no
        limit of time. Raises `OSError`, `NotSecured`, and `ValueError` or `OverflowError` for what is no address or no
        port."""
        return await self._attach(host, lambda _: make(host), preface, host.cluster.tls)

    async def _attach(
        self, host: Any, make: Callable[[str], Any], preface: bytes, tls: Any, *, by_alpn: bool = False
    ) -> Any:
        """`by_alpn`: which connection is to be made is known when the handshake is done."""
        sock = await self._connect(host, preface)
        if tls is not None:
            return await self._secure(host.cluster.stats, tls, sock, make, by_alpn=by_alpn)
        connection = make("")
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

    async def _secure(
        self, stats: Any, tls: Any, sock: socket.socket, make: Callable[[str], Any], *, by_alpn: bool
    ) -> Any:
        done: asyncio.Future[str] = self._loop.create_future()
        connection = Connection() if by_alpn else make("")  # one whose place will be taken before it is made

        def told(reason: str) -> None:
            if not done.done():
                done.set_result(reason)

        greet = greeting(tls.trust, stats, told)

        def choose(transport: Any, error: OSError | None) -> bool:
            nonlocal connection
            if not greet(transport, error):
                return False
            connection = make(transport.tls().selected_alpn_protocol() or "")
            transport.hand_over(connection)
            return True

        try:
            transport = attach_tls(
                self._reactor,
                sock,
                connection,
                tls.context,
                choose if by_alpn else greet,
                server=False,
                server_name=tls.sni,
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
        return connection


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
