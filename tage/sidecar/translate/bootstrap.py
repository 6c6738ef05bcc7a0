"""Bootstrap -> `tage.sidecar.bootstrap.Bootstrap`."""

from __future__ import annotations

from pathlib import Path

from envoy.config.bootstrap.v3 import bootstrap_pb2
from envoy.config.cluster.v3 import cluster_pb2
from envoy.extensions.upstreams.http.v3 import http_protocol_options_pb2
from google.protobuf import json_format

from tage.sidecar import plan
from tage.sidecar.bootstrap import Bootstrap, Control, is_loopback
from tage.sidecar.translate import cluster, endpoint, listener, runtime, source
from tage.sidecar.translate.draft import ClusterDraft, ListenerDraft
from tage.sidecar.translate.problem import Problems
from tage.sidecar.translate.shape import AnyOf, Only, Shape, leaf
from tage.sidecar.translate.values import ADDRESS, ADS, socket_address

_ADS_CONFIG = Shape(
    "envoy.config.core.v3.ApiConfigSource",
    {
        "api_type": Only("GRPC"),
        "transport_api_version": Only("V3"),
        "grpc_services": Shape(
            "envoy.config.core.v3.GrpcService",
            {"envoy_grpc": Shape("envoy.config.core.v3.GrpcService.EnvoyGrpc", ("cluster_name",))},
        ),
    },
    harmless={"set_node_on_first_message_only": "Tage always sends its node with a stream's first request only"},
)
_BOOTSTRAP = Shape(
    "envoy.config.bootstrap.v3.Bootstrap",
    {
        "node": leaf,  # goes to the control plane as it is
        "static_resources": Shape("envoy.config.bootstrap.v3.Bootstrap.StaticResources", ("listeners", "clusters")),
        "dynamic_resources": Shape(
            "envoy.config.bootstrap.v3.Bootstrap.DynamicResources",
            {"lds_config": ADS, "cds_config": ADS, "ads_config": _ADS_CONFIG},
        ),
        "layered_runtime": runtime.RUNTIME,
        "admin": Shape(
            "envoy.config.bootstrap.v3.Admin",
            {"address": ADDRESS, "access_log_path": Only("/dev/null")},
            harmless={"profile_path": "read by the CPU profiler, which there is none of"},
        ),
    },
    harmless={
        "stats_flush_interval": "how often statistics go to sinks; stats_sinks is refused, and the admin API reads live"
    },
)
_HTTP2 = Shape(
    "envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
    {
        "explicit_http_config": Shape(
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions.ExplicitHttpConfig",
            {"http2_protocol_options": Shape("envoy.config.core.v3.Http2ProtocolOptions")},
        )
    },
)
_CONTROL_CLUSTER = Shape(
    "envoy.config.cluster.v3.Cluster",
    {
        "name": leaf,
        "type": Only("STATIC", "STRICT_DNS", "LOGICAL_DNS"),
        "load_assignment": endpoint.LOAD_ASSIGNMENT,
        "http2_protocol_options": Shape("envoy.config.core.v3.Http2ProtocolOptions"),
        "typed_extension_protocol_options": AnyOf((http_protocol_options_pb2.HttpProtocolOptions, _HTTP2)),
    },
    harmless={
        "connect_timeout": "gRPC's own back-off bounds an attempt to connect",
        "lb_policy": "there is one endpoint",
        "dns_lookup_family": "gRPC resolves the name and tries what it gets",
    },
)


def load(file: Path) -> Bootstrap:
    """Raises `TranslateError`; a file that cannot be read is a problem too."""
    message = bootstrap_pb2.Bootstrap()
    source.parse(source.read(file), message)
    problems = Problems()
    result = translate(message, problems)
    problems.check()
    return result


def translate(message: bootstrap_pb2.Bootstrap, problems: Problems) -> Bootstrap:
    _BOOTSTRAP.check(message, "", problems)
    name = _control_cluster_name(message, problems)
    listeners = [
        listener.translate(each, f"static_resources.listeners[{i}]", problems, static=True)
        for i, each in enumerate(message.static_resources.listeners)
    ]
    clusters = []
    address = ""
    for i, each in enumerate(message.static_resources.clusters):
        path = f"static_resources.clusters[{i}]"
        if name and each.name == name:
            address = _control_address(each, path, problems)
        else:
            clusters.append(cluster.translate(each, path, problems))
    _check_names(listeners, clusters, problems)
    control = None
    if message.HasField("dynamic_resources"):
        if name and not address:
            problems.add("dynamic_resources.ads_config", f"static_resources has no cluster '{name}' with an address")
        dynamic = message.dynamic_resources
        control = Control(address, dynamic.HasField("lds_config"), dynamic.HasField("cds_config"))
    elif any(chain.rds for each in listeners for chain in each.chains) or any(each.eds for each in clusters):
        problems.add("dynamic_resources.ads_config", "is missing: a listener or cluster asks for resources over ADS")
    return Bootstrap(
        node=json_format.MessageToDict(message.node, preserving_proto_field_name=True),
        admin=_admin(message, problems),
        control=control,
        listeners=listeners,
        clusters=clusters,
        overload=runtime.overload(message.layered_runtime, "layered_runtime", problems),
    )


