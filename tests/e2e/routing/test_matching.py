"""The cases' rules in the routing code itself, without a proxy: which route a request meets, and where it leads."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest

from tage.dataplane.protocols.http1.request import RequestDecoder
from tage.dataplane.routing.build import build
from tage.dataplane.routing.table import RouteTable
from tests.e2e.routing.case import Ask, Case, File, load
from tests.e2e.routing.rules import book
from tests.sidecar.translate.build import translate

CASES = [(file, case) for file in load() for case in file.cases]


@cache
def table(name: str) -> RouteTable:
    """Of the file's cases that are carried out."""
    file = next(each for each in book().files if each.name == name)
    carried = [case for case in file.cases if not book().rules[case.id].refused]
    listener = book().listener(file, 1, carried)
    config = listener["filter_chains"][0]["filters"][0]["typed_config"]["route_config"]
    return build(translate("route", config))


def head(case: Case, ask: Ask) -> Any:
    lines = [f"{ask.method} {ask.path} HTTP/1.1", f"host: {ask.host or case.host}"]
    lines += [f"{name}: {value}" for name, value in ask.pairs]
    decoder = RequestDecoder()
    decoder.feed(("\r\n".join(lines) + "\r\n\r\n").encode())
    assert decoder.read_head() == 1, decoder.error
    return decoder.head


def test_there_are_enough_cases() -> None:
    assert len(CASES) >= 300


@pytest.mark.parametrize(("file", "case"), CASES, ids=[case.id for _, case in CASES])
def test_the_route_is_the_right_one(file: File, case: Case) -> None:
    refused = book().rules[case.id].refused
    if case.pending:
        assert refused, f"{file.name}.yaml: {case.id} is carried out: take `pending` away"
        pytest.skip(f"pending: {case.pending}")
    assert not refused, "\n".join(refused)
    for ask in case.requests:
        route = table(file.name).route(head(case, ask))
        if not ask.backends and ask.expected_status == 404 and not ask.answer:
            assert route is None, f"{ask.path} meets {route.name}"
            continue
        assert route is not None, f"{ask.method} {ask.path} meets no rule"
        if ask.backends and not ask.answer:
            reached = {backend for cluster in route.clusters for backend in book().leads_to(cluster, case)}
            if ask.split:  # by two rules, it may be
                assert reached & set(ask.backends), f"{ask.path} leads to {route.clusters}"
            else:
                assert set(ask.backends) <= reached, f"{ask.path} leads to {route.clusters}"
