"""Compiles the relay (`bench.relay`): `python -m bench.build`, as `make bench` does. It is no part of the package."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup

ROOT = Path(__file__).resolve().parent.parent
DIRECTIVES = {"language_level": 3, "boundscheck": False, "wraparound": False, "initializedcheck": False}


def build_relay(place: Path, work: Path) -> None:
    """Leaves bench/relay.*.so under `place`; `work` takes what arises on the way. Raises SystemExit when the compiler
    does, or has nothing to compile with."""
    place, work = place.resolve(), work.resolve()
    os.chdir(ROOT)
    relay = Extension("bench.relay", ["bench/relay.py"], extra_compile_args=["-O2"])
    modules = cythonize([relay], compiler_directives=DIRECTIVES, build_dir=str(work), quiet=True, force=True)
    setup(
        name="bench-relay",
        packages=[],
        ext_modules=modules,
        script_args=["-q", "build_ext", "--build-lib", str(place), "--build-temp", str(work)],
    )


def main() -> int:
    build_relay(ROOT, ROOT / "build/relay")
    return 0


if __name__ == "__main__":
    sys.exit(main())
