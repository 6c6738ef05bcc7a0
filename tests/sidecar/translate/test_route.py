from __future__ import annotations

from typing import Any

import pytest

from tage.sidecar.plan import DirectResponse, HeaderMatch, RetryPolicy, Route, RouteMatch, StringMatch, WeightedCluster
from tage.sidecar.translate.draft import INHERIT, clusters_of, resolve_idle_timeout

from .build import action, problems, routes, rule, translate


def only(content: dict[str, Any]) -> Route:
    [host] = translate("route", content).virtual_hosts
    [route] = host.routes
    return route


@pytest.mark.parametrize(
    ("match", "expected"),
    [
        ({"prefix": "/a"}, StringMatch("prefix", "/a")),
        ({"path": "/a"}, StringMatch("exact", "/a")),
        ({"path": "/a", "case_sensitive": False}, StringMatch("exact", "/a", True)),
        ({"path": "/a", "case_sensitive": True}, StringMatch("exact", "/a")),
        ({"safe_regex": {"regex": "/[ab]+"}}, StringMatch("regex", "/[ab]+")),
        ({"path_separated_prefix": "/a.b"}, StringMatch("regex", r"\/a\.b(?:/.*)?")),
    ],
)
def test_path(match: dict[str, Any], expected: StringMatch) -> None:
    assert only(rule(**match)).match == RouteMatch(expected)


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ({"name": "X-A"}, HeaderMatch("x-a")),
        ({"name": "x", "present_match": True}, HeaderMatch("x")),
        ({"name": "x", "present_match": False}, HeaderMatch("x", invert=True)),
        ({"name": "x", "present_match": False, "invert_match": True}, HeaderMatch("x")),
        ({"name": ":method", "string_match": {"exact": "GET"}}, HeaderMatch(":method", StringMatch("exact", "GET"))),
        (
            {"name": "x", "string_match": {"prefix": "a", "ignore_case": True}, "invert_match": True},
            HeaderMatch("x", StringMatch("prefix", "a", True), True),
        ),
        ({"name": "x", "string_match": {"suffix": "a"}}, HeaderMatch("x", StringMatch("suffix", "a"))),
        ({"name": "x", "string_match": {"contains": "a"}}, HeaderMatch("x", StringMatch("contains", "a"))),
        (
            {"name": "x", "string_match": {"safe_regex": {"google_re2": {}, "regex": "a.*"}}},
            HeaderMatch("x", StringMatch("regex", "a.*")),
        ),
        ({"name": "x", "exact_match": "a"}, HeaderMatch("x", StringMatch("exact", "a"))),
        ({"name": "x", "safe_regex_match": {"regex": "a"}}, HeaderMatch("x", StringMatch("regex", "a"))),
    ],
)
def test_header(header: dict[str, Any], expected: HeaderMatch) -> None:
    assert only(rule(prefix="/", headers=[header])).match.headers == [expected]


def test_connect() -> None:
    route = only(
        routes(
            {
                "match": {"connect_matcher": {}, "headers": [{"name": "x"}]},
                "route": {"cluster": "c", "upgrade_configs": [{"upgrade_type": "CONNECT", "connect_config": {}}]},
            }
        )
    )
    assert route.match == RouteMatch(StringMatch("prefix", ""), [HeaderMatch("x")], connect=True)
    assert route.upgrades == {"connect": True}
    assert route.connect_terminates


def test_upgrades() -> None:
    configs = [{"upgrade_type": "WebSocket", "enabled": False}, {"upgrade_type": "CONNECT"}]
    route = only(action(upgrade_configs=configs))
    assert route.upgrades == {"websocket": False, "connect": True}
    assert not route.connect_terminates
    assert not route.match.connect


def test_action_defaults() -> None:
    assert only(action()) == Route(
        RouteMatch(StringMatch("prefix", "/")),
        clusters=[WeightedCluster("c")],
        timeout=15_000,
        idle_timeout=INHERIT,
    )


def test_action() -> None:
    route = only(action(timeout="0s", idle_timeout="0.0015s", prefix_rewrite="/b"))
    assert (route.timeout, route.idle_timeout, route.prefix_rewrite) == (0, 2, "/b")


