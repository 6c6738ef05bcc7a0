"""Names that the parts of a configuration call each other by, in Istio's forms; durations and localities."""

from __future__ import annotations

from envoy.config.core.v3 import base_pb2
from google.protobuf.duration_pb2 import Duration

from tage.config.duration import parse_duration_ms

_PREFIX = "type.googleapis.com/"
CLUSTER = _PREFIX + "envoy.config.cluster.v3.Cluster"
ENDPOINT = _PREFIX + "envoy.config.endpoint.v3.ClusterLoadAssignment"
LISTENER = _PREFIX + "envoy.config.listener.v3.Listener"
ROUTE = _PREFIX + "envoy.config.route.v3.RouteConfiguration"

TYPES: dict[str, str] = {CLUSTER: "CDS", ENDPOINT: "EDS", LISTENER: "LDS", ROUTE: "RDS"}
"""Type URL -> the usual abbreviation, in the order in which a change is sent: what is named before what names it."""

OUTBOUND_LISTENER = "http_proxy"
OUTBOUND_ROUTES = "http_proxy"
INBOUND_LISTENER = "virtualInbound"

DEFAULT_PORT = 80
"""Of a destination whose host is no known service and that names no port."""

_SUFFIX = ".svc.cluster.local"


def outbound_cluster(port: int, subset: str, fqdn: str) -> str:
    return f"outbound|{port}|{subset}|{fqdn}"


def rpc_proxy(protocol: str) -> str:
    """The outbound listener of a protocol of remote calls, and its routes."""
    return f"{protocol}_proxy"


def service_proxy(port: int, fqdn: str) -> str:
    """The outbound listener of one service of HTTP, and its routes."""
    return f"{fqdn}:{port}"


def inbound_cluster(port: int) -> str:
    return f"inbound|{port}||"


def qualified(host: str, namespace: str) -> str:
    """The name that a short host has in a resource of `namespace`. As in Istio a name with a dot is not short."""
    return host if "." in host or "*" in host else f"{host}.{namespace}{_SUFFIX}"


def host_names(host: str, namespace: str) -> list[str]:
    """What a caller in `namespace` may call `host`, the full name first."""
    names = [host]
    name, dot, of_namespace = host.removesuffix(_SUFFIX).rpartition(".")
    if host.endswith(_SUFFIX) and dot and name and "*" not in host:
        names += [f"{name}.{of_namespace}.svc", f"{name}.{of_namespace}"]
        if of_namespace == namespace:
            names.append(name)
    return names


def domains(host: str, port: int, namespace: str) -> list[str]:
    """`host_names`, each with and without the port. Envoy refuses a port after a wildcard's bare `*`."""
    return [d for name in host_names(host, namespace) for d in ((name,) if name == "*" else (name, f"{name}:{port}"))]


def duration(text: str) -> Duration:
    """Raises `ValueError` for what is none."""
    seconds, milliseconds = divmod(parse_duration_ms(text), 1000)
    return Duration(seconds=seconds, nanos=milliseconds * 10**6)


def locality(text: str) -> base_pb2.Locality:
    """Of region/zone/subzone; the latter two may be missing."""
    region, zone, sub_zone = (*text.split("/"), "", "")[:3]
    return base_pb2.Locality(region=region, zone=zone, sub_zone=sub_zone)
