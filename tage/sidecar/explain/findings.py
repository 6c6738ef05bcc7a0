"""The answer to `tage explain`. It travels as JSON from the agent, and is printed as JSON by ``-o json``."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

Change = Literal["", "added", "changed", "removed"]


class Finding(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """Base of all parts of the answer."""


class Line(Finding, frozen=True):
    """A setting in words."""

    name: str
    text: str


class Header(Finding, frozen=True):
    name: str
    value: str
    change: Change = ""


class Request(Finding, frozen=True):
    """A request head: as it was asked, or as it goes on."""

    method: str
    authority: str
    path: str
    headers: list[Header] = []
    """With host."""
    protocol: str = ""
    """Of a remote call: authority is its service, path is /service/method, headers are its metadata."""


class Listener(Finding, frozen=True):
    name: str
    address: str
    port: int
    direction: str = "none"
    chain: str = ""
    why: str = ""
    """How the filter chain was chosen, or why there is none for such a connection."""
    settings: list[Line] = []


class VirtualHost(Finding, frozen=True):
    """`name` empty: none has the request's authority."""

    name: str = ""
    domain: str = ""
    why: str = ""
    settings: list[Line] = []


class Filter(Finding, frozen=True):
    """A filter of the listener's. `rule` is what the rule that matched says for itself; `disabled`: not to be asked."""

    name: str
    settings: list[Line] = []
    rule: list[Line] = []
    disabled: bool = False


class Rule(Finding, frozen=True):
    """One rule that was tried. `index` counts from 1."""

    index: int
    name: str
    matched: bool
    why: str


class Endpoint(Finding, frozen=True):
    """`usable`: it may get such a request."""

    address: str
    port: int
    usable: bool
    state: str
    weight: int = 1
    hostname: str = ""
    settings: list[Line] = []


class Cluster(Finding, frozen=True):
    """`problem`: why requests to it fail."""

    name: str
    problem: str = ""
    subset: dict[str, str] = {}
    """The metadata that endpoints are to have."""
    settings: list[Line] = []
    endpoints: list[Endpoint] = []
    labels: dict[str, str] = {}
    raw: dict[str, Any] = {}
    """The settings as they stand in the plan."""


class Share(Finding, frozen=True):
    """Where a part of such requests goes. `percent` is exact; `drawn`: `--draw` gave this one."""

    cluster: str
    weight: int
    percent: float
    drawn: bool = False
    subset: dict[str, str] = {}
    """As `Cluster.subset`: the two together tell which of `Explanation.clusters` it is."""
    endpoint: str = ""
    """address:port that the request's hash leads to; empty where there is none, or it does not count."""
    settings: list[Line] = []
    request: Request | None = None
    """As the upstream gets it; None for connections that are relayed."""


class Route(Finding, frozen=True):
    """The rule that matched."""

    name: str
    settings: list[Line] = []
    shares: list[Share] = []
    mirrors: list[str] = []
    """Clusters that get a copy."""
    raw: dict[str, Any] = {}
    """The settings as they stand in the plan."""


class Outcome(Finding, frozen=True):
    """`forwarded`: to the route's clusters. `answered`: by the sidecar, because a rule says so. `relayed`: bytes, by a
    TCP proxy. `refused`: with `status`, or with a closed connection (0)."""

    kind: Literal["forwarded", "answered", "relayed", "refused"]
    text: str
    status: int = 0
    flag: str = ""
    """Envoy's response flag."""
    headers: list[Header] = []


class Explanation(Finding, frozen=True):
    asked: Request
    outcome: Outcome
    scope: str = ""
    """Whose configuration it was."""
    listener: Listener | None = None
    virtual_host: VirtualHost | None = None
    rules: list[Rule] = []
    """Those tried, in order; the last one matched, or none did."""
    rules_left: int = 0
    """Rules behind the one that matched, which are not tried."""
    filters: list[Filter] = []
    """In the order in which a request meets them, before its route's clusters."""
    route: Route | None = None
    clusters: list[Cluster] = []
    """Of shares and mirrors, each once."""
    arrivals: list[Explanation] = []
    """What the callees' sidecars do with it, where their configuration is known."""
    notes: list[str] = []

    @property
    def served(self) -> bool:
        """Whether every such request gets an endpoint, or an answer that a rule gives."""
        if self.outcome.kind == "refused" or not all(arrival.served for arrival in self.arrivals):
            return False
        if self.route is None or self.outcome.kind == "answered":
            return True
        return not any(share.weight and self.cluster_of(share).problem for share in self.route.shares)

    def cluster_of(self, share: Share) -> Cluster:
        return next(each for each in self.clusters if (each.name, each.subset) == (share.cluster, share.subset))
