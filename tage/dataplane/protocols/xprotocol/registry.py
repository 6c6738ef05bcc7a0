"""The protocols that come with Tage, by name: each is loaded when it is first asked for."""

from __future__ import annotations

from functools import cache
from importlib import import_module

from tage.dataplane.protocols.xprotocol.protocol import Protocol

BUILTIN = {
    "bolt": ("bolt", "Bolt"),
    "dubbo": ("dubbo", "Dubbo"),
    "dubbo-thrift": ("dubbo_thrift", "DubboThrift"),
    "hsf": ("hsf", "Hsf"),
    "thrift": ("thrift", "Thrift"),
}
"""Name: module beside this one, class."""


def builtin(name: str) -> Protocol | None:
    """The one object of that protocol in this process, None: there is none of that name."""
    return _loaded(name) if name in BUILTIN else None


@cache
def _loaded(name: str) -> Protocol:
    module, cls = BUILTIN[name]
    found = getattr(import_module(f"{__package__}.{module}"), cls)()
    assert isinstance(found, Protocol)
    return found
