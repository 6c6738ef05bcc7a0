"""DestinationRules, indexed: what they say of a service to a caller.

As Istio: a rule counts for callers of its own namespace, else for all that it is exported to when it stands in the
service's namespace. A rule that selects the caller's workload comes before those that select nobody; several for one
host in one namespace add up, the first traffic policy winning.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple, TypeVar, cast

from tage.config.model import Resource
from tage.config.networking import DestinationRule, Subset, TrafficPolicy
from tage.pilot.generate.delegates import Resolve, is_visible
from tage.pilot.generate.node import Caller
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

    def subset(self, name: str) -> Subset | None:
        return next((subset for subset in self.subsets if subset.name == name), None)


NO_RULE = Rule()


class _Entry(NamedTuple):
    source: str
    spec: DestinationRule

    def counts_for(self, namespace: str, caller: Caller) -> bool:
        """`namespace` is the rule's own."""
        selector = self.spec.workload_selector
        if selector is not None:
            return namespace == caller.namespace and caller.has(selector.match_labels)
        return is_visible(self.spec.export_to, namespace, caller.namespace)


class Rules:
    def __init__(self, resources: Iterable[Resource], resolve: Resolve) -> None:
        """`resources` in the order in which they count."""
        self._by_namespace: dict[str, dict[str, list[_Entry]]] = {}
        for resource in resources:
            namespace, spec = resource.metadata.namespace, cast(DestinationRule, resource.spec)
            hosts = self._by_namespace.setdefault(namespace, {})
            entry = _Entry(f"{namespace}/{resource.metadata.name}", spec)
            hosts.setdefault(resolve(spec.host, namespace), []).append(entry)
        self._wildcards = {namespace: wildcards(hosts) for namespace, hosts in self._by_namespace.items()}
        self._known: dict[tuple[str, Caller], Rule] = {}

    def of(self, service: Service, caller: Caller) -> Rule:
        key = (service.fqdn, caller)
        known = self._known.get(key)
        if known is None:
            known = self._known[key] = self._find(service, caller)
        return known

    def _find(self, service: Service, caller: Caller) -> Rule:
        for namespace in dict.fromkeys((caller.namespace, service.namespace)):
            hosts = self._by_namespace.get(namespace)
            if hosts is None:
                continue
            for host in matching(hosts, self._wildcards[namespace], service.fqdn):
                entries = [entry for entry in hosts[host] if entry.counts_for(namespace, caller)]
                entries = [entry for entry in entries if entry.spec.workload_selector is not None] or entries
                if entries:
                    rule = Rule(source=entries[0].source)
                    for entry in entries:
                        rule = rule.merged(entry.spec)
                    return rule
        return NO_RULE


def wildcards(table: Mapping[str, T]) -> tuple[str, ...]:
    """Those among the hosts, the longest first."""
    return tuple(sorted((host for host in table if host.startswith("*")), key=lambda host: (-len(host), host)))


def covers(wildcard: str, host: str) -> bool:
    return host.endswith(wildcard[1:])


def matching(table: Mapping[str, T], wildcards: tuple[str, ...], host: str) -> Iterable[str]:
    """The keys of `table` that `host` falls under, the most specific first."""
    if host in table:
        yield host
    for wildcard in wildcards:
        if covers(wildcard, host):
            yield wildcard
