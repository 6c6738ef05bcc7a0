"""The bookshop's remote calls, as its callers make them.

Where they go is said by TAGE_SIDECAR_BOLT, TAGE_SIDECAR_DUBBO and TAGE_SIDECAR_X_LEDGER: a sidecar's ports, or, without
a mesh, the services themselves.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import rpc
import wire_bolt
import wire_dubbo
import wire_ledger

ADDRESSES = {
    "bolt": "TAGE_SIDECAR_BOLT",
    "dubbo": "TAGE_SIDECAR_DUBBO",
    "x-ledger": "TAGE_SIDECAR_X_LEDGER",
}
_WIRES: dict[str, rpc.Wire] = {"bolt": wire_bolt, "dubbo": wire_dubbo, "x-ledger": wire_ledger}


class Shop:
    """`addresses`: HOST:PORT by protocol; of those that are missing the environment tells. Raises `rpc.CallError`."""

    def __init__(self, addresses: Mapping[str, str] | None = None) -> None:
        self._addresses = addresses or {}
        self._clients: dict[str, rpc.Client] = {}

    def stock(self, book: int, metadata: Mapping[str, str]) -> Any:
        return self._client("bolt").call("com.tage.bookshop.Stock", "check", book, metadata=metadata)

    def recommended(self, book: int, metadata: Mapping[str, str]) -> Any:
        return self._client("dubbo").call("com.tage.bookshop.Recommender", "alsoRead", book, metadata=metadata)

    def entered(self, book: int, metadata: Mapping[str, str]) -> Any:
        return self._client("x-ledger").call("com.tage.bookshop.Ledger", "enter", book, metadata=metadata)

    def looked(self, book: int, metadata: Mapping[str, str]) -> None:
        self._client("x-ledger").tell("com.tage.bookshop.Ledger", "looked", book, metadata=metadata)

    def lines(self, metadata: Mapping[str, str]) -> Any:
        return self._client("x-ledger").call("com.tage.bookshop.Ledger", "lines", metadata=metadata)

    def _client(self, protocol: str) -> rpc.Client:
        known = self._clients.get(protocol)
        if known is None:
            address = self._addresses.get(protocol) or os.environ.get(ADDRESSES[protocol], "")
            if not address:
                raise rpc.CallError(f"no address for {protocol}: {ADDRESSES[protocol]} is not set")
            known = self._clients.setdefault(protocol, rpc.Client(_WIRES[protocol], address))
        return known
