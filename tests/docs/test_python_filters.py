"""The guide to filters in Python: its resources load, its first class works, the files that it names are there."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import tage
from tage.config.load import load_text
from tage.filter_testing import answer, ask

ROOT = Path(__file__).parents[2]
GUIDE = ROOT / "docs" / "guides" / "python-filters.md"


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", GUIDE.read_text(), re.DOTALL)


def test_resources_load():
    kinds = [resource.kind for text in blocks("yaml") if "apiVersion" in text for resource in load_text(text)]
    assert kinds == ["PythonFilter", "VirtualService"]


def test_the_first_class_works():
    names: dict[str, Any] = {}
    exec(blocks("python")[0], names)
    filter = names["ApiKey"]({"keys": {"k1": "ann"}})
    assert ask(filter).status == 401
    outcome = ask(filter, headers={"x-api-key": "k1"})
    assert (outcome.action, outcome.headers["x-user"]) == (tage.CONTINUE, "ann")
    assert answer(filter, outcome).headers["x-served-by"] == "tage"


def test_files_are_there():
    links = re.findall(r"\]\(([^)#]+)\)", GUIDE.read_text())
    assert len(links) == 3
    for link in links:
        assert (GUIDE.parent / link).exists(), link
    for path in re.findall(r"`(tests/[\w/]+\.py)`", GUIDE.read_text()):
        assert (ROOT / path).exists(), path
