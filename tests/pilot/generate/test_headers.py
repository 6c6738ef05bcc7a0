from __future__ import annotations

from typing import Any

from tests.pilot.samples import SUBSETS, routes_of

OPERATIONS = (
    "{request: {set: {b: '2', a: '1'}, add: {c: '3'}, remove: [d]},"
    " response: {set: {e: '5'}, add: {f: '6'}, remove: [g]}}"
)
SET = "OVERWRITE_IF_EXISTS_OR_ADD"
MUTATIONS: dict[str, Any] = {
    "request_headers_to_add": [
        {"header": {"key": "a", "value": "1"}, "append_action": SET},
        {"header": {"key": "b", "value": "2"}, "append_action": SET},
        {"header": {"key": "c", "value": "3"}},
    ],
    "request_headers_to_remove": ["d"],
    "response_headers_to_add": [
        {"header": {"key": "e", "value": "5"}, "append_action": SET},
        {"header": {"key": "f", "value": "6"}},
    ],
    "response_headers_to_remove": ["g"],
}


def mutations(message: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in message.items() if "headers_to" in name}


def test_of_a_rule():
    (route,) = routes_of(f"[{{headers: {OPERATIONS}, route: [{{destination: {{host: reviews}}}}]}}]")
    assert mutations(route) == MUTATIONS


def test_of_the_only_destination_come_after_the_rules():
    own = "{request: {add: {z: '9'}, remove: [y]}}"
    (route,) = routes_of(f"[{{headers: {OPERATIONS}, route: [{{destination: {{host: reviews}}, headers: {own}}}]}}]")
    assert mutations(route) == {
        **MUTATIONS,
        "request_headers_to_add": [*MUTATIONS["request_headers_to_add"], {"header": {"key": "z", "value": "9"}}],
        "request_headers_to_remove": ["d", "y"],
    }


def test_of_weighted_destinations_stay_theirs():
    (route,) = routes_of(
        f"[{{route: [{{destination: {{host: reviews, subset: v1}}, weight: 1, headers: {OPERATIONS}}},"
        "{destination: {host: reviews, subset: v2}, weight: 2}]}]",
        SUBSETS,
    )
    first, second = route["route"]["weighted_clusters"]["clusters"]
    assert mutations(first) == MUTATIONS
    assert mutations(second) == mutations(route) == {}


def test_the_host_is_rewritten_not_set():
    (route,) = routes_of("[{headers: {request: {set: {Host: a}}}, route: [{destination: {host: reviews}}]}]")
    assert route["route"]["host_rewrite_literal"] == "a"
    assert mutations(route) == {}
    (route,) = routes_of('[{headers: {request: {add: {":authority": a}}}, route: [{destination: {host: reviews}}]}]')
    assert route["route"]["host_rewrite_literal"] == "a"


def test_a_rules_host_comes_before_its_only_destinations():
    own = "headers: {request: {set: {host: b}}}"
    (route,) = routes_of(f"[{{rewrite: {{authority: a}}, route: [{{destination: {{host: reviews}}, {own}}}]}}]")
    assert route["route"]["host_rewrite_literal"] == "a"
    (route,) = routes_of(f"[{{route: [{{destination: {{host: reviews}}, {own}}}]}}]")
    assert route["route"]["host_rewrite_literal"] == "b"


def test_weighted_destinations_rewrite_their_own_hosts():
    (route,) = routes_of(
        "[{rewrite: {authority: a}, route: [{destination: {host: reviews, subset: v1}, weight: 1, "
        "headers: {request: {set: {host: b}}}}, {destination: {host: reviews, subset: v2}, weight: 2}]}]",
        SUBSETS,
    )
    assert route["route"]["host_rewrite_literal"] == "a"
    first, second = route["route"]["weighted_clusters"]["clusters"]
    assert first["host_rewrite_literal"] == "b"
    assert "host_rewrite_literal" not in second
