from __future__ import annotations

import pytest

from tage.pilot.generate import Caller, Node
from tests.pilot.samples import REVIEWS, destination_rule, snapshot

FQDN = REVIEWS.fqdn


def subset(name: str, more: str = "", rule: str = "reviews", namespace: str = "default", host: str = FQDN) -> str:
    return destination_rule(f"{{host: '{host}', subsets: [{{name: {name}}}]{more}}}", rule, namespace)


def found(caller: Caller, *texts: str) -> list[str]:
    return [subset.name for subset in snapshot(*texts).rule(REVIEWS, caller).subsets]


@pytest.mark.parametrize(
    ("export_to", "default", "other", "third"),
    [("[]", True, True, True), ("['*']", True, True, True), ("['.']", True, False, False),
     ("[other]", False, True, False), ("['.', other]", True, True, False)],
)  # fmt: skip
def test_export_to(export_to: str, default: bool, other: bool, third: bool):
    text = subset("a", f", exportTo: {export_to}")
    assert [bool(found(Caller(of), text)) for of in ("default", "other", "third")] == [default, other, third]


def test_a_rule_that_selects_the_caller_comes_before_those_that_select_nobody():
    selective = subset("b", ", workloadSelector: {matchLabels: {app: web}}", "selective")
    assert found(Caller(labels=(("app", "web"),)), subset("a"), selective) == ["b"]
    assert found(Caller(labels=(("app", "x"),)), subset("a"), selective) == ["a"]
    assert found(Caller(), subset("a"), selective) == ["a"]


def test_a_selective_rule_counts_in_its_own_namespace_only():
    selective = subset("b", ", workloadSelector: {matchLabels: {app: web}}")
    assert found(Caller("other", (("app", "web"),)), selective) == []


def test_a_rule_that_does_not_count_leaves_the_wildcards():
    wide = subset("wide", host="*.svc.cluster.local", rule="wide")
    narrow = subset("narrow", ", exportTo: [third]")
    assert found(Caller(), wide, narrow) == ["wide"]


def test_only_labels_that_some_rule_asks_for_tell_callers_apart():
    node = Node("x", labels={"app": "web", "version": "v1"})
    assert snapshot(subset("a")).caller(node) == Caller()
    selective = subset("a", ", workloadSelector: {matchLabels: {app: other}}")
    assert snapshot(selective).caller(node) == Caller(labels=(("app", "web"),))


def test_a_caller_has_all_the_labels_it_is_asked_for():
    caller = Caller(labels=(("a", "1"), ("b", "2")))
    assert caller.has({})
    assert caller.has({"a": "1", "b": "2"})
    assert not caller.has({"a": "1", "c": "3"})
    assert not caller.has({"a": "2"})
