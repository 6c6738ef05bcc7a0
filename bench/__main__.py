"""`python -m bench [ROW..]`: measures rows and shows them. See docs/benchmarks.md."""

from __future__ import annotations

import argparse
import dataclasses
import os
import signal
import sys
from typing import Any

from rich.console import Console

from bench import idle, idle_report, machine, report, tables
from bench.idle import IdleRowFigures
from bench.measure import RowFigures, Say, Settings, measure
from bench.processes import BenchError
from bench.proxies import Proxy
from bench.rows import ROWS, IdleRow, Row


def main() -> int:
    """0: measured; 1: some request failed; 2: could not measure, and the message says why."""
    arguments = _arguments()
    console = Console(width=None if sys.stdout.isatty() else 200)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was started is stopped
    try:
        chosen = [_row(name, arguments.only) for name in arguments.row]
        settings = Settings(arguments.rounds, arguments.seconds, *_cores())
        # Generators, and everything else that the harness starts and does not pin itself, share the load's core.
        os.sched_setaffinity(0, {settings.load_core})
        host = machine.describe()
        rows = [_measure(row, settings, lambda text: console.print(text, highlight=False)) for row in chosen]
    except BenchError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    document: dict[str, Any] = {"machine": {**host, "rounds": settings.rounds, "seconds": settings.seconds}, "rows": []}
    for row in rows:
        if isinstance(row, IdleRowFigures):
            idle_report.show(row, host, console)
            page = idle_report.write_page(row, host) if arguments.commit else None
            document["rows"] += idle_report.as_rows(row)
        else:
            report.show(row, host, settings, console)
            page = report.write_page(row, host, settings) if arguments.commit else None
            document["rows"] += report.as_rows(row)
        if page:
            console.print(f"written: {page}")
    console.print(f"written: {tables.write_json(document)}")
    return 1 if any(row.failures for row in rows) else 0


def _measure(row: Row | IdleRow, settings: Settings, say: Say) -> RowFigures | IdleRowFigures:
    if isinstance(row, IdleRow):
        return idle.measure(row, settings.proxy_core, settings.load_core, say)
    return measure(row, settings, say)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench", description="Measures Tage beside other proxies on this machine.")
    parser.add_argument("row", nargs="*", default=["http1-32"], help=f"rows: {', '.join(ROWS)} (default http1-32)")
    parser.add_argument("--rounds", type=_positive, default=5, help="how often each proxy is measured (default 5)")
    parser.add_argument("--seconds", type=_positive, default=5, help="how long each time, in whole seconds (default 5)")
    parser.add_argument("--only", default="", metavar="NAME,..", help="measure these proxies alone, e.g. tage,envoy")
    parser.add_argument("--commit", action="store_true", help="write the row's page under bench/results too")
    return parser.parse_args()


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError(text)
    return number


def _row(name: str, only: str) -> Row | IdleRow:
    """The row of that name, with some of its proxies where `only` names them."""
    row = ROWS.get(name)
    if row is None:
        raise BenchError(f"there is no row {name}; there are {', '.join(ROWS)}")
    if not only:
        return row
    wanted = only.split(",")
    known = [proxy.name for proxy in _proxies(row)]
    if unknown := [name for name in wanted if name not in known]:
        raise BenchError(f"--only: {row.name} has no proxy {', '.join(unknown)}; it has {', '.join(known)}")
    row = dataclasses.replace(row, proxies=tuple(proxy for proxy in row.proxies if proxy.name in wanted))
    if isinstance(row, Row):
        row = dataclasses.replace(row, others=tuple(other for other in row.others if other.proxy.name in wanted))
    return row


def _proxies(row: Row | IdleRow) -> tuple[Proxy, ...]:
    return row.all_proxies if isinstance(row, Row) else row.proxies


def _cores() -> tuple[int, int]:
    """(the proxies' core, the load's core)"""
    usable = sorted(os.sched_getaffinity(0))
    if len(usable) < 2:
        raise BenchError("two CPU cores are needed: one for the proxy, one for load and backend")
    return usable[0], usable[1]


if __name__ == "__main__":
    sys.exit(main())
