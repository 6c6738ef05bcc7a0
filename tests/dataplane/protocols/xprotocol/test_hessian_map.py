from __future__ import annotations

import pytest

from tage.dataplane.protocols.xprotocol.hessian import Dialect, HessianReader
from tage.dataplane.protocols.xprotocol.hessian_map import StringMap


def read(data: bytes, dialect: Dialect = Dialect.FINAL) -> StringMap:
    reader = HessianReader()
    reader.open(data, 1, len(data), dialect)
    return StringMap(reader)


@pytest.mark.parametrize(
    ("wire", "dialect"),
    [
        (b"H\1a\1xN\1zZ", Dialect.FINAL),
        (b"M\3t.u\1a\1xN\1zZ", Dialect.FINAL),
        (b"M\1a\1xN\1zz", Dialect.DRAFT),
        (b"Mt\0\3t.u\1a\1xN\1zz", Dialect.DRAFT),
    ],
)
def test_strings(wire: bytes, dialect: Dialect) -> None:
    found = read(b"?" + wire + b"rest", dialect)
    final = dialect == Dialect.FINAL
    assert found.strings == {b"a": b"x"}
    assert (found.start, found.end) == (1, 1 + len(wire))
    assert found.written({b"a": b"x"}, final) == wire
    assert found.written({}, final) == wire.replace(b"\1a\1x", b"")
    assert found.written({b"b": b"y"}, final) == wire.replace(b"\1a\1x", b"")[:-1] + b"\1b\1y" + wire[-1:]


@pytest.mark.parametrize(("dialect", "wire"), [(Dialect.FINAL, b"H\1a\1xZ"), (Dialect.DRAFT, b"M\1a\1xz")])
def test_null(dialect: Dialect, wire: bytes) -> None:
    found = read(b"?N", dialect)
    assert (found.strings, found.start, found.end) == ({}, 1, 2)
    assert found.written({b"a": b"x"}, dialect == Dialect.FINAL) == wire


@pytest.mark.parametrize("wire", [b"", b"\x90", b"H", b"H\1a", b"H\1aZ", b"H\1a\1x", b"HNZ", b"H\1a\2xZ", b"z"])
def test_no_map(wire: bytes) -> None:
    with pytest.raises(ValueError):
        read(b"?" + wire)
