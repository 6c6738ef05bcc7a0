"""What a mesh file asks for, spelled out: one `PlannedInstance` per process, with its name, address, command and
environment. Pure, but for `check`, which looks whether each command can be run."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tage.cli.up.addresses import INBOUND_PORT, OUTBOUND_PORT, Addresses
from tage.config import protocols
from tage.config.mesh import Mesh, MeshInstance
from tage.registry.model import Instance, Service
from tage.sidecar.filter_code import VARIABLE as FILTERS
from tage.sidecar.protocol_files import VARIABLE as PROTOCOLS

RESERVED = ("HOST", "PORT")
"""Environment variables that only `tage up` sets: it has to know where the application listens. So are those that begin
with TAGE_SIDECAR."""

FieldPath = tuple[str | int, ...]

CLIENT = "client"
"""Name of the sidecar without an application, through which people call the mesh."""

_PLACEHOLDER = re.compile(r"\$(?:(HOST|PORT)\b|\{(HOST|PORT)\})")


@dataclass(frozen=True)
class PlannedInstance:
    """One instance of a service: an application and its sidecar, both on `address`."""

    name: str
    service: str
    namespace: str
    address: str
    app_port: int
    version: str
    labels: Mapping[str, str]
    argv: tuple[str, ...]
    env: Mapping[str, str]
    locality: str = ""

    def entry(self, ready: bool) -> Instance:
        """How it stands in the registry: callers reach it through its sidecar."""
        return Instance(
            name=self.name,
            address=self.address,
            port=INBOUND_PORT,
            app_address=self.address,
            app_port=self.app_port,
            labels=dict(self.labels),
            ready=ready,
            locality=self.locality,
        )


@dataclass(frozen=True)
class PlannedMesh:
    """`instances` is in the mesh file's order. `client` is the address of the client entry's sidecar."""

    name: str
    namespace: str
    services: tuple[Service, ...]
    instances: tuple[PlannedInstance, ...]
    control: str
    client: str
    ports: Mapping[str, int] = field(default_factory=dict)
    """Protocols of remote calls, and the port of every sidecar that takes each; of protocol tcp, `tcp-SERVICE`."""
    protocols: tuple[str, ...] = ()
    """Files (or directories of them) with protocols, from the mesh file's directory."""

    def registry(self, ready: Mapping[str, bool]) -> tuple[Service, ...]:
        """The services with their instances; an instance is ready when `ready` says so by its name."""
        return tuple(
            Service(
                name=service.name,
                namespace=service.namespace,
                port=service.port,
                protocol=service.protocol,
                interfaces=service.interfaces,
                instances=tuple(
                    instance.entry(ready.get(instance.name, False))
                    for instance in self.instances
                    if instance.service == service.name
                ),
            )
            for service in self.services
        )


def count_instances(mesh: Mesh) -> int:
    return sum(max(0, instance.replicas) for service in mesh.services for instance in service.instances)


def named_ports(mesh: Mesh, namespace: str) -> dict[str, int]:
    """See `PlannedMesh.ports`."""
    ports = protocols.named_ports((service.protocol for service in mesh.services), OUTBOUND_PORT)
    named = {
        Service(each.name, namespace).fqdn: f"{each.protocol}-{each.name}"
        for each in mesh.services
        if protocols.has_port(each.protocol)
    }
    return ports | {named[name]: port for name, port in protocols.service_ports(named, OUTBOUND_PORT).items()}


def plan(name: str, namespace: str, mesh: Mesh, addresses: Addresses, environ: Mapping[str, str]) -> PlannedMesh:
    """`environ` is what applications inherit. `addresses` has one for the client entry and each instance.

    The mesh has been through `check`."""
    planned: list[PlannedInstance] = []
    numbers: dict[str, int] = {}  # Of the whole mesh: service a-b version c and service a version b-c are both a-b-c.
    client, *free = addresses.instances
    ports = named_ports(mesh, namespace)
    for service in mesh.services:
        for instance in service.instances:
            base = f"{service.name}-{instance.version}" if instance.version else service.name
            for _ in range(instance.replicas):
                numbers[base] = numbers.get(base, 0) + 1
                address = free.pop(0)
                planned.append(
                    PlannedInstance(
                        name=f"{base}-{numbers[base]}",
                        service=service.name,
                        namespace=namespace,
                        address=address,
                        app_port=addresses.app_port,
                        version=instance.version,
                        labels=_labels(service.name, instance),
                        argv=_argv(instance.command, address, addresses.app_port),
                        env=application_environment(environ, address, addresses.app_port, instance.env, ports),
                        locality=instance.locality,
                    )
                )
    services = tuple(
        Service(
            name=service.name,
            namespace=namespace,
            port=service.port,
            protocol=service.protocol,
            interfaces=tuple(service.interfaces),
        )
        for service in mesh.services
    )
    return PlannedMesh(
        name, namespace, services, tuple(planned), addresses.control, client, ports, tuple(mesh.protocols)
    )


