from __future__ import annotations

import os
import random
import time
import tracemalloc
from datetime import datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyhessian.data_types import long
from pyhessian.encoder import Encoder
from pyhessian.protocol import Binary

from tage.dataplane.protocols.xprotocol.hessian import MAX_CLASSES, MAX_DEPTH, Dialect, HessianReader
from tage.dataplane.protocols.xprotocol.hessian_text import encode_int, encode_string
from tests.dataplane.protocols.xprotocol.hessian_values import Values, units
from tests.dataplane.protocols.xprotocol.vectors import load

DRAFT, FINAL = Dialect.DRAFT, Dialect.FINAL
RNG = st.integers(0, 2**32 - 1).map(random.Random)
DIALECTS = pytest.mark.parametrize("dialect", [DRAFT, FINAL], ids=["draft", "final"])


def reader(data: bytes, dialect: Dialect, start: int = 0, end: int | None = None) -> HessianReader:
    made = HessianReader()
    made.open(data, start, len(data) if end is None else end, dialect)
    return made


def ends(data: bytes, dialect: Dialect) -> list[int]:
    """Where each value ends, up to one that cannot be skipped."""
    made, found = reader(data, dialect), []
    while made.at < len(data) and made.skip():
        found.append(made.at)
    return found


# -- what Java has written ---------------------------------------------------------------------------------------------


def _streams() -> list[tuple[str, Dialect, bytes]]:
    found = []
    for file, dialect in (("hessian_draft", DRAFT), ("hessian_final", FINAL)):
        found += [(f"{file}-{name}", dialect, data) for name, data in load(file).items()]
    return found


COUNTS = {
    "ints": 16, "longs": 15, "doubles": 15, "simple": 9, "strings": 10, "chunks": 5, "binaries": 5, "lists": 13,
    "maps": 6, "objects": 10, "chain": 1,
}  # fmt: skip


@pytest.mark.parametrize(("name", "dialect", "data"), _streams(), ids=[each[0] for each in _streams()])
def test_values_of_java_are_skipped(name: str, dialect: Dialect, data: bytes) -> None:
    found = ends(data, dialect)
    assert len(found) == COUNTS[name.partition("-")[2]]
    assert found[-1] == len(data)


@pytest.mark.parametrize(("name", "dialect", "data"), _streams(), ids=[each[0] for each in _streams()])
def test_values_of_java_cut_anywhere_are_not(name: str, dialect: Dialect, data: bytes) -> None:
    """A reader of the first bytes finds the values that are whole, and no others."""
    whole = ends(data, dialect)
    places = range(len(data)) if len(data) < 2000 else sorted(random.Random(1).sample(range(len(data)), 200))
    for size in places:
        cut = reader(data, dialect, 0, size)
        found = []
        while cut.skip():
            found.append(cut.at)
        assert found == [end for end in whole if end <= size]
        assert cut.error


@DIALECTS
def test_strings_of_java(dialect: Dialect) -> None:
    file = "hessian_final" if dialect == FINAL else "hessian_draft"
    strings = [
        "", "a", "a" * 31, "b" * 32, "é" * 31, "水" * 300, "nul \0 there", "pair 😀 pair", "c" * 1023, "d" * 1024,
    ]  # fmt: skip
    chunks = ["e" * 32768, "f" * 40000, "g" * 32767 + "😀h"]
    for name, texts in (("strings", strings), ("chunks", chunks)):
        made = reader(load(file)[name], dialect)
        start = 0
        for text in texts:
            assert made.text() == text.encode()
            assert encode_string(text.encode(), dialect == FINAL) == made.data[start : made.at]
            start = made.at


@DIALECTS
def test_ints_of_java(dialect: Dialect) -> None:
    data = load("hessian_final" if dialect == FINAL else "hessian_draft")["ints"]
    ints = [
        0, -1, -16, 47, 48, -17, 2047, -2048, 2048, -2049, 262143, -262144, 262144, -262145, 2**31 - 1, -(2**31),
    ]  # fmt: skip
    assert b"".join(map(encode_int, ints)) == data
    made = reader(data, dialect)
    for number in ints:
        assert made.number() == (number if number >= 0 else -1)
        assert number >= 0 or made.skip()