def test_weighted_clusters_leave_out_those_without_weight() -> None:
    weighted = {"clusters": [{"name": "a", "weight": 9}, {"name": "b", "weight": 1}, {"name": "d", "weight": 0}]}
    route = only(routes({"match": {"prefix": "/"}, "route": {"weighted_clusters": weighted}}))
    assert route.clusters == [WeightedCluster("a", 9), WeightedCluster("b", 1)]


def test_retry_policy_of_istio() -> None:
    retry = {
        "retry_on": "connect-failure,refused-stream,unavailable,cancelled,retriable-status-codes",
        "num_retries": 2,
        "retriable_status_codes": [503],
        "host_selection_retry_max_attempts": 5,
        "retry_host_predicate": [
            {
                "name": "envoy.retry_host_predicates.previous_hosts",
                "typed_config": {
                    "@type": "type.googleapis.com/envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate"
                },
            }
        ],
    }
    expected = RetryPolicy(
        ["connect-failure", "refused-stream", "unavailable", "cancelled", "retriable-status-codes"], 2, statuses=[503]
    )
    assert only(action(retry_policy=retry)).retry == expected


@pytest.mark.parametrize(
    ("retry", "expected"),
    [
        ({"retry_on": "5xx"}, RetryPolicy(["5xx"])),
        ({"retry_on": "5xx", "num_retries": 0}, None),
        ({}, None),
        ({"retry_on": "reset", "per_try_timeout": "2s"}, RetryPolicy(["reset"], 1, 2000)),
        (
            {"retry_on": "5xx", "retry_back_off": {"base_interval": "0.1s"}},
            RetryPolicy(["5xx"], backoff_base=100, backoff_max=1000),
        ),
    ],
)
def test_retry_policy(retry: dict[str, Any], expected: RetryPolicy | None) -> None:
    assert only(action(retry_policy=retry)).retry == expected


def test_a_route_takes_the_virtual_hosts_retry_policy() -> None:
    bare = {"match": {"prefix": "/"}, "route": {"cluster": "c"}}
    assert only(routes(bare, retry_policy={"retry_on": "5xx"})).retry == RetryPolicy(["5xx"])


def test_direct_response() -> None:
    route = only(routes({"match": {"prefix": "/"}, "direct_response": {"status": 200, "body": {"inline_string": "x"}}}))
    assert route.direct == DirectResponse(200, "x")


def test_idle_timeout_comes_from_the_listener_where_a_route_has_none() -> None:
    found = translate(
        "route",
        routes(
            {"match": {"path": "/a"}, "route": {"cluster": "a", "idle_timeout": "0s"}},
            {"match": {"prefix": "/"}, "route": {"cluster": "b"}},
        ),
    )
    resolved = resolve_idle_timeout(found, 7)
    assert [route.idle_timeout for route in resolved.virtual_hosts[0].routes] == [0, 7]
    assert clusters_of(found) == {"a", "b"}


R = "virtual_hosts[0].routes[0]"


