"""The Hessian reader, in both dialects: values that are skipped, strings, fields of objects, maps."""

from __future__ import annotations

import random
import zlib
from collections.abc import Hashable

from fuzz.target import Target
from tage.dataplane.protocols.xprotocol.hessian import Dialect, HessianReader
from tage.dataplane.protocols.xprotocol.hessian_map import StringMap
from tage.dataplane.protocols.xprotocol.hessian_text import encode_string
from tests.dataplane.protocols.xprotocol import vectors
from tests.dataplane.protocols.xprotocol.hessian_values import Values

_READER = HessianReader()
"""One for all inputs, as a protocol has it: nothing of one may be left for the next."""
_PLACES = 12


def seeds() -> list[bytes]:
    files = (vectors.load("hessian_final"), vectors.load("hessian_draft"))
    return [data for file in files for data in file.values() if len(data) <= 2048]


def make(rng: random.Random) -> bytes:
    """A stream in either dialect."""
    values = Values(rng.choice((Dialect.DRAFT, Dialect.FINAL)), rng)
    return b"".join(values.value() for _ in range(rng.randrange(1, 5)))


def check(data: bytes) -> Hashable:
    dialect = Dialect.FINAL if zlib.adler32(data) & 1 else Dialect.DRAFT
    ends, error = _ends(_READER, data, dialect)
    assert (ends, error) == _ends(HessianReader(), data, dialect), "something was left of another input"
    assert ends == sorted(set(ends))
    assert not ends or ends[-1] <= len(data)
    for size in _places(data, ends):
        assert _ends(_READER, data[:size], dialect)[0] == [end for end in ends if end <= size], (
            "it looked behind the end"
        )
    texts = _texts(data, dialect)
    field = _READER.field(data, 0, len(data), b"name")
    assert field == HessianReader().field(data, 0, len(data), b"name")
    return dialect, error, field is None, len(ends).bit_length(), texts.bit_length(), _map(data, dialect)


def _places(data: bytes, ends: list[int]) -> list[int]:
    """Where the input is cut, which depends on it alone: at random, and before the last byte of a value."""
    rng = random.Random(zlib.crc32(data))
    return [rng.randrange(len(data) + 1) for _ in range(_PLACES)] + [end - 1 for end in ends[:4]]


def _ends(reader: HessianReader, data: bytes, dialect: Dialect) -> tuple[list[int], str]:
    reader.open(data, 0, len(data), dialect)
    ends = []
    while reader.at < len(data) and reader.skip():
        ends.append(reader.at)
    return ends, reader.error if reader.at < len(data) else ""


def _texts(data: bytes, dialect: Dialect) -> int:
    """How many strings are read; each is UTF-8 where its bytes were, and the same when it is written."""
    _READER.open(data, 0, len(data), dialect)
    count = 0
    while (text := _READER.text()) is not None or _READER.skip():
        if text is None:
            continue
        count += 1
        again = HessianReader()
        wire = encode_string(text, dialect == Dialect.FINAL)
        again.open(wire, 0, len(wire), dialect)
        assert again.text() == text.decode("utf-8", "replace").encode()
        assert again.at == len(wire)
    return count


def _map(data: bytes, dialect: Dialect) -> Hashable:
    _READER.open(data, 0, len(data), dialect)
    try:
        found = StringMap(_READER)
    except ValueError as error:
        return str(error)
    wanted = {**found.strings, b"x-fuzz": b"1"}
    wire = found.written(wanted, dialect == Dialect.FINAL)
    again = HessianReader()
    again.open(wire, 0, len(wire), dialect)
    assert _as_text(StringMap(again).strings) == _as_text(wanted)
    assert again.at == len(wire)
    return len(found.strings)


def _as_text(strings: dict[bytes, bytes]) -> dict[str, str]:
    """Strings of Hessian are text: what is no UTF-8 in them is written as U+FFFD."""
    return {name.decode(errors="replace"): value.decode(errors="replace") for name, value in strings.items()}


def consume(data: bytes) -> None:
    for dialect in (Dialect.DRAFT, Dialect.FINAL):
        _READER.open(data, 0, len(data), dialect)
        while _READER.skip():
            pass


TARGET = Target(
    name="hessian",
    seeds=seeds,
    check=check,
    consume=consume,
    max_memory=4096,
    tokens=[
        b"C\1a\x91\1b\x60", b"O\x91a\x91\1bo\x90", b"H", b"M\1a", b"Mt\0\1a", b"Z", b"z", b"U\1a", b"V\1a\x91", b"W",
        b"X\x91", b"Vt\0\1an\1", b"v\x90\x91", b"I\x7f\xff\xff\xff", b"I\xff\xff\xff\xff", b"R\0\1a", b"s\0\1a",
        b"S\xff\xff", b"A\0\1a", b"b\0\1a", b"\x30\x20", b"\x34\x20", b"Q\x90", b"r", b"\4name",
        b"\xed\xa0\xbd\xed\xb8\x80",
        b"N", b"\x7a", b"\x72\1a",
    ],
    make=make,
    max_size=2048,
)  # fmt: skip
