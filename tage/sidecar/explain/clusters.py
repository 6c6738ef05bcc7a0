"""Where a request goes: a cluster's settings and endpoints, and why it could not be served there."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from tage.dataplane.protocols import errors
from tage.sidecar import admin_clusters, plan
from tage.sidecar.explain import findings
from tage.sidecar.explain.policies import cluster as policies
from tage.sidecar.explain.words import is_address

Sections = Mapping[plan.SectionKey, plan.Section]
Known = Mapping[bytes, int]
"""See `admin_clusters.flags`."""

_REASONS = {
    "degraded_eds_health": "degraded: used when there are too few others",
    "failed_eds_health": "unhealthy, as the control plane says",
    "failed_active_hc": "its health check fails",
    "pending_active_hc": "its health is not checked yet",
    "failed_outlier_check": "ejected as an outlier",
}
"""Why an endpoint is not used; the names are Envoy's, as in /clusters."""


def describe(sections: Sections, name: str, known: Known | None) -> findings.Cluster:
    """`known` None: nothing is known but what is configured."""
    section = sections.get(("cluster", name))
    if not isinstance(section, plan.Cluster):
        return findings.Cluster(name, _refusal(errors.NO_CLUSTER, "there is no such cluster"))
    found = sections.get(("endpoints", section.endpoints))
    endpoints = [_endpoint(member.endpoint, member.health) for member in _members(section, found, known)]
    return findings.Cluster(
        name,
        _problem(endpoints),
        policies.cluster(section),
        endpoints,
        section.labels,
        msgspec.to_builtins(section, builtin_types=(bytes,)),
    )


def _problem(endpoints: list[findings.Endpoint]) -> str:
    if any(each.usable for each in endpoints):
        return ""
    what = "none of its endpoints is healthy" if endpoints else "it has no endpoint"
    return _refusal(errors.NO_HEALTHY_HOST, what)


def _refusal(error: errors.ProxyError, why: str) -> str:
    return f"{error.status}, flag {error.flag}: {why}"


def _members(cluster: plan.Cluster, endpoints: plan.Section | None, known: Known | None) -> list[admin_clusters.Member]:
    if known is not None:
        return admin_clusters.members(cluster, endpoints, known)
    given = endpoints.endpoints if isinstance(endpoints, plan.Endpoints) else []
    return [admin_clusters.Member(each, [] if each.healthy else ["failed_eds_health"]) for each in given]


def _endpoint(section: plan.Endpoint, health: list[str]) -> findings.Endpoint:
    reasons = [reason for reason in health if not (reason == "failed_active_hc" and "pending_active_hc" in health)]
    healthy = "healthy" if is_address(section.address) else "a name that the sidecar resolves"
    return findings.Endpoint(
        section.address,
        section.port,
        not {*reasons} - {"degraded_eds_health"} and section.weight > 0,
        "; ".join(_REASONS.get(reason, reason) for reason in reasons) or healthy,
        section.weight,
        section.hostname,
        policies.endpoint(section),
    )
