"""The admin API's page of clusters, as Envoy's: each host with what discovery, active checks and outlier detection say
of it. The last two are in the file that the workers share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from tage.sidecar import plan

Names = Sequence[Mapping[str, Any]]
"""See `dns.Watch.status`."""


class Member(NamedTuple):
    endpoint: plan.Endpoint
    health: list[str]
    """Envoy's names of the reasons not to use it, or to use it only if there are too few others."""
    place: plan.Locality = plan.Locality()


def flags(run_dir: Path, sections: Iterable[plan.Section]) -> Mapping[bytes, int]:
    """What the workers know of hosts, by the digests of their slots' names; nothing where no cluster asks for it."""
    if not any(isinstance(each, plan.Cluster) and _is_watched(each) for each in sections):
        return {}
    from tage.dataplane.upstream.health import reader  # here: an agent that nobody asks does without

    try:
        return reader.flags(str(run_dir / "shared.bin"))
    except (OSError, ValueError):  # the supervisor is gone, or is clearing up
        return {}


def members(cluster: plan.Cluster, endpoints: plan.Section | None, known: Mapping[bytes, int]) -> list[Member]:
    found = endpoints.endpoints if isinstance(endpoints, plan.Endpoints) else []
    places = endpoints.localities if isinstance(endpoints, plan.Endpoints) else []
    return [Member(each, _reasons(cluster, each, known), _place(places, each.locality)) for each in found]


def _place(places: Sequence[plan.Locality], index: int) -> plan.Locality:
    return places[index] if index < len(places) else plan.Locality()


def _is_watched(cluster: plan.Cluster) -> bool:
    return cluster.outlier_detection is not None or cluster.health_check is not None


def _reasons(cluster: plan.Cluster, endpoint: plan.Endpoint, known: Mapping[bytes, int]) -> list[str]:
    reasons = []
    if _is_watched(cluster):
        from tage.dataplane.upstream.health import reader  # here: as above

        state = reader.state(known, cluster.name, endpoint.address, endpoint.port)
        if cluster.health_check is not None and endpoint.checked:
            if state.check_failed or not state.checked:
                reasons.append("failed_active_hc")
            if not state.checked:
                reasons.append("pending_active_hc")
        if cluster.outlier_detection is not None and state.ejected:
            reasons.append("failed_outlier_check")
    if not endpoint.healthy:
        reasons.append("failed_eds_health")
    if endpoint.degraded:
        reasons.append("degraded_eds_health")
    return reasons


def _limits(cluster: plan.Cluster) -> dict[str, int]:
    return {
        "max_connections": cluster.max_connections,
        "max_pending_requests": cluster.max_pending,
        "max_requests": cluster.max_requests,
        "max_retries": cluster.max_retries,
    }


def as_lines(cluster: plan.Cluster, hosts: Iterable[Member], names: Names) -> list[str]:
    name = cluster.name
    lines = [f"{name}::observability_name::{cluster.alt_stat_name or name}\n"]
    lines += [f"{name}::default_priority::{limit}::{value}\n" for limit, value in _limits(cluster).items()]
    for endpoint, reasons, place in hosts:
        host = f"[{endpoint.address}]" if ":" in endpoint.address else endpoint.address
        prefix = f"{name}::{host}:{endpoint.port}"
        lines.append(f"{prefix}::health_flags::{''.join(f'/{reason}' for reason in reasons) or 'healthy'}\n")
        lines.append(f"{prefix}::weight::{endpoint.weight}\n")
        lines.append(f"{prefix}::hostname::{endpoint.hostname}\n")
        lines += [f"{prefix}::{part}::{getattr(place, part)}\n" for part in ("region", "zone", "sub_zone")]
        lines.append(f"{prefix}::priority::{endpoint.priority}\n")
    for entry in names:
        lines += [f"{name}::dns::{entry['name']}::{key}::{entry[key]}\n" for key in ("last_resolved", "ttl", "error")]
    return lines


def _eds(endpoint: plan.Endpoint) -> str:
    if not endpoint.healthy:
        return "UNHEALTHY"
    return "DEGRADED" if endpoint.degraded else "HEALTHY"


_JSON_NAMES = {"failed_active_hc": "failed_active_health_check"}


def as_json(cluster: plan.Cluster, hosts: Iterable[Member], names: Names) -> dict[str, Any]:
    statuses = [
        {
            "address": {"socket_address": {"address": endpoint.address, "port_value": endpoint.port}},
            "health_status": {
                **{_JSON_NAMES.get(reason, reason): True for reason in reasons if not reason.endswith("_eds_health")},
                "eds_health_status": _eds(endpoint),
            },
            "weight": endpoint.weight,
            "hostname": endpoint.hostname,
            "priority": endpoint.priority,
            "locality": {part: getattr(place, part) for part in ("region", "zone", "sub_zone") if getattr(place, part)},
        }
        for endpoint, reasons, place in hosts
    ]
    return {
        "name": cluster.name,
        "observability_name": cluster.alt_stat_name or cluster.name,
        "circuit_breakers": {"thresholds": [_limits(cluster)]},
        "host_statuses": statuses,
        **({"dns": list(names)} if names else {}),
    }
