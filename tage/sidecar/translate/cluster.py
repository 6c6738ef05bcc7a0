"""Cluster -> `draft.ClusterDraft`."""

from __future__ import annotations

from envoy.config.cluster.v3 import cluster_pb2
from envoy.extensions.clusters.dns.v3 import dns_cluster_pb2
from envoy.extensions.upstreams.http.v3 import http_protocol_options_pb2

from tage.sidecar import plan
from tage.sidecar.translate import (
    balancing,
    dns,
    endpoint,
    health_check,
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

_HTTP_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
_HTTP1 = Shape("envoy.config.core.v3.Http1ProtocolOptions", ("enable_trailers",))
_COMMON_HTTP = Shape(
    "envoy.config.core.v3.HttpProtocolOptions",
    ("idle_timeout", "max_connection_duration", "max_requests_per_connection"),
)
HTTP_OPTIONS = Shape(
    _HTTP_OPTIONS,
    {
        "common_http_protocol_options": _COMMON_HTTP,
        "explicit_http_config": Shape(f"{_HTTP_OPTIONS}.ExplicitHttpConfig", {"http_protocol_options": _HTTP1}),
        # What came in is always HTTP/1.1, so "the same" is HTTP/1.1; Istio sends both and means whichever came in.
        "use_downstream_protocol_config": Shape(
            f"{_HTTP_OPTIONS}.UseDownstreamHttpConfig",
            {"http_protocol_options": _HTTP1},
            harmless={"http2_protocol_options": "for requests that came in over HTTP/2; listeners take HTTP/1.1 only"},
        ),
    },
)

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
        "max_requests_per_connection": leaf,
        **pool.FIELDS,
        **outlier.FIELDS,
        **health_check.FIELDS,
        "common_http_protocol_options": _COMMON_HTTP,
        "http_protocol_options": _HTTP1,
        "typed_extension_protocol_options": AnyOf(
            (http_protocol_options_pb2.HttpProtocolOptions, HTTP_OPTIONS),
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
    idle_timeout, max_duration, max_requests, trailers = _http_options(message, dot, problems)
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
        idle_timeout=idle_timeout,
        max_connection_duration=max_duration,
        max_requests_per_connection=max_requests,
        enable_trailers=trailers,
        logical=policy.logical,
        tls=tls.upstream(socket, socket_path, problems, secrets),
        outlier_detection=outlier.translate(message, f"{dot}outlier_detection", problems),
        health_check=health_check.translate(message, f"{dot}health_checks", problems),
        proxy_protocol=proxy_protocol,
        x_protocol=_x_protocol(message, dot, problems),
        alt_stat_name=message.alt_stat_name,
        labels=_labels(message),
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


def _http_options(message: cluster_pb2.Cluster, dot: str, problems: Problems) -> tuple[int, int, int, bool]:
    """Of pooled connections: idle timeout (ms; Envoy's default is an hour), longest life (ms; 0: no limit), how many
    requests each may carry (0: no limit), whether trailers pass.

    They stand in typed_extension_protocol_options or, the old way, in the cluster itself; not in both.
    """
    path = f'{dot}typed_extension_protocol_options["{_HTTP_OPTIONS}"]'
    common, where = message.common_http_protocol_options, f"{dot}common_http_protocol_options"
    max_requests = message.max_requests_per_connection.value
    trailers = message.http_protocol_options.enable_trailers
    for key, value in message.typed_extension_protocol_options.items():
        if key == x_protocol.OPTIONS:
            continue
        if key != _HTTP_OPTIONS:
            problems.add(f'{dot}typed_extension_protocol_options["{key}"]', "not supported")
            continue
        if any(
            message.HasField(old)
            for old in ("common_http_protocol_options", "http_protocol_options", "max_requests_per_connection")
        ):
            problems.add(path, "cannot stand beside the cluster's own, deprecated HTTP options")
        options = unpack(value, http_protocol_options_pb2.HttpProtocolOptions, path, problems)
        if options is None:
            continue
        if options.WhichOneof("upstream_protocol_options") is None:
            problems.add(path, "needs explicit_http_config or use_downstream_protocol_config")
        elif options.explicit_http_config.WhichOneof("protocol_config") is None and options.HasField(
            "explicit_http_config"
        ):
            problems.add(f"{path}.explicit_http_config", "needs http_protocol_options")
        common, where = options.common_http_protocol_options, f"{path}.common_http_protocol_options"
        trailers = any(
            each.http_protocol_options.enable_trailers
            for each in (options.explicit_http_config, options.use_downstream_protocol_config)
        )
    if common.HasField("max_requests_per_connection"):
        max_requests = common.max_requests_per_connection.value
    idle_timeout, max_duration = 3_600_000, 0
    if common.HasField("idle_timeout"):
        idle_timeout = milliseconds(common.idle_timeout, f"{where}.idle_timeout", problems)
    if common.HasField("max_connection_duration"):
        at = f"{where}.max_connection_duration"
        max_duration = milliseconds(common.max_connection_duration, at, problems, zero=False)
    return idle_timeout, max_duration, max_requests, trailers


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
