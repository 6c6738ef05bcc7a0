"""The filters on a request's way."""

from __future__ import annotations

from tage.sidecar import plan
from tests.sidecar.explain.plans import ask, cluster, match, sections, to, web

NAME = "envoy.filters.http.fault"
BREAKS = plan.Fault(NAME, abort=plan.Fraction(100), abort_status=503)
DELAYS = plan.Fault(NAME, plan.Fraction(10), 2_000, plan.Fraction(5), 500)


def asked(filters, of_rule=None, *headers):
    rule = plan.Route(match(), "r", to("a"), filters={NAME: of_rule} if of_rule is not None else {})
    return ask(sections(*web(rule, filters=filters), *cluster("a")), "http://x/", *headers)


def test_what_a_listener_and_a_rule_say():
    answer = asked([DELAYS], BREAKS)
    [found] = answer.filters
    assert (found.name, found.disabled) == (NAME, False)
    assert [(line.name, line.text) for line in found.settings] == [
        ("delay", "10 % of requests, 2 s"),
        ("abort", "5 % of requests, with 500"),
    ]
    assert [(line.name, line.text) for line in found.rule] == [("abort", "100 % of requests, with 503")]


def test_a_filter_that_a_rule_switches_off():
    answer = asked([BREAKS], plan.FilterDisabled(NAME))
    assert answer.filters[0].disabled
    assert answer.outcome.kind == "forwarded"


def test_a_fault_for_every_request_is_the_answer():
    answer = asked([BREAKS])
    assert (answer.outcome.kind, answer.outcome.status, answer.outcome.flag) == ("answered", 503, "FI")
    assert answer.clusters == []
    assert answer.served
    assert asked([BREAKS], DELAYS).outcome.kind == "forwarded"


def test_a_fault_for_some_is_a_note():
    assert asked([DELAYS]).notes == [f"5 % of such requests are answered 500 by the filter {NAME}"]


def test_a_fault_for_requests_with_a_header():
    marked = plan.Fault(NAME, abort=plan.Fraction(100), abort_status=503, headers=[plan.HeaderMatch("x-break")])
    assert asked([marked]).outcome.kind == "forwarded"
    assert asked([marked], None, "x-break: 1").outcome.status == 503
