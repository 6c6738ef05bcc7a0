"""LocalRateLimit: what is carried, and what is refused by path."""

from typing import Any

import pytest

from tage.sidecar import plan
from tests.sidecar.translate import build
from tests.sidecar.translate.filters.build import TYPE, problems, translate

KIND = "local_ratelimit.v3.LocalRateLimit"
BUCKET = {"max_tokens": 10, "tokens_per_fill": 5, "fill_interval": "1s"}
ALL = {"default_value": {"numerator": 100}}
SCOPE = "l/filter_chains[0].filters[0].typed_config"


def descriptor(*entries: tuple[str, str], **bucket: Any) -> dict[str, Any]:
    return {
        "entries": [{"key": key, "value": value} for key, value in entries],
        "token_bucket": {**BUCKET, **bucket},
    }


def rules(*actions: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"actions": list(actions)}]


def test_nothing_but_its_name():
    assert translate(KIND, stat_prefix="s") == plan.LocalRateLimit("f", SCOPE, "s")


def test_all_fields():
    assert translate(
        KIND,
        stat_prefix="s",
        status={"code": 503},
        token_bucket=BUCKET,
        filter_enabled=ALL,
        filter_enforced={"default_value": {"numerator": 5, "denominator": "TEN_THOUSAND"}},
        request_headers_to_add_when_not_enforced=[{"header": {"key": "X-Over", "value": "1"}}],
        response_headers_to_add=[{"header": {"key": "x-limited", "value": "1"}, "append_action": 2}],
        descriptors=[descriptor(("user", "ann")), descriptor(("user", ""), max_tokens=3)],
        rate_limits=rules({"request_headers": {"header_name": "X-User", "descriptor_key": "user"}}),
        always_consume_default_token_bucket=False,
        enable_x_ratelimit_headers="DRAFT_VERSION_03",
        max_dynamic_descriptors=100,
        rate_limited_as_resource_exhausted=True,
        stage=3,
        vh_rate_limits="IGNORE",
    ) == plan.LocalRateLimit(
        "f",
        SCOPE,
        "s",
        plan.TokenBucket(10, 5, 1_000),
        plan.Fraction(100),
        plan.Fraction(5, 10_000),
        503,
        plan.HeaderMutations([plan.HeaderMutation("x-over", "1")]),
        plan.HeaderMutations([plan.HeaderMutation("x-limited", "1", "overwrite_or_add")]),
        [
            plan.RateLimitDescriptor([("user", "ann")], plan.TokenBucket(10, 5, 1_000)),
            plan.RateLimitDescriptor([("user", "")], plan.TokenBucket(3, 5, 1_000)),
        ],
        [[plan.RateLimitAction("request_header", "user", name="x-user")]],
        False,
        True,
        100,
        True,
    )


@pytest.mark.parametrize(
    ("action", "expected"),
    [
        ({"generic_key": {"descriptor_value": "v"}}, plan.RateLimitAction("generic_key", "generic_key", "v")),
        (
            {"generic_key": {"descriptor_value": "v", "descriptor_key": "k"}},
            plan.RateLimitAction("generic_key", "k", "v"),
        ),
        (
            {"request_headers": {"header_name": "a", "descriptor_key": "k", "skip_if_absent": True}},
            plan.RateLimitAction("request_header", "k", name="a", optional=True),
        ),
        (
            {"query_parameters": {"query_parameter_name": "a", "descriptor_key": "k"}},
            plan.RateLimitAction("query_parameter", "k", name="a"),
        ),
        ({"remote_address": {}}, plan.RateLimitAction("remote_address", "remote_address")),
        (
            {
                "header_value_match": {
                    "descriptor_value": "v",
                    "expect_match": False,
                    "headers": [{"name": "a", "present_match": True}],
                }
            },
            plan.RateLimitAction("headers_match", "header_match", "v", expect=False, headers=[plan.HeaderMatch("a")]),
        ),
        (
            {
                "query_parameter_value_match": {
                    "descriptor_value": "v",
                    "descriptor_key": "k",
                    "query_parameters": [{"name": "a", "string_match": {"exact": "1"}}],
                }
            },
            plan.RateLimitAction("query_match", "k", "v", query=[plan.QueryMatch("a", plan.StringMatch("exact", "1"))]),
        ),
    ],
)
def test_actions(action, expected):
    found = translate(KIND, stat_prefix="s", descriptors=[descriptor(("k", "v"))], rate_limits=rules(action))
    assert found.rules == [[expected]]


