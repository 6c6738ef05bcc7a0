from __future__ import annotations

from typing import Any

import pytest

from tage.pilot.generate import Caller, Snapshot, routes
from tests.pilot.samples import REVIEWS, plain, routing, snapshot

TO = "route: [{destination: {host: reviews}}]"


def root(fields: str = "", delegate: str = "{name: leaf}") -> str:
    return routing(f"[{{{fields}{',' if fields else ''} delegate: {delegate}}}]", name="root")


def leaf(http: str, namespace: str = "default", more: str = "") -> str:
    return routing(http, name="leaf", namespace=namespace, hosts="[]") + more


def made(mesh: Snapshot) -> list[dict[str, Any]]:
    config = routes.outbound(mesh, Caller())
    (host,) = (host for host in config.virtual_hosts if host.name == f"{REVIEWS.fqdn}:80")
    return [plain(route) for route in host.routes]


def test_the_delegates_rules_take_the_place_of_the_rule_that_names_it():
    mesh = snapshot(
        routing(f"[{{name: a, match: [{{uri: {{exact: /a}}}}], {TO}}}, {{delegate: {{name: leaf}}}}]", name="root"),
        leaf(f"[{{name: b, match: [{{uri: {{exact: /b}}}}], {TO}}}, {{name: c, {TO}}}]"),
    )
    assert [route["name"] for route in made(mesh)] == ["a", "b", "c"]
    assert mesh.warnings == ()


def test_short_names_are_those_of_the_delegates_namespace():
    mesh = snapshot(
        root(delegate="{name: leaf, namespace: other}"),
        leaf("[{route: [{destination: {host: ratings}}], mirror: {host: ratings}}]", "other"),
    )
    (route,) = made(mesh)
    assert route["route"]["cluster"] == "outbound|9080||ratings.other.svc.cluster.local"
    assert route["route"]["request_mirror_policies"][0]["cluster"] == route["route"]["cluster"]


def test_what_the_delegate_leaves_unset_comes_from_the_root():
    mesh = snapshot(
        root("name: r, timeout: 1s, rewrite: {uri: /r}, headers: {request: {set: {a: r}}}, retries: {attempts: 7}"),
        leaf(f"[{{name: l, timeout: 2s, {TO}}}, {{{TO}, rewrite: {{uri: /l}}}}]"),
    )
    (first,) = made(mesh)
    assert first["name"] == "r-l"
    assert first["route"]["timeout"] == "2s"
    assert first["route"]["prefix_rewrite"] == "/r"
    assert first["route"]["retry_policy"]["num_retries"] == 7
    assert first["request_headers_to_add"][0]["header"] == {"key": "a", "value": "r"}


@pytest.mark.parametrize(
    ("outer", "inner", "expected"),
    [
        ("{uri: {prefix: /a}}", "", [{"prefix": "/a"}]),
        ("", "{uri: {prefix: /a}}", [{"prefix": "/a"}]),
        ("{uri: {prefix: /a}}", "{uri: {prefix: /a/b}}", [{"prefix": "/a/b"}]),
        ("{uri: {prefix: /a}}", "{uri: {exact: /a/b}}", [{"path": "/a/b"}]),
        ("{uri: {exact: /a}}", "{uri: {exact: /a}}", [{"path": "/a"}]),
        ("{uri: {prefix: /a}}", "{headers: {x: {}}}", [
            {"prefix": "/a", "headers": [{"name": "x", "present_match": True}]}]),
        ("{headers: {x: {exact: '1'}}}", "{headers: {y: {}}, uri: {prefix: /a}}", [
            {"prefix": "/a", "headers": [
                {"name": "x", "string_match": {"exact": "1"}}, {"name": "y", "present_match": True}]}]),
        ("{uri: {prefix: /a}}, {uri: {prefix: /b}}", "{uri: {prefix: /b/c}}", [{"prefix": "/b/c"}]),
        ("{uri: {prefix: /a}}", "{uri: {prefix: /a/b}}, {uri: {exact: /a}}", [{"prefix": "/a/b"}, {"path": "/a"}]),
        ("{queryParams: {q: {}}}", "{method: {exact: GET}}", [
            {"prefix": "/", "headers": [{"name": ":method", "string_match": {"exact": "GET"}}],
             "query_parameters": [{"name": "q", "present_match": True}]}]),
    ],
)  # fmt: skip
def test_conditions_of_both_must_hold(outer: str, inner: str, expected: list[dict[str, Any]]):
    mesh = snapshot(root(f"match: [{outer}]"), leaf(f"[{{match: [{inner}], {TO}}}]"))
    assert [route["match"] for route in made(mesh)] == expected
    assert mesh.warnings == ()


