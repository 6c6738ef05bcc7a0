"""CorsPolicy on routes, virtual hosts and tables: each field from the most specific one that says it."""

from typing import Any

import pytest

from tage.sidecar import plan
from tests.sidecar.translate import build
from tests.sidecar.translate.filters.build import ON_ROUTE, TYPE, problems, translate


def policy(**fields: Any) -> dict[str, Any]:
    return {"typed_per_filter_config": {"f": {"@type": f"{TYPE}.cors.v3.CorsPolicy", **fields}}}


def table(of_route: Any = None, of_host: Any = None, of_table: Any = None) -> dict[str, Any]:
    rule = {"match": {"prefix": "/"}, "route": {"cluster": "c"}, **(of_route or {})}
    return {**build.routes(rule, **(of_host or {})), **(of_table or {})}


def of_route(*levels: Any) -> Any:
    return build.translate("route", table(*levels)).virtual_hosts[0].routes[0].filters.get("f")


def test_the_filter_itself_says_nothing():
    assert translate("cors.v3.Cors") == plan.Cors("f")
    assert problems("cors.v3.CorsPolicy") != {}


def test_all_fields():
    assert of_route(
        policy(
            allow_origin_string_match=[{"exact": "https://a"}, {"safe_regex": {"regex": "https://.*"}}],
            allow_methods="GET",
            allow_headers="x-a",
            expose_headers="x-b",
            max_age="5",
            allow_credentials=True,
            filter_enabled={"default_value": {"numerator": 30}, "runtime_key": "k"},
            shadow_enabled={"default_value": {"numerator": 1, "denominator": "MILLION"}},
            allow_private_network_access=False,
            forward_not_matching_preflights=False,
        )
    ) == plan.CorsPolicy(
        "f",
        [plan.StringMatch("exact", "https://a"), plan.StringMatch("regex", "https://.*")],
        "GET",
        "x-a",
        "x-b",
        "5",
        True,
        False,
        False,
        plan.Fraction(30),
        plan.Fraction(1, 1_000_000),
    )


def test_what_a_route_leaves_open_comes_from_outside():
    found = of_route(
        policy(allow_methods="GET", allow_credentials=False),
        policy(allow_methods="PUT", allow_headers="x-host", allow_credentials=True, max_age="7"),
        policy(allow_origin_string_match=[{"exact": "*"}], allow_headers="x-table", expose_headers="x-e"),
    )
    assert found == plan.CorsPolicy(
        "f", [plan.StringMatch("exact", "*")], "GET", "x-host", "x-e", "7", credentials=False
    )


def test_whether_it_is_enabled_is_the_most_specific_ones_to_say():
    off = {"filter_enabled": {"default_value": {"numerator": 0}}}
    assert of_route(policy(max_age="1"), policy(**off)).enabled is None
    assert of_route(None, policy(**off)).enabled == plan.Fraction(0)


def test_a_route_may_be_without():
    disabled = {
        "typed_per_filter_config": {
            "f": {"@type": "type.googleapis.com/envoy.config.route.v3.FilterConfig", "disabled": True}
        }
    }
    assert of_route(disabled, policy(max_age="1")) == plan.FilterDisabled("f")
    assert of_route(policy(max_age="1"), disabled) == plan.CorsPolicy("f", max_age="1")


@pytest.mark.parametrize(
    ("fields", "path", "says"),
    [
        ({"filter_enabled": {}}, "filter_enabled.default_value", "missing"),
        ({"allow_methods": "a\nb"}, "allow_methods", "control characters"),
        ({"allow_origin_string_match": [{}]}, "allow_origin_string_match[0]", "needs one of"),
    ],
)
def test_refused(fields, path, says):
    found = {each.path: each.message for each in build.problems("route", table(policy(**fields)))}
    assert says in found[f"{ON_ROUTE}.{path}"]
