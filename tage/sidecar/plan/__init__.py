"""The plan: what the agent hands to the workers, by way of the supervisor.

A plan is a set of *sections*. A section is one resource (a listener, a route configuration, a cluster, the endpoints of
a cluster, a certificate) encoded on its own, so that an endpoint change travels as one small section. The supervisor
keeps the encoded sections without looking into them, except for listeners, whose sockets it owns. Keys are part of a
plan, so that a worker that starts while the agent is dead has everything: sections stay in memory, and no key is ever
printed.

An update is applied in two phases: every worker *prepares* it (builds new tables beside the live ones), and only when
all have, all *commit*. One refusal aborts it everywhere, and the reason goes back to the agent, which NACKs.

A plan is *closed*: a route's clusters, a cluster's endpoints, certificates are sections of the same plan. The exception
is a route that names a cluster that the control plane never sent: such requests get 503 with flag NC, as in Envoy.

Units: milliseconds unless a name says otherwise; 0 means "no limit" for timeouts.
"""

from __future__ import annotations

from collections.abc import Generator

import msgspec

from tage.sidecar.plan.base import (
    Fraction,
    HeaderMatch,
    HeaderMutation,
    HeaderMutations,
    Http2,
    QueryMatch,
    Section,
    SectionKey,
    StringMatch,
)
from tage.sidecar.plan.clusters import (
    Cluster,
    GrpcCheck,
    HealthCheck,
    HttpCheck,
    LoadBalancing,
    OutlierDetection,
    RetryBudget,
    SlowStart,
    Subsets,
    SubsetSelector,
    TcpCheck,
    TcpKeepalive,
    XProtocolUpstream,
)
from tage.sidecar.plan.endpoints import Endpoint, Endpoints, Locality
from tage.sidecar.plan.filters import (
    AnyFilter,
    AnyFilterSettings,
    Cors,
    CorsPolicy,
    Fault,
    FilterCode,
    FilterDisabled,
    HttpFilter,
    LocalRateLimit,
    PythonFilter,
    PythonFilterRoute,
    RateLimitAction,
    RateLimitDescriptor,
    TokenBucket,
)
from tage.sidecar.plan.listeners import (
    AccessLog,
    ChainMatch,
    FilterChain,
    Http,
    Listener,
    ProxyProtocol,
    Tcp,
    XProtocol,
)
from tage.sidecar.plan.messages import (
    Abort,
    AnyMessage,
    Commit,
    Drain,
    Hello,
    Message,
    Prepare,
    Prepared,
    Result,
    Update,
    WorkerState,
)
from tage.sidecar.plan.protocols import ProtocolCode
from tage.sidecar.plan.routes import (
    DirectResponse,
    HashPolicy,
    Mirror,
    Redirect,
    RegexRewrite,
    RetryPolicy,
    Route,
    RouteMatch,
    Routes,
    RoutesInParts,
    VirtualHost,
    WeightedCluster,
)
from tage.sidecar.plan.tls import Certificate, DownstreamTls, SanMatch, TlsParameters, Trust, UpstreamTls
from tage.sidecar.plan.worker import Overload

__all__ = [
    "KINDS",
    "Abort",
    "AccessLog",
    "AnyFilter",
    "AnyFilterSettings",
    "AnyMessage",
    "Certificate",
    "ChainMatch",
    "Cluster",
    "Commit",
    "Cors",
    "CorsPolicy",
    "DirectResponse",
    "DownstreamTls",
    "Drain",
    "Endpoint",
    "Endpoints",
    "Fault",
    "FilterChain",
    "FilterCode",
    "FilterDisabled",
    "Fraction",
    "GrpcCheck",
    "HashPolicy",
    "HeaderMatch",
    "HeaderMutation",
    "HeaderMutations",
    "HealthCheck",
    "Hello",
    "Http",
    "Http2",
    "HttpCheck",
    "HttpFilter",
    "Listener",
    "LoadBalancing",
    "LocalRateLimit",
    "Locality",
    "Message",
    "Mirror",
    "OutlierDetection",
    "Overload",
    "Prepare",
    "Prepared",
    "ProtocolCode",
    "ProxyProtocol",
    "PythonFilter",
    "PythonFilterRoute",
    "QueryMatch",
    "RateLimitAction",
    "RateLimitDescriptor",
    "Redirect",
    "RegexRewrite",
    "Result",
    "RetryBudget",
    "RetryPolicy",
    "Route",
    "RouteMatch",
    "Routes",
    "SanMatch",
    "Section",
    "SectionKey",
    "SlowStart",
    "StringMatch",
    "SubsetSelector",
    "Subsets",
    "Tcp",
    "TcpCheck",
    "TcpKeepalive",
    "TlsParameters",
    "TokenBucket",
    "Trust",
    "Update",
    "UpstreamTls",
    "VirtualHost",
    "WeightedCluster",
    "WorkerState",
    "XProtocol",
    "XProtocolUpstream",
    "decode",
    "decode_in_steps",
    "encode",
    "kind_of",
]

KINDS: dict[str, type[Section]] = {
    "overload": Overload,
    "certificate": Certificate,
    "trust": Trust,
    "filter_code": FilterCode,
    "protocol": ProtocolCode,
    "endpoints": Endpoints,
    "cluster": Cluster,
    "routes": Routes,
    "listener": Listener,
}
"""In the order in which a worker builds them: what is named comes before what names it."""

_encoder = msgspec.msgpack.Encoder()
_kinds = {cls: kind for kind, cls in KINDS.items()}
_parts = msgspec.msgpack.Decoder(RoutesInParts)
_virtual_host = msgspec.msgpack.Decoder(VirtualHost)
_decoders = {kind: msgspec.msgpack.Decoder(cls) for kind, cls in KINDS.items()}


def encode(section: Section) -> bytes:
    return _encoder.encode(section)


def kind_of(section: Section) -> str:
    return _kinds[type(section)]


def decode_in_steps(kind: str, blob: bytes) -> Generator[None, None, Section]:
    """As `decode`, one virtual host of a table a step; gives the section at its end."""
    if kind != "routes":
        return decode(kind, blob)
    parts = _parts.decode(blob)
    hosts = []
    for each in parts.virtual_hosts:
        hosts.append(_virtual_host.decode(each))
        yield
    fields = {name: getattr(parts, name) for name in Routes.__struct_fields__}
    return Routes(**{**fields, "virtual_hosts": hosts})


def decode(kind: str, blob: bytes) -> Section:
    """Raises `msgspec.ValidationError` naming the field, `KeyError` for an unknown kind."""
    return _decoders[kind].decode(blob)
