"""Reads the workers' statistics files: the agent's admin API, `tage up`'s table, tests."""

from __future__ import annotations

import mmap
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tage.dataplane.telemetry import layout
from tage.dataplane.telemetry.layout import BUCKETS, LAYOUTS, bucket_floor

StatKey = tuple[str, str, str]
"""(scope, owner, name): ("cluster", "outbound|80||reviews...", "upstream_rq_total")"""


class Histogram:
    """Microseconds in log-linear buckets; immutable."""

    __slots__ = ("counts", "sum_us")

    def __init__(self, counts: Sequence[int], sum_us: int) -> None:
        self.counts = counts
        self.sum_us = sum_us

    @property
    def count(self) -> int:
        return sum(self.counts)

    def __add__(self, other: Histogram) -> Histogram:
        return Histogram([a + b for a, b in zip(self.counts, other.counts, strict=True)], self.sum_us + other.sum_us)

    def __sub__(self, other: Histogram) -> Histogram:
        return Histogram([a - b for a, b in zip(self.counts, other.counts, strict=True)], self.sum_us - other.sum_us)

    def quantile(self, q: float) -> float:
        """Microseconds, interpolated within the bucket; 0.0 when nothing was recorded."""
        total = self.count
        if total == 0:
            return 0.0
        rank = q * total
        seen = 0
        for index, count in enumerate(self.counts):
            if count and seen + count >= rank:
                low, high = bucket_floor(index), bucket_floor(index + 1)
                return low + (high - low) * max(0.0, rank - seen) / count
            seen += count
        return float(bucket_floor(BUCKETS))

    def cumulative(self, bounds_us: Sequence[float]) -> list[int]:
        """For each upper bound (ascending), how many values were at most that; a bucket counts where its floor does."""
        result = []
        seen = 0
        index = 0
        for bound in bounds_us:
            while index < BUCKETS and bucket_floor(index) <= bound:
                seen += self.counts[index]
                index += 1
            result.append(seen)
        return result


@dataclass
class Snapshot:
    counters: dict[StatKey, int] = field(default_factory=dict)
    gauges: dict[StatKey, int] = field(default_factory=dict)
    histograms: dict[StatKey, Histogram] = field(default_factory=dict)


def read(paths: Iterable[str | Path]) -> Snapshot:
    """All files added up, but for gauges that are alike (`Layout.alike`). A file that is missing, or not complete yet,
    counts as empty."""
    snapshot = Snapshot()
    for path in paths:
        try:
            with open(path, "rb") as file:
                size = file.seek(0, 2)
                if size < layout.FILE_SIZE:
                    continue
                with mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as mapped:
                    _add(snapshot, mapped)
        except FileNotFoundError:
            continue
    return snapshot


def _add(snapshot: Snapshot, mapped: mmap.mmap) -> None:
    magic, version, _, names_end, _ = layout.HEADER.unpack_from(mapped, 0)
    if magic != layout.MAGIC or version != layout.VERSION:
        return
    at = layout.NAMES_OFFSET
    end = at + names_end
    while at < end:
        kind, number, cell, size = layout.GROUP_RECORD.unpack_from(mapped, at)
        at += layout.GROUP_RECORD.size
        text = mapped[at : at + size].decode()
        at += size
        if kind == b"C":
            scope, owner, name = text.split("\0")
            _increase(snapshot.counters, (scope, owner, name), _cells(mapped, cell, 1)[0])
            continue
        group = LAYOUTS[number]
        values = _cells(mapped, cell, group.size)
        for index, name in enumerate(group.counters):
            _increase(snapshot.counters, (group.scope, text, name), values[index])
        for index, name in enumerate(group.gauges, len(group.counters)):
            gauge = (group.scope, text, name)
            if name in group.alike:
                snapshot.gauges[gauge] = max(snapshot.gauges.get(gauge, 0), values[index])
            else:
                _increase(snapshot.gauges, gauge, values[index])
        if not group.histogram:
            continue
        first = group.histogram_offset
        histogram = Histogram(values[first : first + BUCKETS].tolist(), values[first + BUCKETS])
        key = (group.scope, text, group.histogram)
        known = snapshot.histograms.get(key)
        snapshot.histograms[key] = histogram if known is None else known + histogram


def _cells(mapped: mmap.mmap, cell: int, count: int) -> array[int]:
    start = layout.CELLS_OFFSET + cell * 8
    return array("Q", mapped[start : start + count * 8])


def _increase(values: dict[StatKey, int], key: StatKey, by: int) -> None:
    values[key] = values.get(key, 0) + by
