"""HTTPFault: what is carried, and what is refused by path."""

import pytest

from tage.sidecar import plan
from tests.sidecar.translate.filters.build import problems, translate

KIND = "fault.v3.HTTPFault"


def test_nothing():
    assert translate(KIND) == plan.Fault("f")


def test_delay_and_abort():
    assert translate(
        KIND,
        delay={"fixed_delay": "2.5s", "percentage": {"numerator": 5, "denominator": "TEN_THOUSAND"}},
        abort={"http_status": 503, "percentage": {"numerator": 50}},
        headers=[{"name": "X-A", "string_match": {"exact": "1"}}],
        downstream_nodes=["n"],
        max_active_faults=0,
        disable_downstream_cluster_stats=True,
    ) == plan.Fault(
        "f",
        plan.Fraction(5, 10_000),
        2_500,
        plan.Fraction(50),
        503,
        [plan.HeaderMatch("x-a", plan.StringMatch("exact", "1"))],
        ["n"],
        0,
    )


@pytest.mark.parametrize("status", [0, 14])
def test_abort_with_a_status_of_grpc(status):
    found = translate(KIND, abort={"grpc_status": status, "percentage": {"numerator": 50}})
    assert found == plan.Fault("f", abort=plan.Fraction(50), grpc_status=status)


def test_by_headers():
    found = translate(
        KIND,
        delay={"header_delay": {}, "percentage": {"numerator": 100}},
        abort={"header_abort": {}, "percentage": {"numerator": 1, "denominator": "MILLION"}},
    )
    assert found == plan.Fault("f", plan.Fraction(100), 0, plan.Fraction(1, 1_000_000), 0)


@pytest.mark.parametrize(
    ("fields", "path", "says"),
    [
        ({"delay": {"percentage": {}}}, "delay", "fixed_delay"),
        ({"delay": {"fixed_delay": "0s"}}, "delay.fixed_delay", "greater than zero"),
        ({"abort": {}}, "abort", "http_status"),
        ({"abort": {"http_status": 199}}, "abort.http_status", "from 200"),
        ({"abort": {"grpc_status": 17}}, "abort.grpc_status", "17 is not a status of gRPC's, from 0 to 16"),
        ({"response_rate_limit": {"fixed_limit": {"limit_kbps": 1}}}, "response_rate_limit", "not supported"),
        ({"upstream_cluster": "c"}, "upstream_cluster", "not supported"),
        ({"delay_percent_runtime": "k"}, "delay_percent_runtime", "not supported"),
        ({"abort_http_status_runtime": "k"}, "abort_http_status_runtime", "not supported"),
        ({"max_active_faults_runtime": "k"}, "max_active_faults_runtime", "not supported"),
        ({"filter_metadata": {"a": 1}}, "filter_metadata", "not supported"),
        ({"headers": [{"name": "a", "string_match": {"prefix": ""}}]}, "headers[0].string_match.prefix", "empty"),
    ],
)
def test_refused(fields, path, says):
    assert says in problems(KIND, **fields)[path]
