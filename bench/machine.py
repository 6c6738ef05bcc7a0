"""What a figure was measured on."""

from __future__ import annotations

import os
import platform
import time
from datetime import UTC, datetime
from pathlib import Path

BUSY_SHARE = 0.05
"""Share of all cores in use by something else, above which no figure of the run should be quoted."""
SAMPLE_SECONDS = 2.0


def describe() -> dict[str, object]:
    return {
        "cpu": _cpu_model(),
        "cores": os.cpu_count(),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "busy_before": round(_busy_share(), 3),
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
    }


def _busy_share() -> float:
    """Share of all cores' time that was not idle, over `SAMPLE_SECONDS` from now."""
    before = _cpu_times()
    time.sleep(SAMPLE_SECONDS)
    spent = [after - earlier for after, earlier in zip(_cpu_times(), before, strict=True)]
    idle = spent[3] + spent[4]  # idle, iowait
    return 1 - idle / max(sum(spent), 1)


def _cpu_times() -> list[int]:
    """user, nice, system, idle, iowait, irq, softirq, steal of all cores together, in ticks; see proc(5)."""
    return [int(field) for field in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]


def _cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return platform.machine()