@pytest.mark.parametrize(
    ("content", "path", "message"),
    [
        ({"virtual_hosts": []}, "name", "is missing"),
        ({"name": "r", "vhds": {}}, "vhds", "not supported"),
        ({"name": "r", "validate_clusters": True}, "validate_clusters", "true is not supported"),
        ({"name": "r", "virtual_hosts": [{"name": "v"}]}, "virtual_hosts[0].domains", "is missing"),
        (routes(domains=["a*b"]), "virtual_hosts[0].domains[0]", "a * may stand"),
        (routes(domains=["a", "A"]), "virtual_hosts[0].domains[1]", "stands twice"),
        (routes(require_tls="ALL"), "virtual_hosts[0].require_tls", "not supported"),
        (routes(request_headers_to_remove=["a"]), "virtual_hosts[0].request_headers_to_remove", "not supported"),
        (routes({"match": {"prefix": "/"}, "redirect": {}}), f"{R}.redirect", "not supported"),
        (routes({"match": {"prefix": "/"}}), R, "needs one of route and direct_response"),
        (routes({"route": {"cluster": "c"}}), f"{R}.match", "is missing"),
        (rule(), f"{R}.match", "needs one of prefix"),
        (rule(prefix="/", query_parameters=[{"name": "q"}]), f"{R}.match.query_parameters", "not supported"),
        (rule(prefix="/", grpc={}), f"{R}.match.grpc", "not supported"),
        (rule(safe_regex={"regex": "("}), f"{R}.match.safe_regex.regex", "not a regular expression of RE2"),
        (rule(path_separated_prefix="/a/"), f"{R}.match.path_separated_prefix", "neither end with /"),
        (rule(prefix="/", headers=[{"name": "x", "range_match": {}}]), f"{R}.match.headers[0].range_match", "not supp"),
        (
            rule(
                prefix="/",
                headers=[{"name": "x", "string_match": {"exact": "a"}, "treat_missing_header_as_empty": True}],
            ),
            f"{R}.match.headers[0].treat_missing_header_as_empty",
            "not supported",
        ),
        (rule(prefix="/", headers=[{"exact_match": "a"}]), f"{R}.match.headers[0].name", "is missing"),
        (action(host_rewrite_literal="h"), f"{R}.route.host_rewrite_literal", "not supported"),
        (action(request_mirror_policies=[{"cluster": "m"}]), f"{R}.route.request_mirror_policies", "not supported"),
        (action(hash_policy=[{}]), f"{R}.route.hash_policy", "not supported"),
        (action(timeout="-1s"), f"{R}.route.timeout", "must not be negative"),
        (action(auto_host_rewrite=True), f"{R}.route.auto_host_rewrite", "true is not supported (only false)"),
        (
            action(max_stream_duration={"max_stream_duration": "1s"}),
            f"{R}.route.max_stream_duration.max_stream_duration",
            "only 0",
        ),
        (action(retry_policy={"retry_on": "5xx, 503"}), f"{R}.route.retry_policy.retry_on", "'503' is not supported"),
        (action(retry_policy={"retry_priority": {}}), f"{R}.route.retry_policy.retry_priority", "not supported"),
        (
            action(retry_policy={"retry_host_predicate": [{"name": "omit_canary"}]}),
            f"{R}.route.retry_policy.retry_host_predicate[0]",
            "retry host predicate 'omit_canary' has no typed_config",
        ),
        (
            routes({"match": {"connect_matcher": {}}, "direct_response": {"status": 200}}),
            f"{R}.direct_response.status",
            "tunnel",
        ),
        (
            routes({"match": {"connect_matcher": {}}, "route": {"cluster": "c", "prefix_rewrite": "/"}}),
            f"{R}.route.prefix_rewrite",
            "not supported",
        ),
        (
            action(upgrade_configs=[{"upgrade_type": "websocket", "connect_config": {}}]),
            f"{R}.route.upgrade_configs[0].connect_config",
            "CONNECT",
        ),
        (
            action(upgrade_configs=[{"upgrade_type": "CONNECT", "connect_config": {"allow_post": True}}]),
            f"{R}.route.upgrade_configs[0].connect_config.allow_post",
            "not supported",
        ),
        (
            action(upgrade_configs=[{"upgrade_type": "CONNECT", "connect_config": {"proxy_protocol_config": {}}}]),
            f"{R}.route.upgrade_configs[0].connect_config.proxy_protocol_config",
            "not supported",
        ),
        (
            routes({"match": {"safe_regex": {"regex": "/a"}}, "route": {"cluster": "c", "prefix_rewrite": "/"}}),
            f"{R}.route.prefix_rewrite",
            "only with prefix or path",
        ),
        (
            routes(
                {"match": {"prefix": "/"}, "route": {"weighted_clusters": {"clusters": [{"name": "a", "weight": 0}]}}}
            ),
            f"{R}.route.weighted_clusters",
            "must add up",
        ),
        (
            routes({"match": {"prefix": "/"}, "direct_response": {"status": 99}}),
            f"{R}.direct_response.status",
            "99 is not an HTTP status",
        ),
        (
            routes({"match": {"prefix": "/"}, "direct_response": {"status": 200, "body": {"filename": "/etc/passwd"}}}),
            f"{R}.direct_response.body.filename",
            "not supported",
        ),
    ],
)
def test_refused(content: dict[str, Any], path: str, message: str) -> None:
    [problem] = problems("route", content)
    assert problem.path == path
    assert message in problem.message


def test_all_problems_are_reported() -> None:
    content = action(hash_policy=[{}], cluster_header="x", timeout="-1s")
    del content["virtual_hosts"][0]["routes"][0]["route"]["cluster"]
    assert len(problems("route", content)) == 3
