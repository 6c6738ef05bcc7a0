from __future__ import annotations

import pytest

from tests.config.validate.findings import of_rule


def of_match(match: str) -> list[str]:
    return [finding.removeprefix("match[0].") for finding in of_rule(f"match: [{match}]")]


@pytest.mark.parametrize(
    "match",
    [
        "{uri: {prefix: ''}}", "{scheme: {exact: https}}", "{authority: {regex: '.*'}}", "{port: 8080}",
        "{queryParams: {a: {}, b: {exact: ''}, c: {regex: '*'}}}", "{withoutHeaders: {a: {regex: '*'}, b: {}}}",
        "{headers: {a: {regex: '*'}}}", "{sourceLabels: {app: web}, sourceNamespace: other}", "{gateways: [mesh]}",
    ],
)  # fmt: skip
def test_matches_that_pass(match: str) -> None:
    assert of_match(match) == []


@pytest.mark.parametrize(
    ("match", "path", "reason"),
    [
        ("{scheme: {prefix: ''}}", "scheme.prefix", "must not be empty"),
        ("{authority: {}}", "authority", "needs one of exact, prefix, regex"),
        ("{method: {regex: ''}}", "method.regex", "must not be empty"),
        ("{uri: {regex: ''}}", "uri.regex", "must not be empty"),
        ("{uri: {regex: '*'}}", "uri.regex", "not a regular expression"),
        ("{headers: {a: {prefix: ''}}}", "headers.a.prefix", "must not be empty"),
        ("{withoutHeaders: {A: {}}}", "withoutHeaders.A", "write 'a'"),
        ("{withoutHeaders: {':path': {}}}", 'withoutHeaders[":path"]', "pseudo-header"),
        ("{queryParams: {'': {}}}", 'queryParams[""]', "must not be empty"),
        ("{queryParams: {a: {exact: x, regex: y}}}", "queryParams.a", "exclude one another"),
        ("{port: 65536}", "port", "is not a port"),
        ("{sourceLabels: {app: 'a b'}}", "sourceLabels.app", "not a label's value"),
        ("{sourceNamespace: A}", "sourceNamespace", "not a DNS label"),
        (
            "{gateways: [mesh, istio-system/in]}",
            "gateways[1]",
            "gateway 'istio-system/in' is not carried out by Tage yet",
        ),
    ],
)
def test_matches_that_do_not(match: str, path: str, reason: str) -> None:
    (finding,) = of_match(match)
    assert finding.startswith(f"{path}: ")
    assert reason in finding


def test_a_pattern_is_bounded() -> None:
    assert of_match(f"{{uri: {{regex: '{'a' * 1024}'}}}}") == []
    (finding,) = of_match(f"{{uri: {{regex: '{'a' * 1025}'}}}}")
    assert finding == "uri.regex: is longer than 1024 characters"
