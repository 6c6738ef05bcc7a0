"""What is shown and kept of a measured row: a table, its part of the JSON, and with --commit its page.

The fields of a row in the JSON: work, proxy, cpu_us_per_request, rps, p50_us, p99_us and rss_mb (which is PSS after the
load); beside these idle_mb (PSS before it), idle_dynamic_mb (under a control plane), cpu_us_at_rate (at the latencies'
rate), rate, p999_us, max_us (the median of the rounds' longest), cpu_us_per_handshake (a new TLS connection with one
request), failures and version; where an answer's size is what counts, mb_per_second and cpu_s_per_gb.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rich.console import Console

from bench import tables
from bench.measure import Figures, RowFigures, Settings
from bench.tables import TITLES, markdown, ratio

LATENCIES = ("p50_us", "p99_us", "p999_us", "max_us")


def as_rows(row: RowFigures) -> list[dict[str, Any]]:
    return [
        {
            "work": row.row.name,
            "proxy": figure.name,
            "version": figure.version,
            "cpu_us_per_request": round(figure.median(figure.cpu_us), 2),
            "rps": round(figure.median(figure.rps)),
            **{name: round(_latency(figure, name)) if figure.paced else None for name in LATENCIES},
            "rss_mb": round(figure.loaded_mb, 1),
            "idle_mb": round(figure.idle_mb, 1),
            "idle_dynamic_mb": round(figure.dynamic_mb, 1) or None,
            "cpu_us_at_rate": round(figure.median(figure.paced_cpu_us), 2) or None,
            "rate": row.rate,
            "cpu_us_per_handshake": round(figure.median(figure.handshake_cpu_us), 1) or None,
            "failures": figure.failures,
            **_throughput(row, figure),
        }
        for figure in row.proxies
    ]


def _throughput(row: RowFigures, figure: Figures) -> dict[str, float]:
    """Megabytes a second, and seconds of CPU a gigabyte (10^6 and 10^9 bytes); empty for rows of small answers."""
    megabytes = row.row.request_mb
    if not megabytes:
        return {}
    return {
        "mb_per_second": round(figure.median(figure.rps) * megabytes),
        "cpu_s_per_gb": round(figure.median(figure.cpu_us) / megabytes / 1000, 3),
    }


def show(row: RowFigures, host: dict[str, object], settings: Settings, console: Console) -> None:
    title = f"{row.row.name}: {row.row.title}"
    tables.show(title, _headings(row), _cells(row), _notes(row, host, settings), console)


def write_page(row: RowFigures, host: dict[str, object], settings: Settings) -> Path:
    """The committed table of a row, with the machine and every round."""
    lines = markdown(_headings(row), _cells(row))
    lines += ["", *(f"- {note}" for note in _notes(row, host, settings)), "", "## Every round", ""]
    rounds = ["proxy", *(f"round {n + 1}" for n in range(settings.rounds))]
    lines += ["CPU us/request at saturation:", "", *markdown(rounds, _per_round(row, "cpu")), ""]
    if row.rate:
        lines += [f"p99 in us at {row.rate:,.0f} requests/s:", "", *markdown(rounds, _per_round(row, "p99")), ""]
    return tables.write_page(row.row.name, row.row.title, row.row.table, lines)


def _per_round(row: RowFigures, what: str) -> list[list[str]]:
    if what == "cpu":
        return [[figure.name, *(f"{value:.1f}" for value in figure.cpu_us)] for figure in row.proxies]
    return [[figure.name, *(f"{paced.p99_us:.0f}" for paced in figure.paced)] for figure in [*row.proxies, row.direct]]


def _latency(figure: Figures, name: str) -> float:
    """The median of the rounds' values; 0 without any."""
    return figure.median([getattr(paced, name) for paced in figure.paced])


def _headings(row: RowFigures) -> list[str]:
    ratios = [f"of {TITLES[name]}'s CPU" for name in row.row.beside]
    latencies = ["p50 us", "p99 us", "p99.9 us", "max us"]
    memory = ["idle MiB", *(["idle MiB, xDS"] if row.row.control_plane else []), "loaded MiB"]
    return [
        "proxy",
        "version",
        "CPU us/request",
        "requests/s",
        *ratios,
        *latencies,
        "CPU us at rate",
        *memory,
        "failed",
    ]


