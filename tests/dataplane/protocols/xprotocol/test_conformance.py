"""The protocols that Tage brings pass their own kit: with their examples, and with what real peers have written."""

from __future__ import annotations

from pathlib import Path

import pytest

from tage.cli.protocol import source
from tage.dataplane.protocols.xprotocol.registry import BUILTIN
from tage.xprotocol_testing import CHECKS, conformance
from tests.dataplane.protocols.xprotocol import vectors

ROOT = Path(__file__).parents[4]
RECORDED = {
    "bolt": [*vectors.load("bolt1").values(), *vectors.load("bolt2").values()],
    "dubbo": list(vectors.load("dubbo2").values()),
}
BOOKSHOP = str(ROOT / "examples" / "bookshop" / "ledger.py")


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("name", [*BUILTIN, BOOKSHOP], ids=lambda name: Path(name).name)
def test_it_conforms(name: str, check: str):
    conformance(source.find(name), [check], frames=RECORDED.get(name, [])).verify()
