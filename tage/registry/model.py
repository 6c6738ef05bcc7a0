"""The service model: one adapter a source fills it in, Pilot reads it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import msgspec


class Instance(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """One running copy of a service.

    `address`:`port` is where callers reach it: its sidecar's inbound listener where it has one, else the application.
    `app_address`:`app_port` is where the application itself listens. `locality` is region/zone/subzone, or less.
    """

    name: str
    address: str
    port: int
    app_address: str
    app_port: int
    labels: dict[str, str] = {}
    weight: int = 1
    ready: bool = True
    locality: str = ""


class Service(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """Source: Kubernetes' Service, as Istio sees it. `port` is what callers name, whatever the instances listen on.
    `interfaces` are what callers of remote calls name it by, besides its own names."""

    name: str
    namespace: str = "default"
    port: int = 80
    protocol: str = "http"
    instances: tuple[Instance, ...] = ()
    interfaces: tuple[str, ...] = ()

    @property
    def fqdn(self) -> str:
        return f"{self.name}.{self.namespace}.svc.cluster.local"

    @property
    def short_names(self) -> tuple[str, ...]:
        """From the shortest; the first is only valid for callers in the same namespace."""
        return (self.name, f"{self.name}.{self.namespace}", f"{self.name}.{self.namespace}.svc", self.fqdn)


class Registry(Protocol):
    """A source of services. `services` is a cheap snapshot; `subscribe` calls back, on the event loop, after a change
    of the snapshot. `start` raises `tage.config.errors.ConfigError` for a source that cannot be read at all."""

    async def start(self) -> None: ...

    async def stop(self) -> None: ...

    def services(self) -> Sequence[Service]: ...

    def subscribe(self, changed: Callable[[], None]) -> None: ...
