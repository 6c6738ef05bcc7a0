"""Ports for the processes under test, and waiting."""

from __future__ import annotations

import random
import socket
import time
from collections.abc import Callable
from typing import TypeVar

PATIENCE = 20.0
"""Seconds; bounds what takes a fraction of one on a quiet machine."""
LOOPBACK = "127.0.0.1"

_RANGE = range(20_000, 32_000)  # below what the kernel gives to outgoing connections
_given: set[int] = set()

T = TypeVar("T")


def free_port(address: str = LOOPBACK) -> int:
    """One that nobody has, and that is given out once only."""
    while True:
        port = random.choice(_RANGE)
        if port in _given:
            continue
        _given.add(port)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((address, port))
            except OSError:
                continue
        return port


def until(condition: Callable[[], T], what: str, seconds: float = PATIENCE) -> T:
    """What `condition` returns as soon as that is true; it fails the test otherwise."""
    deadline = time.monotonic() + seconds
    while not (result := condition()):
        assert time.monotonic() < deadline, f"waited {seconds:g} s in vain: {what}"
        time.sleep(0.01)
    return result
