"""HPACK: blocks of one connection, one after the other, through its decoder and ours to another peer.

An input is blocks, each behind a byte that has its length. Another decoder, h2's, is the oracle: what both read, they
read alike, for a table that differs from the peer's gives one request the headers of another.
"""

from __future__ import annotations

import random
from collections.abc import Hashable

import hpack

from fuzz.target import Target
from tage.dataplane.protocols.edits import HeaderEdits
from tage.dataplane.protocols.http2.fields import BlockKind, Fields
from tage.dataplane.protocols.http2.heads import Http2ResponseHead, request_head, response_head, trailer_lines
from tage.dataplane.protocols.http2.hpack.decoder import HpackDecoder
from tage.dataplane.protocols.http2.hpack.encoder import HpackEncoder
from tage.dataplane.protocols.http2.write import write_request, write_response, write_trailers
from tage.dataplane.protocols.message import RequestHead, ResponseHead
from tage.dataplane.protocols.writer import ByteWriter
from tests.dataplane.protocols.http2.blocks import Pairs, encode
from tests.dataplane.protocols.http2.hpack import test_cases as cases
from tests.dataplane.protocols.http2.hpack import test_decoder as appendix

_FIELDS = Fields()
"""One for all inputs, as a worker has it: nothing of one block may be left for the next."""
_OUT = ByteWriter()
_MAX_BYTES = 8_192
_MAX_COUNT = 50
_LIMIT = 8_192
_OF_ONE_HOP = {b"te", b"trailer", b"content-length", b"sec-websocket-key", b"sec-websocket-accept"}
"""What is not the same behind a proxy, or not always."""
_NAMES = [
    b":method", b":path", b":scheme", b":authority", b":status", b"cookie", b"content-length", b"te", b"host", b"a",
    b"authorization", b"x-long-name", b"connection", b"content-type", b"grpc-status", b":protocol", b"expect",
]  # fmt: skip
_VALUES = [
    b"", b"GET", b"/", b"http", b"a", b"5", b"200", b"trailers", b"x" * 40, b"a: b", b"\r\n", b" a", b"CONNECT",
    b"application/grpc", b"h:80", b"0", b"100-continue",
]  # fmt: skip


def joined(blocks: list[bytes]) -> bytes:
    return b"".join(bytes([len(block[:255])]) + block[:255] for block in blocks)


def split(data: bytes) -> list[bytes]:
    blocks = []
    at = 0
    while at < len(data):
        blocks.append(data[at + 1 : at + 1 + data[at]])
        at += 1 + data[at]
    return blocks


def seeds() -> list[bytes]:
    stories = [joined([bytes.fromhex(block) for block in story[-1]]) for story in appendix.STORIES.values()]
    return stories + [joined([block for _, block in cases.blocks_of("nghttp2", story)]) for story in cases.STORIES]


def make(rng: random.Random) -> bytes:
    """Blocks of our own encoder, whatever their fields, with tables that change their size."""
    encoder = HpackEncoder(_LIMIT)
    blocks = []
    for _ in range(rng.randrange(1, 8)):
        if rng.random() < 0.3:
            encoder.resize(rng.choice((0, 60, 200, 4_096, _LIMIT)))
        pairs = [(rng.choice(_NAMES), rng.choice(_VALUES)) for _ in range(rng.randrange(8))]
        if rng.random() < 0.7:
            pairs = [*rng.choice((appendix.REQUEST_2, appendix.RESPONSE_1)), *pairs]
        blocks.append(encode(pairs, encoder))
    return joined(blocks)


def check(data: bytes) -> Hashable:
    blocks = split(data)
    read, error = _read(blocks)
    _compare(blocks, read)
    _go_round(read)
    told: list[Hashable] = []
    for kind in (BlockKind.REQUEST, BlockKind.RESPONSE, BlockKind.TRAILERS):
        told += _as(kind, blocks, len(read))[:2]
    return error, tuple(told), len(read).bit_length()


def _read(blocks: list[bytes]) -> tuple[list[Pairs | None], str | None]:
    """What they decode to, None where that is too large; and the compression error."""
    decoder = HpackDecoder(_LIMIT)
    read: list[Pairs | None] = []
    for block in blocks:
        _FIELDS.reset(BlockKind.RAW, _MAX_BYTES, _MAX_COUNT)
        if not decoder.decode(block, 0, len(block), _FIELDS):
            assert decoder.error is not None
            return read, decoder.error
        pairs = _FIELDS.pairs()
        assert len(pairs) <= _MAX_COUNT
        assert sum(len(name) + len(value) + 4 for name, value in pairs) <= _MAX_BYTES
        read.append(None if _FIELDS.too_large else pairs)
        table = decoder.table
        assert table.size == sum(len(name) + len(value) + 32 for name, value in table.pairs()) <= table.limit <= _LIMIT
    return read, None


