"""Other encoders' blocks are decoded (`cases/README.md`); what we write of them, we and another decoder read."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import hpack
import pytest

from tage.dataplane.protocols.http2.fields import BlockKind
from tage.dataplane.protocols.http2.hpack.decoder import HpackDecoder
from tage.dataplane.protocols.http2.hpack.encoder import HpackEncoder
from tests.dataplane.protocols.http2.blocks import Pairs, decode, encode

CASES = Path(__file__).parent / "cases"
ENCODERS = sorted(path.stem for path in CASES.glob("*.json") if path.stem != "fields")
STORIES = ("00", "02", "12", "24")


@cache
def stories() -> dict[str, list[Pairs]]:
    read = json.loads((CASES / "fields.json").read_text())
    return {
        story: [[(name.encode(), value.encode()) for name, value in pairs] for pairs in blocks]
        for story, blocks in read.items()
    }


def blocks_of(encoder: str, story: str) -> list[tuple[int, bytes]]:
    """The table's size before each, and the block."""
    read = json.loads((CASES / f"{encoder}.json").read_text())[story]
    return [(size, bytes.fromhex(block)) for size, block in read]


def test_the_cases_are_there():
    assert len(ENCODERS) == 9
    assert {story: len(blocks) for story, blocks in stories().items()} == {"00": 3, "02": 10, "12": 10, "24": 12}


@pytest.mark.parametrize("name", ENCODERS)
@pytest.mark.parametrize("story", STORIES)
def test_blocks_of_other_encoders(name, story):
    blocks = blocks_of(name, story)
    decoder = HpackDecoder(max(size for size, _ in blocks) or 4_096)
    for (_, block), pairs in zip(blocks, stories()[story], strict=True):
        assert decode(block, BlockKind.RAW, decoder).pairs() == pairs


def sizes_of(story: str, tables: str) -> list[int]:
    """Of the table, before each block."""
    count = len(stories()[story])
    return {
        "as it is": [4_096] * count,
        "none": [0] * count,
        "shrinking": [4_096 >> number for number in range(count)],
        "growing": [min(64 << number, 4_096) for number in range(count)],
        "up and down": [(100, 4_096, 0, 700)[number % 4] for number in range(count)],
    }[tables]


@pytest.mark.parametrize("tables", ["as it is", "none", "shrinking", "growing", "up and down"])
@pytest.mark.parametrize("story", STORIES)
def test_round_trip(story, tables):
    """Twice, so that all is seen again."""
    encoder, decoder, peer = HpackEncoder(), HpackDecoder(), hpack.Decoder()
    for size, pairs in zip(sizes_of(story, tables) * 2, stories()[story] * 2, strict=True):
        encoder.resize(size)
        block = encode(pairs, encoder)
        assert decode(block, BlockKind.RAW, decoder).pairs() == pairs
        assert encoder.table.pairs() == decoder.table.pairs()
        assert decoder.table.limit == size
        assert [(bytes(name), bytes(value)) for name, value in peer.decode(block, raw=True)] == pairs


@pytest.mark.parametrize("huffman", [False, True])
@pytest.mark.parametrize("story", STORIES)
def test_what_the_other_encoder_writes(story, huffman):
    encoder, decoder = hpack.Encoder(), HpackDecoder(65_536)
    for number, pairs in enumerate(stories()[story] * 2):
        if number % 3 == 2:
            encoder.header_table_size = 300 * number
        block = encoder.encode(pairs, huffman=huffman)
        assert decode(block, BlockKind.RAW, decoder).pairs() == pairs
