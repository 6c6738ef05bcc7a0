"""A sidecar's configuration as a control plane makes it: a running one's, or of a mesh file alone.

Either way the resources are Pilot's, and translated as an agent translates them. A `Source` gives the caller's, and
those of the sidecar that a request arrives at.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from envoy.config.core.v3 import base_pb2
from google.protobuf import json_format

from tage.cli.client import ControlClient
from tage.cli.errors import CommandError
from tage.cli.explain import plans
from tage.cli.up.addresses import INBOUND_PORT, OUTBOUND_PORT, allocate
from tage.cli.up.plan import CLIENT, PlannedInstance, count_instances, plan
from tage.config import dump
from tage.config.mesh import Mesh
from tage.config.model import Resource
from tage.pilot import preview
from tage.pilot.generate import Node
from tage.registry.model import Service
from tage.sidecar.node import Identity


class Config(NamedTuple):
    """`sidecar` is whose it is; `notes` what there is to say about it."""

    sidecar: str
    sections: plans.Sections
    notes: list[str]


class Source(Protocol):
    """`caller` raises `CommandError` for a name that stands for no sidecar. `callee` is None where none has its inbound
    listener at that address, IP:PORT."""

    def caller(self, name: str) -> Config: ...

    def callee(self, address: str) -> Config | None: ...


class Running:
    """A control plane's, with `overlay` applied to it (and nowhere else)."""

    def __init__(self, client: ControlClient, overlay: Sequence[Resource]) -> None:
        self._client = client
        self._overlay = [dump.to_builtins(resource) for resource in overlay if not isinstance(resource.spec, Mesh)]
        self._ignored = [resource.metadata.name for resource in overlay if isinstance(resource.spec, Mesh)]

    def caller(self, name: str) -> Config:
        found = self._client.preview({"sidecar": name, "items": self._overlay})
        assert found is not None, "only an address may be missing"
        return self._config(found)

    def callee(self, address: str) -> Config | None:
        found = self._client.preview({"address": address, "items": self._overlay})
        return None if found is None else self._config(found)

    def _config(self, found: dict[str, Any]) -> Config:
        resources = {url: map(base64.b64decode, packed) for url, packed in found["resources"].items()}
        notes = [*found["warnings"]]
        if found["alike"]:
            notes.append(f"{found['alike']} more sidecars go by that name; this is the first one's configuration")
        if not found["synced"] and not self._overlay:
            notes.append("the sidecar has not taken all of this yet; `tage status` says more")
        notes += [f"Mesh {name} of the files is left out: services are those that run" for name in self._ignored]
        return Config(found["sidecar"], plans.of_resources(resources), notes)


class Files:
    """Of a mesh file's resources, as `tage up` would run it with every instance ready."""

    def __init__(self, resources: Sequence[Resource]) -> None:
        """Raises `CommandError` where there is not exactly one Mesh."""
        meshes = [resource for resource in resources if isinstance(resource.spec, Mesh)]
        if len(meshes) != 1:
            raise CommandError(f"the files have {len(meshes)} resources of kind Mesh; give exactly one", 2)
        self._nodes, services = _planned(meshes[0])
        self._snapshot = preview.snapshot(services, resources)

    def caller(self, name: str) -> Config:
        try:
            found = preview.named(self._nodes, name)
        except preview.NoSidecar as error:
            raise CommandError(str(error), 2) from None
        return self._config(preview.preview(self._snapshot, found[0]))

    def callee(self, address: str) -> Config | None:
        try:
            return self._config(preview.preview(self._snapshot, preview.at(self._nodes, address)))
        except preview.NoSidecar:
            return None

    def _config(self, found: preview.Preview) -> Config:
        return Config(preview.instance(found.node), plans.of_resources(found.resources), list(found.warnings))


def source(files: Sequence[Resource], control: str) -> Source:
    """Files with a Mesh stand for themselves; others, and none, count with a control plane. `control` is HOST:PORT, or
    empty where it is not to be asked."""
    if control:
        return Running(ControlClient(control), files)
    return Files(files)


def _planned(resource: Resource) -> tuple[list[Node], Sequence[Service]]:
    """The sidecars and services that `tage up` would start."""
    mesh = resource.spec
    assert isinstance(mesh, Mesh)
    addresses = allocate(resource.metadata.name, count_instances(mesh) + 1, lambda host, port: False)
    planned = plan(resource.metadata.name, resource.metadata.namespace, mesh, addresses, os.environ)
    client = Identity(CLIENT, namespace=planned.namespace, address=planned.client, outbound_port=OUTBOUND_PORT)
    identities = [client, *map(_identity, planned.instances)]
    ready = {instance.name: True for instance in planned.instances}
    return [_node(identity) for identity in identities], planned.registry(ready)


def _identity(instance: PlannedInstance) -> Identity:
    """As the instance's sidecar says of itself."""
    return Identity(
        instance.name,
        instance.service,
        instance.namespace,
        dict(instance.labels),
        instance.address,
        OUTBOUND_PORT,
        INBOUND_PORT,
        (instance.address, instance.app_port),
        instance.locality,
    )


def _node(identity: Identity) -> Node:
    return Node.from_proto(json_format.ParseDict(identity.node(), base_pb2.Node()))


def load_files(paths: Iterable[str | Path]) -> list[Resource]:
    """The files' resources; of two with one key the later one's, as if applied in turn. Raises `ConfigError`."""
    from tage.config import load

    return preview.overlaid((), (resource for path in paths for resource in load.load_file(path)))
