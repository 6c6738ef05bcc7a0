"""The bookshop's protocols as its applications write and read them: there and back, split anywhere, and beside frames
that Dubbo itself has written."""

from __future__ import annotations

import sys
from types import ModuleType

import pytest

from tests.dataplane.protocols.xprotocol import vectors
from tests.examples.bookshop import BOOKSHOP

sys.path.insert(0, str(BOOKSHOP))
try:
    import hessian
    import rpc
    import wire_bolt
    import wire_dubbo
    import wire_ledger
finally:
    sys.path.remove(str(BOOKSHOP))

WIRES = [wire_bolt, wire_dubbo, wire_ledger]


@pytest.mark.parametrize("wire", WIRES)
def test_messages_there_and_back(wire: ModuleType) -> None:
    messages = [
        rpc.Call("com.example.Stock", "check", [1, "zwei", {"a": "b"}], {"end-user": "jason"}, 7, 2500),
        rpc.Call("com.example.Stock", "tell", [], {}, 8, 0, one_way=True),
        rpc.Answer(7, {"version": "v1", "list": [1, 2**40, None, True, 1.5]}),
        rpc.Answer(7, None),
        rpc.Heartbeat(9),
        rpc.Heartbeat(9, is_answer=True),
    ]
    data = b"".join(map(wire.write, messages))
    assert rpc.Frames(wire).feed(data) == messages
    for at in range(1, len(data)):
        frames = rpc.Frames(wire)
        assert frames.feed(data[:at]) + frames.feed(data[at:]) == messages


@pytest.mark.parametrize("wire", WIRES)
def test_errors_are_said(wire: ModuleType) -> None:
    (answer,) = rpc.Frames(wire).feed(wire.write(rpc.Answer(7, error="no book 9")))
    assert answer.id == 7
    assert "no book 9" in answer.error


@pytest.mark.parametrize("wire", WIRES)
def test_what_is_another_protocol(wire: ModuleType) -> None:
    with pytest.raises(ValueError, match="it begins with"):
        rpc.Frames(wire).feed(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n" * 2)


def test_dubbo_of_dubbo() -> None:
    frames = vectors.load("dubbo2")
    call = wire_dubbo.read(frames["request"])
    assert isinstance(call, rpc.Call)
    assert (call.method, call.arguments) == ("echo", ["hello"])
    answer = wire_dubbo.read(frames["response"])
    assert isinstance(answer, rpc.Answer)
    assert (answer.id, answer.error, answer.result) == (call.id, "", "v1 hello")


@pytest.mark.parametrize(
    "value",
    [
        None, True, False, 0, -16, 47, 48, -17, 2**31 - 1, -(2**31), 2**31, -(2**63), 1.5, -0.0, "", "a" * 31, "b" * 32,
        "c" * 70_000, "é漢𝄞" * 3, b"", b"x" * 70_000, [], [1, [2, [3]]], {}, {"a": {"b": [1]}},
        hessian.Record("com.example.A", {"a": 1, "b": hessian.Record("com.example.B", {})}),
    ],
)  # fmt: skip
def test_hessian(value: object) -> None:
    assert hessian.decode(hessian.encode(value, value)) == [value, value]


@pytest.mark.parametrize("data", [b"S", b"S\0\5ab", b"\x51", b"I\0", b"C", b"O\x90", b"H\x90", b"X\x95", b"B\0\5a"])
def test_what_is_not_hessian(data: bytes) -> None:
    with pytest.raises(ValueError, match="not Hessian 2"):
        hessian.decode(data)
