"""What the encoder indexes, and what it does not."""

import pytest

from tage.dataplane.protocols.http2.fields import BlockKind
from tage.dataplane.protocols.http2.hpack.decoder import HpackDecoder
from tage.dataplane.protocols.http2.hpack.encoder import HpackEncoder
from tage.dataplane.protocols.writer import ByteWriter
from tests.dataplane.protocols.http2.blocks import Pairs, decode, encode


def lines(encoder: HpackEncoder, text: bytes) -> bytes:
    out = ByteWriter()
    encoder.begin(out)
    encoder.put_lines(out, text)
    return out.take()


def test_a_field_is_indexed_when_it_is_seen_again():
    encoder = HpackEncoder()
    field = [(b"server", b"envoy")]
    assert encode(field, encoder) == b"\x0f\x27\x05envoy"  # its name is index 54
    assert encode(field, encoder) == b"\x76\x05envoy"
    assert encode(field, encoder) == b"\xbe"
    assert encoder.table.pairs() == field


def test_a_name_that_no_table_has_is_indexed_at_once():
    encoder = HpackEncoder()
    assert encode([(b"x-id", b"1")], encoder) == b"\x40\x04x-id\x011"
    assert encode([(b"x-id", b"2")], encoder) == b"\x0f\x2f\x012"
    assert encode([(b"x-id", b"3")], encoder) == b"\x0f\x2f\x013"
    assert encoder.table.pairs() == [(b"x-id", b"1")]


def test_what_never_repeats_pushes_nothing_out():
    encoder = HpackEncoder()
    kept = [(b"user-agent", b"test"), (b"x-kind", b"a")]
    for number in range(5_000):
        encode([*kept, (b"x-request-id", b"%040d" % number), (b":path", b"/items/%d" % number)], encoder)
    assert sorted(encoder.table.pairs()) == sorted([*kept, (b"x-request-id", b"%040d" % 0)])


def test_many_fields_that_repeat_are_all_indexed_in_the_end():
    encoder = HpackEncoder()
    pairs = [(b"x-%d" % number, b"value") for number in range(50)] + [(b"server", b"%d" % n) for n in range(30)]
    for _ in range(30):
        block = encode(pairs, encoder)
    assert len(block) <= 2 * len(pairs)


@pytest.mark.parametrize(
    ("pair", "block"),
    [
        ((b":method", b"GET"), b"\x82"),
        ((b":path", b"/"), b"\x84"),
        ((b":scheme", b"http"), b"\x86"),
        ((b"accept-encoding", b"gzip, deflate"), b"\x90"),
    ],
)
def test_fields_of_the_static_table(pair, block):
    encoder = HpackEncoder()
    assert encode([pair], encoder) == block
    assert encoder.table.count == 0


@pytest.mark.parametrize("status", range(100, 600))
def test_every_status(status):
    encoder, decoder = HpackEncoder(), HpackDecoder()
    sizes = []
    for _ in range(3):
        out = ByteWriter()
        encoder.put_status(out, status)
        sizes.append(out.size)
        assert decode(out.take(), BlockKind.RAW, decoder).pairs() == [(b":status", b"%d" % status)]
    assert sizes[2] == 1
    if status in (200, 204, 206, 304, 400, 404, 500):
        assert sizes == [1, 1, 1]


# -- RFC 7541, 7.1.3 ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [b"authorization", b"proxy-authorization", b"Authorization"])
def test_credentials_are_never_indexed(name):
    encoder = HpackEncoder()
    for _ in range(3):
        block = lines(encoder, name + b": Bearer abc\r\n")
        assert block[0] & 0xF0 == 0x10
    assert encoder.table.count == 0


def test_short_cookies_are_never_indexed_and_longer_ones_are():
    encoder = HpackEncoder()
    for _ in range(3):
        assert encode([(b"cookie", b"s" * 19)], encoder)[0] & 0xF0 == 0x10
    for _ in range(3):
        block = encode([(b"cookie", b"s" * 20)], encoder)
    assert block == b"\xbe"


# -- names and values --------------------------------------------------------------------------------------------------