def test_field_of_java() -> None:
    """SOFARPC's request object stands behind the header map: 22 bytes, a class name of 44, a map of 394 or so."""
    frame = load("bolt1")["request"]
    start = 22 + int.from_bytes(frame[14:16], "big") + int.from_bytes(frame[16:18], "big")
    made = HessianReader()
    assert made.field(frame, start, len(frame), b"methodName") == b"echo"
    assert made.field(frame, start, len(frame), b"targetServiceUniqueName") == b"com.tage.interop.Echo:1.0"
    assert made.field(frame, start, len(frame), b"targetAppName") is None  # null
    assert made.field(frame, start, len(frame), b"requestProps") is None  # a map
    assert made.field(frame, start, len(frame), b"nothing") is None
    assert made.at == len(frame)


# -- every form --------------------------------------------------------------------------------------------------------


@DIALECTS
@settings(deadline=None)
@given(rng=RNG, behind=st.binary(max_size=3))
def test_every_form_is_skipped(dialect: Dialect, rng: random.Random, behind: bytes) -> None:
    values = Values(dialect, rng)
    wires = [values.value() for _ in range(rng.randrange(1, 4))]
    made = reader(b"\xff" + b"".join(wires) + behind, dialect, 1)
    at = 1
    for wire in wires:
        at += len(wire)
        assert made.skip(), made.error
        assert made.at == at


@DIALECTS
@settings(deadline=None)
@given(rng=RNG)
def test_every_form_cut_anywhere_is_not(dialect: Dialect, rng: random.Random) -> None:
    wire = Values(dialect, rng).value()
    for size in range(len(wire)):
        made = reader(wire, dialect, 0, size)
        assert not made.skip()
        assert made.at == 0
        assert made.error


@DIALECTS
@settings(deadline=None)
@given(data=st.binary(max_size=200))
def test_whatever_comes(dialect: Dialect, data: bytes) -> None:
    """What is skipped, its bytes alone tell: the same with nothing, and with other bytes, behind them."""
    made = reader(data, dialect)
    if not made.skip():
        assert made.at == 0
        assert made.error
        return
    size = made.at
    assert 0 < size <= len(data)
    for other in (b"", b"\xff" * 9, b"ZZZ", b"zzz"):
        again = reader(data[:size] + other, dialect)
        assert again.skip()
        assert again.at == size


@DIALECTS
@settings(deadline=None)
@given(text=st.text(), rng=RNG)
def test_strings(dialect: Dialect, text: str, rng: random.Random) -> None:
    wire = Values(dialect, rng).string(text)
    made = reader(wire + b"\x01a", dialect)
    assert made.text() == text.encode()
    assert made.at == len(wire)
    assert made.text() == b"a"
    assert made.text() is None


@DIALECTS
@settings(deadline=None)
@given(text=st.one_of(st.text(), st.text("a😀é", min_size=20, max_size=2000)))
def test_strings_written(dialect: Dialect, text: str) -> None:
    made = reader(encode_string(text.encode(), dialect == FINAL), dialect)
    assert made.text() == text.encode()
    assert made.at == len(made.data)


@DIALECTS
def test_long_strings_written(dialect: Dialect) -> None:
    for text in ("a" * 0x8000, "a" * 0x8001, "😀" * 0x4000, "a" + "😀" * 0x10000, "é" * 200_000):
        made = reader(encode_string(text.encode(), dialect == FINAL), dialect)
        assert made.text() == text.encode()


def test_text_that_is_none() -> None:
    """A lone surrogate, and bytes that are not UTF-8: shown, never an error."""
    assert reader(b"\x02a\xed\xa0\x80", FINAL).text() == "a\ufffd".encode()
    assert reader(b"\x02\xed\x20\x20\xed\xa0\x80", FINAL).text().decode("utf-8", "strict")
    assert reader(b"\x01\xc3\x28", FINAL).text() == b"\xc3\x28"
    assert encode_string(b"\xff") == b"\x01\xef\xbf\xbd"
    assert reader(b"\x01\xf0\x9f\x98\x80", FINAL).text() is None
    assert reader(b"N", FINAL).text() is None


# -- an independent writer: Hessian 1.0's forms are the draft's too --------------------------------------------------


_OLD = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(-(2**31), 2**31 - 1), st.integers(-(2**63), 2**63 - 1).map(long),
        st.floats(), st.text(), st.binary().map(Binary), st.just(datetime(2020, 1, 1)),
    ),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | st.lists(inner).map(tuple),
    max_leaves=20,
)  # fmt: skip


