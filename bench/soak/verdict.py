"""What a run has shown, and what of it is a failure. Pure: times are seconds of one clock, whatever it is."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from bench.latencies import quantile
from bench.soak.changes import Change, Probes
from bench.soak.load import SLOT
from bench.soak.rude import Footprint

SIGMAS = 5.0
"""A split this far from its weights is a failure; by chance it is one in a million windows."""
DESCRIPTORS_A_CONNECTION = 4
"""What pools may keep for each connection of the load: one in every sidecar that its requests pass, and its peer's."""
GROWTH_KIB = 16_384
"""Of all workers. Statistics of clusters that were renamed are kept."""
LISTED = 10
"""Failed requests named."""


@dataclass
class Kill:
    """One SIGKILL. Durations are seconds from it; None: it did not happen before the next one."""

    what: str
    at: float
    """Of CLOCK_MONOTONIC."""
    replaced: float | None = None
    """Until there was a new process."""
    in_sync: float | None = None
    """Until all sidecars had what the control plane last sent, and the new process with them."""


@dataclass
class Load:
    """All generators together."""

    requests: int = 0
    failures: int = 0
    reasons: list[tuple[float, str]] = field(default_factory=list)
    latencies_us: list[int] = field(default_factory=list)
    slots: dict[int, tuple[int, int]] = field(default_factory=dict)
    busy: float = 0.0
    """Cores that the generators used."""

    def latency_ms(self, q: float) -> float:
        return quantile(self.latencies_us, q) / 1000


@dataclass(frozen=True)
class Capacity:
    """Of mesh, applications and generators together."""

    rate: float
    busy: float
    """Share of its core that a generator used, on average; near 1 the generators were what limits."""


@dataclass
class Run:
    capacity: Capacity | None
    """None: was not measured, the rate was given."""
    rate: float
    seconds: float
    begin: float
    seed: int
    connections: int
    generators: int
    load: Load
    changes: list[Change]
    probes: Probes
    kills: list[Kill]
    retries: int = 0
    replays: int = 0
    rude: int = 0
    """Clients that misbehaved beside the load."""
    footprints: tuple[Footprint, Footprint] | None = None
    """Of the workers, before the load and after it."""
    wrong: list[str] = field(default_factory=list)
    """What else went wrong, in words."""


@dataclass(frozen=True)
class Window:
    """A time during which certain weights were in force, and how the load was split then."""

    change: Change
    v1: int
    v2: int

    @property
    def answers(self) -> int:
        return self.v1 + self.v2

    @property
    def deviation(self) -> float:
        """Percentage points that v1's share is off."""
        return 100 * self.v1 / self.answers - self.change.weight

    @property
    def follows(self) -> bool:
        """Whether the split is what these weights give, chance allowed for; without chance where one gets nothing."""
        share = self.change.weight / 100
        return abs(self.v1 - share * self.answers) <= SIGMAS * math.sqrt(self.answers * share * (1 - share))


def windows(run: Run) -> list[Window]:
    """One for each change that was seen to take effect: from then to when the next was first offered."""
    ends = [change.offered for change in run.changes[1:]] + [run.begin + run.seconds]
    found = []
    for change, end in zip(run.changes, ends, strict=True):
        if change.seen:
            counts = _answers_between(run.load.slots, change.seen - run.begin, end - run.begin)
            if sum(counts):
                found.append(Window(change, *counts))
    return found


def _answers_between(slots: Mapping[int, tuple[int, int]], start: float, end: float) -> tuple[int, int]:
    """Of the slots that lie between as a whole."""
    v1 = v2 = 0
    for number in range(math.ceil(start / SLOT), math.floor(end / SLOT)):
        one, two = slots.get(number, (0, 0))
        v1, v2 = v1 + one, v2 + two
    return v1, v2


def effect_ms(changes: Sequence[Change]) -> list[float]:
    """From the sending of each change that was taken until it, or a later one that overtook it, was in effect."""
    found = []
    seen = 0.0
    for change in reversed(changes):
        seen = change.seen or seen
        if change.taken and seen:
            found.append(1000 * (seen - change.sent))
    return found


def longest_refusal(changes: Sequence[Change]) -> float:
    """Seconds for which a change was offered before the control plane took it."""
    return max((change.taken - change.offered for change in changes if change.taken), default=0.0)


def next_effect(run: Run, kill: Kill) -> float | None:
    """Seconds from a kill until a change that was sent after it took effect."""
    return min((c.seen - kill.at for c in run.changes if c.seen and c.sent >= kill.at), default=None)


def failures(run: Run) -> list[str]:
    """In words; none: the run has shown what it is to show."""
    return [*_requests(run), *_changes(run), *_kills(run), *_footprints(run), *run.wrong]


def _requests(run: Run) -> Iterator[str]:
    reasons = [*run.load.reasons, *run.probes.reasons]
    failed = run.load.failures + len(run.probes.reasons)
    if failed:
        listed = "; ".join(f"{at:.2f} s: {reason}" for at, reason in sorted(reasons)[:LISTED])
        yield f"{failed} requests failed: {listed}"
    if not run.load.requests:
        yield "no request was answered"
    if run.retries:
        yield f"a sidecar retried {run.retries} times, though retries are off"


def _changes(run: Run) -> Iterator[str]:
    for window in windows(run):
        if not window.follows:
            yield (
                f"{window.change.seen - run.begin:.2f} s: weights {window.change.weight}/{100 - window.change.weight} "
                f"are in force, but v1 gave {window.v1} and v2 {window.v2} answers"
            )


def _kills(run: Run) -> Iterator[str]:
    for kill in run.kills:
        at = kill.at - run.begin
        if kill.replaced is None:
            yield f"{kill.what}, killed at {at:.1f} s, was not replaced"
        if next_effect(run, kill) is None:
            yield f"no change took effect after the kill of {kill.what} at {at:.1f} s"


def _footprints(run: Run) -> Iterator[str]:
    if run.footprints is None:
        return
    before, after = run.footprints
    if after.descriptors - before.descriptors > DESCRIPTORS_A_CONNECTION * run.connections:
        yield f"the workers had {before.descriptors} descriptors before the load and {after.descriptors} after it"
    if after.private_kib - before.private_kib > GROWTH_KIB:
        yield f"the workers' memory grew from {before.private_kib:,} KiB to {after.private_kib:,} KiB"
