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
    """http, tcp, a protocol of remote calls that Tage brings, or x-NAME (`tage.config.protocols`)."""
    instances: list[MeshInstance] = []
    interfaces: list[str] = []
    """What callers of remote calls name it by; besides, they may use its own names."""


class Mesh(Spec, frozen=True):
    services: list[MeshService]
    protocols: list[str] = []
    """Files (or directories of them) with the classes of protocols of one's own, from where the mesh file is."""
