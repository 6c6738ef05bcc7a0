"""docs/reliability.md names tests that exist, and no row goes without."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "reliability.md"
ROWS = [line for line in PAGE.read_text().splitlines() if line.startswith("| ") and not line.startswith("| failure |")]
_NAMED = re.compile(r"`(tests/[\w/]+\.py)::(test_\w+)`")


def functions(path: Path) -> set[str]:
    return {node.name for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.split("|")[1].strip())
def test_the_tests_of_a_row_exist(row: str) -> None:
    named = _NAMED.findall(row)
    assert named
    assert len(named) == row.count("::")
    for path, name in named:
        assert (ROOT / path).exists(), path
        assert name in functions(ROOT / path), f"{path} has no {name}"


def test_there_are_rows() -> None:
    assert len(ROWS) > 20