def _compare(blocks: list[bytes], read: list[Pairs | None]) -> None:
    oracle = hpack.Decoder(max_header_list_size=1 << 24)
    oracle.max_allowed_table_size = _LIMIT
    for block, pairs in zip(blocks, read, strict=False):
        try:
            other = oracle.decode(block, raw=True)
        except hpack.HPACKError:
            return  # what only one of the two refuses is for the unit tests
        assert pairs is None or pairs == [(bytes(name), bytes(value)) for name, value in other]


def _go_round(read: list[Pairs | None]) -> None:
    """Written and read again they are the same, names in lower case; both tables too."""
    encoder, decoder = HpackEncoder(), HpackDecoder()
    for number, pairs in enumerate(pairs for pairs in [*read, *read] if pairs is not None):
        if number % 4 == 3:
            encoder.resize(number * 97 % 4_097)
        block = encode(pairs, encoder)
        _FIELDS.reset(BlockKind.RAW, 1 << 20, _MAX_COUNT)
        assert decoder.decode(block, 0, len(block), _FIELDS), decoder.error
        assert _FIELDS.pairs() == [(name.lower(), value) for name, value in pairs]
        assert encoder.table.pairs() == decoder.table.pairs()


def _as(kind: BlockKind, blocks: list[bytes], count: int) -> list[Hashable]:
    """As messages of a kind, `count` of them without a compression error: each is a head, or it is said what is wrong;
    what is a head is one for the next peer."""
    decoder, peer = HpackDecoder(_LIMIT), HpackDecoder()
    encoder = HpackEncoder()
    told: list[Hashable] = []
    for number, block in enumerate(blocks[: count + 1]):
        _FIELDS.reset(kind, _MAX_BYTES, _MAX_COUNT)
        assert decoder.decode(block, 0, len(block), _FIELDS) == (number < count)
        if number == count:
            break
        head = _head(kind)
        told.append(_FIELDS.problem or _FIELDS.too_large)
        if head is None:
            continue
        again = _written(head, encoder)
        _FIELDS.reset(kind, 1 << 20, 1 << 10)
        assert peer.decode(again, 0, len(again), _FIELDS), peer.error
        assert _FIELDS.problem is None, _FIELDS.problem
        assert _meaning(_head(kind)) == _meaning(head)
    return told


def _head(kind: BlockKind) -> RequestHead | ResponseHead | bytes | None:
    """Of the block that was decoded last."""
    if kind == BlockKind.REQUEST:
        request = request_head(_FIELDS, False)
        assert (request is None) == (_FIELDS.problem is not None or _FIELDS.too_large)
        return request
    if kind == BlockKind.RESPONSE:
        response = Http2ResponseHead()
        return response if response_head(_FIELDS, response, False, False) else None
    return None if _FIELDS.problem is not None or _FIELDS.too_large else trailer_lines(_FIELDS)


def _written(head: RequestHead | ResponseHead | bytes, encoder: HpackEncoder) -> bytes:
    if isinstance(head, bytes):
        write_trailers(encoder, _OUT, head)
    elif isinstance(head, RequestHead):
        write_request(encoder, _OUT, head, HeaderEdits())
    else:
        write_response(encoder, _OUT, head, None)
    return _OUT.take()


def _meaning(head: RequestHead | ResponseHead | bytes | None) -> Hashable:
    if head is None or isinstance(head, bytes):
        return head
    headers = tuple(pair for pair in head.headers() if pair[0] not in _OF_ONE_HOP)
    if isinstance(head, RequestHead):
        return head.method, head.scheme, head.authority, head.path, head.upgrade, head.body_length, head.grpc, headers
    return head.status, headers


def consume(data: bytes) -> None:
    for kind in BlockKind:
        decoder = HpackDecoder(_LIMIT)
        for block in split(data):
            _FIELDS.reset(kind, _MAX_BYTES, _MAX_COUNT)
            if not decoder.decode(block, 0, len(block), _FIELDS):
                break


TARGET = Target(
    name="hpack",
    seeds=seeds,
    check=check,
    consume=consume,
    max_memory=64 * 1024,
    tokens=[
        b"\x82", b"\x84", b"\x86", b"\x88", b"\xbe", b"\xbf", b"\xff\x00", b"\xff\xff\xff\xff\xff\x0f", b"\x20",
        b"\x3f\xe1\x1f", b"\x3f\xe1\x3f", b"\x40", b"\x40\x01a\x01b", b"\x41\x01h", b"\x00\x01a\x01b",
        b"\x10\x01a\x01b", b"\x7f", b"\x04\x01/", b"\x0f\x0d\x015", b"\x0f\x11\x03a=1", b"\x83\x07\xff\xff",
        b"\x84\xff\xff\xff\xff", b"\x00\x02te\x08trailers", b"\x0f\x17\x01h", b"\x00\x0bgrpc-status\x010",
    ],
    make=make,
    max_size=2048,
)  # fmt: skip
