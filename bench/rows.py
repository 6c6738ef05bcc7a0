"""What is measured, as data. A new row is an entry here; a new protocol brings a load driver and peers' templates."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from bench import exchanges, route_table
from bench.backend import Speaks
from bench.certificates import Tls
from bench.load import Load
from bench.load.http1 import Http1Load
from bench.load.http2 import Http2Load
from bench.load.rpc import RpcLoad
from bench.proxies import (
    ENVOY,
    ENVOY_FILTER,
    ENVOY_HTTP2,
    ENVOY_ROUTES,
    ENVOY_TCP,
    HAPROXY,
    HAPROXY_HTTP2,
    HAPROXY_ROUTES,
    HAPROXY_TCP,
    MOSN_HTTP2,
    NGHTTPX,
    NGINX,
    NGINX_TCP,
    RELAY,
    TAGE,
    TAGE_FILTER,
    TAGE_HTTP2,
    TAGE_ROUTES,
    TAGE_TCP,
    Proxy,
)
from bench.rpc.proxies import MOSN_PROTOCOLS, mosn, tage


@dataclass(frozen=True)
class Goal:
    """Tage's figure (CPU time for a request, or growth of memory) is to be at most `ratio` of the peer's."""

    peer: str
    ratio: float


@dataclass(frozen=True)
class Difference:
    """What `proxy` needs for a request beyond what `base` does, in CPU time; at most `goal_us` where there is one."""

    proxy: str
    base: str
    what: str
    goal_us: float = 0.0


@dataclass(frozen=True)
class Other:
    """A proxy that does other work in the same run."""

    proxy: Proxy
    load: Load
    paced: bool = False
    """Its latencies are measured too, at the row's rate."""


@dataclass(frozen=True)
class Row:
    name: str
    title: str
    load: Load
    proxies: tuple[Proxy, ...]
    table: str
    """The committed table, under `results/`."""
    goals: tuple[Goal, ...] = ()
    differences: tuple[Difference, ...] = ()
    beside: tuple[str, ...] = ("envoy", "haproxy")
    """The proxies whose CPU time the others' is shown as a share of."""
    tls: Tls = Tls.NONE
    control_plane: bool = False
    """Whether memory under a control plane is measured too."""
    others: tuple[Other, ...] = ()
    rpc: bool = False
    """The RPC backend runs too."""
    speaks: Speaks = Speaks.HTTP1
    paced: bool = True
    """Latencies are measured."""
    request_mb: float = 0.0
    """Megabytes that an answer has where they are what is measured: throughput is shown."""
    latency_peer: str = "envoy"
    """Whose p99 Tage's is not to exceed, and whose throughput it is to reach."""

    @property
    def all_proxies(self) -> tuple[Proxy, ...]:
        return (*self.proxies, *(other.proxy for other in self.others))

    def load_of(self, proxy: str) -> Load:
        return next((other.load for other in self.others if other.proxy.name == proxy), self.load)

    def is_paced(self, proxy: str) -> bool:
        return next((other.paced for other in self.others if other.proxy.name == proxy), self.paced)

    @property
    def is_multiplexed(self) -> bool:
        """A connection to the backend carries many requests at a time; how many there were is told."""
        return self.rpc or self.speaks is not Speaks.HTTP1


@dataclass(frozen=True)
class IdleRow:
    """Memory while many idle connections stand, in plain text and behind TLS (`bench.idle`)."""

    name: str
    title: str
    connections: int
    proxies: tuple[Proxy, ...]
    table: str
    """The committed table, under `results/`."""
    goals: tuple[Goal, ...] = ()


def _rpc_row(name: str, title: str, wire: str, connections: int, depth: int, goal: float) -> Row:
    """Tage at *names* depth beside MOSN, at *frame* depth, and Envoy's http1-32 for its ratio."""
    load = RpcLoad(wire, connections, depth)
    # MOSN has no protocol without Go code: beside a declared one it carries bolt, the same calls with the same payload.
    others_wire, peer = ("bolt", "mosn-bolt") if wire not in MOSN_PROTOCOLS else (wire, "mosn")
    return Row(
        name=name,
        title=f"{title}, {connections} connections with {depth} requests under way on each, payloads of 100 B, two "
        "services, each routed by weight to two clusters",
        load=load,
        proxies=(tage(wire),),
        others=(
            Other(mosn(others_wire, peer), dataclasses.replace(load, wire=others_wire), paced=True),
            Other(tage(wire, "FRAME", "tage-frame"), dataclasses.replace(load, routed=False), paced=True),
            Other(dataclasses.replace(ENVOY, name="envoy-http1", dynamic_template=""), Http1Load(connections=32)),
        ),
        table="xprotocol.md",
        goals=(Goal(peer, goal), Goal("tage-frame", 1.3)),
        beside=(peer, "tage-frame", "envoy-http1"),
        rpc=True,
        latency_peer=peer,
    )


