"""What calls cost in this process, without sockets: the best of several rounds, in nanoseconds of CPU time."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterable, Sequence

from rich.console import Console

from bench import machine, tables
from tage.dataplane import native


def measure(ask: Callable[[], object], rounds: int) -> float:
    """Nanoseconds of one call, the call from Python included."""
    best, number = float("inf"), 1
    while True:
        begin = time.thread_time_ns()
        for _ in range(number):
            ask()
        took = time.thread_time_ns() - begin
        if took > 20_000_000:
            break
        number *= 4
    for _ in range(rounds):
        begin = time.thread_time_ns()
        for _ in range(number):
            ask()
        best = min(best, (time.thread_time_ns() - begin) / number)
    return best


def run(
    name: str,
    title: str,
    headings: Sequence[str],
    cells: Callable[[int], Iterable[Sequence[str]]],
    notes: Sequence[str] = (),
) -> None:
    """The command `python -m bench.NAME`: `cells(rounds)` gives the rows of its table."""
    page = f"{name}.md"
    parser = argparse.ArgumentParser(prog=f"bench.{name}", description=f"{title}.")
    parser.add_argument("--rounds", type=int, default=5, help="measure each row so often and take the best (5)")
    parser.add_argument("--commit", action="store_true", help=f"write bench/results/{page}")
    options = parser.parse_args()
    host = machine.describe()
    told = [*notes, tables.machine_note(host), *tables.caveats([], host)]
    if native.__file__.endswith(".py"):
        told.append("uncompiled: these are not the worker's figures")
    rows = list(cells(options.rounds))
    tables.show(name, headings, rows, told, Console())
    if options.commit:
        print(tables.write_page(name, title, page, [*tables.markdown(headings, rows), "", *told]))
