"""Whether something listens on a loopback port."""

from __future__ import annotations

import socket

from tests.e2e.ports import LOOPBACK


def listens(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1.0)
        return probe.connect_ex((LOOPBACK, port)) == 0
