"""The bookshop's remote calls, as its callers make them; and the one service that only sends bytes.

Where they go is said by TAGE_SIDECAR_BOLT, TAGE_SIDECAR_DUBBO, TAGE_SIDECAR_X_LEDGER, TAGE_SIDECAR_GRPC_PRICES and
TAGE_SIDECAR_TCP_QUOTE: a sidecar's ports, or, without a mesh, the services themselves.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from typing import Any

import grpc
import rpc
import wire_bolt
import wire_dubbo
import wire_ledger
from google.protobuf.json_format import MessageToDict
from google.protobuf.struct_pb2 import Struct
from google.protobuf.wrappers_pb2 import Int32Value

ADDRESSES = {
    "bolt": "TAGE_SIDECAR_BOLT",
    "dubbo": "TAGE_SIDECAR_DUBBO",
    "x-ledger": "TAGE_SIDECAR_X_LEDGER",
    "grpc-prices": "TAGE_SIDECAR_GRPC_PRICES",
    "tcp-quote": "TAGE_SIDECAR_TCP_QUOTE",
}
_WIRES: dict[str, rpc.Wire] = {"bolt": wire_bolt, "dubbo": wire_dubbo, "x-ledger": wire_ledger}


class Shop:
    """`addresses`: HOST:PORT by protocol; of those that are missing the environment tells. "grpc" is a port that more
    than one service has, so calls have to name theirs. Raises `rpc.CallError`."""

    def __init__(self, addresses: Mapping[str, str] | None = None) -> None:
        self._addresses = addresses or {}
        self._clients: dict[str, rpc.Client] = {}
        self._prices: grpc.Channel | None = None

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

    def price(self, book: int, metadata: Mapping[str, str]) -> Any:
        ask = self._channel().unary_unary(
            "/com.tage.bookshop.Prices/Of", Int32Value.SerializeToString, Struct.FromString
        )
        try:
            return MessageToDict(ask(Int32Value(value=book), timeout=rpc.TIMEOUT, metadata=tuple(metadata.items())))
        except grpc.RpcError as error:
            raise _failed("Of", error) from error

    def price_changes(self, book: int, metadata: Mapping[str, str]) -> list[Any]:
        ask = self._channel().unary_stream(
            "/com.tage.bookshop.Prices/Changes", Int32Value.SerializeToString, Struct.FromString
        )
        try:
            answers = ask(Int32Value(value=book), timeout=rpc.TIMEOUT, metadata=tuple(metadata.items()))
            return [MessageToDict(each) for each in answers]
        except grpc.RpcError as error:
            raise _failed("Changes", error) from error

    def quote(self) -> str:
        host, _, port = self._address("tcp-quote").rpartition(":")
        try:
            with socket.create_connection((host, int(port)), rpc.TIMEOUT) as connection:
                line = connection.makefile("rb").readline(1000)
        except OSError as error:
            raise rpc.CallError(f"quote: {error}") from error
        if not line:
            raise rpc.CallError("quote: the connection was closed")
        return line.decode().strip()

    def _client(self, protocol: str) -> rpc.Client:
        known = self._clients.get(protocol)
        if known is None:
            client = rpc.Client(_WIRES[protocol], self._address(protocol))
            known = self._clients.setdefault(protocol, client)
        return known

    def _channel(self) -> grpc.Channel:
        if self._prices is None:
            shared = self._addresses.get("grpc")
            if shared:
                self._prices = grpc.insecure_channel(shared, [("grpc.default_authority", "prices")])
            else:
                self._prices = grpc.insecure_channel(self._address("grpc-prices"))
        return self._prices

    def _address(self, name: str) -> str:
        address = self._addresses.get(name) or os.environ.get(ADDRESSES[name], "")
        if not address:
            raise rpc.CallError(f"no address for {name}: {ADDRESSES[name]} is not set")
        return address


def _failed(method: str, error: grpc.RpcError) -> rpc.CallError:
    return rpc.CallError(f"com.tage.bookshop.Prices.{method}: {error.code().name}: {error.details()}")
