"""The plan's route configurations become tables, or are refused with the place that is wrong."""

import pytest

from tage.dataplane.routing.build import build, build_in_steps
from tage.dataplane.routing.policy import RetryPolicy
from tage.dataplane.routing.table import RouteTable
from tage.sidecar import plan

ANY = plan.RouteMatch(plan.StringMatch("prefix", "/"))
C = [plan.WeightedCluster("c")]


def configuration(*routes, domains=("*",)):
    return plan.Routes("r", [plan.VirtualHost("v", list(domains), list(routes))])


def test_everything_is_carried_over():
    retry = plan.RetryPolicy(["5xx", "retriable-status-codes", "cancelled"], 3, 250, [429], 10, 100)
    table = build(
        configuration(
            plan.Route(ANY, "n", C, timeout=1, idle_timeout=2, retry=retry, prefix_rewrite="/x"),
            plan.Route(ANY, direct=plan.DirectResponse(204, "é")),
        )
    )
    first, second = table.virtual_hosts[0].routes
    assert (first.name, first.clusters, first.weights) == ("n", ["c"], [1])
    assert (first.timeout, first.idle_timeout, first.prefix_rewrite) == (1, 2, b"/x")
    assert (first.retry.attempts, first.retry.per_try_timeout) == (3, 250)
    assert (first.retry.backoff_base, first.retry.backoff_max) == (10, 100)
    assert first.retry.retries_status(500)
    assert first.retry.retries_status(429)
    assert not first.retry.retries_status(404)
    assert first.direct_status == 0
    assert (second.direct_status, second.direct_body, second.retry) == (204, "é".encode(), None)


def test_statistics_are_named_by_configuration_host_and_route():
    asked = []
    build(configuration(plan.Route(ANY, "named", C), plan.Route(ANY, clusters=C)), asked.append)
    assert asked == ["r/v/named", "r/v/1"]


def test_a_step_is_a_rule():
    """A virtual host stands in the table when its last rule is there."""
    rules = [plan.Route(ANY, clusters=C)] * 100
    hosts = [plan.VirtualHost(f"v{i}", [f"d{i}"], rules[: i or 100]) for i in range(3)]
    table = RouteTable("r")
    steps = [len(table.virtual_hosts) for _ in build_in_steps(plan.Routes("r", hosts), table)]
    assert steps == [0] * 100 + [1] * 2 + [2] * 3 + [3]
    assert [len(host.routes) for host in table.virtual_hosts] == [100, 1, 2]


@pytest.mark.parametrize(
    ("route", "reason"),
    [
        (plan.Route(plan.RouteMatch(plan.StringMatch("regex", "(")), "n", C), "not a valid RE2 expression"),
        (plan.Route(ANY, clusters=[plan.WeightedCluster("c", 0)]), "the weights .* add up to 0"),
        (plan.Route(ANY), "the weights .* add up to 0"),
        (plan.Route(ANY, clusters=C, retry=plan.RetryPolicy(["never"])), "unknown retry condition 'never'"),
        (plan.Route(ANY, direct=plan.DirectResponse(0)), "status has to be 200 to 599, not 0"),
        (plan.Route(ANY, direct=plan.DirectResponse(600)), "not 600"),
        (plan.Route(ANY, direct=plan.DirectResponse(101)), "not 101"),
    ],
)
def test_a_route_that_is_refused(route, reason):
    with pytest.raises(ValueError, match=rf"^routes 'r', virtual host 'v', route '\w': .*{reason}"):
        build(configuration(route))


def test_a_domain_that_is_refused():
    with pytest.raises(ValueError, match=r"^routes 'r': virtual host 'v': 'a\*b' is not a domain"):
        build(configuration(plan.Route(ANY, clusters=C), domains=["a*b"]))


@pytest.mark.parametrize(
    ("condition", "yes", "no"),
    [
        ("5xx", [500, 501, 503, 599], [404, 409, 499, 200, 301]),
        ("gateway-error", [502, 503, 504], [500, 501, 505]),
        ("retriable-4xx", [409], [400, 404, 429, 500]),
        ("retriable-status-codes", [418, 302], [500, 404]),
        ("connect-failure", [], [503]),
        ("refused-stream", [], [503]),
        ("reset", [], [503]),
        ("unavailable", [], [503]),
    ],
)
def test_conditions(condition, yes, no):
    policy = RetryPolicy([condition], 1, statuses=[418, 302])
    assert all(policy.retries_status(status) for status in yes)
    assert not any(policy.retries_status(status) for status in no)


