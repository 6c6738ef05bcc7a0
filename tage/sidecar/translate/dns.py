"""How a cluster's names are resolved: the fields of Cluster that start with dns_, or a DnsCluster -> `draft.DnsPolicy`.

The same settings stand in two messages, and where to ask in four places: of those in Cluster, typed_dns_resolver_config
wins over dns_resolution_config, and that over dns_resolvers, as in Envoy; here two at the same time are a problem.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

from envoy.config.cluster.v3 import cluster_pb2
from envoy.config.core.v3 import address_pb2, resolver_pb2
from envoy.extensions.clusters.common.dns.v3 import dns_pb2
from envoy.extensions.clusters.dns.v3 import dns_cluster_pb2
from envoy.extensions.network.dns_resolver.cares.v3 import cares_dns_resolver_pb2

from tage.sidecar.translate.draft import DnsPolicy, DnsServers
from tage.sidecar.translate.problem import Problems
from tage.sidecar.translate.shape import Extension, Only, Shape, leaf, type_name, unpack
from tage.sidecar.translate.values import milliseconds, socket_address

MIN_REFRESH = 100
"""ms. Envoy refuses less than 1 ms; more often than this would keep the resolver busy for nothing."""

_RESOLVER = Shape(
    "envoy.config.core.v3.Address",
    {
        "socket_address": Shape(
            "envoy.config.core.v3.SocketAddress",
            {"address": leaf, "port_value": leaf},
            harmless={"protocol": "UDP, and TCP for what is truncated, unless use_tcp_for_dns_lookups asks for TCP"},
        )
    },
)
_OPTIONS = Shape("envoy.config.core.v3.DnsResolverOptions", ("use_tcp_for_dns_lookups", "no_default_search_domain"))
_TYPED_RESOLVER = Extension(
    "DNS resolver",
    Shape("envoy.config.core.v3.TypedExtensionConfig", ("name", "typed_config")),
    (
        cares_dns_resolver_pb2.CaresDnsResolverConfig,
        Shape(
            "envoy.extensions.network.dns_resolver.cares.v3.CaresDnsResolverConfig",
            {"resolvers": _RESOLVER, "use_resolvers_as_fallback": leaf, "dns_resolver_options": _OPTIONS},
        ),
    ),
)
_POLICY = {
    "dns_refresh_rate": leaf,
    "respect_dns_ttl": leaf,
    "dns_jitter": leaf,
    "typed_dns_resolver_config": _TYPED_RESOLVER,
}
FIELDS = {
    **_POLICY,
    "dns_failure_refresh_rate": Shape("envoy.config.cluster.v3.Cluster.RefreshRate", ("base_interval", "max_interval")),
    "dns_lookup_family": Only("AUTO", "V4_ONLY", "V6_ONLY", "V4_PREFERRED", "ALL"),
    "dns_resolvers": _RESOLVER,
    "use_tcp_for_dns_lookups": leaf,
    "dns_resolution_config": Shape(
        "envoy.config.core.v3.DnsResolutionConfig", {"resolvers": _RESOLVER, "dns_resolver_options": _OPTIONS}
    ),
}
"""Those of Cluster."""
DNS_CLUSTER = Shape(
    "envoy.extensions.clusters.dns.v3.DnsCluster",
    {
        **_POLICY,
        "dns_failure_refresh_rate": Shape(
            "envoy.extensions.clusters.dns.v3.DnsCluster.RefreshRate", ("base_interval", "max_interval")
        ),
        "dns_lookup_family": Only("UNSPECIFIED", "AUTO", "V4_ONLY", "V6_ONLY", "V4_PREFERRED", "ALL"),
        "all_addresses_in_single_endpoint": leaf,
    },
)

Family = Literal["auto", "v4_only", "v6_only", "v4_preferred", "all"]
_FAMILIES: dict[int, Family] = {
    cluster_pb2.Cluster.AUTO: "auto",
    cluster_pb2.Cluster.V4_ONLY: "v4_only",
    cluster_pb2.Cluster.V6_ONLY: "v6_only",
    cluster_pb2.Cluster.V4_PREFERRED: "v4_preferred",
    cluster_pb2.Cluster.ALL: "all",
}
_DNS_CLUSTER_FAMILIES: dict[int, Family] = {
    dns_pb2.UNSPECIFIED: "auto",
    dns_pb2.AUTO: "auto",
    dns_pb2.V4_ONLY: "v4_only",
    dns_pb2.V6_ONLY: "v6_only",
    dns_pb2.V4_PREFERRED: "v4_preferred",
    dns_pb2.ALL: "all",
}


def of_cluster(message: cluster_pb2.Cluster, dot: str, problems: Problems) -> DnsPolicy:
    """A cluster of type STRICT_DNS or LOGICAL_DNS."""
    logical = message.type == cluster_pb2.Cluster.LOGICAL_DNS
    family = _FAMILIES.get(message.dns_lookup_family, "auto")
    servers = _servers(message, dot, problems)
    return _policy(message, family, servers, dot, problems, logical=logical)


def of_dns_cluster(message: cluster_pb2.Cluster, dot: str, problems: Problems) -> DnsPolicy:
    """A cluster with a cluster_type, which the walker has allowed."""
    for name in [field.name for field, _ in message.ListFields() if field.name in FIELDS]:
        problems.add(f"{dot}{name}", "has no effect beside cluster_type: set it in the DnsCluster")
    path = f"{dot}cluster_type.typed_config"
    dns = unpack(message.cluster_type.typed_config, dns_cluster_pb2.DnsCluster, path, problems)
    if dns is None:
        return DnsPolicy()
    family = _DNS_CLUSTER_FAMILIES.get(dns.dns_lookup_family, "auto")
    servers = _typed_servers(dns, f"{path}.", problems) or DnsServers()
    return _policy(dns, family, servers, f"{path}.", problems, logical=dns.all_addresses_in_single_endpoint)


def _policy(
    message: Any, family: Family, servers: DnsServers, dot: str, problems: Problems, *, logical: bool
) -> DnsPolicy:
    """What both messages call by the same names."""
    refresh, base, longest, jitter = 5_000, 0, 0, 0
    if message.HasField("dns_refresh_rate"):
        refresh = _interval(message.dns_refresh_rate, f"{dot}dns_refresh_rate", problems)
    if message.HasField("dns_failure_refresh_rate"):
        base, longest = _failure(message.dns_failure_refresh_rate, f"{dot}dns_failure_refresh_rate", problems)
    if message.HasField("dns_jitter"):
        jitter = milliseconds(message.dns_jitter, f"{dot}dns_jitter", problems)
    return DnsPolicy(family, refresh, message.respect_dns_ttl, base, longest, jitter, servers, logical)


def _failure(message: Any, path: str, problems: Problems) -> tuple[int, int]:
    """Base and longest interval; Envoy's default for the longest is ten times the base."""
    if not message.HasField("base_interval"):
        problems.add(f"{path}.base_interval", "is missing")
        return 0, 0
    base = _interval(message.base_interval, f"{path}.base_interval", problems)
    longest = 10 * base
    if message.HasField("max_interval"):
        longest = milliseconds(message.max_interval, f"{path}.max_interval", problems)
        if longest < base:
            problems.add(f"{path}.max_interval", "must not be less than base_interval")
    return base, longest


