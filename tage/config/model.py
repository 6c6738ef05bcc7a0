"""`Resource`: one object of the configuration, and the table of the kinds there are."""

from __future__ import annotations

import msgspec

from tage.config.mesh import Mesh
from tage.config.networking import DestinationRule, Spec, VirtualService
from tage.config.python_filter import PythonFilter
from tage.config.rate_limit import RateLimit


class Metadata(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    name: str
    namespace: str = "default"
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}


class Resource(msgspec.Struct, frozen=True, rename="camel"):
    api_version: str
    kind: str
    metadata: Metadata
    spec: Spec

    @property
    def key(self) -> tuple[str, str, str]:
        """(kind, namespace, name): what identifies it."""
        return (self.kind, self.metadata.namespace, self.metadata.name)


class Kind(msgspec.Struct, frozen=True):
    name: str
    plural: str
    short: str
    """The abbreviation that `tage get` takes, kubectl's."""
    api_versions: tuple[str, ...]
    spec: type[Spec]


_ISTIO = ("networking.istio.io/v1", "networking.istio.io/v1beta1", "networking.istio.io/v1alpha3")

KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind("VirtualService", "virtualservices", "vs", _ISTIO, VirtualService),
        Kind("DestinationRule", "destinationrules", "dr", _ISTIO, DestinationRule),
        Kind("PythonFilter", "pythonfilters", "pf", ("tage.dev/v1alpha1",), PythonFilter),
        Kind("RateLimit", "ratelimits", "rl", ("tage.dev/v1alpha1",), RateLimit),
        Kind("Mesh", "meshes", "mesh", ("tage.dev/v1alpha1",), Mesh),
    )
}
