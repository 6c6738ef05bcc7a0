"""Programs of Go that tests run: built into build/go from the modules that interop/go pins, once for each state of its
go.sum. The tests skip, with the reason, where they are not there and cannot be built."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
MODULE = ROOT / "interop" / "go"
BUILD = ROOT / "build" / "go"
LONGEST_BUILD = 590
"""Seconds; grpc-go's programs need two minutes of a processor, the first time."""


def program(package: str, name: str, *, build: bool = True) -> Path:
    """The executable that `package` makes. Skips the test where there is no Go, or, unless it is to `build`, where
    nobody has built it yet."""
    digest = hashlib.sha256((MODULE / "go.mod").read_bytes() + (MODULE / "go.sum").read_bytes()).hexdigest()[:16]
    made = BUILD / f"{name}-{digest}"
    if made.exists():
        return made
    if shutil.which("go") is None:
        pytest.skip("not installed: go (on Debian and Ubuntu: apt-get install golang-go)")
    if not build:
        pytest.skip(f"{name} is not built")
    BUILD.mkdir(parents=True, exist_ok=True)
    argv = ("go", "build", "-C", str(MODULE), "-trimpath", "-o", f"{made}.{os.getpid()}", package)
    done = subprocess.run(argv, capture_output=True, text=True, timeout=LONGEST_BUILD, check=False)
    if done.returncode:
        pytest.fail(f"{' '.join(argv)}:\n{done.stdout[-2000:]}{done.stderr[-4000:]}", pytrace=False)
    os.replace(f"{made}.{os.getpid()}", made)
    return made