@pytest.mark.parametrize(("code", "status"), [(0, 429), (200, 429), (399, 429), (400, 400), (503, 503)])
def test_a_status_that_is_none_of_an_error_is_429(code, status):
    assert translate(KIND, stat_prefix="s", status={"code": code} if code else None).status == status


@pytest.mark.parametrize(
    ("fields", "path", "says"),
    [
        ({"stat_prefix": ""}, "stat_prefix", "missing"),
        ({"token_bucket": {**BUCKET, "max_tokens": 0}}, "token_bucket.max_tokens", "at least 1"),
        ({"token_bucket": {**BUCKET, "tokens_per_fill": 0}}, "token_bucket.tokens_per_fill", "at least 1"),
        ({"token_bucket": {**BUCKET, "fill_interval": "0.049s"}}, "token_bucket.fill_interval", "at least 50 ms"),
        ({"token_bucket": {"max_tokens": 1}}, "token_bucket.fill_interval", "missing"),
        (
            {"token_bucket": {"max_tokens": 4_000_000_000, "fill_interval": "3600s"}},
            "token_bucket",
            "ten years",
        ),
        ({"filter_enabled": {}}, "filter_enabled.default_value", "missing"),
        ({"descriptors": [descriptor(("k", "v"))]}, "rate_limits", "nothing makes the descriptors"),
        ({"descriptors": [{"entries": [{"key": "k"}]}]}, "descriptors[0].token_bucket", "missing"),
        ({"descriptors": [descriptor(("k", "v"))] * 2}, "descriptors[1].entries", "same"),
        ({"descriptors": [descriptor()]}, "descriptors[0].entries", "missing"),
        ({"max_dynamic_descriptors": 100_000}, "max_dynamic_descriptors", "from 1"),
        ({"local_rate_limit_per_downstream_connection": True}, "local_rate_limit_per_downstream_connection", "only"),
        ({"local_cluster_rate_limit": {}}, "local_cluster_rate_limit", "not supported"),
        (
            {"response_headers_to_add": [{"header": {"key": "a", "value": "%PROTOCOL%"}}]},
            "response_headers_to_add[0].header.value",
            "operators",
        ),
        ({"rate_limits": rules({"source_cluster": {}})}, "rate_limits[0].actions[0].source_cluster", "not supported"),
        (
            {"rate_limits": rules({"masked_remote_address": {}})},
            "rate_limits[0].actions[0].masked_remote_address",
            "not supported",
        ),
        ({"rate_limits": [{"actions": [], "disable_key": "x"}]}, "rate_limits[0].disable_key", "not supported"),
        ({"rate_limits": [{}]}, "rate_limits[0].actions", "missing"),
        (
            {"rate_limits": rules({"generic_key": {}})},
            "rate_limits[0].actions[0].generic_key.descriptor_value",
            "missing",
        ),
        (
            {"rate_limits": rules({"header_value_match": {"descriptor_value": "v"}})},
            "rate_limits[0].actions[0].header_value_match",
            "nothing to match",
        ),
    ],
)
def test_refused(fields, path, says):
    assert says in problems(KIND, **{"stat_prefix": "s", **fields})[path]


def test_whose_buckets_they_are():
    def settings(stat_prefix: str) -> dict[str, Any]:
        config = {"@type": f"{TYPE}.{KIND}", "stat_prefix": stat_prefix, "token_bucket": BUCKET}
        return {"typed_per_filter_config": {"f": config}}

    def rule(**fields: Any) -> dict[str, Any]:
        return {"match": {"prefix": "/"}, "route": {"cluster": "c"}, **fields}

    table = build.routes(rule(), rule(name="n", **settings("s")), rule(**settings("s")), **settings("s"))
    (host,) = build.translate("route", table).virtual_hosts
    assert [route.filters["f"].scope for route in host.routes] == ["r/v", "r/v/n", "r/v/routes[2]"]
    (problem,) = build.problems(
        "route", build.routes(rule(typed_per_filter_config={"f": {"@type": f"{TYPE}.{KIND}", "stat_prefix": "s"}}))
    )
    assert problem.path.endswith("token_bucket")
