"""What is measured, as data. A new row is an entry here; a new protocol brings a load driver and peers' templates."""

from __future__ import annotations

from dataclasses import dataclass

from bench.certificates import Tls
from bench.load import Load
from bench.load.http1 import Http1Load
from bench.proxies import ENVOY, HAPROXY, NGINX, TAGE, Proxy


@dataclass(frozen=True)
class Goal:
    """Tage's CPU time for a request is to be at most `ratio` of the peer's."""

    peer: str
    ratio: float


@dataclass(frozen=True)
class Row:
    name: str
    title: str
    load: Load
    proxies: tuple[Proxy, ...]
    table: str
    """The committed table, under `results/`."""
    goals: tuple[Goal, ...] = ()
    tls: Tls = Tls.NONE
    control_plane: bool = False
    """Whether memory under a control plane is measured too."""


ROWS = {
    row.name: row
    for row in (
        Row(
            name="http1-32",
            title="HTTP/1.1, 32 connections, bodies of 100 B, routing by host and path",
            load=Http1Load(connections=32),
            proxies=(TAGE, ENVOY, HAPROXY, NGINX),
            table="http1.md",
            goals=(Goal("envoy", 0.40), Goal("haproxy", 1.0)),
            control_plane=True,
        ),
        Row(
            name="http1-tls-32",
            title="http1-32 behind TLS 1.3; plain text to the backend",
            load=Http1Load(connections=32),
            proxies=(TAGE, ENVOY, HAPROXY, NGINX),
            table="http1-tls.md",
            goals=(Goal("envoy", 0.45),),
            tls=Tls.DOWNSTREAM,
        ),
        Row(
            name="http1-mtls-32",
            title="http1-32 over TLS 1.3 on both sides, client certificates demanded on both",
            load=Http1Load(connections=32, mutual=True),
            proxies=(TAGE, ENVOY, HAPROXY, NGINX),
            table="http1-mtls.md",
            tls=Tls.MUTUAL,
        ),
    )
}
