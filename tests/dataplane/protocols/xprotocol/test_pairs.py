import random

import pytest

from tage.dataplane.protocols.xprotocol.pairs import Pairs
from tage.xprotocol import pairs, u8, u16, u32, u64

ITEMS = [(b"service", b"com.example.A"), (b"", b"x"), (b"empty", b""), (b"service", b"again")]


@pytest.mark.parametrize(
    "encoding", [pairs(u8), pairs(u16), pairs(u32), pairs(u64), pairs(u16(0).little), pairs(u32, null=0xFFFFFFFF)]
)
def test_read_is_the_reverse_of_write(encoding: Pairs):
    data = encoding.write(ITEMS)
    assert encoding.read(data, 0, len(data)) == ITEMS
    assert encoding.read(b"ab" + data + b"c", 2, len(data) + 2) == ITEMS
    assert encoding.read(b"", 0, 0) == []


def test_the_bytes():
    assert pairs(u16).write([(b"a", b"bc")]) == b"\0\1a\0\2bc"
    assert pairs(u16(0).little).write([(b"a", b"bc")]) == b"\1\0a\2\0bc"


@pytest.mark.parametrize("encoding", [pairs(u8), pairs(u32), pairs(u32, null=0xFFFFFFFF)])
def test_every_truncation_is_refused(encoding: Pairs):
    data = encoding.write(ITEMS)
    whole = {0}
    for count in range(1, len(ITEMS) + 1):
        whole.add(len(encoding.write(ITEMS[:count])))
    for end in range(len(data)):
        if end in whole:
            assert len(encoding.read(data, 0, end)) < len(ITEMS)
            continue
        with pytest.raises(ValueError, match="metadata: the pairs do not end where their part does"):
            encoding.read(data[:end] + b"ignored", 0, end)


@pytest.mark.parametrize("length", [b"\xff\xff\xff\xff", b"\x80\0\0\0", b"\x7f\xff\xff\xff", b"\0\0\0\5"])
def test_lengths_that_lead_outside(length: bytes):
    encoding = pairs(u32)
    for data in (length + b"abcd", b"\0\0\0\1a" + length + b"abcd"):
        with pytest.raises(ValueError):
            encoding.read(data, 0, len(data))
    wide = pairs(u64)
    for data in (b"\xff" * 8 + b"abcd", bytes(7) + b"\1a" + b"\xff" * 8):
        with pytest.raises(ValueError):
            wide.read(data, 0, len(data))


@pytest.mark.parametrize("where", [(-1, 2), (2, 1), (0, 100)])
def test_places_outside_the_data(where: tuple[int, int]):
    with pytest.raises(ValueError):
        pairs(u8).read(b"\1a\1b", *where)


def test_null_is_empty_and_stays_null_where_it_was():
    encoding = pairs(u32, null=0xFFFFFFFF)
    null = b"\xff" * 4
    data = b"\0\0\0\1a" + null + null + b"\0\0\0\1b" + b"\0\0\0\1c\0\0\0\0"
    items = encoding.read(data, 0, len(data))
    assert items == [(b"a", b""), (b"", b"b"), (b"c", b"")]
    assert encoding.write(items, [data, 0, len(data)]) == data
    assert encoding.write([(b"a", b"x"), (b"c", b"")], [data, 0, len(data)]) == b"\0\0\0\1a\0\0\0\1x\0\0\0\1c\0\0\0\0"
    assert encoding.write(items).count(null) == 0


def test_what_is_too_long_for_a_length():
    with pytest.raises(ValueError, match="metadata: 256 bytes, of which a length of 1 says 255"):
        pairs(u8).write([(b"k", bytes(256))])
    with pytest.raises(ValueError, match="says 254"):  # 255 is null
        pairs(u8, null=255).write([(b"k", bytes(255))])
    assert len(pairs(u8).write([(b"k", bytes(255))])) == 258


@pytest.mark.parametrize("length", [u16(0).plus(1), u16(0).masked(1), "u16"])
def test_what_is_no_length(length: object):
    with pytest.raises((ValueError, TypeError)):
        pairs(length)


def test_random_bytes_are_read_or_refused():
    draw = random.Random(5)
    for encoding in (pairs(u8), pairs(u16, null=0xFFFF), pairs(u32(0).little)):
        for _ in range(3000):
            data = draw.choice([draw.randbytes(draw.randrange(30)), bytes(draw.choices([0, 1, 2, 3, 255], k=20))])
            try:
                items = encoding.read(data, 0, len(data))
            except ValueError:
                continue
            assert encoding.write(items, [data, 0, len(data)]) == data
