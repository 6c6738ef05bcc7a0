"""Header blocks are decoded, and what RFC 7541 forbids is a compression error."""

import time
import tracemalloc

import pytest

from tage.dataplane.protocols.http2.fields import BlockKind, Fields
from tage.dataplane.protocols.http2.hpack.decoder import HpackDecoder
from tests.dataplane.protocols.http2.blocks import decode
from tests.dataplane.protocols.http2.hpack.test_table import literal, resize

REQUEST_1 = [(b":method", b"GET"), (b":scheme", b"http"), (b":path", b"/"), (b":authority", b"www.example.com")]
REQUEST_2 = [*REQUEST_1, (b"cache-control", b"no-cache")]
REQUEST_3 = [
    (b":method", b"GET"), (b":scheme", b"https"), (b":path", b"/index.html"), (b":authority", b"www.example.com"),
    (b"custom-key", b"custom-value"),
]  # fmt: skip
DATE_1, DATE_2 = (b"Mon, 21 Oct 2013 20:13:%d GMT" % second for second in (21, 22))
LOCATION = (b"location", b"https://www.example.com")
RESPONSE_1 = [(b":status", b"302"), (b"cache-control", b"private"), (b"date", DATE_1), LOCATION]
RESPONSE_2 = [(b":status", b"307"), (b"cache-control", b"private"), (b"date", DATE_1), LOCATION]
RESPONSE_3 = [
    (b":status", b"200"), (b"cache-control", b"private"), (b"date", DATE_2), LOCATION, (b"content-encoding", b"gzip"),
    (b"set-cookie", b"foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1"),
]  # fmt: skip
STORIES = {
    "C.3": (4_096, REQUEST_1, REQUEST_2, REQUEST_3, [
        "828684410f7777772e6578616d706c652e636f6d",
        "828684be58086e6f2d6361636865",
        "828785bf400a637573746f6d2d6b65790c637573746f6d2d76616c7565",
    ]),
    "C.4": (4_096, REQUEST_1, REQUEST_2, REQUEST_3, [
        "828684418cf1e3c2e5f23a6ba0ab90f4ff",
        "828684be5886a8eb10649cbf",
        "828785bf408825a849e95ba97d7f8925a849e95bb8e8b4bf",
    ]),
    "C.5": (256, RESPONSE_1, RESPONSE_2, RESPONSE_3, [
        "4803333032580770726976617465611d4d6f6e2c203231204f637420323031332032303a31333a323120474d54"
        "6e1768747470733a2f2f7777772e6578616d706c652e636f6d",
        "4803333037c1c0bf",
        "88c1611d4d6f6e2c203231204f637420323031332032303a31333a323220474d54c05a04677a69707738"
        "666f6f3d4153444a4b48514b425a584f5157454f50495541585157454f49553b206d61782d6167653d333630303b2076657273696f6e3d31",
    ]),
    "C.6": (256, RESPONSE_1, RESPONSE_2, RESPONSE_3, [
        "488264025885aec3771a4b6196d07abe941054d444a8200595040b8166e082a62d1bff6e919d29ad171863c78f0b97c8e9ae82ae43d3",
        "4883640effc1c0bf",
        "88c16196d07abe941054d444a8200595040b8166e084a62d1bffc05a839bd9ab77ad94e7821dd7f2e6c7b335dfdfcd5b3960d5af27087f3672"
        "c1ab270fb5291f9587316065c003ed4ee5b1063d5007",
    ]),
}  # fmt: skip
TABLES = {
    "C.3": (57, 110, 164),
    "C.4": (57, 110, 164),
    "C.5": (222, 222, 215),
    "C.6": (222, 222, 215),
}


@pytest.mark.parametrize(
    ("block", "field", "indexed"),
    [
        ("400a637573746f6d2d6b65790d637573746f6d2d686561646572", (b"custom-key", b"custom-header"), True),
        ("040c2f73616d706c652f70617468", (b":path", b"/sample/path"), False),
        ("100870617373776f726406736563726574", (b"password", b"secret"), False),
        ("82", (b":method", b"GET"), False),
    ],
)
def test_single_fields_of_appendix_c_2(block, field, indexed):
    decoder = HpackDecoder()
    assert decode(bytes.fromhex(block), BlockKind.RAW, decoder).pairs() == [field]
    assert decoder.table.pairs() == ([field] if indexed else [])


@pytest.mark.parametrize("story", STORIES)
def test_stories_of_appendix_c(story):
    limit, *messages, blocks = STORIES[story]
    decoder = HpackDecoder(limit)
    decode(resize(limit), BlockKind.RAW, decoder)
    for pairs, block, size in zip(messages, blocks, TABLES[story], strict=True):
        assert decode(bytes.fromhex(block), BlockKind.RAW, decoder).pairs() == pairs
        assert decoder.table.size == size


