"""networking.istio.io/v1: VirtualService and DestinationRule, as far as Tage carries them out.

Field names and meanings are Istio's (istio.io/docs/reference/config/networking). A field that is not declared here is
refused on entry with its path; none is ignored. Durations are strings as in protobuf JSON ("1.5s", "250ms", "1h").
"""

from __future__ import annotations

import msgspec


class Spec(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True, forbid_unknown_fields=True):
    """Base of all specs: camelCase in files, unknown fields refused."""


class StringMatch(Spec, frozen=True):
    """Exactly one is set. `regex` is RE2, matched against the whole value."""

    exact: str | None = None
    prefix: str | None = None
    regex: str | None = None


class HTTPMatchRequest(Spec, frozen=True):
    """All conditions of one entry must hold; one entry of the list must match."""

    name: str = ""
    uri: StringMatch | None = None
    method: StringMatch | None = None
    headers: dict[str, StringMatch] = {}
    """An empty StringMatch ({}) asks only that the header is there."""


class Destination(Spec, frozen=True):
    host: str
    subset: str = ""
    port: PortSelector | None = None


class PortSelector(Spec, frozen=True):
    number: int


class HTTPRouteDestination(Spec, frozen=True):
    destination: Destination
    weight: int = 0


class HTTPRetry(Spec, frozen=True):
    attempts: int
    per_try_timeout: str = ""
    retry_on: str = ""


class HTTPRoute(Spec, frozen=True):
    name: str = ""
    match: list[HTTPMatchRequest] = []
    route: list[HTTPRouteDestination] = []
    timeout: str = ""
    retries: HTTPRetry | None = None


class VirtualService(Spec, frozen=True):
    hosts: list[str]
    http: list[HTTPRoute] = []


class LoadBalancerSettings(Spec, frozen=True):
    simple: str = "UNSPECIFIED"
    """UNSPECIFIED, ROUND_ROBIN, RANDOM, LEAST_REQUEST (UNSPECIFIED is LEAST_REQUEST, as in Istio)."""


class TrafficPolicy(Spec, frozen=True):
    load_balancer: LoadBalancerSettings | None = None


class Subset(Spec, frozen=True):
    name: str
    labels: dict[str, str] = {}
    traffic_policy: TrafficPolicy | None = None


class DestinationRule(Spec, frozen=True):
    host: str
    traffic_policy: TrafficPolicy | None = None
    subsets: list[Subset] = []
