"""What every sidecar is to have at one moment, packed once and shared between them.

A thousand sidecars of one namespace differ in two listeners and one cluster; all else is the same, as long as no rule
asks for more of a caller than its namespace. So a sidecar's resources of one type are a *shared* layer, made once for
equal callers, and its *own* layer. What two layers differ in is
computed once as well, however many sidecars ask. A layer whose content did not change is the same object as before,
which makes "nothing changed" an identity check.

Building is incremental: a service's clusters and load assignments are packed anew only if the service or its rules
changed, the route configuration only if services or VirtualServices changed (not their instances).
"""

from __future__ import annotations

import hashlib
import weakref
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import NamedTuple

from envoy.config.route.v3 import route_pb2
from envoy.service.discovery.v3 import discovery_pb2
from google.protobuf.any_pb2 import Any
from google.protobuf.message import Message

from tage.config.model import Resource
from tage.config.protocols import GRPC
from tage.pilot.generate import (
    CLUSTER,
    ENDPOINT,
    LISTENER,
    ROUTE,
    Caller,
    Node,
    Snapshot,
    clusters,
    endpoints,
    filters,
    listeners,
    python_filters,
    routes,
    rpc,
)
from tage.registry.model import Service


class Packed(NamedTuple):
    """One resource. `wire` is it as an element of `DiscoveryResponse.resources`, ready to be concatenated: protobuf
    merges repeated fields. `version` is a hash of it."""

    name: str
    version: str
    wire: bytes

    @classmethod
    def of(cls, message: Message) -> Packed:
        packed = Any()
        packed.Pack(message, deterministic=True)
        wire = discovery_pb2.DiscoveryResponse(resources=[packed]).SerializeToString(deterministic=True)
        name = getattr(message, "cluster_name", "") or getattr(message, "name", "")
        return cls(name, _digest([wire]), wire)


def _digest(parts: Iterable[bytes]) -> str:
    digest = hashlib.blake2b(digest_size=8)
    for part in parts:
        digest.update(part)
    return digest.hexdigest()


class Layer:
    """Some resources of one type; immutable."""

    def __init__(self, resources: Iterable[Packed] = ()) -> None:
        self.resources = {resource.name: resource for resource in resources}
        self.names = frozenset(self.resources)
        self.version = _digest(f"{r.name}={r.version};".encode() for r in self.resources.values())
        self.wire = b"".join(resource.wire for resource in self.resources.values())
        self._compared: tuple[weakref.ref[Layer], frozenset[str]] | None = None

    def changed_since(self, old: Layer) -> frozenset[str]:
        """Names that were added, changed or removed. Kept for the layer last compared with: all sidecars of a namespace
        usually come from the same one."""
        if old is self:
            return frozenset()
        if self._compared is not None and self._compared[0]() is old:
            return self._compared[1]
        mine, theirs = self.resources, old.resources
        changed = {name for name, resource in mine.items() if (was := theirs.get(name)) is None or was != resource}
        result = frozenset(changed | (old.names - self.names))
        self._compared = (weakref.ref(old), result)
        return result


EMPTY_LAYER = Layer()


class ResourceSet:
    """All resources of one type for one sidecar; immutable. `kept` holds what is on its way out: clusters that the
    control plane no longer has while the sidecar's routes may still name them."""

    __slots__ = ("kept", "own", "shared")

    def __init__(self, shared: Layer = EMPTY_LAYER, own: Layer = EMPTY_LAYER, kept: Layer = EMPTY_LAYER) -> None:
        self.shared = shared
        self.own = own
        self.kept = kept

    @property
    def layers(self) -> tuple[Layer, Layer, Layer]:
        return (self.shared, self.own, self.kept)

    @property
    def version(self) -> str:
        return _digest(layer.version.encode() for layer in self.layers)

    @property
    def names(self) -> frozenset[str]:
        """One set object for all sidecars whose own layers are empty."""
        if not self.own.names and not self.kept.names:
            return self.shared.names
        return self.shared.names.union(self.own.names, self.kept.names)

    def __iter__(self) -> Iterator[Packed]:
        for layer in self.layers:
            yield from layer.resources.values()

    def get(self, name: str) -> Packed | None:
        for layer in self.layers:
            if name in layer.resources:
                return layer.resources[name]
        return None

    def wire(self) -> bytes:
        return b"".join(layer.wire for layer in self.layers)

    def changed_since(self, old: ResourceSet) -> frozenset[str]:
        """Names that were added, changed or removed, whichever layer they are in."""
        pairs = zip(self.layers, old.layers, strict=True)
        candidates = [layer.changed_since(before) for layer, before in pairs if layer is not before]
        if not candidates:
            return frozenset()
        if self.kept is old.kept and self.own is old.own:
            return candidates[0]
        return frozenset(name for name in frozenset().union(*candidates) if self.get(name) != old.get(name))

    def keeping(self, resources: Iterable[Packed]) -> ResourceSet:
        return ResourceSet(self.shared, self.own, Layer(resources))


EMPTY = ResourceSet()

View = dict[str, ResourceSet]
"""By type URL: what one sidecar is to have."""


