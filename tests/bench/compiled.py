"""The harness's own compiled modules, as `make test` leaves them."""

from __future__ import annotations

import pytest

from bench.build import MODULES, is_compiled


def require_compiled() -> None:
    missing = [module for module in MODULES if not is_compiled(module)]
    if missing:
        pytest.fail(f"not compiled: {', '.join(missing)} (`python -m bench.build` does it)")
