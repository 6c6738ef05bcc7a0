"""The dynamic table of a decoder, looked at through blocks (RFC 7541, 2.3, 4)."""

import pytest

from tage.dataplane.protocols.http2.fields import BlockKind
from tage.dataplane.protocols.http2.hpack.decoder import HpackDecoder
from tage.dataplane.protocols.http2.hpack.encoder import HpackEncoder
from tage.dataplane.protocols.http2.hpack.table import FieldTable
from tests.dataplane.protocols.http2.blocks import decode, encode


def literal(name: bytes, value: bytes) -> bytes:
    """To be indexed; both shorter than 127 bytes."""
    return b"\x40" + bytes([len(name)]) + name + bytes([len(value)]) + value


def resize(size: int) -> bytes:
    if size < 31:
        return bytes([0x20 | size])
    result = bytearray([0x3F])
    size -= 31
    while size >= 128:
        result.append(size & 127 | 128)
        size >>= 7
    return bytes([*result, size])


def fed(*blocks: bytes, limit: int = 4_096) -> HpackDecoder:
    decoder = HpackDecoder(limit)
    for block in blocks:
        decode(block, BlockKind.RAW, decoder)
    return decoder


def test_it_is_empty_at_first():
    table = FieldTable()
    assert (table.count, table.size, table.limit, table.pairs()) == (0, 0, 4_096, [])


def test_the_newest_comes_first_and_an_entry_has_32_octets_more_than_its_name_and_value():
    table = fed(literal(b"a", b"1") + literal(b"bb", b"22")).table
    assert table.pairs() == [(b"bb", b"22"), (b"a", b"1")]
    assert table.size == 34 + 36


def test_the_oldest_goes_when_there_is_no_room():
    three = b"".join(literal(b"a", b"%d" % i) for i in range(3))
    table = fed(resize(102) + three).table
    assert table.pairs() == [(b"a", b"2"), (b"a", b"1"), (b"a", b"0")]
    table = fed(resize(101) + three).table
    assert table.pairs() == [(b"a", b"2"), (b"a", b"1")]


def test_an_entry_larger_than_the_table_empties_it():
    decoder = fed(resize(64) + literal(b"a", b"1"))
    fields = decode(literal(b"b", b"2" * 32), BlockKind.RAW, decoder)
    assert fields.pairs() == [(b"b", b"2" * 32)]
    assert (decoder.table.pairs(), decoder.table.size) == ([], 0)


def test_a_name_is_taken_from_an_entry_that_goes_for_the_new_one():
    """RFC 7541, 4.4."""
    decoder = fed(resize(64) + literal(b"name", b"1" * 20))
    fields = decode(b"\x7e\x05other", BlockKind.RAW, decoder)  # the name is index 62
    assert fields.pairs() == [(b"name", b"other")]
    assert decoder.table.pairs() == [(b"name", b"other")]


def test_size_0_empties_it_and_it_can_be_used_again():
    decoder = fed(literal(b"a", b"1"), resize(0) + resize(4_096) + literal(b"b", b"2"))
    assert decoder.table.pairs() == [(b"b", b"2")]


def test_more_entries_than_the_ring_began_with():
    """128 entries of 32 octets are the most that 4,096 hold; each is still the one that its index says."""
    decoder = fed(*(literal(b"", b"") for _ in range(3)), *(literal(b"n", b"%d" % (i % 10)) for i in range(1_000)))
    assert decoder.table.count == 4_096 // 34
    assert decoder.table.pairs() == [(b"n", b"%d" % (i % 10)) for i in range(999, 999 - decoder.table.count, -1)]
    block = b"".join(bytes([0x80 | (62 + i)]) for i in range(60))
    assert decode(block, BlockKind.RAW, decoder).pairs() == decoder.table.pairs()[:60]


@pytest.mark.parametrize("size", [0, 1, 30, 31, 158, 159, 4_096])
def test_a_table_of_any_size_up_to_what_was_announced(size):
    assert fed(resize(size)).table.limit == size


def test_both_sides_have_the_same_table():
    encoder, decoder = HpackEncoder(), HpackDecoder()
    for number in range(400):
        if number % 50 == 49:
            encoder.resize((number * 37) % 5_000)
        pairs = [(b"name-%d" % (number % 7), b"%d" % (number % 11)), (b"x", b"y" * (number % 300))]
        block = encode(pairs, encoder)
        assert decode(block, BlockKind.RAW, decoder).pairs() == pairs
        assert encoder.table.pairs() == decoder.table.pairs()
        assert encoder.table.size == decoder.table.size <= decoder.table.limit
