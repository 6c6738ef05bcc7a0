"""The filters that stand between a request and its route: a listener's, and what the rule says for itself.

What they do is told in words; but where a fault is for every such request, that is the answer.
"""

from __future__ import annotations

from collections.abc import Iterator

from tage.dataplane.protocols.message import RequestHead
from tage.dataplane.routing.build import header_matcher
from tage.sidecar import plan
from tage.sidecar.explain import findings
from tage.sidecar.explain.policies.filter import describe
from tage.sidecar.explain.policies.route import fraction


def chain(http: plan.Http, rule: plan.Route | None) -> list[findings.Filter]:
    """In the order in which a request meets them. Without a rule: there is none that could say anything."""
    return [_filter(each, _of_rule(each, rule)) for each in http.filters]


def _of_rule(given: plan.HttpFilter, rule: plan.Route | None) -> plan.HttpFilter | None:
    return rule.filters.get(given.name) if rule is not None else None


def _filter(given: plan.HttpFilter, of_rule: plan.HttpFilter | None) -> findings.Filter:
    if isinstance(of_rule, plan.FilterDisabled):
        return findings.Filter(given.name, disabled=True)
    return findings.Filter(given.name, describe(given), describe(of_rule) if of_rule is not None else [])


def aborted(http: plan.Http, rule: plan.Route, head: RequestHead) -> findings.Outcome | None:
    """The answer where a fault is for every such request."""
    for each in _faults(http, rule, head):
        if each.abort is not None and each.abort.numerator >= each.abort.denominator:
            text = f"the filter {each.name} answers {each.abort_status}, flag FI"
            return findings.Outcome("answered", text, each.abort_status, "FI")
    return None


def notes(http: plan.Http, rule: plan.Route, head: RequestHead) -> list[str]:
    """What becomes of a part of such requests."""
    return [
        f"{fraction(each.abort)} of such requests are answered {each.abort_status} by the filter {each.name}"
        for each in _faults(http, rule, head)
        if each.abort is not None and 0 < each.abort.numerator < each.abort.denominator
    ]


def _faults(http: plan.Http, rule: plan.Route, head: RequestHead) -> Iterator[plan.Fault]:
    """Those with a status of their own that are for this request; the rule's in place of the listener's."""
    for each in http.filters:
        fault = _of_rule(each, rule) or each
        if (
            isinstance(fault, plan.Fault)
            and fault.abort_status
            and not fault.nodes
            and all(header_matcher(header).matches(head) for header in fault.headers)
        ):
            yield fault
