"""Heads as the codec makes them."""

from __future__ import annotations

from typing import Any

from tage.dataplane.protocols.http1.request import RequestDecoder
from tage.dataplane.protocols.http1.response import ResponseDecoder


def request(path: str = "/", host: str = "a", method: str = "GET", headers: Any = ()) -> Any:
    return _head(RequestDecoder(), f"{method} {path} HTTP/1.1", [("host", host), *headers])


def answer(status: int = 200, headers: Any = ()) -> Any:
    return _head(ResponseDecoder(), f"HTTP/1.1 {status} X", [("content-length", "0"), *headers])


def _head(decoder: Any, line: str, headers: Any) -> Any:
    lines = [line, *(f"{name}: {value}" for name, value in headers)]
    decoder.feed(("\r\n".join(lines) + "\r\n\r\n").encode())
    assert decoder.read_head() == 1, decoder.error
    return decoder.head
