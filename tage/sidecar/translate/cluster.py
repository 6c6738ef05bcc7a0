"""Cluster -> `draft.ClusterDraft`."""

from __future__ import annotations

from envoy.config.cluster.v3 import cluster_pb2
from envoy.extensions.clusters.dns.v3 import dns_cluster_pb2

from tage.sidecar import plan
from tage.sidecar.translate import (
    balancing,
    dns,
    endpoint,
    health_check,
    http_options,
    outlier,
    pool,
    tls,
    typed_struct,
    x_protocol,
)
from tage.sidecar.translate.draft import ClusterDraft, Dns, DnsPolicy, SecretDraft
from tage.sidecar.translate.problem import Problems
from tage.sidecar.translate.shape import AnyOf, Extension, Only, Shape, leaf, type_name, unpack
from tage.sidecar.translate.values import ADS, ads_source, milliseconds

CLUSTER = Shape(
    "envoy.config.cluster.v3.Cluster",
    {
        "name": leaf,
        "alt_stat_name": leaf,
        "type": Only("STATIC", "STRICT_DNS", "LOGICAL_DNS", "EDS"),
        "cluster_type": Extension(
            "cluster type",
            Shape("envoy.config.cluster.v3.Cluster.CustomClusterType", ("name", "typed_config")),
            (dns_cluster_pb2.DnsCluster, dns.DNS_CLUSTER),
        ),
        "eds_cluster_config": Shape(
            "envoy.config.cluster.v3.Cluster.EdsClusterConfig", {"eds_config": ADS, "service_name": leaf}
        ),
        "connect_timeout": leaf,
        **balancing.FIELDS,
        "load_assignment": endpoint.LOAD_ASSIGNMENT,
        **pool.FIELDS,
        **outlier.FIELDS,
        **health_check.FIELDS,
        **http_options.FIELDS,
        "typed_extension_protocol_options": AnyOf(
            http_options.EXTENSION,
            *((kind, typed_struct.shape(kind)) for kind in typed_struct.KINDS),
        ),
        **dns.FIELDS,  # of a cluster whose type is another they change nothing, as in Envoy
        "wait_for_warm_on_init": leaf,
        "transport_socket": tls.UPSTREAM_SOCKET,
        "metadata": leaf,
    },
    harmless={"ignore_health_on_host_removal": "a host that is not discovered any more is gone, healthy or not"},
)


def translate(message: cluster_pb2.Cluster, path: str, problems: Problems) -> ClusterDraft:
    CLUSTER.check(message, path, problems)
    dot = f"{path}." if path else ""
    if not message.name:
        problems.add(f"{dot}name", "is missing")
    connect_timeout = 5_000
    if message.HasField("connect_timeout"):
        connect_timeout = milliseconds(message.connect_timeout, f"{dot}connect_timeout", problems, zero=False)
    secrets: dict[plan.SectionKey, SecretDraft] = {}
    eds = message.eds_cluster_config
    custom = message.HasField("cluster_type")
    by_eds = not custom and message.type == cluster_pb2.Cluster.EDS
    by_dns = custom or message.type in (cluster_pb2.Cluster.STRICT_DNS, cluster_pb2.Cluster.LOGICAL_DNS)
    policy = DnsPolicy()
    if by_dns:
        policy = (dns.of_dns_cluster if custom else dns.of_cluster)(message, dot, problems)
    proxy_protocol, socket, socket_path = tls.behind_proxy_header(
        message.transport_socket, f"{dot}transport_socket", problems
    )
    cluster = plan.Cluster(
        name=message.name,
        endpoints=message.name,
        lb=balancing.translate(message, dot, problems),
        connect_timeout=connect_timeout,
        logical=policy.logical,
        tls=tls.upstream(socket, socket_path, problems, secrets),
        outlier_detection=outlier.translate(message, f"{dot}outlier_detection", problems),
        health_check=health_check.translate(message, f"{dot}health_checks", problems),
        proxy_protocol=proxy_protocol,
        x_protocol=_x_protocol(message, dot, problems),
        alt_stat_name=message.alt_stat_name,
        labels=_labels(message),
        **http_options.fields(message, dot, problems),
        **pool.fields(message, dot, problems),
    )
    if by_eds:
        if message.HasField("load_assignment"):
            problems.add(f"{dot}load_assignment", "a cluster of type EDS gets its endpoints from EDS")
        source = ads_source(
            eds.eds_config, eds.service_name or message.name, f"{dot}eds_cluster_config.eds_config", problems
        )
        return ClusterDraft(cluster, eds=source, secrets=list(secrets.values()))
    if message.HasField("eds_cluster_config"):
        problems.add(f"{dot}eds_cluster_config", "only a cluster of type EDS may have it")
    assignment = f"{dot}load_assignment"
    if by_dns:
        found = endpoint.build(message.load_assignment, message.name, assignment, problems, names=True)
        if policy.logical and len(found.endpoints) != 1:
            problems.add(assignment, "must be one endpoint: all addresses of a LOGICAL_DNS cluster are one host")
        wait = not message.HasField("wait_for_warm_on_init") or message.wait_for_warm_on_init.value
        return ClusterDraft(
            cluster,
            dns=Dns(found.endpoints, policy, wait, found.localities, found.overprovisioning),
            secrets=list(secrets.values()),
        )
    endpoints = endpoint.build(message.load_assignment, message.name, assignment, problems)
    return ClusterDraft(cluster, endpoints=endpoints, secrets=list(secrets.values()))


def _x_protocol(message: cluster_pb2.Cluster, dot: str, problems: Problems) -> plan.XProtocolUpstream | None:
    options = message.typed_extension_protocol_options
    if x_protocol.OPTIONS not in options:
        return None
    path = f'{dot}typed_extension_protocol_options["{x_protocol.OPTIONS}"]'
    value = options[x_protocol.OPTIONS]
    kind = typed_struct.NAMES.get(type_name(value))
    if kind is None:
        problems.add(path, f"holds a '{type_name(value)}', expected a '{typed_struct.KINDS[0].DESCRIPTOR.full_name}'")
        return None
    config = unpack(value, kind, path, problems)
    return x_protocol.upstream(config, path, problems) if config is not None else None


def _labels(message: cluster_pb2.Cluster) -> dict[str, str]:
    """Istio names the service behind a cluster in its metadata: istio.services[0]."""
    services = (
        message.metadata.filter_metadata["istio"].fields["services"].list_value.values
        if (
            "istio" in message.metadata.filter_metadata
            and "services" in message.metadata.filter_metadata["istio"].fields
        )
        else ()
    )
    if not services:
        return {}
    fields = services[0].struct_value.fields
    labels = {}
    for key, label in (
        ("host", "destination_service"),
        ("name", "destination_service_name"),
        ("namespace", "destination_service_namespace"),
    ):
        if key in fields and fields[key].string_value:
            labels[label] = fields[key].string_value
    return labels