def test_conditions_add_up():
    policy = RetryPolicy(["gateway-error", "retriable-4xx"], 1)
    assert policy.retries_status(502)
    assert policy.retries_status(409)
    assert not policy.retries_status(500)


EDITS = plan.HeaderMutations([plan.HeaderMutation("x-a", "1")])


@pytest.mark.parametrize(
    ("fields", "needs"),
    [
        ({}, False),
        ({"timeout": 1, "retry": plan.RetryPolicy(["5xx"]), "mirrors": [plan.Mirror("m")]}, False),
        ({"metadata_match": {"stage": "prod"}}, False),
        ({"hash_policies": [plan.HashPolicy("source_ip")]}, False),
        ({"hash_policies": [plan.HashPolicy("header", ":path")]}, False),
        ({"hash_policies": [plan.HashPolicy("header", "x-user")]}, True),
        ({"hash_policies": [plan.HashPolicy("cookie", "c")]}, True),
        ({"cluster_header": "x-to", "clusters": []}, True),
        ({"host_rewrite_header": "x-host"}, True),
        ({"host_rewrite_header": ":path"}, False),
        ({"host_rewrite": "other"}, True),
        ({"host_rewrite_path": plan.RegexRewrite("a", "b")}, True),
        ({"prefix_rewrite": "/x"}, True),
        ({"regex_rewrite": plan.RegexRewrite("a", "b")}, True),
        ({"append_forwarded_host": True}, True),
        ({"request_headers": EDITS}, True),
        ({"response_headers": EDITS}, True),
        ({"clusters": [plan.WeightedCluster("c", request_headers=EDITS), *C]}, True),
        ({"clusters": [plan.WeightedCluster("c", response_headers=EDITS)]}, True),
        ({"clusters": [plan.WeightedCluster("c", metadata_match={"a": "b"}), *C]}, False),
        ({"retry": plan.RetryPolicy(["retriable-headers"], headers=[plan.HeaderMatch("x-again")])}, True),
        ({"retry": plan.RetryPolicy(["5xx"], request_headers=[plan.HeaderMatch("x-again")])}, True),
        ({"match": plan.RouteMatch(plan.StringMatch("prefix", "/"), [plan.HeaderMatch("version")])}, True),
        ({"match": plan.RouteMatch(plan.StringMatch("prefix", "/"), [plan.HeaderMatch(":authority")])}, False),
        ({"match": plan.RouteMatch(plan.StringMatch("prefix", "/"), fraction=plan.Fraction(1))}, False),
    ],
)
def test_who_needs_more_than_names(fields, needs):
    """A protocol that reads headers only where somebody asks is told so by the table."""
    asking = plan.Route(**{"match": ANY, "clusters": C, **fields})
    table = build(configuration(plan.Route(ANY, clusters=C), asking))
    assert [route.needs_headers for route in table.virtual_hosts[0].routes] == [False, needs]
    assert (table.virtual_hosts[0].needs_headers, table.needs_headers) == (needs, needs)


def test_edits_of_table_and_virtual_host_need_headers():
    host = plan.VirtualHost("v", ["*"], [plan.Route(ANY, clusters=C)])
    assert not build(plan.Routes("r", [host])).needs_headers
    assert build(plan.Routes("r", [host], request_headers=EDITS)).needs_headers
    other = plan.VirtualHost("w", ["w"], [plan.Route(ANY, clusters=C)], response_headers=EDITS)
    table = build(plan.Routes("r", [host, other]))
    assert [each.needs_headers for each in table.virtual_hosts] == [False, True]
    assert table.needs_headers


def test_a_table_of_services():
    table = build(plan.Routes("r", [plan.VirtualHost("v", ["com.a.Stock"])], exact=True))
    assert table.exact
    assert table.find(b"com.a.stock") is None
