from __future__ import annotations

from typing import Any

import pytest

from tage.pilot.generate import Caller
from tests.pilot.samples import routes_of

TO = "route: [{destination: {host: reviews}}]"


def matched(entry: str, caller: Caller | None = None) -> list[dict[str, Any]]:
    return [route["match"] for route in routes_of(f"[{{match: [{entry}], {TO}}}]", caller=caller)]


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ("{uri: {exact: /a}}", {"path": "/a"}),
        ("{uri: {prefix: /a}}", {"prefix": "/a"}),
        ("{uri: {prefix: ''}}", {"prefix": "/"}),
        ("{uri: {regex: '/a.*'}}", {"safe_regex": {"regex": "/a.*"}}),
        ("{uri: {exact: /a}, ignoreUriCase: true}", {"path": "/a", "case_sensitive": False}),
        ("{uri: {prefix: /a}, ignoreUriCase: true}", {"prefix": "/a", "case_sensitive": False}),
        ("{uri: {regex: /a}, ignoreUriCase: true}", {"safe_regex": {"regex": "/a"}}),
        ("{scheme: {exact: http}}", {"headers": [{"name": ":scheme", "string_match": {"exact": "http"}}]}),
        ("{method: {regex: 'P.*'}}", {"headers": [
            {"name": ":method", "string_match": {"safe_regex": {"regex": "P.*"}}}]}),
        ("{authority: {prefix: a}}", {"headers": [{"name": ":authority", "string_match": {"prefix": "a"}}]}),
        ("{headers: {b: {exact: x}, a: {}}}", {"headers": [
            {"name": "a", "present_match": True}, {"name": "b", "string_match": {"exact": "x"}}]}),
        ("{headers: {a: {regex: '*'}}}", {"headers": [{"name": "a", "present_match": True}]}),
        ("{withoutHeaders: {a: {exact: x}, b: {}}}", {"headers": [
            {"name": "a", "string_match": {"exact": "x"}, "invert_match": True, "treat_missing_header_as_empty": True},
            {"name": "b", "present_match": True, "invert_match": True}]}),
        ("{withoutHeaders: {a: {regex: '*'}}}", {"headers": [
            {"name": "a", "present_match": True, "invert_match": True}]}),
        ("{queryParams: {b: {exact: x}, a: {regex: 'y+'}, c: {prefix: p}, d: {}}}", {"query_parameters": [
            {"name": "a", "string_match": {"safe_regex": {"regex": "y+"}}},
            {"name": "b", "string_match": {"exact": "x"}},
            {"name": "c", "string_match": {"prefix": "p"}},
            {"name": "d", "present_match": True}]}),
        ("{gateways: [mesh]}", {}),
    ],
)  # fmt: skip
def test_conditions(entry: str, expected: dict[str, Any]):
    assert matched(entry) == [
        expected if "path" in expected or "safe_regex" in expected else {"prefix": "/", **expected}
    ]


def test_all_conditions_of_an_entry_stand_in_one_match():
    (match,) = matched(
        "{uri: {exact: /a}, method: {exact: GET}, headers: {x: {}}, queryParams: {q: {}}, scheme: {exact: http}}"
    )
    assert [header["name"] for header in match["headers"]] == ["x", ":method", ":scheme"]
    assert match["query_parameters"] == [{"name": "q", "present_match": True}]


def test_port_is_that_of_the_virtual_host():
    assert matched("{port: 80, uri: {exact: /a}}, {port: 81, uri: {exact: /b}}") == [{"path": "/a"}]


def test_source_labels_and_namespace_are_the_callers():
    entries = (
        "{sourceLabels: {app: web}, uri: {exact: /web}}, {sourceNamespace: other, uri: {exact: /other}}, "
        "{uri: {exact: /}}"
    )
    assert matched(entries) == [{"path": "/"}]
    assert matched(entries, Caller(labels=(("app", "web"),))) == [{"path": "/web"}, {"path": "/"}]
    assert matched(entries, Caller("other", (("app", "x"),))) == [{"path": "/other"}, {"path": "/"}]


def test_a_rule_that_no_request_of_the_caller_meets_leaves_the_default_route():
    (route,) = routes_of(f"[{{name: x, match: [{{port: 81}}], {TO}}}]")
    assert route["name"] == "default"


@pytest.mark.parametrize("first", ["{uri: {prefix: /}}", "{uri: {regex: '.*'}}", "{name: all}"])
def test_nothing_comes_after_what_takes_every_request(first: str):
    routes = routes_of(f"[{{name: a, match: [{first}, {{uri: {{exact: /b}}}}], {TO}}}, {{name: c, {TO}}}]")
    assert len(routes) == 1


def test_names_and_statistics():
    first, second = routes_of(f"[{{name: a, match: [{{name: b, uri: {{exact: /}}, statPrefix: s}}, {{}}], {TO}}}]")
    assert (first["name"], first["stat_prefix"], second["name"]) == ("a.b", "s", "a")
    assert "stat_prefix" not in second
