"""tage.dev/v1alpha1 RateLimit: how many requests a service gets, from one sidecar or in one (docs/rate-limits.md)."""

from __future__ import annotations

from typing import Literal

from tage.config.networking import Spec, StringMatch


class HeaderLimit(Spec, frozen=True):
    """A limit of its own for requests with this header. `value` empty: each value has one."""

    header: str
    requests: int
    value: str = ""
    per: str = ""
    """Default: that of the whole limit."""
    burst: int = 0


class RateLimit(Spec, frozen=True):
    """`requests` in each `per`, and up to `burst` at once. Each sidecar counts for itself, its workers together."""

    host: str
    """The service, in the resource's namespace or with its own."""
    direction: Literal["inbound", "outbound"] = "inbound"
    """inbound: what a sidecar of the service lets in; outbound: what each caller's sidecar lets out to it."""
    routes: list[str] = []
    """Outbound only: rules of VirtualServices by their names; each has a bucket of its own. Empty: all together."""
    headers: dict[str, StringMatch] = {}
    """Only requests that have all of these."""
    requests: int = 0
    """0: only `descriptors` limit."""
    per: str = "1s"
    burst: int = 0
    """Default: `requests`."""
    descriptors: list[HeaderLimit] = []
