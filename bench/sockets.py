"""Which connections processes have: from /proc/net/tcp and the descriptors under /proc/PID/fd."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

ESTABLISHED = "01"
"""include/net/tcp_states.h"""


def connections_to(pids: Iterable[int], ports: Iterable[int]) -> int:
    """Established IPv4 connections of these processes to one of the ports."""
    wanted = set(ports)
    sockets = set()
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        remote, state, inode = fields[2], fields[3], fields[9]
        if state == ESTABLISHED and int(remote.rpartition(":")[2], 16) in wanted:
            sockets.add(f"socket:[{inode}]")
    return len(sockets & {link for pid in pids for link in _descriptors(pid)})


def _descriptors(pid: int) -> Iterable[str]:
    directory = f"/proc/{pid}/fd"
    for name in os.listdir(directory):
        with suppress(FileNotFoundError):  # closed meanwhile
            yield os.readlink(f"{directory}/{name}")
