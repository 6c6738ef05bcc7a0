"""`Snapshot`: config and services at one moment, indexed so that the work for one node is small.

Which resource counts follows Istio. A VirtualService's hosts and a DestinationRule's host are resolved in the
resource's own namespace. Several VirtualServices for one host: of those that are exported to the caller's namespace,
first the ones for it alone, then the ones for some namespaces, then those for all; among equals the first by
(namespace, name). Which DestinationRules count: `rules`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import cast

from tage.config import protocols
from tage.config.model import Resource
from tage.config.networking import Destination, DestinationRule, TrafficPolicy, VirtualService
from tage.config.rate_limit import RateLimit
from tage.pilot.generate import delegates, localities, names, rpc_rules
from tage.pilot.generate.node import Caller, Node
from tage.pilot.generate.rules import Rule, Rules, covers, matching, wildcards
from tage.registry.model import Service


class Snapshot:
    """Immutable. `warnings` says what in it cannot work as its author meant it, for the log."""

    def __init__(
        self,
        services: Iterable[Service] = (),
        virtual_services: Iterable[Resource] = (),
        destination_rules: Iterable[Resource] = (),
        python_filters: Iterable[Resource] = (),
        rate_limits: Iterable[Resource] = (),
    ) -> None:
        self.services = tuple(sorted(services, key=lambda s: (s.namespace, s.name)))
        self.virtual_services = tuple(sorted(virtual_services, key=lambda r: r.key))
        self.python_filters = tuple(sorted(python_filters, key=lambda r: r.key))
        self.rate_limits = tuple(sorted(rate_limits, key=lambda r: r.key))
        self._destination_rules = tuple(sorted(destination_rules, key=lambda r: r.key))
        self._by_host = {service.fqdn: service for service in self.services}
        self.protocols = protocols.in_order(service.protocol for service in self.services)
        """Those of remote calls."""
        self.tcp_services = tuple(service for service in self.services if service.protocol == protocols.TCP)
        self.grpc_services = tuple(service for service in self.services if service.protocol == protocols.GRPC)
        self._owners = {interface: service for service in self.services for interface in service.interfaces}
        self._aliases = {alias: s.fqdn for s in self.services for alias in s.short_names[1:-1]}
        warnings: list[str] = []
        routed = list(delegates.merged(self.virtual_services, self.resolve, warnings))
        self._routing = self._index_routing(routed, warnings)
        self._routing_wildcards = wildcards(self._routing)
        self._rules = Rules(self._destination_rules, self.owner)
        hashing = any(_hashes(cast(DestinationRule, resource.spec)) for resource in self._destination_rules)
        self.route_rules = self._destination_rules if hashing else ()
        """The DestinationRules that routes may depend on: none, as long as no load balancer hashes."""
        self._asked_labels = frozenset(_asked_labels(routed, self._destination_rules))
        self._has_localities = any(i.locality for service in self.services for i in service.instances)
        warnings.extend(self._dangling())
        warnings.extend(rpc_rules.warnings(self, routed, self._destination_rules))
        self.warnings = tuple(dict.fromkeys(warnings))

    def caller(self, node: Node) -> Caller:
        """Of the node, what anything here asks for."""
        labels = localities.labels(node.labels, node.locality)
        asked = tuple(sorted(item for item in labels.items() if item[0] in self._asked_labels))
        rpc = node.is_tage and bool(self.protocols)
        return Caller(node.namespace, asked, node.locality if self._has_localities else "", rpc)

    def resolve(self, host: str, namespace: str) -> str:
        """The full name of what a resource in `namespace` calls `host`; an interface is its own. Beyond Istio,
        `reviews.default` and `reviews.default.svc` are understood as well where such a service exists."""
        if host in self._owners:
            return host
        full = names.qualified(host, namespace)
        lower = full.lower()
        # Hosts that are no service keep their case: interfaces of RPC protocols are hosts too.
        return self._aliases.get(lower) or (lower if lower in self._by_host else full)

    def owner(self, host: str, namespace: str) -> str:
        """As `resolve`; of an interface, the service that it is of."""
        service = self._owners.get(host)
        return service.fqdn if service is not None else self.resolve(host, namespace)

    def service(self, fqdn: str) -> Service | None:
        return self._by_host.get(fqdn)

    def routing(self, fqdn: str, namespace: str) -> Resource | None:
        """The VirtualService of this host for callers in `namespace`: one that names it, else one with the longest
        wildcard."""
        for host in matching(self._routing, self._routing_wildcards, fqdn):
            found = next((r for r in self._routing[host] if _visible(r, namespace)), None)
            if found is not None:
                return found
        return None

    def routing_of(self, interface: str, namespace: str) -> Resource | None:
        """The VirtualService that names this interface, for callers in `namespace`."""
        return next((r for r in self._routing.get(interface, ()) if _visible(r, namespace)), None)

    def limits(self, fqdn: str, direction: str) -> tuple[Resource, ...]:
        """The RateLimits of a service."""
        return tuple(
            resource
            for resource in self.rate_limits
            if (spec := cast(RateLimit, resource.spec)).direction == direction
            and self.owner(spec.host, resource.metadata.namespace) == fqdn
        )

    def limits_of(self, node: Node) -> tuple[Resource, ...]:
        """The inbound RateLimits of the node's own service."""
        if not self.rate_limits or not node.has_inbound:
            return ()
        return self.limits(self.resolve(node.service, node.namespace), "inbound")

    def protocol_of(self, node: Node) -> str:
        """What the application behind the node speaks."""
        service = self._by_host.get(self.resolve(node.service, node.namespace)) if node.has_inbound else None
        return service.protocol if service is not None else protocols.HTTP

    def rule(self, service: Service, caller: Caller) -> Rule:
        return self._rules.of(service, caller)

    def foreign_hosts(self, namespace: str) -> Iterator[tuple[str, Resource]]:
        """Hosts of VirtualServices that are no service (nor a wildcard over services), with their VirtualService."""
        for host, resources in self._routing.items():
            resource = next((r for r in resources if _visible(r, namespace)), None)
            if resource is None or host in self._by_host or host in self._owners:
                continue
            covered = (fqdn for fqdn in self._by_host if "*" in host and covers(host, fqdn))
            if not any(self.routing(fqdn, namespace) is resource for fqdn in covered):
                yield host, resource

    def target(self, destination: Destination, namespace: str) -> tuple[str, Service | None]:
        """The full name of a destination that a resource in `namespace` names, and the service if it is one."""
        fqdn = self.owner(destination.host, namespace)
        return fqdn, self._by_host.get(fqdn)

    def cluster(self, destination: Destination, namespace: str, port: int) -> str:
        """The cluster's name; for a host that is unknown too, so that Envoy answers 503 with flag NC. `port` is the one
        that the request came for."""
        fqdn, service = self.target(destination, namespace)
        if destination.port is not None:
            port = destination.port.number
        elif service is not None:
            port = service.port
        return names.outbound_cluster(port, destination.subset, fqdn)

    def _index_routing(self, resources: Iterable[Resource], warnings: list[str]) -> dict[str, list[Resource]]:
        routing: dict[str, list[Resource]] = {}
        for resource in sorted(resources, key=lambda r: (_reach(r), r.key)):
            for fqdn in dict.fromkeys(
                self.resolve(host, resource.metadata.namespace) for host in cast(VirtualService, resource.spec).hosts
            ):
                holders = routing.setdefault(fqdn, [])
                holder = next((before for before in holders if _hides(before, resource)), None)
                if holder is not None:
                    warnings.append(
                        f"{_title(resource)}: host {fqdn} is already taken by {_title(holder)}; "
                        "this one has no effect for it"
                    )
                holders.append(resource)
        return routing

    def _dangling(self) -> Iterator[str]:
        """Destinations that lead nowhere."""
        for resource in self.virtual_services:
            namespace = resource.metadata.namespace
            for i, http in enumerate(cast(VirtualService, resource.spec).http):
                named = [(f"route[{j}].destination", each.destination) for j, each in enumerate(http.route)]
                named += [(f"mirrors[{j}].destination", each.destination) for j, each in enumerate(http.mirrors)]
                named += [("mirror", http.mirror)] if http.mirror is not None else []
                for path, destination in named:
                    problem = self._problem(destination, namespace)
                    if problem:
                        yield f"{_title(resource)}: spec.http[{i}].{path}: {problem}"

    def _problem(self, destination: Destination, namespace: str) -> str:
        fqdn, service = self.target(destination, namespace)
        if service is None:
            return f"no service {fqdn}; requests for it are answered 503"
        if destination.port is not None and destination.port.number != service.port:
            return f"service {fqdn} has port {service.port}, not {destination.port.number}; such requests get 503"
        if destination.subset and self.rule(service, Caller(namespace)).subset(destination.subset) is None:
            return f"no DestinationRule defines subset {destination.subset} of {fqdn}; such requests get 503"
        return ""


