"""Which sidecars have which filters in Python, and as what they are sent."""

from __future__ import annotations

import dataclasses

from google.protobuf.json_format import MessageToDict
from xds.type.v3 import typed_struct_pb2

from tage.config.load import load_text
from tage.config.model import Resource
from tage.pilot.generate import LISTENER, Node, Snapshot, generate, python_filters
from tage.pilot.world import Own, World
from tests.pilot.generate.test_listeners import manager
from tests.pilot.samples import NODE

TAGE = dataclasses.replace(NODE, generator="tage")


def resource(name: str, spec: str = "", namespace: str = "default") -> Resource:
    head = f"apiVersion: tage.dev/v1alpha1\nkind: PythonFilter\nmetadata: {{name: {name}, namespace: {namespace}}}\n"
    return load_text(head + f"spec: {{class: 'auth.py:Auth'{', ' + spec if spec else ''}}}")[0]


def names(node: Node, *resources: Resource) -> tuple[list[str], list[str]]:
    """The filters of the outbound and the inbound listener, without the router."""
    found = generate(Snapshot(python_filters=resources), node)[LISTENER]
    outbound, inbound = ([f.name for f in manager(listener).http_filters[:-1]] for listener in found)
    return outbound, inbound


def test_directions():
    filters = [resource(name, f"direction: {name}") for name in ("inbound", "outbound", "both")]
    assert names(TAGE, *filters) == (["both", "outbound"], ["both", "inbound"])


def test_an_envoy_has_none():
    assert names(dataclasses.replace(NODE, generator=""), resource("auth", "direction: both")) == ([], [])


def test_selectors():
    node = dataclasses.replace(TAGE, namespace="default", service="reviews", labels={"app": "reviews", "version": "v1"})
    for spec, selected in (
        ("selector: {}", True),
        ("selector: {service: reviews}", True),
        ("selector: {service: ratings}", False),
        ("selector: {labels: {version: v1}}", True),
        ("selector: {service: reviews, labels: {version: v2}}", False),
    ):
        assert bool(python_filters.selected([resource("auth", spec)], node)) == selected, spec
    assert python_filters.selected([resource("auth", namespace="other")], node) == ()


def test_order():
    filters = [resource("b"), resource("a"), resource("c", "priority: 1"), resource("d", "priority: -1")]
    assert names(TAGE, *filters)[1] == ["c", "a", "b", "d"]


def test_what_is_sent():
    (made,) = python_filters.chain(
        [resource("auth", "config: {keys: {k1: ann}, rate: 1.5, none: null, list: [a]}, failure: open, timeout: 1s")],
        "inbound",
    )
    message = typed_struct_pb2.TypedStruct()
    assert made.typed_config.Unpack(message)
    assert message.type_url == "type.googleapis.com/tage.filters.http.Python"
    assert MessageToDict(message.value) == {
        "class": "auth.py:Auth",
        "config": {"keys": {"k1": "ann"}, "rate": 1.5, "none": None, "list": ["a"]},
        "failure": "open",
        "timeout": "1s",
    }
    assert list(python_filters.chain([resource("auth")], "outbound")) == []


def test_a_change_of_a_filter_is_a_change_of_its_sidecars_listeners_alone():
    world, own, other = World(), Own(TAGE), Own(dataclasses.replace(TAGE, service="ratings"))
    ratings = dataclasses.replace(TAGE, service="ratings")
    world.update(Snapshot(python_filters=[resource("auth", "selector: {service: ratings}")]))
    before = world.view(TAGE, own)[LISTENER], world.view(ratings, other)[LISTENER]
    world.update(Snapshot(python_filters=[resource("auth", "selector: {service: ratings}, failure: open")]))
    after = world.view(TAGE, own)[LISTENER], world.view(ratings, other)[LISTENER]
    assert after[0].changed_since(before[0]) == frozenset()
    assert after[1].changed_since(before[1]) == {"virtualInbound"}
    world.update(Snapshot())
    assert world.view(ratings, other)[LISTENER].changed_since(after[1]) == {"virtualInbound"}
