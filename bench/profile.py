"""`python -m bench.profile ROW`: where a worker's CPU time goes under a row's load, by layer. Needs `perf`.

The kernel's share is the system calls; a compiled module counts for its layer, by the name of its file. perf samples
the worker's own time (`cpu-clock`), so other processes on the machine change the pace and not the shares.
"""

from __future__ import annotations

import argparse
import dataclasses
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

from bench.measure import Settings, started
from bench.processes import BenchError, Process, find_program
from bench.rows import ROWS, Row

ROOT = Path(__file__).resolve().parent.parent
WARM_UP_SECONDS = 1.5
FREQUENCY = 2000
"""Samples a second."""
_LINE = re.compile(r"^\s*(?P<share>\d+\.\d+)%\s+(?P<name>\S+)")
_PARTS = (
    (r"\[kernel|\[vdso\]", "kernel"),
    (r"libcrypto|libssl|_ssl\.", "OpenSSL"),
    (r"libpython|python3", "Python's runtime"),
    (r"libc\.|ld-linux|libm\.", "C library"),
    (r"loop\.cpython", "uvloop"),
)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.profile", description=__doc__)
    parser.add_argument("row", choices=sorted(name for name, row in ROWS.items() if isinstance(row, Row)))
    parser.add_argument("--seconds", type=int, default=6)
    arguments = parser.parse_args()
    try:
        shares = measure(arguments.row, arguments.seconds)
    except BenchError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 2
    for part, share in shares.most_common():
        print(f"{part:24} {share:5.1f} %")
    return 0


def measure(name: str, seconds: int) -> Counter[str]:
    """Per cent by part. Raises `BenchError`."""
    perf = find_program("perf")
    if perf is None:
        raise BenchError("perf is missing (Debian and Ubuntu: linux-perf or linux-tools)")
    row = ROWS[name]
    assert isinstance(row, Row)
    row = dataclasses.replace(row, proxies=tuple(proxy for proxy in row.proxies if proxy.name == "tage"), others=())
    with tempfile.TemporaryDirectory(prefix="tage-profile-") as directory, started(row, Settings(), print) as run:
        (proxy,) = run.proxies
        total = int(WARM_UP_SECONDS) + seconds + 2
        load = threading.Thread(target=row.load.saturate, args=(run.target(proxy), total))
        load.start()
        time.sleep(WARM_UP_SECONDS)
        data = f"{directory}/perf.data"
        recorded = [perf, "record", "-e", "cpu-clock", "-F", str(FREQUENCY), "-p", str(worker_of(proxy.process))]
        _run([*recorded, "-o", data, "--", "sleep", str(seconds)])
        load.join()
        report = _run([perf, "report", "-i", data, "--sort", "dso", "--stdio"])
    return shares_of(report)


def worker_of(process: Process) -> int:
    for pid in process.pids():
        if b"tage.sidecar.worker" in Path(f"/proc/{pid}/cmdline").read_bytes():
            return pid
    raise BenchError("there is no worker")


def shares_of(report: str) -> Counter[str]:
    """Of what `perf report --sort dso` prints."""
    layers = _layers()
    found: Counter[str] = Counter()
    for line in report.splitlines():
        if match := _LINE.match(line):
            found[_part(match["name"], layers)] += float(match["share"])  # type: ignore[assignment]
    return found


def _part(name: str, layers: dict[str, str]) -> str:
    for pattern, part in _PARTS:
        if re.match(pattern, name):
            return part
    return layers.get(name.partition(".")[0], "other")


def _layers() -> dict[str, str]:
    """Module -> its layer's folder; of two modules with one name both layers."""
    found: dict[str, set[str]] = {}
    top = ROOT / "tage/dataplane"
    for declarations in top.rglob("*.pxd"):
        parts = declarations.relative_to(top).with_suffix("").parts
        found.setdefault(parts[-1], set()).add(parts[0])
    return {module: ", ".join(sorted(folders)) for module, folders in found.items()}


def _run(argv: list[str]) -> str:
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=120)
    if done.returncode != 0:
        raise BenchError(f"{argv[0]} ended with status {done.returncode}: {done.stderr.strip()[-300:]}")
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())
