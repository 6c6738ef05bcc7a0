"""The live table of `tage up`: one row per service and version."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tage.cli import output
from tage.cli.up.plan import PlannedMesh
from tage.cli.up.traffic import Figures, Traffic

if TYPE_CHECKING:
    from rich.table import Table

HEADER = ("SERVICE", "VERSION", "READY", "REQUESTS/S", "SUCCESS", "P50", "P99")


@dataclass(frozen=True)
class Row:
    service: str
    version: str
    ready: int
    total: int
    figures: Figures

    def cells(self) -> tuple[str, ...]:
        figures = self.figures
        return (
            self.service,
            self.version or "-",
            f"{self.ready}/{self.total}",
            f"{figures.rate:.1f}",
            "-" if figures.success is None else f"{_floor_percent(figures.success)}%",
            _milliseconds(figures.p50),
            _milliseconds(figures.p99),
        )


def rows(mesh: PlannedMesh, ready: Mapping[str, bool], traffic: Traffic) -> list[Row]:
    """In the mesh file's order."""
    groups: dict[tuple[str, str], list[str]] = {}
    for instance in mesh.instances:
        groups.setdefault((instance.service, instance.version), []).append(instance.name)
    return [
        Row(service, version, sum(ready[name] for name in names), len(names), traffic.figures(names))
        for (service, version), names in groups.items()
    ]


def plain(rows: list[Row]) -> str:
    return output.table(HEADER, [row.cells() for row in rows])


def rich(rows: list[Row]) -> Table:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD)
    for index, name in enumerate(HEADER):
        table.add_column(name, justify="right" if index > 1 else "left")
    for row in rows:
        style = "red" if row.ready == 0 else "yellow" if row.ready < row.total else None
        table.add_row(*row.cells(), style=style)
    return table


def _floor_percent(share: float) -> str:
    """Two decimals, rounded down: 100.00 means that nothing failed."""
    return f"{math.floor(share * 10_000 + 1e-6) / 100:.2f}"


def _milliseconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f} ms" if value < 100 else f"{value:.0f} ms"
