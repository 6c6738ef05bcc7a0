from __future__ import annotations

from typing import Any

import pytest

from tage.sidecar.plan import (
    DirectResponse,
    Fraction,
    HashPolicy,
    HeaderMatch,
    HeaderMutation,
    HeaderMutations,
    Mirror,
    QueryMatch,
    Redirect,
    RegexRewrite,
    RetryPolicy,
    Route,
    RouteMatch,
    StringMatch,
    WeightedCluster,
)
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
        ({"path_separated_prefix": "/a.b"}, StringMatch("separated_prefix", "/a.b")),
        ({"path_separated_prefix": "/a", "case_sensitive": False}, StringMatch("separated_prefix", "/a", True)),
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
        ({"name": "x", "range_match": {"start": -1, "end": 5}}, HeaderMatch("x", range=(-1, 5))),
        (
            {"name": "x", "string_match": {"exact": "a"}, "invert_match": True, "treat_missing_header_as_empty": True},
            HeaderMatch("x", StringMatch("exact", "a"), True, True),
        ),
    ],
)
def test_header(header: dict[str, Any], expected: HeaderMatch) -> None:
    assert only(rule(prefix="/", headers=[header])).match.headers == [expected]


@pytest.mark.parametrize(
    ("parameter", "expected"),
    [
        ({"name": "Q"}, QueryMatch("Q")),
        ({"name": "q", "present_match": True}, QueryMatch("q")),
        ({"name": "q", "present_match": False}, QueryMatch("q", absent=True)),
        (
            {"name": "q", "string_match": {"prefix": "a", "ignore_case": True}},
            QueryMatch("q", StringMatch("prefix", "a", True)),
        ),
    ],
)
def test_query(parameter: dict[str, Any], expected: QueryMatch) -> None:
    assert only(rule(prefix="/", query_parameters=[parameter])).match.query == [expected]


def test_fraction() -> None:
    found = only(rule(prefix="/", runtime_fraction={"default_value": {"numerator": 5, "denominator": "TEN_THOUSAND"}}))
    assert found.match.fraction == Fraction(5, 10_000)


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


def test_what_weighted_clusters_have_of_their_own() -> None:
    one = {
        "name": "a",
        "weight": 9,
        "request_headers_to_add": [{"header": {"key": "X-A", "value": "%PROTOCOL%"}}],
        "response_headers_to_remove": ["Server"],
        "host_rewrite_literal": "a.example.com",
        "metadata_match": {"filter_metadata": {"envoy.lb": {"version": "v1"}, "other": {"x": 1}}},
    }
    weighted = {"clusters": [one, {"name": "b", "weight": 1}], "total_weight": 10}
    route = only(
        routes(
            {
                "match": {"prefix": "/"},
                "route": {
                    "weighted_clusters": weighted,
                    "metadata_match": {"filter_metadata": {"envoy.lb": {"stage": "prod"}}},
                },
            }
        )
    )
    assert route.clusters == [
        WeightedCluster(
            "a",
            9,
            HeaderMutations([HeaderMutation("x-a", "%PROTOCOL%")]),
            HeaderMutations([], ["server"]),
            "a.example.com",
            {"version": "v1"},
        ),
        WeightedCluster("b", 1),
    ]
    assert route.metadata_match == {"stage": "prod"}


def test_cluster_header() -> None:
    route = only(routes({"match": {"prefix": "/"}, "route": {"cluster_header": "X-Cluster"}}))
    assert (route.cluster_header, route.clusters) == ("x-cluster", [])


def test_rewrites() -> None:
    regex = {"pattern": {"regex": "^/a/(.*)$"}, "substitution": r"/\1"}
    route = only(action(regex_rewrite=regex, host_rewrite_header="X-Host", append_x_forwarded_host=True))
    assert route.regex_rewrite == RegexRewrite("^/a/(.*)$", r"/\1")
    assert (route.host_rewrite_header, route.append_forwarded_host) == ("x-host", True)
    assert only(action(host_rewrite_path_regex=regex)).host_rewrite_path == RegexRewrite("^/a/(.*)$", r"/\1")
    assert only(action(host_rewrite_literal="h")).host_rewrite == "h"
    assert only(action(max_stream_duration={"max_stream_duration": "0s"})).max_stream_duration == 0
    assert only(action(max_stream_duration={"max_stream_duration": "2s"})).max_stream_duration == 2000
    assert only(action()).max_stream_duration == -1