class Own:
    """A sidecar's own layers. They depend on nothing but the node, what its application speaks and, the listeners, on
    the HTTP filters that its routes ask something of, the filters in Python that it is to have and the rate limits of
    its service."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._clusters: dict[str, Layer] = {}
        self._listeners: dict[tuple[rpc.Outbound, ...], Layer] = {}
        self._more: tuple[object, ...] = ()

    def clusters(self, protocol: str) -> Layer:
        """`protocol`: what the application speaks."""
        known = self._clusters.get(protocol)
        if known is None:
            known = Layer(Packed.of(message) for message in clusters.inbound(self._node, protocol))
            self._clusters = {protocol: known}
        return known

    def listeners(
        self,
        asked: tuple[rpc.Outbound, ...],
        python: tuple[Resource, ...],
        limits: tuple[Resource, ...],
        protocol: str,
    ) -> Layer:
        """`asked`: what is asked of HTTP filters, by protocol, HTTP's first."""
        if (python, limits, protocol) != self._more:
            self._more, self._listeners = (python, limits, protocol), {}
        known = self._listeners.get(asked)
        if known is None:
            http, *calls = asked
            made = listeners.listeners(self._node, http.asked, python, limits, calls, protocol)
            known = self._listeners[asked] = Layer(Packed.of(message) for message in made)
        return known


class World:
    """The current snapshot and the packed resources made from it."""

    def __init__(self) -> None:
        self.snapshot = Snapshot()
        self._current: dict[Caller, _Shared] = {}
        self._previous: dict[Caller, _Shared] = {}

    def update(self, snapshot: Snapshot) -> None:
        """Resources are made when a sidecar's view is asked for; those of callers that nobody asks for until the next
        update are forgotten."""
        self.snapshot = snapshot
        self._previous = {**self._previous, **self._current} if not self._current else self._current
        self._current = {}

    def view(self, node: Node, own: Own) -> View:
        caller, protocol = self.snapshot.caller(node), self.snapshot.protocol_of(node)
        shared = self._current.get(caller)
        if shared is None:
            shared = self._current[caller] = _Shared(self.snapshot, caller, self._before(caller))
        return {
            CLUSTER: ResourceSet(shared.layers[CLUSTER], own.clusters(protocol)),
            ENDPOINT: ResourceSet(shared.layers[ENDPOINT]),
            LISTENER: ResourceSet(
                own=own.listeners(
                    shared.asked_filters,
                    python_filters.selected(self.snapshot.python_filters, node),
                    self.snapshot.limits_of(node),
                    protocol,
                )
            ),
            ROUTE: ResourceSet(shared.layers[ROUTE]),
        }

    def _before(self, caller: Caller) -> _Shared | None:
        """A caller's last resources. Those of another one of its namespace do as well: most of them are equal, and
        rules have begun to tell the two apart, or ceased to."""
        known = self._previous.get(caller)
        if known is not None:
            return known
        return next((shared for other, shared in self._previous.items() if other.namespace == caller.namespace), None)


class _Made(NamedTuple):
    """What was built from `inputs`. `asked_filters` is empty but for routes."""

    inputs: object
    resources: tuple[Packed, ...]
    asked_filters: tuple[str, ...] = ()


class _Shared:
    """The shared layers for equal callers, made from a snapshot with the help of the ones before."""

    def __init__(self, snapshot: Snapshot, caller: Caller, before: _Shared | None) -> None:
        self._made: dict[tuple[str, str], _Made] = {}
        self._made_before = before._made if before is not None else {}
        outbound: list[Packed] = []
        assignments: list[Packed] = []
        for service in snapshot.services:
            rule = snapshot.rule(service, caller)
            inputs: object = (_identity(service), rule, caller.rpc)
            build = partial(clusters.outbound, service, rule, caller)
            outbound += self._make(CLUSTER, service.fqdn, inputs, build).resources
            build = partial(endpoints.assignments, service, rule, caller)
            assignments += self._make(ENDPOINT, service.fqdn, (service, rule, caller), build).resources
        rules = (snapshot.virtual_services, snapshot.route_rules, snapshot.rate_limits)
        routing = (tuple(map(_identity, snapshot.services)), rules, caller)
        configs = {
            protocol: self._make(ROUTE, protocol, routing, partial(_routes, snapshot, caller, protocol))
            for protocol in routes.protocols(snapshot, caller)
        }
        own = {
            service.fqdn: self._make(ROUTE, service.fqdn, routing, partial(_routes_of, snapshot, caller, service))
            for service in snapshot.grpc_services
        }
        asked = [rpc.Outbound(of, config.asked_filters) for of, config in configs.items()]
        for fqdn, config in own.items():
            (name,) = (each.name for each in config.resources)
            asked.append(rpc.Outbound(GRPC, config.asked_filters, fqdn, routes=name))
        self.asked_filters = (*asked, *rpc.relayed(snapshot))
        self._made_before = {}
        self.layers: dict[str, Layer] = {
            type_url: _same_or_new(before.layers[type_url] if before is not None else None, resources)
            for type_url, resources in (
                (CLUSTER, outbound),
                (ENDPOINT, assignments),
                (ROUTE, [each for config in (*configs.values(), *own.values()) for each in config.resources]),
            )
        }

    def _make(self, kind: str, name: str, inputs: object, build: Callable[[], Iterable[Message]]) -> _Made:
        key = (kind, name)
        known = self._made_before.get(key)
        if known is None or known.inputs != inputs:
            messages = list(build())
            asked = filters.asked(messages[0]) if isinstance(messages[0], route_pb2.RouteConfiguration) else ()
            known = _Made(inputs, tuple(Packed.of(message) for message in messages), asked)
        self._made[key] = known
        return known


def _routes(snapshot: Snapshot, caller: Caller, protocol: str) -> list[Message]:
    return [routes.outbound(snapshot, caller, protocol)]


def _routes_of(snapshot: Snapshot, caller: Caller, service: Service) -> list[Message]:
    return [routes.of_service(snapshot, caller, service)]


def _identity(service: Service) -> tuple[object, ...]:
    """What clusters and routes depend on: all but the instances."""
    return (service.name, service.namespace, service.port, service.protocol, service.interfaces)


def _same_or_new(old: Layer | None, resources: Iterable[Packed]) -> Layer:
    resources = list(resources)
    if old is not None and list(old.resources.values()) == resources:
        return old
    return Layer(resources)
