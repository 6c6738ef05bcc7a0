"""`ByteWriter`: what is put is what is taken."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tage.dataplane.protocols.writer import ByteWriter

U64 = 2**64 - 1


def test_take_empties():
    out = ByteWriter()
    assert out.take() == b""
    out.put(b"ab")
    out.put(b"")
    out.put_slice(b"xcdx", 1, 3)
    assert out.size == 4
    assert out.take() == b"abcd"
    assert out.size == 0
    assert out.take() == b""


def test_what_was_taken_is_not_changed_later():
    out = ByteWriter(8)
    out.put(b"12345678")
    taken = out.take()
    out.put(b"abcdefgh")
    assert taken == b"12345678"


@pytest.mark.parametrize("capacity", [0, 1, 4096])
def test_it_grows(capacity: int):
    out = ByteWriter(capacity)
    for i in range(300):
        out.put(b"%d," % i)
    out.put_decimal(U64)
    out.put_hex(U64, 0)
    assert out.take() == b"".join(b"%d," % i for i in range(300)) + b"%d%x" % (U64, U64)


def test_it_stays_right_after_a_large_piece():
    out = ByteWriter()
    large = bytes(range(256)) * 1000
    for _ in range(3):
        out.put(b"<")
        out.put(large)
        out.put(b">")
        assert out.take() == b"<" + large + b">"
        out.put(b"x" * 5000)
        assert out.take() == b"x" * 5000


@pytest.mark.parametrize(("start", "end"), [(-1, 2), (2, 1), (0, 4), (4, 4), (3, 2**62)])
def test_a_slice_has_to_lie_in_its_source(start: int, end: int):
    with pytest.raises(IndexError):
        ByteWriter().put_slice(b"abc", start, end)


@pytest.mark.parametrize("value", [0, 1, 9, 10, 99, 100, 255, 4096, 10**18, U64 - 1, U64])
def test_numbers(value: int):
    out = ByteWriter(1)
    out.put_decimal(value)
    assert out.take() == b"%d" % value
    out.put_hex(value, 0)
    assert out.take() == b"%x" % value
    for digits in (1, 3, 15, 16):
        out.put_hex(value, digits)
        assert out.take() == (b"%016x" % value)[16 - digits :]
    out.put_hex(value, 70)
    assert out.take() == b"%016x" % value


def test_what_is_no_bytes_is_refused():
    out = ByteWriter()
    for wrong in (None, 1):
        with pytest.raises(TypeError):
            out.put(wrong)
    assert out.take() == b""


pieces = st.one_of(
    st.tuples(st.just("put"), st.binary(max_size=6000)),
    st.tuples(st.just("decimal"), st.integers(0, U64)),
    st.tuples(st.just("hex"), st.integers(0, U64)),
    st.tuples(st.just("take"), st.none()),
)


@given(st.lists(pieces, max_size=30), st.integers(0, 100))
def test_like_a_list_of_pieces(script, capacity: int):
    out, model = ByteWriter(capacity), b""
    for what, value in script:
        if what == "put":
            out.put(value)
            model += value
        elif what == "decimal":
            out.put_decimal(value)
            model += b"%d" % value
        elif what == "hex":
            out.put_hex(value, 0)
            model += b"%x" % value
        else:
            assert out.take() == model
            model = b""
        assert out.size == len(model)
    assert out.take() == model


@pytest.mark.parametrize(
    ("at", "value", "width", "little", "result"),
    [
        (0, 0x0102, 2, False, b"\1\2cdefgh"),
        (0, 0x0102, 2, True, b"\2\1cdefgh"),
        (5, 0xFF010203, 3, False, b"abcde\1\2\3"),
        (0, (1 << 64) - 2, 8, False, b"\xff" * 7 + b"\xfe"),
        (8, 1, 0, False, b"abcdefgh"),
    ],
)
def test_a_number_over_what_was_put(at: int, value: int, width: int, little: bool, result: bytes):
    out = ByteWriter(8)
    out.put(b"abcdefgh")
    out.put_number_at(at, value, width, little)
    assert out.take() == result


@pytest.mark.parametrize(("at", "width"), [(-1, 1), (0, 9), (8, 1), (7, 2), (0, -1)])
def test_a_number_outside_what_was_put(at: int, width: int):
    out = ByteWriter(64)
    out.put(b"abcdefgh")
    with pytest.raises(IndexError):
        out.put_number_at(at, 1, width, False)
    assert out.take() == b"abcdefgh"


def test_a_crc_of_what_was_put():
    out = ByteWriter(4)
    out.put(b"before123456789")
    assert out.crc32(6, 15) == 0xCBF43926
    assert out.crc32(6, 6) == 0
    out.put(b"x" * 100)  # the buffer may grow again
    for start, end in ((-1, 1), (2, 1), (0, 116)):
        with pytest.raises(IndexError):
            out.crc32(start, end)