def test_the_table_after_c_5():
    decoder = HpackDecoder(256)
    decode(resize(256), BlockKind.RAW, decoder)
    for block in STORIES["C.5"][-1]:
        decode(bytes.fromhex(block), BlockKind.RAW, decoder)
    assert decoder.table.pairs() == [RESPONSE_3[5], RESPONSE_3[4], (b"date", DATE_2)]


def error(block: bytes, *before: bytes, limit: int = 4_096, acknowledged: bool = False) -> str:
    decoder = HpackDecoder(limit)
    for each in before:
        decode(each, BlockKind.RAW, decoder)
    if acknowledged:
        decoder.acknowledged()
    for kind in (BlockKind.RAW, BlockKind.REQUEST):
        fields = Fields()
        fields.reset(kind, 65_536, 100)
        assert decoder.decode(block, 0, len(block), fields) == 0
    return decoder.error


# -- integers (5.1) ----------------------------------------------------------------------------------------------------


def test_integers_of_appendix_c_1():
    """1337 in a prefix of five bits, as a size; 42 as a string's length."""
    decoder = HpackDecoder()
    decode(bytes.fromhex("3f9a0a"), BlockKind.RAW, decoder)
    assert decoder.table.limit == 1_337
    assert decode(b"\x00\x01n\x2a" + b"v" * 42, BlockKind.RAW).pairs() == [(b"n", b"v" * 42)]


def test_an_integer_may_be_padded_with_zeros_a_little():
    assert decode(b"\x00\x01n\x7f\x81\x80\x80\x00" + b"v" * 128, BlockKind.RAW).pairs() == [(b"n", b"v" * 128)]


@pytest.mark.parametrize("first", [b"\xff", b"\x3f", b"\x7f", b"\x0f", b"\x1f", b"\x00\x7f", b"\x00\xff"])
def test_integers_that_are_cut_off_or_endless(first):
    for rest in (b"", b"\x80", b"\xff\xff\xff", b"\xff" * 4, b"\xff" * 10 + b"\x01", b"\x80" * 1_000 + b"\x00"):
        assert error(first + rest) == "a bad integer"


@pytest.mark.parametrize("first", [b"\xff", b"\x7f", b"\x0f", b"\x1f"])
@pytest.mark.parametrize("rest", [b"\xff\xff\xff\xff\x7f", b"\xff\xff\xff\xff\x0f", b"\x80\x80\x80\x80\x10"])
def test_the_largest_integers_are_no_index(first, rest):
    """Among them 2**32 and more, which must not wrap to a small one."""
    assert error(first + rest) == "an index outside the tables"


# -- indices (2.3.3) ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("block", [b"\x80", b"\xbe", b"\xff\x00", b"\x7e\x01a", b"\x0f\x2f\x01a", b"\x1f\x2f\x01a"])
def test_indices_outside_the_tables(block):
    assert error(block) == "an index outside the tables"


def test_an_index_behind_the_oldest_entry():
    assert error(b"\xbf", literal(b"a", b"1")) == "an index outside the tables"
    assert decode(literal(b"a", b"1") + b"\xbe", BlockKind.RAW).pairs() == [(b"a", b"1")] * 2


# -- strings (5.2) -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("block", "problem"),
    [
        (b"\x40", "the block ends within a field"),
        (b"\x00\x01a", "the block ends within a field"),
        (b"\x41", "the block ends within a field"),
        (b"\x00\x02a", "a string longer than its block"),
        (b"\x00\x01a\x02b", "a string longer than its block"),
        (b"\x00\x01a\x7f\xff\xff\xff\x7fb", "a string longer than its block"),
        (b"\x00\x01a\x82b", "a string longer than its block"),
        (b"\x00\x01a\x81\xff", "a bad Huffman code"),
        (b"\x00\x84\xff\xff\xff\xff\x01a", "a bad Huffman code"),
    ],
)
def test_bad_strings(block, problem):
    assert error(block) == problem


def test_a_block_cut_off_anywhere_ends_between_fields_or_is_an_error():
    block = bytes.fromhex(STORIES["C.6"][-1][0])
    whole = [size for size in range(len(block) + 1) if _decodes(block[:size])]
    assert whole == [0, 4, 11, 35, 54]


def _decodes(block: bytes) -> bool:
    fields = Fields()
    fields.reset(BlockKind.RAW, 65_536, 100)
    return HpackDecoder().decode(block, 0, len(block), fields) == 1


def test_a_block_within_other_data():
    fields = Fields()
    fields.reset(BlockKind.RAW, 65_536, 100)
    assert HpackDecoder().decode(b"\xff\x82\x86\xff", 1, 3, fields) == 1
    assert fields.pairs() == REQUEST_1[:2]
    with pytest.raises(IndexError):
        HpackDecoder().decode(b"\x82", 0, 2, fields)


