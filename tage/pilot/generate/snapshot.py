"""`Snapshot`: config and services at one moment, indexed so that the work for one node is small.

Which resource counts follows Istio. A VirtualService's hosts and a DestinationRule's host are resolved in the
resource's own namespace. Several VirtualServices for one host: the first by (namespace, name) wins. A DestinationRule
counts for callers of its own namespace, else for all callers of the service when it stands in the service's namespace;
several for one host in one namespace add up, the first traffic policy winning.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeVar, cast

from tage.config.model import Resource
from tage.config.networking import Destination, DestinationRule, Subset, TrafficPolicy, VirtualService
from tage.pilot.generate import names
from tage.registry.model import Service

T = TypeVar("T")


@dataclass(frozen=True)
class Rule:
    """What the DestinationRules say of one service. `source` is the first one's `namespace/name`."""

    policy: TrafficPolicy | None = None
    subsets: tuple[Subset, ...] = ()
    source: str = ""

    def merged(self, spec: DestinationRule) -> Rule:
        known = {subset.name for subset in self.subsets}
        more = tuple(subset for subset in spec.subsets if subset.name not in known)
        return Rule(self.policy or spec.traffic_policy, self.subsets + more, self.source)


NO_RULE = Rule()


class Snapshot:
    """Immutable. `warnings` says what in it cannot work as its author meant it, for the log."""

    def __init__(
        self,
        services: Iterable[Service] = (),
        virtual_services: Iterable[Resource] = (),
        destination_rules: Iterable[Resource] = (),
    ) -> None:
        self.services = tuple(sorted(services, key=lambda s: (s.namespace, s.name)))
        self.virtual_services = tuple(sorted(virtual_services, key=lambda r: r.key))
        self._by_host = {service.fqdn: service for service in self.services}
        self._aliases = {alias: s.fqdn for s in self.services for alias in s.short_names[1:-1]}
        warnings: list[str] = []
        self._routing = self._index_routing(warnings)
        self._rules = self._index_rules(destination_rules)
        self._routing_wildcards = _wildcards(self._routing)
        self._rule_wildcards = {namespace: _wildcards(rules) for namespace, rules in self._rules.items()}
        warnings.extend(self._dangling())
        self.warnings = tuple(dict.fromkeys(warnings))

    def resolve(self, host: str, namespace: str) -> str:
        """The full name of what a resource in `namespace` calls `host`. Beyond Istio, `reviews.default` and
        `reviews.default.svc` are understood as well where such a service exists."""
        full = names.qualified(host, namespace)
        lower = full.lower()
        # Hosts that are no service keep their case: interfaces of RPC protocols are hosts too.
        return self._aliases.get(lower) or (lower if lower in self._by_host else full)

    def service(self, fqdn: str) -> Service | None:
        return self._by_host.get(fqdn)

    def routing(self, fqdn: str) -> Resource | None:
        """The VirtualService for this host: the one that names it, else the one with the longest wildcard."""
        return _lookup(self._routing, self._routing_wildcards, fqdn)

    def rule(self, service: Service, namespace: str) -> Rule:
        """What holds for callers in `namespace`."""
        for of in dict.fromkeys((namespace, service.namespace)):
            if of in self._rules:
                rule = _lookup(self._rules[of], self._rule_wildcards[of], service.fqdn)
                if rule is not None:
                    return rule
        return NO_RULE

    def foreign_hosts(self) -> Iterator[tuple[str, Resource]]:
        """Hosts of VirtualServices that are no service (nor a wildcard over services), with their VirtualService."""
        for host, resource in self._routing.items():
            if host in self._by_host:
                continue
            if "*" in host and any(self.routing(fqdn) is resource for fqdn in self._by_host if _covers(host, fqdn)):
                continue
            yield host, resource

    def destination(self, destination: Destination, namespace: str) -> str:
        """The cluster's name; for a host that is unknown too, so that Envoy answers 503 with flag NC."""
        fqdn = self.resolve(destination.host, namespace)
        service = self._by_host.get(fqdn)
        if destination.port is not None:
            port = destination.port.number
        else:
            port = service.port if service is not None else names.DEFAULT_PORT
        return names.outbound_cluster(port, destination.subset, fqdn)

    def _index_routing(self, warnings: list[str]) -> dict[str, Resource]:
        routing: dict[str, Resource] = {}
        for resource in self.virtual_services:
            for host in cast(VirtualService, resource.spec).hosts:
                fqdn = self.resolve(host, resource.metadata.namespace)
                holder = routing.setdefault(fqdn, resource)
                if holder is not resource:
                    warnings.append(
                        f"{_title(resource)}: host {fqdn} is already taken by {_title(holder)}; "
                        "this one has no effect for it"
                    )
        return routing

    def _index_rules(self, resources: Iterable[Resource]) -> dict[str, dict[str, Rule]]:
        rules: dict[str, dict[str, Rule]] = {}
        for resource in sorted(resources, key=lambda r: r.key):
            namespace, name = resource.metadata.namespace, resource.metadata.name
            spec = cast(DestinationRule, resource.spec)
            of_namespace = rules.setdefault(namespace, {})
            fqdn = self.resolve(spec.host, namespace)
            of_namespace[fqdn] = of_namespace.get(fqdn, Rule(source=f"{namespace}/{name}")).merged(spec)
        return rules

    def _dangling(self) -> Iterator[str]:
        """Destinations that lead nowhere."""
        for resource in self.virtual_services:
            namespace = resource.metadata.namespace
            for i, http in enumerate(cast(VirtualService, resource.spec).http):
                for j, weighted in enumerate(http.route):
                    problem = self._problem(weighted.destination, namespace)
                    if problem:
                        yield f"{_title(resource)}: spec.http[{i}].route[{j}].destination: {problem}"

    def _problem(self, destination: Destination, namespace: str) -> str:
        fqdn = self.resolve(destination.host, namespace)
        service = self._by_host.get(fqdn)
        if service is None:
            return f"no service {fqdn}; requests for it are answered 503"
        if destination.port is not None and destination.port.number != service.port:
            return f"service {fqdn} has port {service.port}, not {destination.port.number}; such requests get 503"
        subset = destination.subset
        if subset and all(subset != s.name for s in self.rule(service, namespace).subsets):
            return f"no DestinationRule defines subset {subset} of {fqdn}; such requests get 503"
        return ""


def _title(resource: Resource) -> str:
    return f"{resource.kind} {resource.metadata.namespace}/{resource.metadata.name}"


def _wildcards(table: Mapping[str, T]) -> tuple[str, ...]:
    return tuple(sorted((host for host in table if host.startswith("*")), key=lambda host: (-len(host), host)))


def _covers(wildcard: str, host: str) -> bool:
    return host.endswith(wildcard[1:])


def _lookup(table: Mapping[str, T], wildcards: tuple[str, ...], host: str) -> T | None:
    found = table.get(host)
    if found is None:
        found = next((table[wildcard] for wildcard in wildcards if _covers(wildcard, host)), None)
    return found
