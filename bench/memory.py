"""Memory of a sidecar: the PSS of all its processes added up, as if nothing else ran on the machine.

PSS counts a page shared by n processes as 1/n for each. Added up over the sidecar's processes every page of theirs
counts once, except that pages of files which others map too (the harness runs the same Python, the backend the same
nginx) are partly charged to those, which would make the sidecar look smaller than it is alone. So anonymous memory is
taken from `Pss_Anon` of /proc/PID/smaps_rollup, and of files every page that is present in any of the processes counts
once: /proc/PID/pagemap says which are present.
"""

from __future__ import annotations

import mmap
import re
import time
from array import array
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from bench.processes import Process

SETTLE_SECONDS = 10.0
INTERVAL_SECONDS = 0.5
STEADY = 0.01
MIB = 1024.0 * 1024.0

_MAPPING = re.compile(r"([0-9a-f]+)-([0-9a-f]+) \S+ ([0-9a-f]+) (\S+) (\d+)")
_PRESENT, _OF_FILE = 1 << 63, 1 << 61  # Linux, Documentation/admin-guide/mm/pagemap.rst
_ENTRY = 8


def settled_mb(process: Process) -> float:
    """MiB, when two readings half a second apart differ by less than a hundredth, or after `SETTLE_SECONDS`."""
    deadline = time.monotonic() + SETTLE_SECONDS
    last = memory_mb(process.pids())
    while True:
        time.sleep(INTERVAL_SECONDS)
        now = memory_mb(process.pids())
        if abs(now - last) <= STEADY * last or time.monotonic() > deadline:
            return now
        last = now


def memory_mb(pids: Iterable[int]) -> float:
    """MiB of a group of processes; those that end meanwhile count nothing."""
    anonymous = 0
    files: dict[str, set[int]] = defaultdict(set)
    for pid in pids:
        try:
            anonymous += _anonymous_bytes(pid)
            _add_file_pages(pid, files)
        except (FileNotFoundError, ProcessLookupError):
            continue
    return (anonymous + sum(len(pages) for pages in files.values()) * mmap.PAGESIZE) / MIB


def _anonymous_bytes(pid: int) -> int:
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss_Anon:"):
            return int(line.split()[1]) * 1024
    return 0  # a zombie has no memory


def _add_file_pages(pid: int, files: dict[str, set[int]]) -> None:
    """Adds to each file (device and inode) the numbers of its pages that are present in this process."""
    with open(f"/proc/{pid}/pagemap", "rb", buffering=0) as pagemap:
        for line in Path(f"/proc/{pid}/maps").read_text(errors="replace").splitlines():
            found = _MAPPING.match(line)
            if found is None or found.group(5) == "0":
                continue
            start, end, offset = (int(found.group(n), 16) // mmap.PAGESIZE for n in (1, 2, 3))
            pagemap.seek(start * _ENTRY)
            content = pagemap.read((end - start) * _ENTRY)
            entries = array("Q", content[: len(content) // _ENTRY * _ENTRY])
            wanted = _PRESENT | _OF_FILE
            files[f"{found.group(4)} {found.group(5)}"].update(
                offset + number for number, entry in enumerate(entries) if entry & wanted == wanted
            )
