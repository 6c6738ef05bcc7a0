import sys
import types

import pytest

from tage.dataplane.protocols.xprotocol import registry

from .protocols import Ledger


def test_a_protocol_is_loaded_when_it_is_asked_for(monkeypatch: pytest.MonkeyPatch):
    name = "tage.dataplane.protocols.xprotocol.made_up"
    module = types.ModuleType(name)
    module.Ledger = Ledger  # type: ignore[attr-defined]
    monkeypatch.setitem(registry.BUILTIN, "ledger", ("made_up", "Ledger"))
    monkeypatch.setitem(sys.modules, name, module)
    found = registry.builtin("ledger")
    assert isinstance(found, Ledger)
    assert registry.builtin("ledger") is found
    registry._loaded.cache_clear()


@pytest.mark.parametrize("name", ["", "no-such", "Bolt"])
def test_a_name_that_is_none(name: str):
    assert registry.builtin(name) is None


def test_the_names():
    assert set(registry.BUILTIN) == {"bolt", "dubbo", "dubbo-thrift", "hsf", "thrift"}