def _interval(value: Any, path: str, problems: Problems) -> int:
    result = milliseconds(value, path, problems)
    if result < MIN_REFRESH:
        problems.add(path, f"must be at least {MIN_REFRESH / 1000:g}s")
    return result


# -- servers -----------------------------------------------------------------------------------------------------------


def _servers(message: cluster_pb2.Cluster, dot: str, problems: Problems) -> DnsServers:
    typed = _typed_servers(message, dot, problems)
    old = message.HasField("dns_resolution_config")
    oldest = [name for name in ("dns_resolvers", "use_tcp_for_dns_lookups") if getattr(message, name)]
    for name in oldest if typed or old else ():
        problems.add(f"{dot}{name}", "has no effect beside a resolver's configuration")
    if typed is not None:
        if old:
            problems.add(f"{dot}dns_resolution_config", "has no effect beside typed_dns_resolver_config")
        return typed
    if old:
        where, config = f"{dot}dns_resolution_config", message.dns_resolution_config
        addresses = _addresses(config.resolvers, f"{where}.resolvers", problems)
        return _options(config.dns_resolver_options, addresses)
    addresses = _addresses(message.dns_resolvers, f"{dot}dns_resolvers", problems)
    return DnsServers(addresses, tcp=message.use_tcp_for_dns_lookups)


def _typed_servers(message: Any, dot: str, problems: Problems) -> DnsServers | None:
    """Of typed_dns_resolver_config; None where there is none, or one that the walker has refused."""
    packed, path = message.typed_dns_resolver_config.typed_config, f"{dot}typed_dns_resolver_config.typed_config"
    kind = cares_dns_resolver_pb2.CaresDnsResolverConfig
    if type_name(packed) != kind.DESCRIPTOR.full_name:
        return None
    config = unpack(packed, kind, path, problems)
    if config is None:
        return None
    addresses = _addresses(config.resolvers, f"{path}.resolvers", problems)
    return _options(
        config.dns_resolver_options, addresses, fallback=config.use_resolvers_as_fallback and bool(addresses)
    )


def _options(
    options: resolver_pb2.DnsResolverOptions, addresses: tuple[str, ...], *, fallback: bool = False
) -> DnsServers:
    return DnsServers(addresses, fallback, options.use_tcp_for_dns_lookups, options.no_default_search_domain)


def _addresses(resolvers: Iterable[address_pb2.Address], path: str, problems: Problems) -> tuple[str, ...]:
    found = []
    for index, resolver in enumerate(resolvers):
        host, port = socket_address(resolver, f"{path}[{index}]", problems, default_port=53)
        found.append(f"[{host}]:{port}" if ":" in host else f"{host}:{port}")
    return tuple(found)
