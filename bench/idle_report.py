"""The tables of rows of idle connections, as `report` has them for the others.

In the JSON these rows have the shared fields work, proxy, version, rss_mb (holding the plain connections) and failures,
null for what is not measured here, and connections, idle_mb (before them), growth_mb, tls_rss_mb, tls_idle_mb and
tls_growth_mb.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rich.console import Console

from bench import tables
from bench.idle import Held, IdleRowFigures
from bench.rows import Goal
from bench.tables import TITLES, caveats, machine_note, markdown, ratio

HEADINGS = [
    "proxy",
    "version",
    "plain: before MiB",
    "with them MiB",
    "KiB a connection",
    "of Envoy's",
    "TLS: before MiB",
    "with them MiB",
    "KiB a connection",
    "of Envoy's",
    "ended",
]


def as_rows(figures: IdleRowFigures) -> list[dict[str, Any]]:
    return [
        {
            "work": figures.row.name,
            "proxy": figure.name,
            "version": figure.version,
            **dict.fromkeys(("cpu_us_per_request", "rps", "p50_us", "p99_us")),
            "rss_mb": round(figure.plain.after_mb, 1),
            "connections": figures.row.connections,
            "idle_mb": round(figure.plain.before_mb, 1),
            "growth_mb": round(figure.plain.growth_mb, 1),
            "tls_rss_mb": round(figure.tls.after_mb, 1),
            "tls_idle_mb": round(figure.tls.before_mb, 1),
            "tls_growth_mb": round(figure.tls.growth_mb, 1),
            "failures": figure.failures,
        }
        for figure in figures.proxies
    ]


def show(figures: IdleRowFigures, host: dict[str, object], console: Console) -> None:
    title = f"{figures.row.name}: {figures.row.title}"
    tables.show(title, HEADINGS, _cells(figures), _notes(figures, host), console)


def write_page(figures: IdleRowFigures, host: dict[str, object]) -> Path:
    row = figures.row
    lines = [*markdown(HEADINGS, _cells(figures)), "", *(f"- {note}" for note in _notes(figures, host)), ""]
    return tables.write_page(row.name, row.title, row.table, lines)


def _cells(figures: IdleRowFigures) -> list[list[str]]:
    peer = {figure.name: figure for figure in figures.proxies}.get("envoy")
    return [
        [
            figure.name,
            figure.version,
            *_side(figures, figure.plain, peer.plain if peer else None),
            *_side(figures, figure.tls, peer.tls if peer else None),
            str(figure.failures),
        ]
        for figure in figures.proxies
    ]


def _side(figures: IdleRowFigures, held: Held, peer: Held | None) -> list[str]:
    each = held.growth_mb * 1024 / figures.row.connections
    shared = ratio(held.growth_mb, peer.growth_mb) if peer else ""
    return [f"{held.before_mb:.1f}", f"{held.after_mb:.1f}", f"{each:.2f}", shared]


def _notes(figures: IdleRowFigures, host: dict[str, object]) -> list[str]:
    what = f"{figures.row.connections:,} keep-alive connections, one request made on each, then idle; PSS of all the "
    notes = [machine_note(host), f"{what}proxy's processes before the first and with all of them; one proxy at a time"]
    by_name = {figure.name: figure for figure in figures.proxies}
    mine = by_name.get("tage")
    for goal in figures.row.goals:
        peer = by_name.get(goal.peer)
        if mine and peer:
            notes += _verdict("plain", goal, mine.plain, peer.plain) + _verdict("TLS", goal, mine.tls, peer.tls)
    return notes + caveats(figures.left_out, host)


def _verdict(what: str, goal: Goal, mine: Held, peer: Held) -> list[str]:
    if peer.growth_mb <= 0:
        return []
    measured = mine.growth_mb / peer.growth_mb
    verdict = "met" if measured <= goal.ratio else "missed"
    limit = f"{goal.ratio:.2f} of {TITLES[goal.peer]}'s growth"
    return [f"goal, {what}: at most {limit}; measured {measured:.2f}: {verdict}"]
