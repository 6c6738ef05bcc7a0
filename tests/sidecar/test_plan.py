"""Sections, encoded and decoded."""

import msgspec
import pytest

from tage.sidecar import plan

RULE = plan.Route(plan.RouteMatch(plan.StringMatch("prefix", "/")), clusters=[plan.WeightedCluster("c")])
ROUTES = plan.Routes("r", [plan.VirtualHost(f"v{i}", [f"h{i}"], [RULE]) for i in range(3)], ignore_port=True)


def stepwise(kind: str, blob: bytes) -> tuple[plan.Section, int]:
    steps = plan.decode_in_steps(kind, blob)
    count = 0
    while True:
        try:
            next(steps)
        except StopIteration as done:
            return done.value, count
        count += 1


def test_a_table_is_decoded_a_virtual_host_at_a_time():
    blob = plan.encode(ROUTES)
    found, steps = stepwise("routes", blob)
    assert found == plan.decode("routes", blob) == ROUTES
    assert type(found) is plan.Routes
    assert steps == 3


def test_other_sections_are_decoded_at_once():
    section = plan.Endpoints("c", [plan.Endpoint("127.0.0.1", 80)])
    assert stepwise("endpoints", plan.encode(section)) == (section, 0)


def test_what_is_wrong_in_a_virtual_host_is_told():
    blob = msgspec.msgpack.encode({"name": "r", "virtual_hosts": [{"name": 1, "domains": []}]})
    with pytest.raises(msgspec.ValidationError, match="name"):
        stepwise("routes", blob)
    with pytest.raises(msgspec.ValidationError, match="unknown"):
        stepwise("routes", msgspec.msgpack.encode({"name": "r", "unknown": 1}))
