"""An index finds what trying all rules in order finds."""

from hypothesis import given, settings
from hypothesis import strategies as st

from tage.dataplane.routing.build import build_route
from tage.dataplane.routing.table import INDEXED, VirtualHost, index_of
from tage.sidecar import plan
from tests.dataplane.routing.requests import request

SEGMENTS = st.lists(st.sampled_from(["a", "b", "ab", "A"]), max_size=3)
PATHS = st.builds(
    lambda segments, end: "/" + "/".join(segments) + end, SEGMENTS, st.sampled_from(["", "/", "?a", "?/a"])
)
KINDS = st.sampled_from(["exact", "prefix", "separated_prefix", "suffix", "contains", "regex"])
MATCHES = st.builds(
    lambda kind, path, ignore_case, header: plan.RouteMatch(
        plan.StringMatch(kind, path.rstrip("?/a") or "/" if kind == "regex" else path, ignore_case),
        [plan.HeaderMatch("x")] if header else [],
    ),
    KINDS,
    PATHS,
    st.booleans(),
    st.booleans(),
)


@settings(max_examples=300, deadline=None)
@given(st.lists(MATCHES, max_size=30), st.lists(st.tuples(PATHS, st.booleans()), min_size=1, max_size=10))
def test_the_first_rule_that_matches(matches, asked):
    routes = [build_route(plan.Route(match, str(i), [plan.WeightedCluster("c")])) for i, match in enumerate(matches)]
    index = index_of(routes)
    for path, header in asked:
        head = request(path, headers=[("x", "1")] if header else [])
        expected = next((route for route in routes if route.matches(head)), None)
        assert index.match(head) is expected


def route(i, path, kind="prefix"):
    return build_route(plan.Route(plan.RouteMatch(plan.StringMatch(kind, path)), str(i), [plan.WeightedCluster("c")]))


def test_many_rules():
    routes = [route(i, f"/service-{i}/") for i in range(1000)] + [route(1000, "", "prefix")]
    host = VirtualHost("v", routes)
    assert len(routes) > INDEXED
    for i in (0, 1, 500, 999):
        assert host.match(request(f"/service-{i}/x")) is routes[i]
    assert host.match(request("/other")) is routes[1000]
    assert VirtualHost("v", routes[:1000]).match(request("/other")) is None


def test_connect_passes_the_index_by():
    connect = plan.Route(
        plan.RouteMatch(plan.StringMatch("prefix", ""), connect=True), "c", [plan.WeightedCluster("c")]
    )
    host = VirtualHost("v", [*(route(i, f"/{i}") for i in range(100)), build_route(connect)])
    assert host.match(request("a:1", "a:1", "CONNECT")).name == "c"
    assert host.match(request("/99")).name == "9"
