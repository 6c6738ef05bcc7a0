"""Two sidecars in a row between every client and server: the front one is the caller's, the back one the callee's.

The front sidecar has a listener a scenario, each with its own route; the back one has, as in a mesh, one an instance.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.e2e.bootstraps import Json, bootstrap, cluster, listener, route, virtual_host
from tests.e2e.ports import free_port
from tests.e2e.sidecar import Sidecar, sidecar

_TYPED = "type.googleapis.com/xds.type.v3.TypedStruct"
_EXTENSION = "tage.upstreams.x_protocol"
_PREVIOUS = "envoy.retry_host_predicates.previous_hosts"
RETRIES = {
    "retry_on": "connect-failure,reset,gateway-error",
    "num_retries": 3,
    "retry_host_predicate": [
        {
            "name": _PREVIOUS,
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate"
            },
        }
    ],
    "host_selection_retry_max_attempts": 5,
}
"""With another host, as Istio's own."""
MANY_RETRIES = {"thresholds": [{"max_retries": 1000}]}
"""As Istio's; by default Envoy has three at a time."""


def typed(name: str, **value: Any) -> Json:
    return {"@type": _TYPED, "type_url": f"type.googleapis.com/{name}", "value": value}


def rpc_listener(name: str, port: int, protocol: str, *routes: Json, service: str, **manager: Any) -> Json:
    """An x-protocol listener with one virtual host. `manager`: further fields of the connection manager."""
    made = listener(name, port, [virtual_host(service, *routes)], **manager)
    codec = typed("tage.network.v1alpha1.XProtocol", protocol=protocol)
    made["filter_chains"][0]["filters"].insert(0, {"name": "tage.filters.network.x_protocol", "typed_config": codec})
    return made


def rpc_cluster(name: str, protocol: str, *ports: int, rpc: Json | None = None, **fields: Any) -> Json:
    """`rpc`: further fields of the upstream's protocol."""
    value = typed("tage.upstreams.v1alpha1.XProtocol", protocol=protocol, **(rpc or {}))
    return cluster(name, *ports, typed_extension_protocol_options={_EXTENSION: value}, **fields)


@dataclass
class Chain:
    """What is between a client and servers. `ports`: of the front sidecar's listeners, by scenario."""

    protocol: str
    service: str
    ports: dict[str, int] = field(default_factory=dict)
    _front: tuple[list[Json], list[Json]] = field(default_factory=lambda: ([], []))
    _back: tuple[list[Json], list[Json]] = field(default_factory=lambda: ([], []))

    def instance(self, name: str, port: int, **rpc: Any) -> int:
        """An instance behind the back sidecar; the port there. `rpc`: of the connections to it."""
        entrance = free_port()
        everything = route(name, timeout="0s")
        self._back[0].append(rpc_listener(f"inbound-{name}", entrance, self.protocol, everything, service="*"))
        self._back[1].append(rpc_cluster(name, self.protocol, port, rpc=rpc))
        return entrance

    def cluster(self, name: str, *entrances: int, **fields: Any) -> None:
        self._front[1].append(rpc_cluster(name, self.protocol, *entrances, **fields))

    def scenario(self, name: str, *routes: Json, service: str = "", **fields: Any) -> None:
        """`service`: of the virtual host, if not the one that is called."""
        self.ports[name] = free_port()
        service = service or self.service
        self._front[0].append(rpc_listener(name, self.ports[name], self.protocol, *routes, service=service, **fields))

    @contextmanager
    def run(self, directory: Path) -> Iterator[tuple[Sidecar, Sidecar]]:
        """Front and back, ready."""
        with (
            sidecar(directory, bootstrap(free_port(), *self._back), name=f"back-{self.protocol}") as back,
            sidecar(directory, bootstrap(free_port(), *self._front), name=f"front-{self.protocol}") as front,
        ):
            yield front, back