@pytest.mark.parametrize(
    ("fields", "most"),
    [
        ({}, None),
        ({"max_stream_duration": {"grpc_timeout_header_max": "0s"}}, 0),
        ({"max_stream_duration": {"grpc_timeout_header_max": "1.5s"}}, 1_500),
        ({"max_grpc_timeout": "0s"}, 0),
        ({"max_grpc_timeout": "2s"}, 2_000),
        ({"max_grpc_timeout": "2s", "max_stream_duration": {"max_stream_duration": "9s"}}, None),
        ({"max_grpc_timeout": "2s", "max_stream_duration": {"grpc_timeout_header_max": "3s"}}, 3_000),
    ],
)
def test_grpc_timeout(fields: dict[str, Any], most: int | None) -> None:
    assert only(action(**fields)).grpc_timeout_max == most


@pytest.mark.parametrize(
    ("redirect", "expected"),
    [
        ({"https_redirect": True}, Redirect(scheme="https")),
        (
            {"scheme_redirect": "HTTPS", "host_redirect": "h", "port_redirect": 8443, "path_redirect": "/p"},
            Redirect(301, "https", "h", 8443, "/p"),
        ),
        ({"prefix_rewrite": "/p", "response_code": "FOUND"}, Redirect(302, prefix="/p")),
        (
            {"host_redirect": "h", "response_code": "SEE_OTHER", "strip_query": True},
            Redirect(303, host="h", strip_query=True),
        ),
        (
            {"regex_rewrite": {"pattern": {"regex": "a"}, "substitution": "b"}, "response_code": "TEMPORARY_REDIRECT"},
            Redirect(307, regex=RegexRewrite("a", "b")),
        ),
        ({"response_code": "PERMANENT_REDIRECT"}, Redirect(308)),
    ],
)
def test_redirect(redirect: dict[str, Any], expected: Redirect) -> None:
    route = only(routes({"match": {"prefix": "/"}, "redirect": redirect}))
    assert (route.redirect, route.clusters, route.idle_timeout) == (expected, [], INHERIT)


def option(key: str, value: str = "v", **fields: Any) -> dict[str, Any]:
    return {"header": {"key": key, "value": value}, **fields}


def test_header_mutations_of_every_level() -> None:
    found = translate(
        "route",
        {
            "name": "r",
            "most_specific_header_mutations_wins": True,
            "request_headers_to_add": [option("A"), option("b", append_action="OVERWRITE_IF_EXISTS_OR_ADD")],
            "response_headers_to_remove": ["C"],
            "virtual_hosts": [
                {
                    "name": "v",
                    "domains": ["*"],
                    "request_headers_to_remove": ["d"],
                    "routes": [
                        {
                            "match": {"prefix": "/"},
                            "redirect": {},
                            "response_headers_to_add": [
                                option("e", append_action="ADD_IF_ABSENT", keep_empty_value=True),
                                option("f", append_action="OVERWRITE_IF_EXISTS"),
                                option("g", append=False),
                                option("h", append=True),
                            ],
                        }
                    ],
                }
            ],
        },
    )
    assert found.most_specific_wins
    assert found.request_headers == HeaderMutations(
        [HeaderMutation("a", "v"), HeaderMutation("b", "v", "overwrite_or_add")]
    )
    assert found.response_headers == HeaderMutations([], ["c"])
    [host] = found.virtual_hosts
    assert (host.request_headers, host.response_headers) == (HeaderMutations([], ["d"]), None)
    assert host.routes[0].response_headers == HeaderMutations(
        [
            HeaderMutation("e", "v", "add_if_absent", True),
            HeaderMutation("f", "v", "overwrite"),
            HeaderMutation("g", "v", "overwrite_or_add"),
            HeaderMutation("h", "v"),
        ]
    )