def check(mesh: Mesh, directory: Path, environ: Mapping[str, str]) -> list[tuple[FieldPath, str]]:
    """What would keep an instance or its sidecar from being started here: (field path, what is wrong) each. `directory`
    is the mesh file's: commands run there."""
    found: list[tuple[FieldPath, str]] = [
        (("spec", "protocols", index), f"{directory / file}: no such file or directory")
        for index, file in enumerate(mesh.protocols)
        if not (directory / file).exists()
    ]
    return found + [
        (("spec", "services", number, "instances", index, *path), message)
        for number, service in enumerate(mesh.services)
        for index, instance in enumerate(service.instances)
        for path, message in _check_instance(instance, directory, environ)
    ]


def application_environment(
    environ: Mapping[str, str],
    address: str,
    port: int,
    own: Mapping[str, str],
    ports: Mapping[str, int] | None = None,
) -> dict[str, str]:
    """The environment of an application: the user's, the lightweight client's, the instance's own `env` on top. `ports`
    are the sidecar's named ones.

    Only the lower-case `http_proxy` is set, and an upper-case one that the user may have is taken out: CGI hands a
    request's `Proxy:` header to programs as HTTP_PROXY (CVE-2016-5385), so curl never reads it, while Go would prefer
    it to ours. gRPC would ask the proxy for the way to the sidecar's own ports, unless it is told not to.
    """
    env = {name: value for name, value in environ.items() if name not in ("HTTP_PROXY", "NO_PROXY")}
    sidecar = f"{address}:{OUTBOUND_PORT}"
    env.update(
        HOST=address,
        PORT=str(port),
        TAGE_SIDECAR=sidecar,
        http_proxy=f"http://{sidecar}",
        no_proxy="127.0.0.1,localhost",
        no_grpc_proxy=f"127.0.0.1,localhost,{address}",
    )
    env.update({protocols.variable(each): f"{address}:{number}" for each, number in (ports or {}).items()})
    # Whole lines as they are written: output goes through a pipe, where Python would keep 8 KiB back.
    env.setdefault("PYTHONUNBUFFERED", "1")
    _prefer_our_python(env)
    env.update(own)
    return env


def infrastructure_environment(
    environ: Mapping[str, str], directory: Path, protocols: Iterable[str] = ()
) -> dict[str, str]:
    """The environment of the control plane and the sidecars: the user's without proxies, which gRPC would go through
    even to a loopback address. Filters in Python may lie in `directory`, the mesh file's; `protocols` as well."""
    env = {name: value for name, value in environ.items() if name.lower() not in _PROXIES}
    env[FILTERS] = os.pathsep.join([str(directory), *filter(None, [environ.get(FILTERS)])])
    files = [str(directory / file) for file in protocols]
    if files:
        env[PROTOCOLS] = os.pathsep.join([*files, *filter(None, [environ.get(PROTOCOLS)])])
    env.setdefault("PYTHONUNBUFFERED", "1")
    return env


_PROXIES = ("http_proxy", "https_proxy", "grpc_proxy", "all_proxy", "no_proxy", "no_grpc_proxy")


def _prefer_our_python(env: dict[str, str]) -> None:
    """Let `python` be the interpreter that runs this, with its packages."""
    ours = os.path.dirname(os.path.abspath(sys.executable))
    env["PATH"] = os.pathsep.join(part for part in (ours, env.get("PATH", os.defpath)) if part)


def _labels(service: str, instance: MeshInstance) -> dict[str, str]:
    labels = {"app": service}
    if instance.version:
        labels["version"] = instance.version
    return labels | instance.labels


def _argv(command: str, host: str, port: int) -> tuple[str, ...]:
    values = {"HOST": host, "PORT": str(port)}
    return tuple(
        _PLACEHOLDER.sub(lambda found: values[found.group(1) or found.group(2)], word) for word in shlex.split(command)
    )


def _check_instance(
    instance: MeshInstance, directory: Path, environ: Mapping[str, str]
) -> Iterator[tuple[FieldPath, str]]:
    for name in instance.env:
        if name in RESERVED or name.startswith("TAGE_SIDECAR"):
            yield ("env", name), "`tage up` sets this one; remove it"
    try:
        words = shlex.split(instance.command)
    except ValueError as error:
        yield ("command",), f"{error}: {instance.command!r}"
        return
    if not words:
        yield ("command",), "has no words; say how the application is started"
        return
    env = dict(environ)
    _prefer_our_python(env)
    # A name with a slash is looked for from the directory where it will run, as execvp does.
    program = str(directory / words[0]) if "/" in words[0] else words[0]
    if shutil.which(program, path=instance.env.get("PATH", env["PATH"])) is None:
        yield ("command",), f"no program {words[0]!r} that can be run"