def _cells(row: RowFigures) -> list[list[str]]:
    cpu = {figure.name: figure.median(figure.cpu_us) for figure in row.proxies}
    cells = []
    for figure in row.proxies:
        mine = cpu[figure.name]
        cells.append(
            [
                figure.name,
                figure.version,
                f"{mine:.1f}",
                f"{figure.median(figure.rps):,.0f}",
                *(ratio(mine, cpu.get(name)) for name in row.row.beside),
                *(f"{_latency(figure, name):.0f}" if figure.paced else "" for name in LATENCIES),
                f"{figure.median(figure.paced_cpu_us):.1f}" if figure.paced else "",
                f"{figure.idle_mb:.1f}",
                *([f"{figure.dynamic_mb:.1f}" if figure.dynamic_mb else ""] if row.row.control_plane else []),
                f"{figure.loaded_mb:.1f}",
                str(figure.failures),
            ]
        )
    direct = row.direct
    latencies = [f"{_latency(direct, name):.0f}" if direct.paced else "" for name in LATENCIES]
    before, after = 3 + len(row.row.beside), 3 + row.row.control_plane
    cells.append(["(no proxy)", *[""] * before, *latencies, *[""] * after, str(direct.failures)])
    return cells


def _carried(row: RowFigures, figure: Figures) -> str:
    found = _throughput(row, figure)
    return f"{found['mb_per_second']:,.0f} MB/s, {found['cpu_s_per_gb']:.2f} s of CPU a GB"


def _busiest(row: RowFigures) -> float:
    return max((paced.busy for figure in [*row.proxies, row.direct] for paced in figure.paced), default=0.0)


def _notes(row: RowFigures, host: dict[str, object], settings: Settings) -> list[str]:
    notes = [
        tables.machine_note(host),
        f"proxies in turn on core {settings.proxy_core}, load and backend on core {settings.load_core}; "
        f"medians of {settings.rounds} rounds of {settings.seconds} s",
    ]
    if row.rate:
        lateness = row.direct.median([paced.lateness_p99_us for paced in row.direct.paced])
        notes.append(
            f"latencies at {row.rate:,.0f} requests/s, open loop, counted from when a request was due; "
            f"the generator's own lateness p99: {lateness:.0f} us; it used at most {_busiest(row):.0%} of its core"
        )
    if row.row.request_mb:
        carried = "; ".join(f"{figure.name} {_carried(row, figure)}" for figure in row.proxies)
        notes.append(f"answers of {row.row.request_mb:.1f} MB: {carried}")
        rps = {figure.name: figure.median(figure.rps) for figure in row.proxies}
        if "tage" in rps and rps.get(row.row.latency_peer):
            share = rps["tage"] / rps[row.row.latency_peer]
            verdict = "met" if share >= 1 else "missed"
            notes.append(f"goal: at least {TITLES[row.row.latency_peer]}'s MB/s; measured {share:.2f} of it: {verdict}")
    if shaken := {figure.name: figure.median(figure.handshake_cpu_us) for figure in row.proxies}:
        each = ", ".join(f"{name} {cpu_us:.0f}" for name, cpu_us in shaken.items() if cpu_us)
        notes += [f"CPU us for a new connection with a full TLS handshake and one request: {each}"] if each else []
    cpu = {figure.name: figure.median(figure.cpu_us) for figure in row.proxies}
    for goal in row.row.goals:
        if "tage" in cpu and cpu.get(goal.peer):
            ratio = cpu["tage"] / cpu[goal.peer]
            verdict = "met" if ratio <= goal.ratio else "missed"
            notes.append(
                f"goal: at most {goal.ratio:.2f} of {TITLES[goal.peer]}'s CPU; measured {ratio:.2f}: {verdict}"
            )
    for found in row.row.differences:
        if cpu.get(found.proxy) and cpu.get(found.base):
            more = cpu[found.proxy] - cpu[found.base]
            verdict = f"; goal: at most {found.goal_us}: {'met' if more <= found.goal_us else 'missed'}"
            notes.append(f"{found.what}: {more:.1f} us CPU a request{verdict if found.goal_us else ''}")
    p99 = {figure.name: _latency(figure, "p99_us") for figure in row.proxies}
    peer = row.row.latency_peer
    if p99.get("tage") and p99.get(peer):
        measured = p99["tage"] / p99[peer]
        verdict = "met" if measured <= 1 else "missed"
        notes.append(f"goal: p99 at most {TITLES[peer]}'s; measured {measured:.2f} of it: {verdict}")
    if upstream := [f"{figure.name} {figure.connections}" for figure in row.proxies if figure.connections]:
        notes.append(f"upstream connections: {', '.join(upstream)}")
    return notes + tables.caveats(row.left_out, host)