def test_mirrors_come_from_the_innermost_level_that_has_any() -> None:
    bare = {"match": {"path": "/bare"}, "route": {"cluster": "c"}}
    policy = {
        "cluster": "m",
        "runtime_fraction": {"default_value": {"numerator": 5}, "runtime_key": "k"},
        "disable_shadow_host_suffix_append": True,
    }
    own = {"match": {"prefix": "/"}, "route": {"cluster": "c", "request_mirror_policies": [policy]}}
    found = translate("route", {**routes(bare, own), "request_mirror_policies": [{"cluster": "t"}]})
    assert [route.mirrors for route in found.virtual_hosts[0].routes] == [
        [Mirror("t")],
        [Mirror("m", Fraction(5), False)],
    ]
    assert clusters_of(found) == {"c", "t", "m"}
    found = translate("route", routes(bare, request_mirror_policies=[{"cluster": "v"}]))
    assert found.virtual_hosts[0].routes[0].mirrors == [Mirror("v")]


def test_hash_policies() -> None:
    rewrite = {"pattern": {"regex": "a"}, "substitution": "b"}
    cookie = {"name": "s", "ttl": "90.5s", "path": "/p", "attributes": [{"name": "SameSite", "value": "Lax"}]}
    route = only(
        action(
            hash_policy=[
                {"header": {"header_name": "X-User", "regex_rewrite": rewrite}, "terminal": True},
                {"cookie": cookie},
                {"cookie": {"name": "t"}},
                {"cookie": {"name": "u", "ttl": "0s"}},
                {"connection_properties": {"source_ip": True}},
                {"connection_properties": {"source_ip": False}},
                {"query_parameter": {"name": "q"}},
            ]
        )
    )
    assert route.hash_policies == [
        HashPolicy("header", "x-user", True, RegexRewrite("a", "b")),
        HashPolicy("cookie", "s", ttl=90, path="/p", attributes=[("SameSite", "Lax")]),
        HashPolicy("cookie", "t"),
        HashPolicy("cookie", "u", ttl=0),
        HashPolicy("source_ip"),
        HashPolicy("query_parameter", "q"),
    ]


