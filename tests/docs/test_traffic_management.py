"""docs/traffic-management.md names every field of Istio's two resources."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.config.istio_fields import MESSAGES

PAGE = (Path(__file__).parents[2] / "docs" / "traffic-management.md").read_text()
WORDS = set(re.findall(r"\w+", PAGE))
AS_A_WHOLE = {"ClientTLSSettings": "tls", "PortSelector": "port"}
"""Messages whose fields are spoken of together."""


@pytest.mark.parametrize("message", MESSAGES)
def test_each_field_is_named(message: str) -> None:
    fields = [AS_A_WHOLE[message]] if message in AS_A_WHOLE else MESSAGES[message]
    assert [field for field in fields if field not in WORDS] == []


def test_each_example_is_linked() -> None:
    examples = Path(__file__).parents[2] / "examples" / "bookshop"
    names = {path.name for path in examples.glob("*.yaml")} - {"mesh.yaml"}
    assert {Path(target).name for target in re.findall(r"\((\.\./examples/[^)]+)\)", PAGE)} == names
