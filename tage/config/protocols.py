"""Protocols of services, and where a sidecar takes in those of remote calls.

A service's `protocol` is `http`, `http2`, `grpc`, `tcp`, or a protocol of remote calls: one that Tage brings, or
`x-NAME` for one that is somebody's own. The first three are HTTP: callers may use any version of it, and with the
instances of the latter two HTTP/2 is spoken. Of somebody's own nothing but the form of the name is known here: what it
means is known to the sidecars, which have its class.

A sidecar takes each protocol of remote calls in on a *named port* beside its outbound port, so that clients of
protocols that cannot be told apart have one of their own; each service of protocol `tcp`, of whose connections nothing
says where they go; and each of protocol `grpc`, whose clients take a host and port for the service, and no proxy.
It follows from the protocols and services of the mesh alone: control plane and `tage up` come to the same one without
asking each other.
"""

from __future__ import annotations

import itertools
import re
import zlib
from collections.abc import Container, Iterable

HTTP = "http"
HTTP2 = "http2"
GRPC = "grpc"
"""Over HTTP/2."""
TCP = "tcp"
BUILTIN = ("bolt", "dubbo", "dubbo-thrift", "thrift", "hsf")
"""Protocols of remote calls that Tage brings, in the order of their ports."""

_OWN = re.compile(r"x-[a-z0-9](?:[-a-z0-9]{0,59}[a-z0-9])?")
_DETECTED_FIRST = ("bolt", "dubbo")

FIRST_PORT = 100
"""The distance between the outbound port and that of the first built-in protocol: 15101 is bolt's."""
_FIRST_OWN_PORT = 200
_OWN_PORTS = 800
_FIRST_SERVICE_PORT = 1100
_LAST_PORT = 65535


def wrong(name: str) -> str:
    """What is wrong with a service's protocol, in the manner of `tage.config.names`."""
    if is_http(name) or name == TCP or is_rpc(name):
        return ""
    return f"protocol '{name}' is not known; use {', '.join((HTTP, HTTP2, GRPC, TCP, *BUILTIN))} or x-NAME"


def is_http(name: str) -> bool:
    """Whether it is HTTP, of any version."""
    return name in (HTTP, HTTP2, GRPC)


def is_http2(name: str) -> bool:
    """Whether HTTP/2 is spoken with the instances."""
    return name in (HTTP2, GRPC)


def has_port(name: str) -> bool:
    """Whether each service of it has a named port."""
    return name in (GRPC, TCP)


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


def service_ports(services: Iterable[str], outbound_port: int) -> dict[str, int]:
    """The port of each of these services, full names of those that have one. It follows from the name, as above."""
    ports: dict[str, int] = {}
    taken: set[int] = set()
    for name in sorted(services):
        distance = _free(_FIRST_SERVICE_PORT, name, taken)
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
