"""What a sidecar would be sent, without sending it: for `tage explain`, with resources laid over those that are stored.

Pure. Nothing is kept: each answer is generated anew from a snapshot.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from google.protobuf.any_pb2 import Any

from tage.config.model import Resource
from tage.pilot.generate import Node, Snapshot, generate
from tage.registry.model import Service

NAMED = 10
"""Sidecars that an error names."""


class NoSidecar(Exception):
    """There is none by that name, or none was named; the message says which there are."""


@dataclass(frozen=True)
class Preview:
    """`resources` by type URL, packed and serialized (google.protobuf.Any), in the order in which they are sent."""

    node: Node
    resources: dict[str, list[bytes]]
    warnings: tuple[str, ...]
    alike: int = 0
    """Further sidecars that the name stands for."""


def snapshot(services: Iterable[Service], resources: Iterable[Resource]) -> Snapshot:
    """Of services and all resources there are."""
    kinds: dict[str, list[Resource]] = {}
    for resource in resources:
        kinds.setdefault(resource.kind, []).append(resource)
    of = [kinds.get(kind, ()) for kind in ("VirtualService", "DestinationRule", "PythonFilter", "RateLimit")]
    return Snapshot(services, *of)


def overlaid(resources: Iterable[Resource], overlay: Iterable[Resource]) -> list[Resource]:
    """`resources` as they would be with `overlay` applied."""
    return list({resource.key: resource for resource in (*resources, *overlay)}.values())


def preview(snapshot: Snapshot, node: Node, alike: int = 0) -> Preview:
    packed = {
        type_url: [_packed(message) for message in messages] for type_url, messages in generate(snapshot, node).items()
    }
    return Preview(node, packed, snapshot.warnings, alike)


def _packed(message: object) -> bytes:
    packed = Any()
    packed.Pack(message, deterministic=True)  # type: ignore[arg-type]
    return packed.SerializeToString()


def instance(node: Node) -> str:
    """`reviews-v1-1.default` of `sidecar~127.1.0.3~reviews-v1-1.default~default.svc.cluster.local`."""
    parts = node.id.split("~")
    return parts[2] if len(parts) == 4 else node.id


_FORMS: tuple[Callable[[Node], str], ...] = (
    lambda node: node.id,
    instance,
    lambda node: instance(node).rpartition(".")[0],
    lambda node: f"{node.service}-{node.labels.get('version', '')}",
    lambda node: f"{node.service}.{node.namespace}",
    lambda node: node.service,
)
"""What a sidecar may be called, the most exact first."""


def named(nodes: Sequence[Node], wanted: str) -> list[Node]:
    """Those that `wanted` stands for: id, instance, service with version, service; never none. Empty: those without an
    application, which only call. Raises `NoSidecar`."""
    ordered = sorted({node.id: node for node in nodes}.values(), key=lambda node: node.id)
    found: list[Node] = []
    if wanted:
        found = next((f for form in _FORMS if (f := [node for node in ordered if form(node) == wanted])), [])
    else:
        found = [node for node in ordered if not node.service] or (ordered if len(ordered) == 1 else [])
    if not found:
        what = f"no sidecar {wanted!r}" if wanted else "whose request? Say --from"
        raise NoSidecar(f"{what}; there are {_names(ordered)}" if ordered else "no sidecar is connected")
    return found


def at(nodes: Sequence[Node], address: str) -> Node:
    """The sidecar whose inbound listener is at `address`, IP:PORT. Raises `NoSidecar`."""
    for node in nodes:
        host = f"[{node.address}]" if ":" in node.address else node.address
        if node.has_inbound and address == f"{host}:{node.inbound_port}":
            return node
    raise NoSidecar(f"no connected sidecar has its inbound listener at {address}")


def _names(nodes: Sequence[Node]) -> str:
    more = f" and {len(nodes) - NAMED} more" if len(nodes) > NAMED else ""
    return ", ".join(instance(node) for node in nodes[:NAMED]) + more
