"""Runs the compiled modules' `.py` files instead: ``TAGE_PURE=1``. For tests, debuggers, machines without a compiler.

Python prefers an extension module to a `.py` of the same name; the finder here, put before the ordinary one, looks for
source files only. Child processes inherit the environment variable, so a whole sidecar can run uncompiled.
"""

from __future__ import annotations

import importlib.machinery
import os
import sys
from collections.abc import Sequence
from types import ModuleType


class SourceOnlyFinder:
    """A meta path finder that never sees extension modules of `tage.dataplane`."""

    @staticmethod
    def find_spec(
        name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if path is None or not name.startswith("tage.dataplane"):
            return None
        loader = (importlib.machinery.SourceFileLoader, importlib.machinery.SOURCE_SUFFIXES)
        for entry in path:
            spec = importlib.machinery.FileFinder(entry, loader).find_spec(name)
            if spec is not None and spec.loader is not None:
                return spec
        return None


def install() -> None:
    """Idempotent."""
    if not any(isinstance(finder, type) and finder is SourceOnlyFinder for finder in sys.meta_path):
        sys.meta_path.insert(0, SourceOnlyFinder)  # type: ignore[arg-type]


def wanted() -> bool:
    return os.environ.get("TAGE_PURE", "") not in ("", "0")
