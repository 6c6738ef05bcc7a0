"""Who a Tage sidecar is: what its xDS node says, and what a control plane makes its listeners from."""

from __future__ import annotations

from typing import Any

import msgspec


class Identity(msgspec.Struct, frozen=True):
    """`address` is where the sidecar listens; `app` where the application does, host and port, empty without one.
    `locality` is region/zone/subzone, or less."""

    instance: str
    service: str = ""
    namespace: str = "default"
    labels: dict[str, str] = {}
    address: str = "127.0.0.1"
    outbound_port: int = 15_001
    inbound_port: int = 15_006
    app: tuple[str, int] | None = None
    locality: str = ""

    def node(self) -> dict[str, Any]:
        """envoy.config.core.v3.Node as JSON."""
        metadata: dict[str, Any] = {
            "GENERATOR": "tage",
            "SERVICE": self.service,
            "NAMESPACE": self.namespace,
            "LABELS": self.labels,
            "ADDRESS": self.address,
            "OUTBOUND_PORT": str(self.outbound_port),
            "INBOUND_PORT": str(self.inbound_port),
        }
        if self.app is not None:
            metadata |= {"APP_ADDRESS": self.app[0], "APP_PORT": str(self.app[1])}
        node: dict[str, Any] = {
            "id": f"sidecar~{self.address}~{self.instance}.{self.namespace}~{self.namespace}.svc.cluster.local",
            "cluster": f"{self.service or self.instance}.{self.namespace}",
            "metadata": metadata,
            "user_agent_name": "tage",
        }
        if self.locality:
            node["locality"] = dict(zip(("region", "zone", "sub_zone"), self.locality.split("/"), strict=False))
        return node