def test_names_are_written_in_lower_case_and_found_whatever_their_case():
    encoder = HpackEncoder()
    assert lines(encoder, b"X-Kind: a\r\n") == b"\x40\x06x-kind\x01a"
    for name in (b"x-kind", b"X-KIND", b"X-Kind"):
        assert lines(encoder, name + b": a\r\n") == b"\xbe"
    assert lines(encoder, b"Server: a\r\n") == b"\x0f\x27\x01a"
    assert lines(encoder, b"server: a\r\n") == b"\x76\x01a"


def test_names_and_values_that_differ_in_one_character():
    encoder, decoder = HpackEncoder(65_536), HpackDecoder()
    pairs: Pairs = []
    for size in range(1, 40):
        for at in range(0, size, 3):
            text = b"a" * at + b"b" + b"a" * (size - at - 1)
            pairs += [(text, b"v"), (b"n", text)]
    for _ in range(3):
        for start in range(0, len(pairs), 50):
            some = pairs[start : start + 50]
            assert decode(encode(some, encoder), BlockKind.RAW, decoder).pairs() == some


@pytest.mark.parametrize("size", [0, 1, 126, 127, 128, 254, 255, 256, 16_383, 16_384, 70_000])
def test_strings_of_all_sizes(size):
    encoder, decoder = HpackEncoder(), HpackDecoder()
    pairs = [(b"n" * max(size, 1), b"v"), (b"n", b"v" * size)]
    for _ in range(3):
        fields = decode(encode(pairs, encoder), BlockKind.RAW, decoder, max_bytes=1 << 20)
        assert fields.pairs() == pairs
        assert encoder.table.pairs() == decoder.table.pairs()


def test_lines_may_have_white_space_around_their_values():
    assert decode(lines(HpackEncoder(), b"a:b\r\nc: \t d \t\r\ne:\r\n"), BlockKind.RAW).pairs() == [
        (b"a", b"b"), (b"c", b"d"), (b"e", b""),
    ]  # fmt: skip


def test_an_entry_that_would_take_most_of_the_table_is_not_indexed():
    encoder = HpackEncoder()
    for _ in range(3):
        encode([(b"server", b"a" * 3_035)], encoder)
    assert encoder.table.count == 0
    for _ in range(3):
        encode([(b"server", b"a" * 3_034)], encoder)
    assert encoder.table.count == 1


# -- the table's size (4.2) --------------------------------------------------------------------------------------------


def begun(encoder: HpackEncoder) -> bytes:
    out = ByteWriter()
    encoder.begin(out)
    return out.take()


def test_nothing_is_said_of_a_table_that_stays_as_it_is():
    encoder = HpackEncoder()
    assert begun(encoder) == b""
    encoder.resize(4_096)
    encoder.resize(65_536)  # we take no more than 4,096
    assert begun(encoder) == b""


def test_a_smaller_table_is_told_once():
    encoder = HpackEncoder()
    encoder.resize(100)
    assert begun(encoder) == b"\x3f\x45"
    assert begun(encoder) == b""
    assert encoder.table.limit == 100


def test_the_smallest_and_the_last_are_told():
    encoder = HpackEncoder()
    for _ in range(3):
        encode([(b"server", b"a")], encoder)
    for size in (200, 0, 30, 1_000):
        encoder.resize(size)
    assert begun(encoder) == b"\x20\x3f\xc9\x07"
    assert encoder.table.count == 0


def test_a_table_that_was_smaller_for_a_moment():
    encoder = HpackEncoder()
    encoder.resize(0)
    encoder.resize(4_096)
    assert begun(encoder) == b"\x20\x3f\xe1\x1f"


def test_a_larger_table_where_we_take_one():
    encoder = HpackEncoder(8_192)
    assert begun(encoder) == b""
    encoder.resize(1 << 30)
    assert encoder.table.limit == 8_192
    assert begun(encoder) == b"\x3f\xe1\x3f"


def test_a_table_of_ours_that_is_smaller_from_the_beginning():
    encoder = HpackEncoder(0)
    assert begun(encoder) == b"\x20"
    for _ in range(3):
        encode([(b"x-kind", b"a")], encoder)
    assert encoder.table.count == 0