HTTP2_PROXIES = (TAGE_HTTP2, ENVOY_HTTP2, NGHTTPX, HAPROXY_HTTP2, MOSN_HTTP2)

ROWS: dict[str, Row | IdleRow] = {
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
            name="http1-32-routes",
            title="http1-32 with 50 virtual hosts of 10 rules each, headers matched, and a rate limit that never bites",
            load=Http1Load(connections=32, checks=route_table.CHECKS),
            proxies=(TAGE_ROUTES, ENVOY_ROUTES, HAPROXY_ROUTES),
            table="http1-routes.md",
            goals=(Goal("envoy", 0.40), Goal("haproxy", 1.0)),
        ),
        Row(
            name="http1-32-filter",
            title="http1-32 with a filter that reads one header and adds one, in Python and in Lua, and without",
            load=Http1Load(connections=32, user="jason"),
            proxies=(TAGE, TAGE_FILTER, ENVOY, ENVOY_FILTER),
            table="http1-filter.md",
            differences=(
                Difference("tage-filter", "tage", "the filter in Python", 1.5),
                Difference("envoy-lua", "envoy", "the filter in Lua"),
            ),
            beside=("envoy",),
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
        Row(
            name="tcp-32",
            title="TCP, 32 connections, one small request under way on each, bodies of 100 B; bytes carried unread",
            load=Http1Load(connections=32, opaque=True),
            proxies=(TAGE_TCP, ENVOY_TCP, HAPROXY_TCP, NGINX_TCP, RELAY),
            table="tcp.md",
            goals=(Goal("relay", 1.25),),
            beside=("envoy", "haproxy", "relay"),
        ),
        Row(
            name="h2-4x16",
            title="HTTP/2 on both sides, 4 connections with 16 requests under way on each, bodies of 100 B, routing by "
            "host and path",
            load=Http2Load(),
            proxies=HTTP2_PROXIES,
            table="http2.md",
            goals=(Goal("envoy", 0.30), Goal("nghttpx", 1.1)),
            beside=("envoy", "nghttpx"),
            speaks=Speaks.HTTP2,
        ),
        Row(
            name="grpc-4x16",
            title="gRPC, unary calls, 4 connections with 16 under way on each, messages of 100 B, routing by host and "
            "method",
            load=Http2Load(exchange=exchanges.UNARY),
            proxies=HTTP2_PROXIES,
            table="grpc.md",
            goals=(Goal("envoy", 0.30),),
            beside=("envoy", "nghttpx"),
            speaks=Speaks.GRPC,
        ),
        Row(
            name="grpc-stream",
            title="gRPC, server streaming: 2 connections with 2 calls under way on each, answers of 640 messages of 16 "
            "KiB",
            load=Http2Load(connections=2, streams=2, exchange=exchanges.STREAM),
            proxies=HTTP2_PROXIES,
            table="grpc.md",
            goals=(Goal("envoy", 1.0),),
            beside=("envoy", "nghttpx"),
            speaks=Speaks.GRPC,
            paced=False,
            request_mb=exchanges.STREAM.answer_bytes / 1e6,
        ),
        _rpc_row("bolt-8x16", "bolt v1", "bolt", 8, 16, 0.15),
        _rpc_row("bolt-32x1", "bolt v1", "bolt", 32, 1, 0.35),
        _rpc_row("dubbo-8x16", "Dubbo 2", "dubbo", 8, 16, 0.15),
        _rpc_row("dubbo-32x1", "Dubbo 2", "dubbo", 32, 1, 0.35),
        _rpc_row("declared-8x16", "A declared protocol (ledger; mosn-bolt carries bolt)", "ledger", 8, 16, 0.15),
        IdleRow(
            name="idle-10k",
            title="Memory of 10,000 idle keep-alive connections, in plain text and behind TLS",
            connections=10_000,
            proxies=(TAGE, ENVOY, HAPROXY, NGINX),
            table="idle.md",
            goals=(Goal("envoy", 1.0),),
        ),
    )
}
