"""Who asks: a sidecar as its `Node` message describes it, and what of that the mesh's rules ask for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from envoy.config.core.v3 import base_pb2
from google.protobuf.json_format import MessageToDict

GENERATOR = "tage"


@dataclass(frozen=True)
class Caller:
    """What routes, clusters and endpoints depend on besides the mesh's configuration. Sidecars with equal ones share
    them, so `labels` holds only those that some rule asks for (`Snapshot.caller`), sorted."""

    namespace: str = "default"
    labels: tuple[tuple[str, str], ...] = ()
    locality: str = ""
    rpc: bool = False
    """Whether it takes protocols of remote calls, and there are any."""

    def has(self, selector: Mapping[str, str]) -> bool:
        return not selector or selector.items() <= dict(self.labels).items()


@dataclass(frozen=True)
class Node:
    """What a sidecar's configuration depends on besides the mesh's. `app_port` 0: no application behind it, hence no
    inbound listener. `locality` is region/zone/subzone, as far as it is known. `generator` is "tage" for Tage's own
    sidecar; any other node is taken for an Envoy. Both are sent the same resources, but for filters in Python and
    protocols of remote calls."""

    id: str
    cluster: str = ""
    generator: str = ""
    namespace: str = "default"
    service: str = ""
    address: str = "127.0.0.1"
    outbound_port: int = 15001
    inbound_port: int = 15006
    app_address: str = ""
    app_port: int = 0
    labels: dict[str, str] = field(default_factory=dict)
    locality: str = ""

    @property
    def is_tage(self) -> bool:
        return self.generator == GENERATOR

    @property
    def has_inbound(self) -> bool:
        return bool(self.service and self.app_address and self.app_port)

    @classmethod
    def from_proto(cls, proto: base_pb2.Node) -> Node:
        """Raises `ValueError`, in the words of who configured the sidecar."""
        if not proto.id:
            raise ValueError("node.id is empty: the first request of a stream names the sidecar")
        metadata = MessageToDict(proto.metadata)

        def text(key: str, default: str = "") -> str:
            value = metadata.get(key, default)
            if not isinstance(value, str):
                raise ValueError(f"node.metadata.{key} of {proto.id} is not a string: {value!r}")
            return value

        def port(key: str, default: int) -> int:
            value = text(key, str(default))
            if not value.isascii() or not value.isdigit() or int(value) > 65535:
                raise ValueError(f"node.metadata.{key} of {proto.id} is not a port: {value!r}")
            return int(value)

        labels = metadata.get("LABELS", {})
        if not isinstance(labels, dict):
            raise ValueError(f"node.metadata.LABELS of {proto.id} is not a map of strings")
        return cls(
            id=proto.id,
            cluster=proto.cluster,
            generator=text("GENERATOR"),
            namespace=text("NAMESPACE") or _namespace_of(proto.id),
            service=text("SERVICE"),
            address=text("ADDRESS") or "127.0.0.1",
            outbound_port=port("OUTBOUND_PORT", 15001) or 15001,
            inbound_port=port("INBOUND_PORT", 15006) or 15006,
            app_address=text("APP_ADDRESS"),
            app_port=port("APP_PORT", 0),
            labels={str(k): str(v) for k, v in labels.items()},
            locality="/".join((proto.locality.region, proto.locality.zone, proto.locality.sub_zone)).rstrip("/"),
        )


def _namespace_of(node_id: str) -> str:
    """From Istio's form of an id, `sidecar~address~instance.namespace~namespace.svc.cluster.local`."""
    parts = node_id.split("~")
    return (parts[3].partition(".")[0] if len(parts) == 4 else "") or "default"