@pytest.mark.parametrize(
    ("outer", "inner", "field"),
    [
        ("{uri: {prefix: /a}}", "{uri: {prefix: /b}}", "uri"),
        ("{uri: {prefix: /a/b}}", "{uri: {prefix: /a}}", "uri"),
        ("{uri: {exact: /a}}", "{uri: {prefix: /a}}", "uri"),
        ("{uri: {exact: /a}}", "{uri: {exact: /b}}", "uri"),
        ("{uri: {regex: '/a.*'}}", "{uri: {exact: /a}}", "uri"),
        ("{uri: {prefix: /a}}", "{uri: {regex: '/a.*'}}", "uri"),
        ("{method: {exact: GET}}", "{method: {exact: PUT}}", "method"),
        ("{scheme: {exact: http}}", "{scheme: {exact: https}}", "scheme"),
        ("{authority: {exact: a}}", "{authority: {exact: b}}", "authority"),
        ("{headers: {x: {exact: a}}}", "{headers: {x: {exact: b}}}", "headers x"),
        ("{withoutHeaders: {x: {exact: a}}}", "{withoutHeaders: {x: {exact: b}}}", "without_headers x"),
        ("{queryParams: {x: {exact: a}}}", "{queryParams: {x: {exact: b}}}", "query_params x"),
        ("{ignoreUriCase: true}", "{uri: {exact: /}}", "ignoreUriCase"),
        ("{port: 80}", "{port: 81}", "port"),
        ("{sourceNamespace: a}", "{sourceNamespace: b}", "sourceNamespace"),
        ("{sourceLabels: {app: a}}", "{sourceLabels: {app: b}}", "sourceLabels app"),
    ],
)
def test_a_rule_outside_the_roots_is_left_out_with_the_reason(outer: str, inner: str, field: str):
    mesh = snapshot(root(f"match: [{outer}]"), leaf(f"[{{match: [{inner}], {TO}}}]"))
    (warning,) = mesh.warnings
    assert warning == (
        "VirtualService default/root: spec.http[0].delegate: default/leaf, spec.http[0] is left out: "
        f"its match[0] lies outside the naming rule's: {field}"
    )
    assert [route["name"] for route in made(mesh)] == ["default"]


def test_a_delegate_alone_counts_nowhere():
    mesh = snapshot(leaf(f"[{{name: l, {TO}}}]"))
    assert [route["name"] for route in made(mesh)] == ["default"]


@pytest.mark.parametrize(
    ("texts", "reason"),
    [
        ((root(),), "no VirtualService default/leaf without hosts"),
        ((root(), routing(name="leaf", hosts="[elsewhere.com]")), "no VirtualService default/leaf without hosts"),
        (
            (root(delegate="{name: leaf, namespace: other}"), leaf(f"[{{{TO}}}]", "other", "  exportTo: ['.']")),
            "other/leaf is not exported to namespace default",
        ),
    ],
)
def test_a_delegate_that_cannot_be_used_is_warned_of(texts: tuple[str, ...], reason: str):
    mesh = snapshot(*texts)
    assert any(
        warning.startswith(f"VirtualService default/root: spec.http[0].delegate: {reason}") for warning in mesh.warnings
    )
    assert [route["name"] for route in made(mesh)] == ["default"]
