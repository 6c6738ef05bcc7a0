"""Listeners and their filter chains."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from tage.sidecar.plan.base import Http2, Section
from tage.sidecar.plan.filters import AnyFilter
from tage.sidecar.plan.routes import WeightedCluster
from tage.sidecar.plan.tls import DownstreamTls


class AccessLog(msgspec.Struct, frozen=True, omit_defaults=True):
    """Source: envoy.extensions.access_loggers.file.v3.FileAccessLog; the formats are Envoy's.
    Without `text` and `json` it is Envoy's default format."""

    path: str
    """/dev/stdout and /dev/stderr are the sidecar's own."""
    text: str = ""
    json: dict[str, Any] | None = None
    """Objects, lists and text as they stand in the configuration; text may have operators."""
    omit_empty: bool = False


class XProtocol(msgspec.Struct, frozen=True, omit_defaults=True):
    """The codec in front of a connection manager: what it routes are requests of an RPC protocol.
    Source: tage.network.v1alpha1.XProtocol, docs/x-protocol.md."""

    protocol: str
    """Its name: built in, of an installed package, or of a file (`ProtocolCode`)."""
    depth: Literal["frame", "names"] = "names"
    """What is read of every request: names, its service and method; frame, nothing, and its path is "/". Headers are
    read where a rule, a filter or a log asks."""
    max_frame_bytes: int = 16 * 1024 * 1024
    max_requests: int = 1024
    """Of a connection, under way at a time; more are not read before one has its answer."""


class Http(msgspec.Struct, frozen=True, omit_defaults=True):
    """Source: envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager."""

    routes: str
    """Name of the `Routes` section."""
    stat_prefix: str = ""
    append_x_forwarded_for: bool = True
    """HttpConnectionManager.use_remote_address: the peer is the client, its address is appended, and a request id that
    it sent is kept."""
    generate_request_id: bool = True
    max_head_bytes: int = 61_440
    """Envoy's max_request_headers_kb, 60."""
    max_headers: int = 100
    idle_timeout: int = 3_600_000
    """Of a downstream connection without a request."""
    head_timeout: int = 60_000
    """From a request's first byte to the end of its head (request_headers_timeout)."""
    server_name: str = "tage"
    """`server` of answers that the sidecar makes itself."""
    access_logs: list[AccessLog] = []
    filters: list[AnyFilter] = []
    """In the order in which requests meet them; the router, which is last, is not among them."""
    upgrades: list[str] = []
    """Protocols to which requests may switch, in lower case; `connect` is the method. Source: upgrade_configs."""
    enable_trailers: bool = False
    """Those of requests are kept, those of answers sent. Source: Http1ProtocolOptions."""
    max_connection_duration: int = 0
    """After it a downstream connection is drained."""
    max_requests_per_connection: int = 0
    """The answer to the last one says `connection: close`. 0: no limit."""
    max_stream_duration: int = 0
    """From a request's head to the end of its answer, tunnels included."""
    delayed_close_timeout: int = 1_000
    """How long a client that may still be sending is heard out after its last answer; 0: not at all."""
    x_protocol: XProtocol | None = None
    """None: HTTP."""
    codec: Literal["auto", "http1", "http2"] = "auto"
    """auto: either, by ALPN or by the first bytes. Source: codec_type."""
    http2: Http2 = Http2()
    """Where clients speak it."""


class Tcp(msgspec.Struct, frozen=True, omit_defaults=True):
    """Bytes relayed as they are. Source: envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy."""

    clusters: list[WeightedCluster]
    stat_prefix: str = ""
    idle_timeout: int = 3_600_000
    """Without a byte in either direction."""
    max_duration: int = 0
    """Of a connection, whatever it does (max_downstream_connection_duration)."""
    max_connect_attempts: int = 1
    access_logs: list[AccessLog] = []


class ChainMatch(msgspec.Struct, frozen=True, omit_defaults=True):
    """Which connections a filter chain is for; what is not given matches all. Source: FilterChainMatch, whose fields
    are compared in this order, each time the most specific ones stay in the race."""

    destination_port: int = 0
    destination_prefixes: list[str] = []
    server_names: list[str] = []
    """Lower case; `*.example.com` for every name below it."""
    transport_protocol: Literal["", "tls", "raw_buffer"] = ""
    application_protocols: list[str] = []
    direct_source_prefixes: list[str] = []
    source_type: Literal["any", "same_ip_or_loopback", "external"] = "any"
    source_prefixes: list[str] = []
    source_ports: list[int] = []


class FilterChain(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is done with the connections that match. One of `http` and `tcp` is there.
    Source: envoy.config.listener.v3.FilterChain."""

    name: str = ""
    match: ChainMatch | None = None
    tls: DownstreamTls | None = None
    handshake_timeout: int = 0
    """transport_socket_connect_timeout: for the TLS handshake; 0: a minute."""
    http: Http | None = None
    tcp: Tcp | None = None


class ProxyProtocol(msgspec.Struct, frozen=True, omit_defaults=True):
    """A header in front of every connection. Source: envoy.extensions.filters.listener.proxy_protocol.v3."""

    allow_without: bool = False
    """Connections that do not begin with one are taken as they are."""


class Listener(Section, frozen=True):
    """A listening address. Source: envoy.config.listener.v3.Listener."""

    address: str
    port: int
    direction: Literal["inbound", "outbound", "none"] = "none"
    chains: list[FilterChain] = []
    default_chain: FilterChain | None = None
    """For connections that none of `chains` matches; without it they are closed."""
    proxy_protocol: ProxyProtocol | None = None
    inspect_tls: bool = False
    """Look for a ClientHello, its server name and protocols (the tls_inspector listener filter)."""
    inspect_http: bool = False
    """Look for HTTP in plain connections (http_inspector)."""
    inspect_protocols: list[str] = []
    """Look for these RPC protocols in plain connections, in this order, after TLS and HTTP.
    Source: tage.listener.v1alpha1.XProtocolInspector."""
    inspect_timeout: int = 15_000
    """listener_filters_timeout: for a connection's first bytes."""
    sheds: bool = True
    """Its requests may be refused when the worker is overloaded (not bypass_overload_manager)."""
    continue_on_timeout: bool = False
    """Take a connection whose first bytes did not come for one without any. Else it is closed."""

    def all_chains(self) -> list[FilterChain]:
        return [*self.chains, self.default_chain] if self.default_chain is not None else list(self.chains)
