"""How all rows are shown and kept: tables on the console, Markdown pages and `results/latest.json`."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from bench import machine

RESULTS = Path(__file__).with_name("results")
TITLES = {
    "envoy": "Envoy",
    "envoy-http1": "Envoy HTTP/1.1",
    "haproxy": "HAProxy",
    "mosn": "MOSN",
    "mosn-bolt": "MOSN (bolt)",
    "nghttpx": "nghttpx",
    "relay": "the relay",
    "tage-frame": "frame depth",
}
_PART = re.compile(r"^(?=# )", re.MULTILINE)
HOW = "[docs/benchmarks.md](../../docs/benchmarks.md)"


def show(
    title: str, headings: Sequence[str], rows: Iterable[Sequence[str]], notes: list[str], console: Console
) -> None:
    """The first two columns are names, the rest numbers."""
    table = Table(title=title, title_justify="left")
    for number, heading in enumerate(headings):
        table.add_column(heading, justify="left" if number < 2 else "right")
    for cells in rows:
        table.add_row(*cells)
    console.print(table)
    for note in notes:
        console.print(note, style="dim", highlight=False)


def markdown(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    return [f"| {' | '.join(cells)} |" for cells in (headings, ["---"] * len(headings), *rows)]


def write_page(name: str, title: str, file: str, lines: Iterable[str]) -> Path:
    """The committed page of a row, under `results/`. Rows may share one: other rows' parts stay as they are."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / file
    part = "\n".join([f"# {name}", "", f"{title}. How it is measured: {HOW}.", "", *lines])
    parts = _PART.split(path.read_text()) if path.exists() else []
    kept = {each.split("\n", 1)[0]: each for each in parts if each.startswith("# ")}
    kept[f"# {name}"] = part
    path.write_text("\n".join(f"{each.rstrip()}\n" for each in kept.values()))
    return path


def write_json(document: dict[str, Any]) -> Path:
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / "latest.json"
    path.write_text(json.dumps(document, indent=1) + "\n")
    return path


def ratio(mine: float, other: float | None) -> str:
    return "" if not other else f"{mine / other:.2f}"


def machine_note(host: dict[str, object]) -> str:
    return (
        f"{host['cpu']}, {host['cores']} cores, Linux {host['kernel']}, Python {host['python']}, {host['date']}; "
        f"other processes before the run: {float(str(host['busy_before'])):.0%} of the cores"
    )


def caveats(left_out: Sequence[str], host: dict[str, object]) -> list[str]:
    notes = [f"not installed, left out: {', '.join(left_out)}"] if left_out else []
    if float(str(host["busy_before"])) > machine.BUSY_SHARE:
        notes.append("the machine was busy with something else: figures of this run are not to be quoted")
    return notes
