"""The route's weights, changed every second by way of the control plane's HTTP API, as `tage apply` does it.

When a change took effect is asked of the caller's sidecar itself: with each change the rule for `/probe/<its number>`
leads to v2, and `/probe/` otherwise to v1. A worker swaps its tables as a whole, so from the first probe that v2
answers every request is routed by the new weights.

Every fifth change also gives the subsets other names. All clusters of the route are replaced then: new ones must be
there before the route leads to them, old ones must stay for what is under way.

A change that the control plane does not take, because it is being started again, is offered again until it is taken.
"""

from __future__ import annotations

import http.client
import random
import threading
import time
from dataclasses import dataclass, field
from typing import Any

from tage.cli.client import ControlClient
from tage.cli.errors import CommandError

INTERVAL = 1.0
"""Seconds between two changes."""
RETRY = 0.05
"""Seconds between two offers of the same change."""
PROBE = 0.005
"""Seconds between two probes."""
TIMEOUT = 5.0
"""Seconds for one call of the control plane, and for one probe."""

_EXTREMES = (100, 0)
_EVERY_EXTREME = 3
"""Every third change takes all traffic from one version."""


RENAMED_EVERY = 5
"""Changes with the same names of subsets."""


@dataclass
class Change:
    """Times are seconds of CLOCK_MONOTONIC; 0: it did not happen."""

    number: int
    weight: int
    """Percent that v1 gets; v2 gets the others."""
    offered: float = 0.0
    """When it was first sent to the control plane."""
    sent: float = 0.0
    """When it was sent the time it was taken."""
    taken: float = 0.0
    """When the control plane said so."""
    seen: float = 0.0
    """When the first probe showed that it is in effect."""
    refusals: int = 0


@dataclass
class Probes:
    """Requests of the prober's own."""

    requests: int = 0
    reasons: list[tuple[float, str]] = field(default_factory=list)
    """(when, why) of each that failed."""


class Changer(threading.Thread):
    """Runs from `begin` for `seconds`, or until `stop`; afterwards `changes` and `probes` tell what happened."""

    def __init__(self, control: str, client: tuple[str, int], begin: float, seconds: float, seed: int) -> None:
        super().__init__(name="changes")
        self.changes: list[Change] = []
        self.probes = Probes()
        self.defect: BaseException | None = None
        self._control = ControlClient(control, timeout=TIMEOUT)
        self._client = client
        self._begin = begin
        self._end = begin + seconds
        self._random = random.Random(seed)
        self._stop_event = threading.Event()
        self._connection: http.client.HTTPConnection | None = None

    def stop(self) -> None:
        self._stop_event.set()

    def run(self) -> None:
        try:
            self._run()
        except BaseException as error:  # for the thread that waits for this one
            self.defect = error
        finally:
            if self._connection is not None:
                self._connection.close()

    def last_seen(self) -> float:
        """When a change was last seen to take effect."""
        return max((change.seen for change in self.changes), default=0.0)

    # -- one change ----------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        for number, weight in enumerate(weights(self._random)):
            due = self._begin + number * INTERVAL
            if due >= self._end:
                return
            if self._stop_event.wait(max(0.0, due - time.monotonic())):
                return
            change = Change(number, weight)
            self.changes.append(change)
            self._apply(change)
            self._probe(change, until=due + INTERVAL)

    def _apply(self, change: Change) -> None:
        change.offered = time.monotonic()
        while not self._stop_event.is_set() and time.monotonic() < self._end:
            change.sent = time.monotonic()
            try:
                self._control.apply(resources(change.number, change.weight))
            except CommandError:
                change.refusals += 1
                self._stop_event.wait(RETRY)
            else:
                change.taken = time.monotonic()
                return

    def _probe(self, change: Change, until: float) -> None:
        """Until it is in effect, or the next change is due."""
        while change.taken and time.monotonic() < min(until, self._end) and not self._stop_event.is_set():
            if self._answers_v2(change.number):
                change.seen = time.monotonic()
                return
            self._stop_event.wait(PROBE)

    def _answers_v2(self, number: int) -> bool:
        path = f"/probe/{number}"
        self.probes.requests += 1
        try:
            if self._connection is None:
                self._connection = http.client.HTTPConnection(*self._client, timeout=TIMEOUT)
            self._connection.request("GET", f"http://echo{path}", headers={"Host": "echo"})
            response = self._connection.getresponse()
            body = response.read().decode(errors="replace")
        except (OSError, http.client.HTTPException) as error:
            self._failed(f"probe: {error or type(error).__name__}")
            return False
        version, _, rest = body.partition(" ")
        if response.status != 200 or version not in ("v1", "v2") or rest != f"GET {path}\n":
            self._failed(f"probe: {response.status} {body[:120]}")
            return False
        return version == "v2"

    def _failed(self, reason: str) -> None:
        self.probes.reasons.append((round(time.monotonic() - self._begin, 3), reason))
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def weights(source: random.Random) -> Any:
    """Percent for v1, without end, never the same twice in a row."""
    last = -1
    number = 0
    while True:
        number += 1
        choice = source.choice(_EXTREMES) if number % _EVERY_EXTREME == 0 else source.randrange(5, 100, 5)
        if choice != last:
            last = choice
            yield choice


def resources(number: int, weight: int) -> list[dict[str, Any]]:
    """What is applied for one change; retries are off in all rules."""
    subsets = {version: f"{version}-{number // RENAMED_EVERY}" for version in ("v1", "v2")}
    v1, v2 = ({"host": "echo", "subset": subset} for subset in subsets.values())
    rules = [
        _rule("probe-this", [{"destination": v2}], {"exact": f"/probe/{number}"}),
        _rule("probe-others", [{"destination": v1}], {"prefix": "/probe/"}),
        _rule("load", [{"destination": v1, "weight": weight}, {"destination": v2, "weight": 100 - weight}]),
    ]
    named = [{"name": subset, "labels": {"version": version}} for version, subset in subsets.items()]
    return [
        _resource("DestinationRule", {"host": "echo", "subsets": named}),
        _resource("VirtualService", {"hosts": ["echo"], "http": rules}),
    ]


def _rule(name: str, route: list[dict[str, Any]], uri: dict[str, str] | None = None) -> dict[str, Any]:
    match = {"match": [{"uri": uri}]} if uri else {}
    return {"name": name, **match, "retries": {"attempts": 0}, "route": route}


def _resource(kind: str, spec: dict[str, Any]) -> dict[str, Any]:
    metadata = {"name": "echo", "namespace": "default"}
    return {"apiVersion": "networking.istio.io/v1", "kind": kind, "metadata": metadata, "spec": spec}
