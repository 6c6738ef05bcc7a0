"""Compiles the request path: every module of tage.dataplane that has typed (`.pxd`) declarations.

The modules are ordinary Python (Cython's pure Python mode); without a compiler they run as they are, only slower:
TAGE_NO_EXTENSIONS=1 installs without compiling.
"""

import os
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup

ROOT = Path(__file__).parent
DIRECTIVES = {
    "language_level": 3,
    "boundscheck": False,  # parsers prove their bounds; see docs/architecture.md, "Compiled modules"
    "wraparound": False,
    "cdivision": True,
    "initializedcheck": False,
    "embedsignature": True,
}


def compiled_modules() -> list[Extension]:
    if os.environ.get("TAGE_NO_EXTENSIONS"):
        return []
    sources = sorted(
        pxd.with_suffix(".py") for pxd in ROOT.glob("tage/dataplane/**/*.pxd") if pxd.with_suffix(".py").exists()
    )
    return [
        Extension(
            ".".join(source.relative_to(ROOT).with_suffix("").parts),
            [str(source.relative_to(ROOT))],
            extra_compile_args=["-O2", "-g0", "-fno-plt", "-fno-semantic-interposition", "-Wno-unreachable-code"],
        )
        for source in sources
    ]


setup(ext_modules=cythonize(compiled_modules(), compiler_directives=DIRECTIVES, build_dir="build/cython", nthreads=2))
