"""What a sidecar would be sent, and which sidecar a name stands for."""

from __future__ import annotations

from dataclasses import replace

import pytest
from envoy.config.route.v3.route_pb2 import RouteConfiguration
from google.protobuf.any_pb2 import Any

from tage.config.load import load_text
from tage.pilot import preview
from tage.pilot.generate import CLUSTER, ENDPOINT, LISTENER, ROUTE, Node
from tests.pilot.samples import NODE, REVIEWS, SUBSETS, routing

CLIENT = Node(id="sidecar~127.1.0.9~client.default~default.svc.cluster.local", address="127.1.0.9")
V1 = replace(NODE, labels={"version": "v1"})
V2 = replace(
    NODE,
    id="sidecar~127.1.0.2~reviews-v2-1.default~default.svc.cluster.local",
    address="127.1.0.2",
    labels={"version": "v2"},
)
NODES = [V2, CLIENT, V1]


@pytest.mark.parametrize(
    ("name", "found"),
    [
        (V2.id, [V2]),
        ("reviews-v2-1.default", [V2]),
        ("reviews-v2-1", [V2]),
        ("reviews-v2", [V2]),
        ("reviews", [V1, V2]),
        ("reviews.default", [V1, V2]),
        ("client", [CLIENT]),
        ("", [CLIENT]),
    ],
)
def test_names(name, found):
    assert preview.named(NODES, name) == found


def test_no_such_name():
    with pytest.raises(preview.NoSidecar, match=r"no sidecar 'x'; there are reviews-v1-1.default, reviews-v2-1"):
        preview.named(NODES, "x")
    with pytest.raises(preview.NoSidecar, match=r"whose request\? Say --from; there are"):
        preview.named([V1, V2], "")
    with pytest.raises(preview.NoSidecar, match="no sidecar is connected"):
        preview.named([], "x")
    assert preview.named([V1], "") == [V1]


def test_by_address():
    assert preview.at(NODES, "127.1.0.2:15006") == V2
    with pytest.raises(preview.NoSidecar):
        preview.at(NODES, "127.1.0.9:15006")  # it has no application


def test_what_is_laid_over():
    stored = load_text(SUBSETS + "---" + routing("[{route: [{destination: {host: reviews, subset: v1}}]}]"))
    other = load_text(routing("[{route: [{destination: {host: reviews, subset: v2}}]}]"))
    assert leads_to(stored) == ["outbound|80|v1|reviews.default.svc.cluster.local"]
    assert leads_to(preview.overlaid(stored, other)) == ["outbound|80|v2|reviews.default.svc.cluster.local"]


def leads_to(resources):
    found = preview.preview(preview.snapshot([REVIEWS], resources), V1)
    assert list(found.resources) == [CLUSTER, ENDPOINT, LISTENER, ROUTE]
    [packed] = found.resources[ROUTE]
    config = RouteConfiguration()
    assert Any.FromString(packed).Unpack(config)
    return [route.route.cluster for host in config.virtual_hosts for route in host.routes]
