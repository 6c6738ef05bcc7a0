"""The ready-made rules of the example: what Pilot makes of each is whole, and a sidecar takes it."""

from __future__ import annotations

from pathlib import Path

import pytest
from google.protobuf.any_pb2 import Any

from tage.config.load import load_file
from tage.config.mesh import Mesh
from tage.pilot import preview
from tage.pilot.generate import Node
from tage.registry.model import Instance, Service
from tage.sidecar.translate import resources

BOOKSHOP = Path(__file__).parents[2] / "examples" / "bookshop"
RULES = sorted(path.name for path in BOOKSHOP.glob("*.yaml") if path.name != "mesh.yaml")


def services(mesh: Mesh) -> list[Service]:
    return [
        Service(
            service.name,
            instances=tuple(
                Instance(f"{service.name}-{n}", "127.0.0.1", 15006, "127.0.0.1", 8080, {"version": each.version})
                for n, each in enumerate(service.instances)
            ),
        )
        for service in mesh.services
    ]


@pytest.mark.parametrize("file", ["mesh.yaml", *RULES])
def test_a_sidecar_takes_it(file: str) -> None:
    loaded = preview.overlaid(load_file(BOOKSHOP / "mesh.yaml"), load_file(BOOKSHOP / file))
    (mesh,) = (resource.spec for resource in loaded if isinstance(resource.spec, Mesh))
    snapshot = preview.snapshot(services(mesh), loaded)
    assert snapshot.warnings == ()
    for type_url, packed in preview.preview(snapshot, Node("sidecar~127.0.0.1~x.default~default.x")).resources.items():
        assert resources.decode(type_url, [Any.FromString(each) for each in packed])
