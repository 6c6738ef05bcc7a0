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
        failure, reason = Failure.NONE, ""
        try:
            async with asyncio.timeout(cluster.connect_timeout / 1000 or None):
                await self._loop.create_connection(lambda: connection, host.address, host.port)
        except TimeoutError:
            cluster.stats.count("upstream_cx_connect_timeout", 1)
            failure, reason = Failure.CONNECT_TIMEOUT, "connection timeout"
        except OSError as error:
            failure, reason = Failure.CONNECT_FAILURE, error.strerror or str(error)
        except (ValueError, OverflowError) as error:  # no address, or no port, that there could be
            failure, reason = Failure.CONNECT_FAILURE, str(error)
        if failure:
            cluster.stats.count("upstream_cx_connect_fail", 1)
            # It may have opened in the very moment in which its time was up; the loop has closed it then.
            host.connect_failed(failure, reason, connection.open or connection.closing)
        else:
            host.connected(connection)
