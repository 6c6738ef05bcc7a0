"""Protocols of remote calls: what they have beside what HTTP has, for Tage's sidecars alone. An Envoy knows none of it,
and would refuse what holds it. It comes as TypedStructs, for the API has no messages for it.

A connection's filter chain has the protocol's codec before the connection manager, which routes what the codec reads; a
cluster says which protocol its hosts speak. On the outbound port, which takes every protocol, a listener filter looks
which one a connection begins with, and the filter chains match what it found.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from envoy.config.cluster.v3 import cluster_pb2
from envoy.config.listener.v3 import listener_components_pb2
from google.protobuf.message import Message
from xds.type.v3 import typed_struct_pb2

from tage.config import protocols
from tage.config.protocols import TCP
from tage.pilot.generate import names
from tage.pilot.generate.snapshot import Snapshot

CODEC = "tage.filters.network.x_protocol"
INSPECTOR = "tage.filters.listener.x_protocol_inspector"
OPTIONS = "tage.upstreams.x_protocol"

MAX_INSPECTED = 16
"""Protocols that one port tells apart; further ones have their own ports only."""

_TYPE = "type.googleapis.com/tage."


class Outbound(NamedTuple):
    """A protocol that a sidecar's application may call with. `asked`: the HTTP filters that its routes ask something
    of. `service`: of protocol tcp and grpc, where all connections go. `cluster`: of the former; `routes`: of the
    latter, the name of its own."""

    protocol: str
    asked: tuple[str, ...] = ()
    service: str = ""
    cluster: str = ""
    routes: str = ""


def relayed(snapshot: Snapshot) -> Iterator[Outbound]:
    """The services of protocol tcp."""
    for service in snapshot.tcp_services:
        yield Outbound(TCP, (), service.fqdn, names.outbound_cluster(service.port, "", service.fqdn))


def codec(protocol: str) -> listener_components_pb2.Filter:
    made = listener_components_pb2.Filter(name=CODEC)
    made.typed_config.Pack(_struct("network.v1alpha1.XProtocol", protocol=protocol), deterministic=True)
    return made


def inspector(tried: Iterable[str]) -> listener_components_pb2.ListenerFilter:
    """`tried` in that order. Those that a connection's first bytes do not tell are passed over by the sidecar."""
    made = listener_components_pb2.ListenerFilter(name=INSPECTOR)
    struct = _struct("listener.v1alpha1.XProtocolInspector", protocols=list(tried))
    made.typed_config.Pack(struct, deterministic=True)
    return made


def application_protocol(protocol: str) -> str:
    """What the inspector says of a connection: `x-bolt`, `x-ledger`."""
    return protocol if protocol.startswith("x-") else f"x-{protocol}"


def speaks(cluster: cluster_pb2.Cluster, protocol: str) -> None:
    """The cluster's hosts speak `protocol`; nothing to say of HTTP."""
    if protocols.is_rpc(protocol):
        options = _struct("upstreams.v1alpha1.XProtocol", protocol=protocol)
        cluster.typed_extension_protocol_options[OPTIONS].Pack(options, deterministic=True)


def _struct(kind: str, **value: object) -> Message:
    made = typed_struct_pb2.TypedStruct(type_url=_TYPE + kind)
    made.value.update(value)
    return made
