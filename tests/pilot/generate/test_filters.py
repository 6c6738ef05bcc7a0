from __future__ import annotations

from typing import Any

import pytest
from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2 as hcm_pb2

from tage.pilot.generate import LISTENER, Caller, filters, generate, routes
from tests.pilot.samples import NODE, routes_of, routing, snapshot

ROUTER = "envoy.filters.http.router"
TO = "route: [{destination: {host: reviews}}]"
FAULT = "fault: {abort: {httpStatus: 500, percentage: {value: 1}}}"
CORS = "corsPolicy: {allowOrigins: [{exact: http://a}]}"


def config(fields: str, name: str) -> dict[str, Any]:
    (route,) = routes_of(f"[{{{fields}, {TO}}}]")
    made: dict[str, Any] = route["typed_per_filter_config"][name]
    return {field: value for field, value in made.items() if field != "@type"}


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (
            "{delay: {fixedDelay: 5s, percentage: {value: 0.1}}}",
            {"delay": {"fixed_delay": "5s", "percentage": {"numerator": 1000, "denominator": "MILLION"}}},
        ),
        (
            "{delay: {fixedDelay: 10ms, percent: 30}}",
            {"delay": {"fixed_delay": "0.010s", "percentage": {"numerator": 30}}},
        ),
        ("{delay: {fixedDelay: 10ms}}", {"delay": {"fixed_delay": "0.010s", "percentage": {}}}),
        (
            "{abort: {httpStatus: 400, percentage: {value: 100}}}",
            {"abort": {"http_status": 400, "percentage": {"numerator": 1_000_000, "denominator": "MILLION"}}},
        ),
        ("{abort: {httpStatus: 503}}", {"abort": {"http_status": 503, "percentage": {}}}),
        ("{abort: {grpcStatus: UNAVAILABLE}}", {"abort": {"grpc_status": 14, "percentage": {}}}),
        ("{abort: {grpcStatus: OK}}", {"abort": {"grpc_status": 0, "percentage": {}}}),
    ],
)
def test_fault(fault: str, expected: dict[str, Any]):
    assert config(f"fault: {fault}", filters.FAULT) == expected


def test_cors():
    everything = (
        "corsPolicy: {allowOrigins: [{exact: http://a}, {prefix: http://b}, {regex: 'http://c.*'}], "
        "allowMethods: [GET, POST], allowHeaders: [x-a, x-b], exposeHeaders: [x-c], maxAge: 24h, "
        "allowCredentials: false, unmatchedPreflights: IGNORE}"
    )
    assert config(everything, filters.CORS) == {
        "allow_origin_string_match": [
            {"exact": "http://a"}, {"prefix": "http://b"}, {"safe_regex": {"regex": "http://c.*"}},
        ],
        "allow_methods": "GET,POST",
        "allow_headers": "x-a,x-b",
        "expose_headers": "x-c",
        "max_age": "86400",
        "allow_credentials": False,
        "filter_enabled": {"default_value": {"numerator": 100}},
        "forward_not_matching_preflights": False,
    }  # fmt: skip
    assert config("corsPolicy: {allowOrigin: [http://a]}", filters.CORS) == {
        "allow_origin_string_match": [{"exact": "http://a"}],
        "filter_enabled": {"default_value": {"numerator": 100}},
        "forward_not_matching_preflights": True,
    }


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ("", []),
        (f"{FAULT}, ", [filters.FAULT]),
        (f"{CORS}, ", [filters.CORS]),
        (f"{CORS}, {FAULT}, ", [filters.FAULT, filters.CORS]),
    ],
)
def test_a_filter_is_there_when_a_route_asks_something_of_it(fields: str, expected: list[str]):
    mesh = snapshot(routing(f"[{{{fields}{TO}}}]"))
    assert filters.asked(routes.outbound(mesh, Caller())) == tuple(expected)
    outbound, inbound = map(http_filters, generate(mesh, NODE)[LISTENER])
    assert outbound == [*expected, ROUTER]
    assert inbound == [ROUTER]


def http_filters(listener: Any) -> list[str]:
    manager = hcm_pb2.HttpConnectionManager()
    assert listener.filter_chains[0].filters[0].typed_config.Unpack(manager)
    return [each.name for each in manager.http_filters]


def test_only_callers_whose_routes_ask_have_the_filter():
    mesh = snapshot(routing(f"[{{match: [{{sourceLabels: {{app: web}}}}], {FAULT}, {TO}}}]"))
    assert filters.asked(routes.outbound(mesh, Caller())) == ()
    assert filters.asked(routes.outbound(mesh, Caller(labels=(("app", "web"),)))) == (filters.FAULT,)
