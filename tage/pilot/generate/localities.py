"""Where instances are, and who is to get a caller's requests because of it.

Instances are grouped by locality. A DestinationRule's `distribute` gives the groups weights that depend on where the
caller is. With outlier detection, without which nothing would ever fail over, the groups have priorities instead: the
nearer to the caller the higher, or by `failoverPriority`, the more labels they share with the caller. As Istio's
pilot/pkg/networking/core/loadbalancer.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence

from tage.config.networking import TOPOLOGY, Distribute, Failover, LocalityLoadBalancerSetting, TrafficPolicy
from tage.pilot.generate.node import Caller
from tage.registry.model import Instance

_FAR, _ELSEWHERE = 3, 4
_STEPS = 5
"""Distances there are: same subzone, zone, region; another region; another than the one to fail over to."""


@dataclasses.dataclass
class Group:
    """Instances of one locality and priority. `weight` is in relation to the other groups of that priority."""

    locality: str
    instances: list[Instance]
    weight: int
    priority: int = 0

    @classmethod
    def of(cls, locality: str, instances: list[Instance]) -> Group:
        return cls(locality, instances, sum(instance.weight for instance in instances))


def labels(own: Mapping[str, str], locality: str) -> dict[str, str]:
    """A workload's labels, those that its locality stands for among them."""
    return {**own, **dict(zip(TOPOLOGY, filter(None, locality.split("/")), strict=False))}


def asked_labels(policy: TrafficPolicy) -> Iterator[str]:
    """Labels that callers and instances are compared by."""
    for load_balancer in policy.load_balancers():
        if load_balancer.locality_lb_setting is not None:
            yield from (entry.partition("=")[0] for entry in load_balancer.locality_lb_setting.failover_priority)


def setting_of(policy: TrafficPolicy | None) -> LocalityLoadBalancerSetting | None:
    """None: localities do not matter. The default is Istio's: they do, which takes outlier detection as well."""
    given = (
        policy.load_balancer.locality_lb_setting if policy is not None and policy.load_balancer is not None else None
    )
    if given is None:
        return LocalityLoadBalancerSetting()
    return None if given.enabled is False else given


def fails_over(policy: TrafficPolicy | None) -> bool:
    return policy is not None and policy.outlier_detection is not None


def groups(instances: Iterable[Instance], policy: TrafficPolicy | None, caller: Caller) -> list[Group]:
    """For requests of `caller`, in an order that depends on nothing but the input's content."""
    by_locality: dict[str, list[Instance]] = {}
    for instance in instances:
        by_locality.setdefault(instance.locality, []).append(instance)
    found = [Group.of(locality, by_locality[locality]) for locality in sorted(by_locality)]
    setting = setting_of(policy)
    if setting is None:
        return found
    if setting.distribute:
        return _distributed(found, setting.distribute, caller.locality)
    if fails_over(policy):
        if setting.failover_priority:
            found = [part for group in found for part in _by_labels(group, setting.failover_priority, caller)]
        if setting.failover or not setting.failover_priority:
            for group in found:
                group.priority = group.priority * _STEPS + _distance(caller.locality, group.locality, setting.failover)
        _close_gaps(found)
    return found


def _distributed(found: Sequence[Group], entries: Sequence[Distribute], caller: str) -> list[Group]:
    """Groups that are given nothing are left out."""
    entry = next((entry for entry in entries if _matches(caller, entry.source)), None)
    if entry is None:
        return list(found)
    left, weighted = list(found), []
    for locality, share in entry.to.items():
        chosen = [group for group in left if _matches(group.locality, locality)]
        left = [group for group in left if group not in chosen]
        total = sum(group.weight for group in chosen)
        # Rounded up: a weight of 0 would be none.
        weighted += [dataclasses.replace(group, weight=-(-group.weight * share // total)) for group in chosen]
    return sorted(weighted, key=lambda group: group.locality)


def _matches(locality: str, wanted: str) -> bool:
    """`wanted` may leave out zone and subzone or end in `*`."""
    if wanted == "*":
        return True
    steps = wanted.removesuffix("/*").split("/")
    return locality.split("/")[: len(steps)] == steps


def _by_labels(group: Group, priorities: Sequence[str], caller: Caller) -> Iterator[Group]:
    """The group in parts, by how many of the labels, from the first on, an instance shares with the caller."""
    own = dict(caller.labels)
    parts: dict[int, list[Instance]] = {}
    for instance in group.instances:
        theirs = labels(instance.labels, instance.locality)
        priority = 0
        for index, entry in enumerate(priorities):
            label, equals, value = entry.partition("=")
            if theirs.get(label, "") != (value if equals else own.get(label, "")):
                priority = len(priorities) - index
                break
        parts.setdefault(priority, []).append(instance)
    for priority in sorted(parts):
        part = Group.of(group.locality, parts[priority])
        part.priority = priority
        yield part


def _distance(caller: str, locality: str, failover: Sequence[Failover]) -> int:
    mine, theirs = ((*text.split("/"), "", "")[:3] for text in (caller, locality))
    if mine == theirs:
        return 0
    for distance, steps in ((1, 2), (2, 1)):
        if mine[:steps] == theirs[:steps]:
            return distance
    entry = next((entry for entry in failover if entry.source == mine[0]), None)
    return _ELSEWHERE if entry is not None and entry.to != theirs[0] else _FAR


def _close_gaps(found: Iterable[Group]) -> None:
    """Envoy asks for priorities from 0 without gaps."""
    found = list(found)
    numbers = {priority: number for number, priority in enumerate(sorted({group.priority for group in found}))}
    for group in found:
        group.priority = numbers[group.priority]
