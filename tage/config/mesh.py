"""tage.dev/v1alpha1 Mesh: the services that `tage up` runs on this machine."""

from __future__ import annotations

from tage.config.networking import Spec


class MeshInstance(Spec, frozen=True):
    """`replicas` equal processes. `$HOST` and `$PORT` in `command` are replaced; both are in the environment too.
    `locality` says where they are, region/zone/subzone or less; only load balancing asks."""

    command: str
    version: str = ""
    replicas: int = 1
    env: dict[str, str] = {}
    labels: dict[str, str] = {}
    locality: str = ""


class MeshService(Spec, frozen=True):
    name: str
    port: int = 80
    protocol: str = "http"
    instances: list[MeshInstance] = []


class Mesh(Spec, frozen=True):
    services: list[MeshService]
