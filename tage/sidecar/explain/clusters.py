"""Where a request goes: a cluster's settings and endpoints, and why it could not be served there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgspec

from tage.dataplane.protocols import errors
from tage.sidecar import admin_clusters, plan
from tage.sidecar.explain import findings
from tage.sidecar.explain.balancing import HASHED, Balanced, Subset
from tage.sidecar.explain.policies import balancing as balancing_policies
from tage.sidecar.explain.policies import cluster as policies
from tage.sidecar.explain.words import is_address, listed

Sections = Mapping[plan.SectionKey, plan.Section]
Known = Mapping[bytes, int]
"""See `admin_clusters.flags`."""

_REASONS = {
    "degraded_eds_health": "degraded, as the control plane says",
    "failed_eds_health": "unhealthy, as the control plane says",
    "failed_active_hc": "its health check fails",
    "pending_active_hc": "its health is not checked yet",
    "failed_outlier_check": "ejected as an outlier",
}
"""Why an endpoint is not used; the names are Envoy's, as in /clusters."""


class Target(NamedTuple):
    """Where a share of the requests goes, and what picks among its endpoints."""

    finding: findings.Cluster
    balanced: Balanced | None
    hashed: bool
    """A request's key counts."""

    def by_key(self, key: int) -> str:
        """address:port of the endpoint that requests with this key get; empty where it does not count."""
        if not key or not self.hashed or self.balanced is None:
            return ""
        at = self.balanced.by_key(key, _pairs(self.finding.subset))
        return "" if at is None else _address(self.finding.endpoints[at])


def describe(sections: Sections, name: str, known: Known | None, subset: Mapping[str, str]) -> Target:
    """`known` None: nothing is known but what is configured. `subset`: the metadata that endpoints are to have."""
    section = sections.get(("cluster", name))
    if not isinstance(section, plan.Cluster):
        problem = _refusal(errors.NO_CLUSTER, "there is no such cluster")
        return Target(findings.Cluster(name, problem, dict(subset)), None, False)
    found = sections.get(("endpoints", section.endpoints))
    given = found if isinstance(found, plan.Endpoints) else plan.Endpoints(section.endpoints)
    members = _members(section, given, known)
    balanced = Balanced(section, given, [member.health for member in members])
    used = balanced.candidates(_pairs(subset))
    finding = findings.Cluster(
        name,
        "" if used else _problem(members, subset),
        dict(subset),
        policies.cluster(section) + balancing_policies.endpoints(given),
        [_endpoint(given, member.endpoint, member.health, at in used) for at, member in enumerate(members)],
        section.labels,
        msgspec.to_builtins(section, builtin_types=(bytes,)),
    )
    return Target(finding, balanced, section.lb.policy in HASHED)


def _pairs(subset: Mapping[str, str]) -> Subset:
    """As routes have it."""
    return tuple(sorted(subset.items())) or None


def _problem(members: Sequence[admin_clusters.Member], subset: Mapping[str, str]) -> str:
    if not members:
        why = "it has no endpoint"
    elif any(not member.health for member in members) and subset:
        why = f"no endpoint is in the subset {listed(f'{name}={value}' for name, value in subset.items())}"
    else:
        why = "none of its endpoints is healthy"
    return _refusal(errors.NO_HEALTHY_HOST, why)


def _refusal(error: errors.ProxyError, why: str) -> str:
    return f"{error.status}, flag {error.flag}: {why}"


def _members(cluster: plan.Cluster, endpoints: plan.Endpoints, known: Known | None) -> list[admin_clusters.Member]:
    if known is not None:
        return admin_clusters.members(cluster, endpoints, known)
    return [admin_clusters.Member(each, _configured(each)) for each in endpoints.endpoints]


def _configured(endpoint: plan.Endpoint) -> list[str]:
    """What the control plane alone says of it."""
    failed = [] if endpoint.healthy else ["failed_eds_health"]
    return [*failed, "degraded_eds_health"] if endpoint.degraded else failed


def _endpoint(section: plan.Endpoints, endpoint: plan.Endpoint, health: list[str], used: bool) -> findings.Endpoint:
    reasons = [reason for reason in health if not (reason == "failed_active_hc" and "pending_active_hc" in health)]
    words = [_REASONS.get(reason, reason) for reason in reasons]
    if reasons and used:
        words.append("used all the same, for too few are healthy")
    elif not reasons:
        words.append("healthy" if is_address(endpoint.address) else "a name that the sidecar resolves")
        if not used:
            words.append("gets no such request")
    return findings.Endpoint(
        endpoint.address,
        endpoint.port,
        used,
        "; ".join(words),
        endpoint.weight,
        endpoint.hostname,
        policies.endpoint(endpoint) + balancing_policies.locality(section, endpoint),
    )


def _address(endpoint: findings.Endpoint) -> str:
    host = f"[{endpoint.address}]" if ":" in endpoint.address else endpoint.address
    return f"{host}:{endpoint.port}"
