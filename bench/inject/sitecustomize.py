"""Loaded by every Python that has this folder in PYTHONPATH: notes the collector's pauses.

Each goes as a line into TAGE_BENCH_GC/<pid>: begin (seconds of CLOCK_MONOTONIC), seconds, generation. Noting one costs
some ten microseconds, which are not in it.
"""

import gc
import os
import time

_began = 0.0


def _note(phase: str, info: dict[str, int]) -> None:
    global _began
    if phase == "start":
        _began = time.monotonic()
        return
    seconds = time.monotonic() - _began
    with open(os.path.join(os.environ["TAGE_BENCH_GC"], str(os.getpid())), "a") as file:
        file.write(f"{_began:.6f} {seconds:.6f} {info['generation']}\n")


if os.environ.get("TAGE_BENCH_GC"):
    gc.callbacks.append(_note)