@settings(deadline=None)
@given(value=_OLD.filter(lambda value: not isinstance(value, int) or -(2**31) <= value < 2**31))
def test_values_of_another_writer(value: object) -> None:
    try:
        wire = Encoder().encode(value)
    except Exception:  # integers within lists that it has no form for
        return
    assert ends(wire + b"N", DRAFT) == [len(wire), len(wire) + 1]


# -- fields ------------------------------------------------------------------------------------------------------------


@DIALECTS
@settings(deadline=None)
@given(rng=RNG, before=st.integers(0, 3), text=st.text())
def test_field(dialect: Dialect, rng: random.Random, before: int, text: str) -> None:
    values = Values(dialect, rng)
    names = [f"f{number}" for number in range(before)] + ["é水"]
    wire = values.definition("com.tage.A", names) + values.instance(0)
    wire += b"".join([values.value() for _ in range(before)]) + values.string(text)
    made = HessianReader()
    assert made.field(b"??" + wire + b"rest", 2, len(wire) + 6, "é水".encode()) == text.encode()
    assert made.field(wire, 0, len(wire), b"x") is None
    for size in range(len(wire)):
        assert made.field(wire, 0, size, "é水".encode()) is None
        assert made.at == size


@pytest.mark.parametrize(
    "wire",
    [
        b"H\x01a\x91\x01m\x02hiZ",
        b"M\x03x.y\x01a\x91\x91N\x01m\x02hiZ",
        b"Mt\x00\x03x.y\x01a\x91\x91N\x01m\x02hiz",
    ],
)
def test_field_of_a_map(wire: bytes) -> None:
    made = HessianReader()
    assert made.field(wire, 0, len(wire), b"m") == b"hi"
    assert made.field(wire, 0, len(wire), b"a") is None
    assert made.field(wire, 0, len(wire), b"n") is None


@pytest.mark.parametrize("wire", [b"", b"\x01m", b"\x60", b"o\x90", b"C\x01a\x91\x01m\x61\x01x", b"H\x01m", b"Z"])
def test_no_object(wire: bytes) -> None:
    assert HessianReader().field(wire, 0, len(wire), b"m") is None


# -- maps --------------------------------------------------------------------------------------------------------------


def test_a_map_entry_by_entry() -> None:
    made = reader(b"H\x01a\x01bN\x91\x01cNZ\x01x", FINAL)
    assert made.enter_map()
    assert (made.leave(), made.text(), made.text()) == (False, b"a", b"b")
    assert (made.leave(), made.text(), made.skip(), made.number()) == (False, None, True, 1)
    assert (made.leave(), made.text(), made.skip()) == (False, b"c", True)
    assert made.leave()
    assert made.text() == b"x"
    assert not made.leave()


@DIALECTS
@pytest.mark.parametrize("wire", [b"", b"N", b"M", b"\x90", b"Z", b"z"])
def test_no_map(dialect: Dialect, wire: bytes) -> None:
    made = reader(wire, dialect)
    if dialect == DRAFT and wire == b"M":
        assert made.enter_map()  # its type may be missing
        assert not made.leave()
        return
    assert not made.enter_map()
    assert made.at == 0


# -- what only an attacker sends ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wire", "dialect"),
    [
        (b"X" + b"I\x7f\xff\xff\xff", FINAL),  # lengths that are lies
        (b"V\x90I\x7f\xff\xff\xffNNN", FINAL),
        (b"V\x90\x8fN", FINAL),
        (b"C\x01aI\x7f\xff\xff\xff\x01b", FINAL),
        (b"C\x01a\x8f", FINAL),
        (b"B\xff\xffabc", FINAL),
        (b"S\xff\xffabc", FINAL),
        (b"R\x00\x01aN", FINAL),
        (b"v\x90I\x7f\xff\xff\xff", DRAFT),
        (b"OI\x7f\xff\xff\xffab", DRAFT),
        (b"O\x8fab", DRAFT),
        (b"Vn", DRAFT),
        (b"Vl\0\0", DRAFT),
        (b"Vt\0", DRAFT),
        (b"VT", DRAFT),
        (b"VT\x8fz", DRAFT),
        (b"r", DRAFT),
        (b"H\x01aZ", FINAL),  # a key without a value
        (b"WC", FINAL),
        (b"H\x01aNz", FINAL),  # the other dialect's end
        (b"M\x01aNZ", DRAFT),
        (b"\x60", FINAL),  # no such class
        (b"C\x01a\x90O\x91", FINAL),
        (b"C\x01a\x90O\x8f", FINAL),
        (b"Z", FINAL),
        (b"P", FINAL),
        (b"\x40", FINAL),
        (b"0", DRAFT),
        (b"QN", FINAL),
        (b"\x01\x80", FINAL),  # no lead byte
        (b"\x01\xf0\x9f\x98\x80", FINAL),
    ],
)
def test_refused(wire: bytes, dialect: Dialect) -> None:
    made = reader(wire, dialect)
    assert not made.skip()
    assert made.at == 0
    assert made.error


