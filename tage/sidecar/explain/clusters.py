"""Where a request goes: a cluster's settings and endpoints, and why it could not be served there."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from tage.dataplane.protocols import errors
from tage.sidecar import plan
from tage.sidecar.explain import findings
from tage.sidecar.explain.policies import cluster as policies

Sections = Mapping[plan.SectionKey, plan.Section]


def describe(sections: Sections, name: str) -> findings.Cluster:
    section = sections.get(("cluster", name))
    if not isinstance(section, plan.Cluster):
        return findings.Cluster(
            name, f"{errors.NO_CLUSTER.status}, flag {errors.NO_CLUSTER.flag}: there is no such cluster"
        )
    found = sections.get(("endpoints", section.endpoints))
    endpoints = [_endpoint(each) for each in found.endpoints] if isinstance(found, plan.Endpoints) else []
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
    return f"{errors.NO_HEALTHY_HOST.status}, flag {errors.NO_HEALTHY_HOST.flag}: {what}"


def _endpoint(section: plan.Endpoint) -> findings.Endpoint:
    return findings.Endpoint(
        section.address,
        section.port,
        section.healthy and section.weight > 0,
        "healthy" if section.healthy else "unhealthy, as the control plane says",
        section.weight,
        section.hostname,
        policies.endpoint(section),
    )