_ONE, _SOME, _ALL = range(3)


def _reach(resource: Resource) -> int:
    """How many namespaces it is exported to."""
    export_to = cast(VirtualService, resource.spec).export_to
    if not export_to or "*" in export_to:
        return _ALL
    return _ONE if set(export_to) <= {".", resource.metadata.namespace} else _SOME


def _hides(before: Resource, resource: Resource) -> bool:
    """Whether nobody is left for `resource`, which comes after `before`."""
    same = before.metadata.namespace == resource.metadata.namespace
    return _reach(before) == _ALL or (same and _reach(before) == _reach(resource) == _ONE)


def _visible(resource: Resource, namespace: str) -> bool:
    return delegates.is_visible(cast(VirtualService, resource.spec).export_to, resource.metadata.namespace, namespace)


def _asked_labels(virtual_services: Iterable[Resource], destination_rules: Iterable[Resource]) -> Iterator[str]:
    """Labels of callers that some rule asks for."""
    for resource in virtual_services:
        for http in cast(VirtualService, resource.spec).http:
            for match in http.match:
                yield from match.source_labels
    for resource in destination_rules:
        spec = cast(DestinationRule, resource.spec)
        if spec.workload_selector is not None:
            yield from spec.workload_selector.match_labels
        for policy in _policies(spec):
            yield from localities.asked_labels(policy)


def _policies(spec: DestinationRule) -> Iterator[TrafficPolicy]:
    for policy in (spec.traffic_policy, *(subset.traffic_policy for subset in spec.subsets)):
        if policy is not None:
            yield policy


def _hashes(spec: DestinationRule) -> bool:
    return any(
        load_balancer.consistent_hash is not None
        for policy in _policies(spec)
        for load_balancer in policy.load_balancers()
    )


def _title(resource: Resource) -> str:
    return f"{resource.kind} {resource.metadata.namespace}/{resource.metadata.name}"
