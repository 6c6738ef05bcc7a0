"""Compiles the harness's own compiled modules: `python -m bench.build`, as `make bench` does. They are no part of the
package."""

from __future__ import annotations

import os
import sys
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MODULES = ("bench.relay", "bench.rpc.frames", "bench.rpc.answering", "bench.rpc.asking")
DIRECTIVES = {
    "language_level": 3,
    "boundscheck": False,
    "wraparound": False,
    "initializedcheck": False,
    "cdivision": True,
}


def is_compiled(module: str) -> bool:
    path = ROOT / module.replace(".", "/")
    return any(path.with_name(path.name + suffix).exists() for suffix in EXTENSION_SUFFIXES)


def build(place: Path, work: Path, modules: tuple[str, ...] = MODULES) -> None:
    """Leaves bench/relay.*.so and so on under `place`; `work` takes what arises on the way. Raises SystemExit when the
    compiler does, or has nothing to compile with."""
    from Cython.Build import cythonize  # heavy, and the harness itself needs neither
    from setuptools import Extension, setup

    place, work = place.resolve(), work.resolve()
    os.chdir(ROOT)
    extensions = [
        Extension(module, [f"{module.replace('.', '/')}.py"], extra_compile_args=["-O2"]) for module in modules
    ]
    compiled = cythonize(extensions, compiler_directives=DIRECTIVES, build_dir=str(work), quiet=True, force=True)
    setup(
        name="bench-compiled",
        packages=[],
        ext_modules=compiled,
        script_args=["-q", "build_ext", "--build-lib", str(place), "--build-temp", str(work)],
    )


def main() -> int:
    build(ROOT, ROOT / "build/bench")
    return 0


if __name__ == "__main__":
    sys.exit(main())
