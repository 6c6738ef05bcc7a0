"""HTTP filters in words: settings of a listener's, and what a rule says for itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tage.sidecar import plan
from tage.sidecar.explain.findings import Line
from tage.sidecar.explain.words import Topic, lines

ELSEWHERE = {"name"}

KINDS: Mapping[type[plan.HttpFilter], Sequence[Topic]] = {plan.FilterDisabled: ()}
"""Of listeners and of rules."""


def describe(given: plan.HttpFilter) -> list[Line]:
    return lines(given, KINDS.get(type(given), ()), ELSEWHERE)
