"""What concerns a worker as a whole."""

from __future__ import annotations

from tage.sidecar.plan.base import Section


class Overload(Section, frozen=True):
    """When a worker counts as overloaded and refuses a share of new requests: what is readable waits longer than
    `target` ms at least, for `interval` ms. Its name is empty; without it the defaults count. Target 0: never.
    Source: the runtime keys tage.overload.* (layered_runtime)."""

    name: str = ""
    target: int = 250
    interval: int = 1_000
