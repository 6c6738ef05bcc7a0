"""Mesh, the file that `tage up` runs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from tage.config import names, protocols
from tage.config.mesh import Mesh, MeshInstance
from tage.config.validate.finding import Finding, Findings, named, nested
from tage.config.validate.values import labels

MAX_REPLICAS = 64


def mesh(spec: Mesh) -> Findings:
    if not spec.services:
        yield ("services",), "must name at least one service"
    seen: set[str] = set()
    for index, service in enumerate(spec.services):
        here = ("services", index)
        yield from named((*here, "name"), names.dns_label(service.name))
        if service.name in seen:
            yield (*here, "name"), f"service '{service.name}' is defined twice"
        seen.add(service.name)
        yield from named((*here, "port"), names.port(service.port))
        yield from named((*here, "protocol"), protocols.wrong(service.protocol))
        for number, instance in enumerate(service.instances):
            yield from nested("services", nested(index, nested("instances", nested(number, _instance(instance)))))

    yield from interfaces((service.protocol, service.interfaces) for service in spec.services)
    for index, file in enumerate(spec.protocols):
        if not file.strip() or "\0" in file:
            yield ("protocols", index), f"{file!r} is not the name of a file"
        if file in spec.protocols[:index]:
            yield ("protocols", index), f"'{file}' is named twice"


def interfaces(services: Iterable[tuple[str, Iterable[str]]]) -> Iterator[Finding]:
    """Of all services, each with its protocol: an interface is of one service."""
    seen: set[str] = set()
    for index, (protocol, own) in enumerate(services):
        for number, interface in enumerate(own):
            here = ("services", index, "interfaces", number)
            yield from named(here, names.interface(interface))
            if interface in seen:
                yield here, f"'{interface}' is named twice; an interface is of one service"
            seen.add(interface)
        if own and not protocols.is_rpc(protocol):
            yield (
                ("services", index, "interfaces"),
                f"are of remote calls; one of protocol {protocol} has host names only",
            )


def _instance(instance: MeshInstance) -> Findings:
    if not instance.command.strip():
        yield ("command",), "must not be empty"
    elif "\0" in instance.command:
        yield ("command",), "must not hold a NUL character"
    if not 1 <= instance.replicas <= MAX_REPLICAS:
        yield ("replicas",), f"{instance.replicas} is not possible; it must be between 1 and {MAX_REPLICAS}"
    yield from named(("version",), names.label_value(instance.version))
    for name, value in instance.env.items():
        yield from named(("env", name), names.variable(name))
        if "\0" in value:
            yield ("env", name), "must not hold a NUL character"
    yield from nested("labels", labels(instance.labels))
    if instance.locality:
        yield from named(("locality",), names.locality(instance.locality))
    if instance.labels.get("version", instance.version) != instance.version:
        yield ("labels", "version"), "differs from the field version; keep one of them"
