"""The Huffman code (RFC 7541, 5.2 and appendix B)."""

import pytest

from tage.dataplane.protocols.http2.hpack import huffman
from tage.dataplane.protocols.writer import ByteWriter


def coded(text: bytes, padding: str = "") -> bytes:
    """As an encoder writes it; `padding` in place of the ones that fill the last byte."""
    codes = huffman.codes()
    bits = "".join(f"{codes[c][0]:0{codes[c][1]}b}" for c in text)
    bits += padding or "1" * (-len(bits) % 8)
    return int("1" + bits, 2).to_bytes(len(bits) // 8 + 1, "big")[1:] if bits else b""


def decoded(data: bytes) -> bytes | None:
    out = ByteWriter(16)
    out.put(b"before")
    fine = huffman.decode(b"x" + data + b"y", 1, len(data), out)
    text = out.take()
    assert text.startswith(b"before")
    return text[6:] if fine else None


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (b"www.example.com", "f1e3c2e5f23a6ba0ab90f4ff"),
        (b"no-cache", "a8eb10649cbf"),
        (b"302", "6402"),
        (b"Mon, 21 Oct 2013 20:13:21 GMT", "d07abe941054d444a8200595040b8166e082a62d1bff"),
        (b"", ""),
    ],
)
def test_examples_of_appendix_c(text, code):
    assert coded(text).hex() == code
    assert decoded(bytes.fromhex(code)) == text


def test_codes_of_appendix_b():
    codes = huffman.codes()
    assert codes[ord("0")] == (0x0, 5)
    assert codes[ord("X")] == (0xFC, 8)
    assert codes[ord("!")] == (0x3F8, 10)
    assert codes[0] == (0x1FF8, 13)
    assert codes[10] == (0x3FFFFFFC, 30)
    assert codes[249] == (0xFFFFFFE, 28)
    assert codes[256] == (0x3FFFFFFF, 30)
    assert sum(2 ** (30 - bits) for _, bits in codes) == 2**30, "it is a whole code"


@pytest.mark.parametrize("symbol", range(256))
def test_every_symbol_at_every_place_in_a_byte(symbol):
    for before in range(8):
        text = b"0" * before + bytes([symbol]) * 3 + b"a"
        assert decoded(coded(text)) == text


def test_a_string_of_the_longest_codes_and_one_of_the_shortest():
    assert decoded(coded(b"\n\r\x16" * 500)) == b"\n\r\x16" * 500
    assert decoded(coded(b"012aceiost" * 500)) == b"012aceiost" * 500


@pytest.mark.parametrize("padding", ["000", "110", "011", "11111111" + "111", "1" * 11])
def test_padding_is_ones_and_less_than_a_byte(padding):
    assert decoded(coded(b"0", "111")) == b"0"  # 5 bits
    assert decoded(coded(b"0", padding)) is None


def test_a_whole_byte_of_padding_is_too_much():
    assert decoded(coded(b"X")) == b"X"  # 8 bits, so there is none
    assert decoded(coded(b"X") + b"\xff") is None
    assert decoded(b"\xff") is None


def test_eos_is_refused():
    eos = "1" * 30
    assert decoded(coded(b"0", eos + "11111")) is None
    assert decoded(coded(b"0", eos + "00011")) is None, "also where a symbol follows"
    assert decoded(b"\xff\xff\xff\xff") is None


def test_a_code_that_is_cut_off_is_refused():
    assert decoded(coded(b"\n")[:-1]) is None
    assert decoded(coded(b"ab")[:-1]) is None
