"""The live table's figures, read from the statistics files of the sidecars' workers.

An instance's traffic is what its sidecar's inbound listener counted. Counters only grow, so the figures of a window are
the differences between the newest sample and the oldest one in it.
"""

from __future__ import annotations

import functools
import re
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from tage.dataplane.protocols.grpc import to_http
from tage.dataplane.telemetry.reader import Histogram, Snapshot, read

WINDOW = 10.0
"""Seconds that the figures look back."""

_LISTENER = "virtualInbound"
_CLASSES = ("1xx", "2xx", "3xx", "4xx", "5xx")
_CALL = re.compile(r"upstream_rq_grpc_[1-4]\d\d_(?P<status>\d+)_.+")
"""A cluster's calls of gRPC whose HTTP status does not say that they have failed."""


class _Reader(Protocol):
    def __call__(self, paths: Iterable[str | Path]) -> Snapshot: ...


@dataclass(frozen=True)
class Totals:
    """What one instance has answered since its sidecar started."""

    answered: int = 0
    failed: int = 0
    time: Histogram | None = None

    def since(self, before: Totals) -> Totals:
        """The difference; all of it when the counters began anew (the sidecar was restarted)."""
        if before.answered > self.answered or before.time is None or self.time is None:
            return self
        return Totals(self.answered - before.answered, self.failed - before.failed, self.time - before.time)

    def __add__(self, other: Totals) -> Totals:
        if self.time is None or other.time is None:
            time = self.time or other.time
        else:
            time = self.time + other.time
        return Totals(self.answered + other.answered, self.failed + other.failed, time)


@dataclass(frozen=True)
class Figures:
    """Of a window. `success` is the share (0 to 1) not answered 5xx, nor with what stands for it in gRPC; it and the
    quantiles (milliseconds) are None where there was no request."""

    rate: float = 0.0
    success: float | None = None
    p50: float | None = None
    p99: float | None = None


class Traffic:
    """Samples the statistics files below `run_dirs` (instance name -> its sidecar's run directory)."""

    def __init__(self, run_dirs: dict[str, Path], reader: _Reader = read) -> None:
        self._run_dirs = run_dirs
        self._reader = reader
        self._samples: deque[tuple[float, dict[str, Totals]]] = deque()

    def sample(self, now: float) -> None:
        """Read all files once; `now` is in seconds of any steady clock."""
        self._samples.append((now, {name: self._totals(path) for name, path in self._run_dirs.items()}))
        while len(self._samples) > 2 and self._samples[1][0] <= now - WINDOW:
            self._samples.popleft()

    def figures(self, names: Sequence[str]) -> Figures:
        """Of these instances together."""
        if len(self._samples) < 2:
            return Figures()
        (began, old), (ended, new) = self._samples[0], self._samples[-1]
        total = functools.reduce(
            Totals.__add__, (new[name].since(old[name]) for name in names if name in new and name in old), Totals()
        )
        if total.answered <= 0 or ended <= began:
            return Figures()
        p50, p99 = (total.time.quantile(0.50) / 1000, total.time.quantile(0.99) / 1000) if total.time else (None, None)
        return Figures(
            rate=total.answered / (ended - began),
            success=1 - total.failed / total.answered,
            p50=p50,
            p99=p99,
        )

    def _totals(self, run_dir: Path) -> Totals:
        snapshot = self._reader(run_dir.glob("stats-*.bin"))
        counts = [snapshot.counters.get(("listener", _LISTENER, f"downstream_rq_{name}"), 0) for name in _CLASSES]
        failed = counts[-1] + _failed_calls(snapshot)
        return Totals(sum(counts), failed, snapshot.histograms.get(("listener", _LISTENER, "downstream_rq_time")))


def _failed_calls(snapshot: Snapshot) -> int:
    """Those to the instance itself."""
    return sum(
        value
        for (scope, owner, name), value in snapshot.counters.items()
        if scope == "cluster"
        and owner.startswith("inbound|")
        and (call := _CALL.fullmatch(name))
        and to_http(int(call["status"])) >= 500
    )