def _admin(message: bootstrap_pb2.Bootstrap, problems: Problems) -> tuple[str, int] | None:
    if not message.HasField("admin") or not message.admin.HasField("address"):
        return None
    host, port = socket_address(message.admin.address, "admin.address", problems)
    if host and not is_loopback(host):
        problems.add(
            "admin.address.socket_address.address",
            f"'{host}' is reachable from outside; the admin API has no protection yet: use a loopback address",
        )
    return host, port


def _control_cluster_name(message: bootstrap_pb2.Bootstrap, problems: Problems) -> str:
    """The cluster that ADS goes to; empty where there is none."""
    if not message.HasField("dynamic_resources"):
        return ""
    path, dynamic = "dynamic_resources", message.dynamic_resources
    if not dynamic.HasField("ads_config"):
        problems.add(f"{path}.ads_config", "is missing: ADS is the only supported way to get dynamic resources")
        return ""
    for field in ("lds_config", "cds_config"):
        if dynamic.HasField(field) and not getattr(dynamic, field).HasField("ads"):
            problems.add(f"{path}.{field}", "must be {ads: {}, resource_api_version: V3}")
    services = dynamic.ads_config.grpc_services
    if dynamic.ads_config.api_type == 0:
        problems.add(f"{path}.ads_config.api_type", "must be GRPC")
    if len(services) != 1:
        problems.add(f"{path}.ads_config.grpc_services", f"{len(services)} of them; exactly one is supported")
        return ""
    if not services[0].envoy_grpc.cluster_name:
        problems.add(f"{path}.ads_config.grpc_services[0].envoy_grpc.cluster_name", "is missing")
    return str(services[0].envoy_grpc.cluster_name)


def _control_address(message: cluster_pb2.Cluster, path: str, problems: Problems) -> str:
    _CONTROL_CLUSTER.check(message, path, problems)
    at = f"{path}.load_assignment"
    endpoints = endpoint.build(message.load_assignment, message.name, at, problems, names=True).endpoints
    if len(endpoints) != 1:
        problems.add(at, f"{len(endpoints)} endpoints; a control plane needs exactly one")
        return ""
    host, port = endpoints[0].address, endpoints[0].port
    if host and not is_loopback(host):
        problems.add(
            f"{at}.endpoints[0].lb_endpoints[0].endpoint.address.socket_address.address",
            f"'{host}': the way to the control plane has no protection yet: use a loopback address",
        )
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _check_names(listeners: list[ListenerDraft], clusters: list[ClusterDraft], problems: Problems) -> None:
    """Names are unique, and inline routes name clusters that there are."""
    known: set[str] = set()
    for i, each in enumerate(clusters):
        if each.cluster.name in known:
            problems.add(f"static_resources.clusters[{i}].name", f"'{each.cluster.name}' stands twice")
        known.add(each.cluster.name)
    taken: set[str] = set()
    for i, draft in enumerate(listeners):
        path = f"static_resources.listeners[{i}]"
        if draft.listener.name in taken:
            problems.add(f"{path}.name", f"'{draft.listener.name}' stands twice")
        taken.add(draft.listener.name)
        for j, chain in enumerate(draft.chains):
            at = f"{path}.filter_chains[{j}]" if j < len(draft.listener.chains) else f"{path}.default_filter_chain"
            if chain.validate_clusters and chain.routes:
                _check_clusters(chain.routes, known, f"{at}.filters[0].typed_config.route_config", problems)


def _check_clusters(routes: plan.Routes, known: set[str], path: str, problems: Problems) -> None:
    for i, host in enumerate(routes.virtual_hosts):
        for j, route in enumerate(host.routes):
            for name in (*(each.name for each in route.clusters), *(each.cluster for each in route.mirrors)):
                if name and name not in known:
                    problems.add(f"{path}.virtual_hosts[{i}].routes[{j}].route", f"unknown cluster '{name}'")
