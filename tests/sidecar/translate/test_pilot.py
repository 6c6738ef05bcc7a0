"""A sidecar takes everything that Pilot makes of the two resources, in whatever fields."""

from __future__ import annotations

import dataclasses

import pytest
from google.protobuf.any_pb2 import Any

from tage.pilot.generate import TYPES, generate
from tage.registry.model import Service
from tage.sidecar.translate import resources
from tests.pilot.everything import RULES
from tests.pilot.samples import NODE, instance, snapshot


@pytest.mark.parametrize("type_url", TYPES)
def test_every_field(type_url: str) -> None:
    instances = (instance(1, "v1", locality="east/z1"), instance(2, "v2", locality="west/z1"))
    mesh = snapshot(RULES, services=(Service("reviews", instances=instances),))
    assert mesh.warnings == ()
    node = dataclasses.replace(NODE, labels={"version": "v1"}, locality="east/z1")
    packed = []
    for message in generate(mesh, node)[type_url]:
        packed.append(Any())
        packed[-1].Pack(message)
    assert len(resources.decode(type_url, packed)) == len(packed)
