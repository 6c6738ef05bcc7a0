"""Loopback addresses for one mesh: a block 127.A.B.0/24, or several where 253 addresses are not enough.

All of 127.0.0.0/8 is this host on Linux, without any configuration. The first block follows from the mesh's name, so
that a mesh has the same addresses in every run; a block in which a port that we need is taken is passed over.
"""

from __future__ import annotations

import errno
import hashlib
import socket
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass

from tage.cli.errors import CommandError

XDS_PORT = 15010
HTTP_PORT = 15014
OUTBOUND_PORT = 15001
INBOUND_PORT = 15006
ADMIN_PORT = 15000
APP_PORTS = range(8080, 8100)
"""Applications get the first that is free: a service of the user's own on 0.0.0.0:8080 is common."""

CONTROL_PORTS = (XDS_PORT, HTTP_PORT)
SIDECAR_PORTS = (OUTBOUND_PORT, INBOUND_PORT, ADMIN_PORT)

CANDIDATES = 32
"""Blocks tried before giving up."""

_BLOCKS = 254 * 256  # 127.1.0 to 127.254.255: 127.0 is everybody's.
_HOSTS = 253  # .2 to .254; .1 is the control plane's.


@dataclass(frozen=True)
class Addresses:
    """`instances` are for sidecars and their applications, in order; the first is the client entry's."""

    control: str
    instances: tuple[str, ...]
    app_port: int = APP_PORTS[0]


def allocate(
    name: str, count: int, taken: Callable[[str, int], bool] | None = None, more: Collection[int] = ()
) -> Addresses:
    """Addresses for the control plane and `count` sidecars on which none of our ports is taken, nor of `more` on the
    sidecars'.

    `taken` says whether something listens on (address, port). Raises `CommandError` naming the port that is in use.
    """
    taken = taken or is_taken
    first = int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big") % _BLOCKS
    width = max(1, -(-count // _HOSTS))
    conflicts: list[tuple[str, int]] = []
    for candidate in range(CANDIDATES):
        blocks = [(first + candidate * width + offset) % _BLOCKS for offset in range(width)]
        control, instances = _address(blocks[0], 1), tuple(_hosts(blocks, count))
        conflict = next((pair for pair in _needed(control, instances, more) if taken(*pair)), None)
        if conflict is None:
            for port in APP_PORTS:
                conflict = next(((address, port) for address in instances if taken(address, port)), None)
                if conflict is None:
                    return Addresses(control, instances, port)
        assert conflict is not None
        conflicts.append(conflict)
    ports = sorted({port for _, port in conflicts})
    named = f"port {ports[0]}" if len(ports) == 1 else "ports " + ", ".join(map(str, ports))
    raise CommandError(
        f"{named} in use on every loopback address tried ({conflicts[0][0]} to {conflicts[-1][0]}): something listens "
        f"on all addresses; find it with `ss -ltnp 'sport = :{ports[0]}'` and stop it"
    )


def is_taken(address: str, port: int) -> bool:
    """Whether something listens there. SO_REUSEADDR, because connections of a run that has just ended linger in
    TIME_WAIT and do not hinder a listener."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return True
            raise CommandError(f"{address}:{port}: {error.strerror}; is the loopback interface up?") from None
    return False


def _address(block: int, host: int) -> str:
    return f"127.{1 + block // 256}.{block % 256}.{host}"


def _hosts(blocks: list[int], count: int) -> Iterator[str]:
    for index in range(count):
        yield _address(blocks[index // _HOSTS], 2 + index % _HOSTS)


def _needed(control: str, instances: tuple[str, ...], more: Collection[int]) -> Iterator[tuple[str, int]]:
    for port in CONTROL_PORTS:
        yield control, port
    for address in instances:
        for port in (*SIDECAR_PORTS, *more):
            yield address, port
