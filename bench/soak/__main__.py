"""`python -m bench.soak`: the soak run. See docs/benchmarks.md."""

from __future__ import annotations

import argparse
import shlex
import signal
import sys

from rich.console import Console

from bench import machine
from bench.processes import BenchError
from bench.soak import report
from bench.soak.run import Settings, soak
from bench.soak.verdict import failures


def main() -> int:
    """0: nothing failed; 1: something did; 2: the run could not take place, and the message says why."""
    settings, commit = _arguments()
    console = Console(width=None if sys.stdout.isatty() else 160)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was started is stopped
    try:
        host = machine.describe()
        run = soak(settings, lambda text: console.print(text, highlight=False, markup=False))
    except BenchError as error:
        print(f"soak: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    report.show(run, host, console)
    if commit:
        command = shlex.join(["python", "-m", "bench.soak", *sys.argv[1:]])
        console.print(f"written: {report.write_page(run, host, command)}")
    return 1 if failures(run) else 0


def _arguments() -> tuple[Settings, bool]:
    default = Settings()
    parser = argparse.ArgumentParser(prog="bench.soak", description="Load on a mesh whose parts change and die.")
    parser.add_argument("--seconds", type=_positive, default=default.seconds, help="of load (default 60)")
    parser.add_argument(
        "--rate", type=_positive, default=0.0, help="requests a second (default: half of the capacity, measured first)"
    )
    parser.add_argument("--connections", type=_count, default=default.connections, help="of the load (default 32)")
    parser.add_argument("--generators", type=_count, default=default.generators, help="load processes (default 1)")
    parser.add_argument("--seed", type=int, default=default.seed, help="of arrivals, methods and weights (default 7)")
    parser.add_argument("--commit", action="store_true", help="write bench/results/soak.md too")
    options = parser.parse_args()
    settings = Settings(options.seconds, options.rate, options.connections, options.generators, options.seed)
    return settings, options.commit


def _positive(text: str) -> float:
    number = float(text)
    if not 0 < number < float("inf"):
        raise ValueError(text)
    return number


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError(text)
    return number


if __name__ == "__main__":
    sys.exit(main())
