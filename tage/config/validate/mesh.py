"""Mesh, the file that `tage up` runs."""

from __future__ import annotations

import re

from tage.config import names
from tage.config.mesh import Mesh, MeshInstance
from tage.config.validate.finding import Findings, named, nested
from tage.config.validate.values import labels

RUNNABLE_PROTOCOLS = ("http",)
_PLANNED_PROTOCOLS = ("http2", "grpc", "tcp", "bolt", "dubbo")

MAX_REPLICAS = 64


def protocol(name: str) -> str:
    """What is wrong with a service's protocol, in the manner of `tage.config.names`."""
    if name in RUNNABLE_PROTOCOLS:
        return ""
    runnable = ", ".join(RUNNABLE_PROTOCOLS)
    if name in _PLANNED_PROTOCOLS or re.fullmatch("x-[a-z0-9-]+", name):
        return f"protocol '{name}' is not carried yet; use {runnable}"
    return f"protocol '{name}' is not known; use {runnable}"


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
        yield from named((*here, "protocol"), protocol(service.protocol))
        for number, instance in enumerate(service.instances):
            yield from nested("services", nested(index, nested("instances", nested(number, _instance(instance)))))


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
