"""What every test here ends with: no process and no file of a sidecar left."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.processes import MARK


@pytest.fixture(scope="package", autouse=True)
def nothing_is_left(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    base = tmp_path_factory.getbasetemp()
    before = set(base.rglob("stats-*.bin"))  # of tests elsewhere
    yield
    mark = f"\0{MARK}={base}".encode()
    left = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if mark in b"\0" + (entry / "environ").read_bytes():
                left.append((entry / "cmdline").read_bytes().replace(b"\0", b" ").decode())
        except OSError:
            continue
    assert left == []
    assert set(base.rglob("stats-*.bin")) == before
