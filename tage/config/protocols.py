"""Protocols of services, and where a sidecar takes in those of remote calls.

A service's `protocol` is `http`, `tcp`, or a protocol of remote calls: one that Tage brings, or `x-NAME` for one that
is somebody's own. Of the latter nothing but the form of the name is known here: what it means is known to the sidecars,
which have its class.

A sidecar takes each of them in on a *named port* beside its outbound port, so that clients of protocols that cannot be
told apart have one of their own; and each service of protocol `tcp`, of whose connections nothing says where they go.
It follows from the protocols and services of the mesh alone: control plane and `tage up` come to the same one without
asking each other.
"""

from __future__ import annotations

import itertools
import re
import zlib
from collections.abc import Container, Iterable

HTTP = "http"
TCP = "tcp"
BUILTIN = ("bolt", "dubbo", "dubbo-thrift", "thrift", "hsf")
"""Protocols of remote calls that Tage brings, in the order of their ports."""

_PLANNED = ("http2", "grpc")
_OWN = re.compile(r"x-[a-z0-9](?:[-a-z0-9]{0,59}[a-z0-9])?")
_DETECTED_FIRST = ("bolt", "dubbo")

FIRST_PORT = 100
"""The distance between the outbound port and that of the first built-in protocol: 15101 is bolt's."""
_FIRST_OWN_PORT = 200
_OWN_PORTS = 800
_FIRST_TCP_PORT = 1100
_LAST_PORT = 65535


def wrong(name: str) -> str:
    """What is wrong with a service's protocol, in the manner of `tage.config.names`."""
    if name in (HTTP, TCP) or is_rpc(name):
        return ""
    known = f"use {', '.join((HTTP, TCP, *BUILTIN))} or x-NAME"
    if name in _PLANNED:
        return f"protocol '{name}' is not carried yet; {known}"
    return f"protocol '{name}' is not known; {known}"


def is_rpc(name: str) -> bool:
    """Whether it is a protocol of remote calls."""
    return name in BUILTIN or _OWN.fullmatch(name) is not None


def in_order(protocols: Iterable[str]) -> tuple[str, ...]:
    """Those of remote calls, once each, in the order in which a connection is tried for them."""
    first = {name: at for at, name in enumerate(_DETECTED_FIRST)}
    return tuple(sorted({name for name in protocols if is_rpc(name)}, key=lambda n: (first.get(n, len(first)), n)))


def named_ports(protocols: Iterable[str], outbound_port: int) -> dict[str, int]:
    """The port of each protocol of remote calls among the mesh's. Somebody's own has one that follows from its name;
    where two fall together, the later by name has the next that is free. They lie above the outbound port, or below it
    where there is no room."""
    ports: dict[str, int] = {}
    taken: set[int] = set()
    for name in in_order(protocols):
        if name in BUILTIN:
            distance = FIRST_PORT + BUILTIN.index(name)
        else:
            distance = _free(_FIRST_OWN_PORT, name, taken)
        taken.add(distance)
        ports[name] = _beside(outbound_port, distance)
    return ports


def tcp_ports(services: Iterable[str], outbound_port: int) -> dict[str, int]:
    """The port of each of these services, full names of protocol `tcp`. It follows from the name, as above."""
    ports: dict[str, int] = {}
    taken: set[int] = set()
    for name in sorted(services):
        distance = _free(_FIRST_TCP_PORT, name, taken)
        taken.add(distance)
        ports[name] = _beside(outbound_port, distance)
    return ports


def _free(first: int, name: str, taken: Container[int]) -> int:
    start = first + zlib.crc32(name.encode()) % _OWN_PORTS
    return next(each for each in itertools.count(start) if each not in taken)


def _beside(outbound_port: int, distance: int) -> int:
    above = outbound_port + distance
    return above if above <= _LAST_PORT else outbound_port - distance


def variable(name: str) -> str:
    """The environment variable that tells applications of a named port: TAGE_SIDECAR_BOLT, TAGE_SIDECAR_X_LEDGER; of
    service db of protocol tcp, named tcp-db, TAGE_SIDECAR_TCP_DB."""
    return f"TAGE_SIDECAR_{name.upper().replace('-', '_')}"
