"""Latencies in the form in which every load generator tells them."""

from __future__ import annotations

from collections.abc import Sequence


def quantile(values: Sequence[float], q: float) -> float:
    """0.0 when there are none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(q * len(ordered)))] if ordered else 0.0


def in_microseconds(latencies: Sequence[float], lateness: Sequence[float]) -> dict[str, float]:
    """Of seconds, by the names of the generators' outcomes; `lateness` is the generator's own part of them."""
    ordered = sorted(latencies)
    quantiles = {"p50_us": 0.50, "p90_us": 0.90, "p99_us": 0.99, "p999_us": 0.999, "max_us": 1.0}
    found = {name: quantile(ordered, q) * 1e6 for name, q in quantiles.items()}
    return {**found, "lateness_p99_us": quantile(lateness, 0.99) * 1e6}
