"""DestinationRule."""

from __future__ import annotations

from tage.config import names
from tage.config.networking import DestinationRule, WorkloadSelector
from tage.config.validate.finding import Findings, named, nested, optional
from tage.config.validate.traffic_policy import traffic_policy
from tage.config.validate.values import export_to, labels


def destination_rule(spec: DestinationRule) -> Findings:
    yield from named(("host",), names.host(spec.host, wildcard=True))
    yield from optional("trafficPolicy", spec.traffic_policy, traffic_policy)
    seen: set[str] = set()
    for index, subset in enumerate(spec.subsets):
        here = ("subsets", index)
        yield from named((*here, "name"), names.dns_label(subset.name))
        if subset.name in seen:
            yield (*here, "name"), f"'{subset.name}' is defined twice"
        seen.add(subset.name)
        yield from nested("subsets", nested(index, nested("labels", labels(subset.labels))))
        policy = optional("trafficPolicy", subset.traffic_policy, traffic_policy)
        yield from nested("subsets", nested(index, policy))
    selective = spec.workload_selector is not None
    yield from export_to(
        spec.export_to, "a rule with workloadSelector counts in its own namespace" if selective else ""
    )
    yield from optional("workloadSelector", spec.workload_selector, _workload_selector)


def _workload_selector(selector: WorkloadSelector) -> Findings:
    if not selector.match_labels:
        yield ("matchLabels",), "must hold at least one label"
    yield from nested("matchLabels", labels(selector.match_labels))
