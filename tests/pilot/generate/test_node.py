from __future__ import annotations

from collections.abc import Mapping

import pytest
from envoy.config.core.v3.base_pb2 import Node as NodeProto

from tage.pilot.generate import Node, names

ID = "sidecar~127.1.0.5~reviews-v1-1.shop~shop.svc.cluster.local"
METADATA: Mapping[str, object] = {
    "GENERATOR": "tage",
    "SERVICE": "reviews",
    "NAMESPACE": "default",
    "LABELS": {"app": "reviews", "version": "v1"},
    "ADDRESS": "127.1.0.5",
    "OUTBOUND_PORT": "15001",
    "INBOUND_PORT": "15006",
    "APP_ADDRESS": "127.1.0.5",
    "APP_PORT": "8080",
}


def proto(metadata: Mapping[str, object], node_id: str = ID) -> NodeProto:
    node = NodeProto(id=node_id, cluster="reviews.default")
    node.metadata.update(metadata)
    return node


def test_a_sidecar_of_tage():
    node = Node.from_proto(proto(METADATA))
    assert node == Node(
        ID, "reviews.default", "tage", "default", "reviews", "127.1.0.5", 15001, 15006, "127.1.0.5", 8080,
        {"app": "reviews", "version": "v1"},
    )  # fmt: skip
    assert node.has_inbound


def test_an_envoy_that_says_nothing():
    node = Node.from_proto(proto({}))
    assert (node.generator, node.namespace, node.address, node.outbound_port) == ("", "shop", "127.0.0.1", 15001)
    assert not node.has_inbound
    assert Node.from_proto(proto({}, "envoy-7")).namespace == "default"


@pytest.mark.parametrize("locality", ["", "r", "r/z", "r/z/s"])
def test_where_it_is(locality: str):
    message = proto(METADATA)
    message.locality.CopyFrom(names.locality(locality))
    assert Node.from_proto(message).locality == locality


@pytest.mark.parametrize(
    ("metadata", "words"),
    [
        ({"APP_PORT": "http"}, "APP_PORT"),
        ({"OUTBOUND_PORT": "70000"}, "OUTBOUND_PORT"),
        ({"INBOUND_PORT": 15006}, "INBOUND_PORT"),
        ({"LABELS": "app=x"}, "LABELS"),
    ],
)
def test_what_is_wrong_is_named(metadata: dict[str, object], words: str):
    with pytest.raises(ValueError, match=words):
        Node.from_proto(proto(metadata))


def test_a_node_has_an_id():
    with pytest.raises(ValueError, match="id is empty"):
        Node.from_proto(proto({}, ""))
