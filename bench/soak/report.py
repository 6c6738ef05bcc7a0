"""What is shown and kept of a soak run: a table, and with --commit `results/soak.md`."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Console
from rich.table import Table

from bench import machine
from bench.latencies import quantile
from bench.load.pacing import TIMEOUT
from bench.soak.changes import INTERVAL, RENAMED_EVERY
from bench.soak.verdict import Run, effect_ms, failures, longest_refusal, next_effect, windows
from bench.tables import RESULTS

PAGE = "soak.md"
GENERATOR_LIMIT = 0.95
"""Share of its core from which on a generator is what limits."""
CHANGES = ("sent at", "weights v1/v2", "in effect after", "answers of v1", "of v2", "v1's share")
KILLS = ("killed", "at", "new process after", "all in sync after", "next change in effect after")


def show(run: Run, host: dict[str, object], console: Console) -> None:
    table = Table(title="soak", title_justify="left", show_header=False)
    for cells in rows(run):
        table.add_row(*cells)
    console.print(table)
    table = Table()
    for heading in KILLS:
        table.add_column(heading)
    for kill in kill_rows(run):
        table.add_row(*kill)
    console.print(table)
    for line in notes(run, host):
        console.print(line, style="dim", highlight=False, markup=False)
    for failure in failures(run):
        console.print(f"FAILED {failure}", highlight=False, markup=False)
    if not failures(run):
        console.print("passed: no request failed")


def write_page(run: Run, host: dict[str, object], command: str) -> str:
    """The committed table; the path that was written."""
    lines = ["# Soak", "", "How it is measured: [docs/benchmarks.md](../../docs/benchmarks.md).", ""]
    lines += [f"`{command}`: " + ("passed." if not failures(run) else "**failed**."), ""]
    lines += ["| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows(run)), ""]
    lines += [_line(KILLS), _line("---" for _ in KILLS), *(_line(cells) for cells in kill_rows(run)), ""]
    lines += [f"- {note}" for note in notes(run, host)]
    lines += [f"- FAILED {failure}" for failure in failures(run)]
    lines += [
        "",
        "## Every change",
        "",
        "Answers are those to requests sent while the weights were surely in force.",
        "",
    ]
    lines += [_line(CHANGES), _line("---" for _ in CHANGES), *(_line(cells) for cells in change_rows(run))]
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / PAGE
    path.write_text("\n".join(lines) + "\n")
    return str(path)


def rows(run: Run) -> list[tuple[str, str]]:
    load = run.load
    effect = effect_ms(run.changes)
    taken = [change for change in run.changes if change.taken]
    seen = [change for change in taken if change.seen]
    checked = windows(run)
    worst = max((abs(window.deviation) for window in checked), default=0.0)
    return [
        ("capacity, closed loop", f"{run.capacity.rate:,.0f} requests/s" if run.capacity else "not measured"),
        ("load, open loop", f"{run.rate:,.0f} requests/s for {run.seconds:g} s, {run.connections} connections"),
        ("answered", f"{load.requests:,} ({load.requests / run.seconds:,.0f}/s), half GET, half POST"),
        ("failed requests", f"{load.failures + len(run.probes.reasons)}"),
        ("retried by a sidecar", f"{run.retries}"),
        ("replayed by a sidecar on another connection", f"{run.replays}"),
        ("latency p50 / p99 / p99.9", " / ".join(f"{load.latency_ms(q):.2f}" for q in (0.5, 0.99, 0.999)) + " ms"),
        ("latency max", f"{load.latency_ms(1.0):.1f} ms"),
        (
            "changes of weights",
            f"{len(taken)}, one every {INTERVAL:g} s, with new clusters every {RENAMED_EVERY * INTERVAL:g} s; "
            f"overtaken by the next: {len(taken) - len(seen)}",
        ),
        ("longest time that the control plane took no change", f"{longest_refusal(run.changes):.2f} s"),
        (
            "until a change took effect, p50 / p99 / max",
            " / ".join(f"{quantile(effect, q):.0f}" for q in (0.5, 0.99, 1.0)) + " ms",
        ),
        (
            "the split follows the weights",
            f"in {sum(window.follows for window in checked)} of {len(checked)} times between two changes; "
            f"v1's share at most {worst:.1f} points off",
        ),
        ("clients that misbehaved meanwhile", f"{run.rude:,}"),
        *_footprint_rows(run),
    ]


def _footprint_rows(run: Run) -> list[tuple[str, str]]:
    if run.footprints is None:
        return []
    before, after = run.footprints
    return [
        ("descriptors of all workers, before / after", f"{before.descriptors} / {after.descriptors}"),
        ("their private memory, before / after", f"{before.private_kib:,} / {after.private_kib:,} KiB"),
    ]


def kill_rows(run: Run) -> list[tuple[str, ...]]:
    return [
        (
            kill.what,
            f"{kill.at - run.begin:.1f} s",
            *(_seconds(value) for value in (kill.replaced, kill.in_sync, next_effect(run, kill))),
        )
        for kill in run.kills
    ]


def change_rows(run: Run) -> list[tuple[str, ...]]:
    split = {window.change.number: window for window in windows(run)}
    found: list[tuple[str, ...]] = []
    for change in run.changes:
        took = f"{1000 * (change.seen - change.sent):.0f} ms" if change.seen else "overtaken by the next"
        window = split.get(change.number)
        answers = ("", "", "")
        if window is not None:
            answers = (f"{window.v1}", f"{window.v2}", f"{100 * window.v1 / window.answers:.1f} %")
        at, weights = f"{change.sent - run.begin:.2f} s", f"{change.weight}/{100 - change.weight}"
        found.append((at, weights, took if change.taken else "not taken", *answers))
    return found


def notes(run: Run, host: dict[str, object]) -> list[str]:
    busy = float(str(host["busy_before"]))
    found = [
        f"{host['cpu']}, {host['cores']} cores, Linux {host['kernel']}, Python {host['python']}, {host['date']}; "
        f"other processes before the run: {busy:.0%} of the cores",
        f"mesh, applications and {run.generators} load generator(s) share the cores; the generators used "
        f"{run.load.busy:.2f} cores; seed {run.seed}",
        "a failed request is any status but 200, a wrong byte, a close, a reset, or no answer "
        f"{TIMEOUT:g} s after it was due",
    ]
    if run.capacity is not None and run.capacity.busy > GENERATOR_LIMIT:
        found.append("the generators limited the measured capacity: give more of them (--generators)")
    if busy > machine.BUSY_SHARE:
        found.append("the machine was busy with something else: times of this run are not to be quoted")
    return found


def _seconds(value: float | None) -> str:
    return "not before the next" if value is None else f"{value:.2f} s"


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"
