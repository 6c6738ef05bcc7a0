"""Services and DestinationRules -> clusters. Defaults are Istio's."""

from __future__ import annotations

from collections.abc import Iterator

from envoy.config.cluster.v3 import cluster_pb2
from envoy.config.core.v3 import address_pb2, base_pb2, config_source_pb2
from envoy.config.endpoint.v3 import endpoint_components_pb2, endpoint_pb2
from google.protobuf.duration_pb2 import Duration
from google.protobuf.struct_pb2 import Struct

from tage.config.networking import Subset
from tage.config.protocols import HTTP, is_http2
from tage.pilot.generate import names, rpc, traffic_policy
from tage.pilot.generate.node import Caller, Node
from tage.pilot.generate.rules import Rule
from tage.registry.model import Service

Cluster = cluster_pb2.Cluster

NOBODY = Caller()

CONNECT_TIMEOUT = Duration(seconds=10)
"""Istio's MeshConfig.connectTimeout."""


def outbound(service: Service, rule: Rule, caller: Caller = NOBODY) -> Iterator[cluster_pb2.Cluster]:
    """One cluster for the service and one for each subset of it."""
    for subset in (None, *rule.subsets):
        cluster = _outbound(service, rule, subset)
        if caller.rpc:
            rpc.speaks(cluster, service.protocol)
        yield cluster


def inbound(node: Node, protocol: str = HTTP) -> Iterator[cluster_pb2.Cluster]:
    """The application beside the sidecar, if there is one."""
    if not node.has_inbound:
        return
    name = names.inbound_cluster(node.app_port)
    host = f"{node.service}.{node.namespace}.svc.cluster.local"
    cluster = Cluster(
        name=name,
        type=Cluster.STATIC,
        connect_timeout=CONNECT_TIMEOUT,
        load_assignment=endpoint_pb2.ClusterLoadAssignment(
            cluster_name=name,
            endpoints=[
                endpoint_components_pb2.LocalityLbEndpoints(
                    lb_endpoints=[
                        endpoint_components_pb2.LbEndpoint(
                            endpoint=endpoint_components_pb2.Endpoint(
                                address=socket_address(node.app_address, node.app_port)
                            )
                        )
                    ]
                )
            ],
        ),
        metadata=_metadata(host, node.service, node.namespace),
    )
    cluster.circuit_breakers.thresholds.append(traffic_policy.unlimited())
    if is_http2(protocol):
        traffic_policy.http2(cluster)
    if node.is_tage:
        rpc.speaks(cluster, protocol)
    yield cluster


def socket_address(address: str, port: int) -> address_pb2.Address:
    return address_pb2.Address(socket_address=address_pb2.SocketAddress(address=address, port_value=port))


def _outbound(service: Service, rule: Rule, subset: Subset | None) -> cluster_pb2.Cluster:
    name = names.outbound_cluster(service.port, subset.name if subset else "", service.fqdn)
    cluster = Cluster(
        name=name,
        type=Cluster.EDS,
        eds_cluster_config=Cluster.EdsClusterConfig(
            eds_config=config_source_pb2.ConfigSource(
                ads=config_source_pb2.AggregatedConfigSource(), resource_api_version=config_source_pb2.V3
            ),
            service_name=name,
        ),
        connect_timeout=CONNECT_TIMEOUT,
        metadata=_metadata(service.fqdn, service.name, service.namespace, subset.name if subset else "", rule.source),
    )
    traffic_policy.apply(traffic_policy.effective(rule.policy, subset, service.port), cluster, service.protocol)
    return cluster


def _metadata(host: str, name: str, namespace: str, subset: str = "", rule: str = "") -> base_pb2.Metadata:
    """What Istio's telemetry reads the destination's labels from."""
    istio = Struct()
    istio.update({"services": [{"host": host, "name": name, "namespace": namespace}]})
    if subset:
        istio.update({"subset": subset})
    if rule:
        of, _, rule_name = rule.partition("/")
        istio.update({"config": f"/apis/networking.istio.io/v1/namespaces/{of}/destination-rule/{rule_name}"})
    return base_pb2.Metadata(filter_metadata={"istio": istio})