def test_hosts() -> None:
    found = translate("route", {**routes(require_tls="ALL"), "ignore_port_in_host_matching": True})
    assert found.ignore_port
    assert found.virtual_hosts[0].require_tls


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
        ["connect-failure", "refused-stream", "unavailable", "cancelled", "retriable-status-codes"],
        2,
        statuses=[503],
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
        (
            {
                "retry_on": "retriable-headers,reset-before-request,envoy-ratelimited",
                "retriable_headers": [{"name": "X-Retry"}],
                "retriable_request_headers": [{"name": ":method", "string_match": {"exact": "GET"}}],
                "per_try_idle_timeout": "1s",
            },
            RetryPolicy(
                ["retriable-headers", "reset-before-request", "envoy-ratelimited"],
                headers=[HeaderMatch("x-retry")],
                request_headers=[HeaderMatch(":method", StringMatch("exact", "GET"))],
                per_try_idle_timeout=1000,
            ),
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
        (routes(require_tls="EXTERNAL_ONLY"), "virtual_hosts[0].require_tls", "only NONE or ALL"),
        (
            routes(request_headers_to_remove=[":path"]),
            "virtual_hosts[0].request_headers_to_remove[0]",
            "':path' cannot be changed here",
        ),
        (
            {**routes(), "response_headers_to_add": [{"header": {"key": "Content-Length", "value": "1"}}]},
            "response_headers_to_add[0].header.key",
            "'content-length' cannot be changed here",
        ),
        (
            routes(request_headers_to_add=[option("a b")]),
            "virtual_hosts[0].request_headers_to_add[0].header.key",
            "'a b' is not a header's name",
        ),
        (
            routes(request_headers_to_add=[option("a", "%NO%")]),
            "virtual_hosts[0].request_headers_to_add[0].header.value",
            "at position 0: %NO%: unknown operator",
        ),
        (
            routes(request_headers_to_add=[option("a", "b\r\nc: d")]),
            "virtual_hosts[0].request_headers_to_add[0].header.value",
            "control characters",
        ),
        (
            routes(request_headers_to_add=[option("a", append=True, append_action="ADD_IF_ABSENT")]),
            "virtual_hosts[0].request_headers_to_add[0].append",
            "only one of them",
        ),
        (
            routes(request_headers_to_add=[{"header": {"key": "a", "raw_value": "YQ=="}}]),
            "virtual_hosts[0].request_headers_to_add[0].header.raw_value",
            "not supported",
        ),
        (routes({"match": {"prefix": "/"}}), R, "needs one of route, redirect and direct_response"),
        (routes({"route": {"cluster": "c"}}), f"{R}.match", "is missing"),
        (rule(), f"{R}.match", "needs one of prefix"),
        (rule(prefix="/", query_parameters=[{}]), f"{R}.match.query_parameters[0].name", "is missing"),
        (rule(prefix="/", grpc={}), f"{R}.match.grpc", "not supported"),
        (rule(safe_regex={"regex": "("}), f"{R}.match.safe_regex.regex", "not a regular expression of RE2"),
        (rule(path_separated_prefix="/a/"), f"{R}.match.path_separated_prefix", "neither end with /"),
        (rule(prefix="/", headers=[{"exact_match": "a"}]), f"{R}.match.headers[0].name", "is missing"),
        (action(host_rewrite_literal="h\n"), f"{R}.route.host_rewrite_literal", "control characters"),
        (action(request_mirror_policies=[{}]), f"{R}.route.request_mirror_policies[0].cluster", "is missing"),
        (
            action(request_mirror_policies=[{"cluster_header": "m", "cluster": "c"}]),
            f"{R}.route.request_mirror_policies[0].cluster_header",
            "not supported",
        ),
        (action(hash_policy=[{}]), f"{R}.route.hash_policy[0]", "needs one of header"),
        (
            action(hash_policy=[{"filter_state": {"key": "k"}}]),
            f"{R}.route.hash_policy[0].filter_state",
            "not supported",
        ),
        (
            action(hash_policy=[{"cookie": {"name": "a;b"}}]),
            f"{R}.route.hash_policy[0].cookie.name",
            "'a;b' is not a cookie's name",
        ),
        (
            action(hash_policy=[{"cookie": {"name": "a", "path": "/;"}}]),
            f"{R}.route.hash_policy[0].cookie",
            "'/;' cannot stand in a cookie's attribute",
        ),
        (
            action(metadata_match={"filter_metadata": {"envoy.lb": {"a": 1}}}),
            f'{R}.route.metadata_match.filter_metadata["envoy.lb"]["a"]',
            "only text is supported",
        ),
        (
            action(regex_rewrite={"pattern": {"regex": "a"}, "substitution": r"\1"}),
            f"{R}.route.regex_rewrite.substitution",
            "asks for group 1; the expression has 0",
        ),
        (
            action(prefix_rewrite="/", regex_rewrite={"pattern": {"regex": "a"}, "substitution": "b"}),
            f"{R}.route.regex_rewrite",
            "only one of it and prefix_rewrite",
        ),
        (
            routes({"match": {"prefix": "/"}, "redirect": {"port_redirect": 65536}}),
            f"{R}.redirect.port_redirect",
            "must be a port",
        ),
        (
            routes({"match": {"connect_matcher": {}}, "redirect": {"host_redirect": "h"}}),
            f"{R}.redirect",
            "CONNECT has no path",
        ),
        (
            routes(
                {
                    "match": {"prefix": "/"},
                    "route": {"weighted_clusters": {"clusters": [{"name": "a", "weight": 1}], "total_weight": 2}},
                }
            ),
            f"{R}.route.weighted_clusters.total_weight",
            "2, but the weights add up to 1",
        ),
        (action(timeout="-1s"), f"{R}.route.timeout", "must not be negative"),
        (action(auto_host_rewrite=True), f"{R}.route.auto_host_rewrite", "true is not supported (only false)"),
        (
            action(max_stream_duration={"grpc_timeout_header_offset": "1s"}),
            f"{R}.route.max_stream_duration.grpc_timeout_header_offset",
            "not supported",
        ),
        (
            action(max_stream_duration={"grpc_timeout_header_max": "-1s"}),
            f"{R}.route.max_stream_duration.grpc_timeout_header_max",
            "must not be negative",
        ),
        (action(grpc_timeout_offset="1s"), f"{R}.route.grpc_timeout_offset", "not supported"),
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
    content = action(hash_policy=[{}], priority="HIGH", timeout="-1s")
    assert len(problems("route", content)) == 3