# -- the table's size (4.2, 6.3) ---------------------------------------------------------------------------------------


def test_a_table_larger_than_announced():
    assert error(resize(4_097)) == "a table larger than announced"
    assert error(resize(2**33)) == "a table larger than announced"
    assert error(resize(65_537), limit=65_536, acknowledged=True) == "a table larger than announced"


def test_a_size_update_stands_in_front_of_all_fields():
    assert error(b"\x82" + resize(4_096)) == "a table size update behind a field"
    assert decode(resize(0) + resize(100) + b"\x82", BlockKind.RAW).pairs() == REQUEST_1[:1]


def test_the_peer_begins_with_4096_until_it_has_acknowledged_less():
    decoder = HpackDecoder(100)
    decode(resize(4_096) + literal(b"a", b"1") * 10, BlockKind.RAW, decoder)
    assert decoder.table.count == 10
    decoder.acknowledged()
    decode(resize(100), BlockKind.RAW, decoder)
    assert decoder.table.count == 2


def test_a_table_that_was_not_made_smaller_although_that_was_acknowledged():
    assert error(b"\x82", limit=100, acknowledged=True) == "the table was not made as small as announced"
    assert error(resize(101), limit=100, acknowledged=True) == "a table larger than announced"


def test_a_larger_table_is_used_when_the_peer_says_so():
    decoder = HpackDecoder(65_536)
    decode(literal(b"a", b"1" * 100) * 100, BlockKind.RAW, decoder)
    assert decoder.table.size <= 4_096
    decode(resize(65_536) + literal(b"a", b"1" * 100) * 100, BlockKind.RAW, decoder)
    assert decoder.table.size > 13_000


# -- what is too much --------------------------------------------------------------------------------------------------


def too_much(block: bytes, max_bytes: int, max_count: int, decoder: HpackDecoder | None = None) -> Fields:
    fields = Fields()
    fields.reset(BlockKind.REQUEST, max_bytes, max_count)
    decoder = decoder or HpackDecoder()
    assert decoder.decode(block, 0, len(block), fields) == 1
    return fields


PSEUDO = b"\x82\x86\x84\x41\x01h"


def test_headers_are_counted():
    assert not too_much(PSEUDO + b"\x00\x01a\x01b" * 10, 65_536, 10).too_large
    fields = too_much(PSEUDO + b"\x00\x01a\x01b" * 11, 65_536, 10)
    assert fields.too_large
    assert fields.problem is None
    assert fields.pairs() == []


def test_bytes_are_counted_as_lines():
    line = b"\x00\x01a\x01b"  # a: b CR LF
    pseudo = sum(len(n) + len(v) + 4 for n, v in [*REQUEST_1[:3], (b":authority", b"h")])
    assert not too_much(PSEUDO + line * 10, pseudo + 60, 1_000).too_large
    assert too_much(PSEUDO + line * 10, pseudo + 59, 1_000).too_large


def test_a_block_that_is_too_large_still_changes_the_table():
    decoder = HpackDecoder()
    assert too_much(PSEUDO + literal(b"a", b"1") * 20 + literal(b"b", b"2"), 100, 5, decoder).too_large
    assert decoder.table.pairs()[0] == (b"b", b"2")
    assert decode(b"\xbe", BlockKind.RAW, decoder).pairs() == [(b"b", b"2")]


def test_a_bomb_takes_neither_memory_nor_time():
    """An entry of nearly the whole table, referred to 60,000 times: 240 MB if it were kept."""
    decoder = HpackDecoder()
    value = b"v" * 4_000
    decode(b"\x40\x01a\x7f" + bytes([(4_000 - 127) & 127 | 128, (4_000 - 127) >> 7]) + value, BlockKind.RAW, decoder)
    fields = Fields()
    block = b"\xbe" * 60_000
    tracemalloc.start()
    try:
        began = time.process_time()
        fields.reset(BlockKind.REQUEST, 61_440, 100)
        assert decoder.decode(block, 0, len(block), fields) == 1
        took = time.process_time() - began
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert fields.too_large
    assert most < 400_000
    assert took < 2


def test_nothing_is_left_of_a_bomb():
    fields = too_much(PSEUDO + literal(b"a", b"1" * 100) * 100, 1_000, 10)
    fields.reset(BlockKind.RAW, 65_536, 100)
    HpackDecoder().decode(b"\x82", 0, 1, fields)
    assert fields.pairs() == [(b":method", b"GET")]
    assert not fields.too_large


def test_what_is_never_to_be_indexed_is_not():
    decoder = HpackDecoder()
    assert decode(b"\x10\x01a\x01b\x1f\x08\x01c", BlockKind.RAW, decoder).pairs() == [
        (b"a", b"b"),
        (b"authorization", b"c"),
    ]
    assert decoder.table.count == 0
