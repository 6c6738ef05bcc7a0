"""The first protocol of a TLS transport: it decides whether the peer gets to speak to the real one."""

from __future__ import annotations

import asyncio
from typing import Any

from tage.dataplane.net.tls import Trust
from tage.dataplane.telemetry.store import StatGroup


class Greeter(asyncio.Protocol):
    """Turns away, as soon as the handshake is done, whom `trust` does not expect (`refusal` says why), and hands the
    others to `connection`."""

    def __init__(self, connection: Any, trust: Trust | None, stats: StatGroup) -> None:
        self.refusal = ""
        self._connection = connection
        self._trust = trust
        self._stats = stats

    def connection_made(self, transport: Any) -> None:
        self._stats.count("ssl.handshake", 1)
        if self._trust is not None:
            self.refusal = self._trust.refusal(transport.get_extra_info("ssl_object"))
        if self.refusal:
            self._stats.count("ssl.fail_verify_san", 1)
            transport.abort()
            return
        transport.set_protocol(self._connection)
        self._connection.connection_made(transport)

    def data_received(self, data: bytes) -> None:
        """Of one that was turned away."""

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, error: BaseException | None) -> None:
        pass
