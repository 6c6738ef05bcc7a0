"""Opens upstream connections. Not compiled: it runs once a connection."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from tage.dataplane.upstream.connection import Failure


class Connector:
    """A cluster's `connect`: `make(host)` gives a connection of its protocol that is not open yet."""

    def __init__(self, loop: asyncio.AbstractEventLoop, make: Callable[[Any], Any]) -> None:
        self._loop = loop
        self._make = make
        self._tasks: set[asyncio.Task[None]] = set()

    def __call__(self, host: Any) -> None:
        task = self._loop.create_task(self._open(host))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _open(self, host: Any) -> None:
        cluster = host.cluster
        connection = self._make(host)
        try:
            async with asyncio.timeout(cluster.connect_timeout / 1000):
                await self._loop.create_connection(lambda: connection, host.address, host.port)
        except TimeoutError:
            cluster.stats.count("upstream_cx_connect_timeout", 1)
            cluster.stats.count("upstream_cx_connect_fail", 1)
            host.connect_failed(Failure.CONNECT_TIMEOUT, "connection timeout")
        except OSError as error:
            cluster.stats.count("upstream_cx_connect_fail", 1)
            host.connect_failed(Failure.CONNECT_FAILURE, error.strerror or str(error))
        else:
            host.connected(connection)
