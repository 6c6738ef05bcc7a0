"""The command lines of the processes that `tage up` starts."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from tage.cli.up.addresses import ADMIN_PORT, HTTP_PORT, XDS_PORT
from tage.cli.up.plan import CLIENT, PlannedInstance


@dataclass(frozen=True)
class ControlFiles:
    """What the control plane reads: the directory for applied resources, the mesh file, the registry file."""

    config: Path
    mesh: Path
    registry: Path


class Programs(Protocol):
    """How each process is started; tests put smaller ones in."""

    def control(self, files: ControlFiles, address: str) -> list[str]: ...

    def sidecar(self, instance: PlannedInstance, control: str, run_dir: Path) -> list[str]: ...

    def client(self, namespace: str, address: str, control: str, run_dir: Path) -> list[str]: ...


class TagePrograms:
    """Tage's own, run by this interpreter."""

    def control(self, files: ControlFiles, address: str) -> list[str]:
        return [
            *_module("tage.pilot.server"),
            *("--config", str(files.config)),
            *("--mesh", str(files.mesh)),
            *("--registry", f"file:{files.registry}"),
            *("--address", address),
            *("--xds-port", str(XDS_PORT)),
            *("--http-port", str(HTTP_PORT)),
        ]

    def sidecar(self, instance: PlannedInstance, control: str, run_dir: Path) -> list[str]:
        own = ["--service", instance.service, "--app", f"{instance.address}:{instance.app_port}"]
        if instance.version:
            own += ["--version", instance.version]
        for name, value in instance.labels.items():
            own += ["--label", f"{name}={value}"]
        if instance.locality:
            own += ["--locality", instance.locality]
        return [*_sidecar(instance.name, instance.namespace, instance.address, control, run_dir), *own]

    def client(self, namespace: str, address: str, control: str, run_dir: Path) -> list[str]:
        return _sidecar(CLIENT, namespace, address, control, run_dir)


def _module(name: str) -> list[str]:
    return [sys.executable, "-m", name]


def _sidecar(name: str, namespace: str, address: str, control: str, run_dir: Path) -> list[str]:
    return [
        *_module("tage.sidecar.supervisor"),
        *("--run-dir", str(run_dir), "--workers", "1", "--"),
        *_module("tage.sidecar.agent"),
        *("--control", control),
        *("--instance", name),
        *("--namespace", namespace),
        *("--address", address),
        *("--admin-address", address),
        *("--admin-port", str(ADMIN_PORT)),
        *("--run-dir", str(run_dir)),
    ]