@pytest.mark.parametrize(("wire", "dialect"), [(b"W", FINAL), (b"\x79", FINAL), (b"Vn\1", DRAFT), (b"M\x00N", FINAL)])
def test_depth_bombs(wire: bytes, dialect: Dialect) -> None:
    """Containers that never end, as deep as a frame is long (uncompiled: a sixteenth): refused, in bounded memory."""
    size = 1 << 18 if os.environ.get("TAGE_PURE") else 1 << 22
    data = (wire * size)[:size]
    made = HessianReader()
    tracemalloc.start()
    try:
        made.open(data, 0, len(data), dialect)
        assert not made.skip()
        assert tracemalloc.get_traced_memory()[1] < 10_000
    finally:
        tracemalloc.stop()
    assert made.error


def test_depth() -> None:
    """One is entered, and so many within it."""
    deep = b"W" * (MAX_DEPTH + 1) + b"Z" * (MAX_DEPTH + 1)
    assert ends(deep, FINAL) == [len(deep)]
    deeper = b"W" * (MAX_DEPTH + 2) + b"Z" * (MAX_DEPTH + 2)
    made = reader(deeper, FINAL)
    assert not made.skip()
    assert made.error == "too many values within each other"


def test_a_chain_of_any_length() -> None:
    """A list whose last value is a list: what is behind it no longer waits for anything."""
    data = b"\x7a\x90" * 100_000 + b"N"
    assert ends(data, FINAL) == [len(data)]


def test_classes() -> None:
    some = b"C\0\x90" * MAX_CLASSES + b"\x60"
    assert ends(some, FINAL) == [len(some)]
    made = reader(b"C\0\x90" * (MAX_CLASSES + 1) + b"\x60", FINAL)
    assert not made.skip()
    assert made.error == "too many classes"
    made = reader(b"C\0\x90\x60" * 2 + b"\x40\x61", FINAL)
    assert (made.skip(), made.skip(), made.skip()) == (True, True, False)
    made.open(b"\x60", 0, 1, FINAL)  # another stream has none of these
    assert not made.skip()


def test_classes_of_what_was_not_skipped_are_forgotten() -> None:
    made = reader(b"C\0\x90\x40", FINAL)
    assert not made.skip()
    made.open(made.data, 3, 4, FINAL)
    assert not made.skip()


def test_much_in_little_time() -> None:
    """Time goes with the bytes: a megabyte of small values, of text, of chunks, of objects of one class."""
    streams = [
        b"\x90" * (1 << 20),
        encode_string(("é" * (1 << 19)).encode()),
        b"R\0\0" * (1 << 18) + b"\0",
        b"C\0\x92\1a\1b" + b"\x60" * (1 << 19) + b"N" * (1 << 19) + b"N" * 4,
        b"W" + b"\x60" * (1 << 20),
    ]
    for data in streams:
        began = time.process_time()
        made = reader(data, FINAL)
        while made.skip():
            pass
        assert time.process_time() - began < 20  # uncompiled, on a loaded machine; compiled it takes milliseconds


@pytest.mark.parametrize(("start", "end"), [(-1, 1), (0, 3), (2, 1)])
def test_a_range_that_is_none(start: int, end: int) -> None:
    with pytest.raises(IndexError):
        HessianReader().open(b"NN", start, end, FINAL)


def test_units() -> None:
    assert units("a😀") == b"a\xed\xa0\xbd\xed\xb8\x80"
