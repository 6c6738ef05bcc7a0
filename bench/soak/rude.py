"""Clients that misbehave while the load runs: heads and bodies that stop, resets, malformed requests, answers that
nobody waits for. What they get does not count; what they may cost the sidecar is `Footprint`.
"""

from __future__ import annotations

import contextlib
import os
import random
import socket
import struct
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

INTERVAL = 0.02
"""Seconds between two of them."""
KEPT = 50
"""How many say nothing more before one of them leaves."""
_RESET = struct.pack("ii", 1, 0)
_HEAD = b"POST http://%b/rude HTTP/1.1\r\nHost: %b\r\n"


@dataclass(frozen=True)
class Footprint:
    """Of the workers together: what would grow if something were left of requests and connections."""

    descriptors: int
    private_kib: int

    @classmethod
    def of(cls, pids: Iterable[int]) -> Footprint:
        descriptors = private = 0
        for pid in pids:
            descriptors += len(os.listdir(f"/proc/{pid}/fd"))
            for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                if line.startswith(("Private_Clean:", "Private_Dirty:")):
                    private += int(line.split()[1])
        return cls(descriptors, private)


class Rude(threading.Thread):
    """From `start` to `stop`; `count` of them by then."""

    def __init__(self, client: tuple[str, int], service: str, seed: int) -> None:
        super().__init__(name="rude")
        self.count = 0
        self._client = client
        self._head = _HEAD % ((service.encode(),) * 2)
        self._random = random.Random(seed)
        self._stop_event = threading.Event()
        self._kept: list[socket.socket] = []

    def stop(self) -> None:
        self._stop_event.set()

    def run(self) -> None:
        while not self._stop_event.wait(INTERVAL):
            with contextlib.suppress(OSError):  # the sidecar may refuse it, and end the connection before we do
                self._one()
        for sock in self._kept:
            sock.close()

    def _one(self) -> None:
        sock = socket.create_connection(self._client, timeout=5.0)
        self.count += 1
        kind = self._random.randrange(6)
        if kind == 0:
            sock.sendall(self._head)
        elif kind == 1:
            sock.sendall(self._head + b"Content-Length: 10\r\n\r\nhalf")
        elif kind == 2:
            sock.sendall(self._head + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")
        elif kind == 3:
            sock.sendall(self._head + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nzz\r\n")
        elif kind == 4:
            sock.sendall(self._head + b"Content-Length: 5\r\n\r\nhello")
        else:
            sock.sendall(self._head + b"Content-Length: 5\r\n\r\nhello" * 2)
        if self._random.random() < 0.5:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self._kept.append(sock)
        if len(self._kept) > KEPT:
            self._kept.pop(self._random.randrange(KEPT)).close()
