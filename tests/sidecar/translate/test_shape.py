"""The walker; and that every shape speaks of fields that its message has."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from envoy.config.cluster.v3 import cluster_pb2
from google.protobuf import any_pb2, descriptor_pool

from tage.sidecar.translate import bootstrap, cluster, endpoint, listener, match, pool, route
from tage.sidecar.translate.problem import Problem, Problems
from tage.sidecar.translate.shape import AnyOf, Extension, Shape, leaf, unpack


def shapes(rule: object) -> Iterator[Shape]:
    if isinstance(rule, Shape):
        yield rule
        for inner in rule.carried.values():
            yield from shapes(inner)
    elif isinstance(rule, AnyOf):
        for _, inner in rule.kinds.values():
            yield from shapes(inner)
    elif isinstance(rule, Extension):
        yield from shapes(rule.shape)
        yield from shapes(rule.config)


ALL = {
    id(shape): shape
    for root in (
        bootstrap._BOOTSTRAP,
        bootstrap._CONTROL_CLUSTER,
        cluster.CLUSTER,
        pool._THRESHOLDS,
        endpoint.LOAD_ASSIGNMENT,
        listener.LISTENER,
        match.ROUTE_MATCH,
        route.ROUTES,
    )
    for shape in shapes(root)
}


@pytest.mark.parametrize("shape", ALL.values(), ids=lambda shape: shape.message)
def test_fields_exist_and_stand_once(shape: Shape) -> None:
    fields = descriptor_pool.Default().FindMessageTypeByName(shape.message).fields_by_name
    assert set(shape.carried) <= set(fields)
    assert set(shape.harmless) <= set(fields)
    assert not set(shape.carried) & set(shape.harmless)
    assert all(len(why) > 15 for why in shape.harmless.values())


def test_paths_of_lists_and_maps() -> None:
    message = cluster_pb2.Cluster()
    message.typed_extension_protocol_options["k"].type_url = "x/y"
    message.load_assignment.endpoints.add().priority = 1
    shape = Shape(
        "envoy.config.cluster.v3.Cluster",
        {
            "typed_extension_protocol_options": AnyOf(),
            "load_assignment": Shape("", {"endpoints": Shape("")}),
        },
    )
    problems = Problems()
    shape.check(message, "cluster[c]", problems)
    assert problems.list() == [  # in the order of the fields' numbers
        Problem("cluster[c].load_assignment.endpoints[0].priority", "not supported"),
        Problem('cluster[c].typed_extension_protocol_options["k"]', "'y' is not supported"),
    ]


def test_bytes_that_are_no_message() -> None:
    packed = any_pb2.Any(type_url="type.googleapis.com/envoy.config.cluster.v3.Cluster", value=b"\xff")
    problems = Problems()
    assert unpack(packed, cluster_pb2.Cluster, "p", problems) is None
    assert "the bytes are not a envoy.config.cluster.v3.Cluster" in problems.list()[0].message


def test_a_field_without_a_rule_is_refused_whatever_it_holds() -> None:
    problems = Problems()
    Shape("", {"name": leaf}).check(cluster_pb2.Cluster(name="c", alt_stat_name="a"), "", problems)
    assert problems.list() == [Problem("alt_stat_name", "not supported")]
