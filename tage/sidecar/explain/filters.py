"""The filters that stand between a request and its route: a listener's, and what the rule says for itself."""

from __future__ import annotations

from tage.sidecar import plan
from tage.sidecar.explain import findings
from tage.sidecar.explain.policies.filter import describe


def chain(http: plan.Http, rule: plan.Route | None) -> list[findings.Filter]:
    """In the order in which a request meets them. Without a rule: there is none that could say anything."""
    return [_filter(each, rule.filters.get(each.name) if rule is not None else None) for each in http.filters]


def _filter(given: plan.HttpFilter, of_rule: plan.HttpFilter | None) -> findings.Filter:
    if isinstance(of_rule, plan.FilterDisabled):
        return findings.Filter(given.name, disabled=True)
    return findings.Filter(given.name, describe(given), describe(of_rule) if of_rule is not None else [])
