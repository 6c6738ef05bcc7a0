from __future__ import annotations

from tage.pilot.generate import Caller, endpoints
from tage.registry.model import Service
from tests.pilot.samples import REVIEWS, SUBSETS, instance, snapshot


def assigned(service: Service, *texts: str) -> dict[str, list[tuple[str, int, int]]]:
    rule = snapshot(*texts, services=(service,)).rule(service, Caller())
    return {
        assignment.cluster_name.split("|")[2]: [
            (
                e.endpoint.address.socket_address.address,
                e.endpoint.address.socket_address.port_value,
                e.load_balancing_weight.value,
            )
            for locality in assignment.endpoints
            for e in locality.lb_endpoints
        ]
        for assignment in endpoints.assignments(service, rule, Caller())
    }


def test_subsets_filter_by_labels():
    first, second, third = ((f"127.1.0.{n}", 15006, 1) for n in (1, 2, 3))
    assert assigned(REVIEWS, SUBSETS) == {"": [first, second, third], "v1": [first], "v2": [second, third]}


def test_unready_and_weightless_instances_are_left_out():
    service = Service("reviews", instances=(instance(1, ready=False), instance(2, weight=0), instance(3, weight=7)))
    assert assigned(service) == {"": [("127.1.0.3", 15006, 7)]}


def test_a_service_without_instances_has_an_empty_assignment():
    assert assigned(Service("reviews"), SUBSETS) == {"": [], "v1": [], "v2": []}


def test_order_of_instances_does_not_matter():
    turned = Service("reviews", instances=REVIEWS.instances[::-1])
    assert list(endpoints.assignments(turned, snapshot().rule(turned, Caller()), Caller())) == list(
        endpoints.assignments(REVIEWS, snapshot().rule(REVIEWS, Caller()), Caller())
    )
