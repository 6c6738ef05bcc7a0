"""Header blocks for tests: decoded, and written."""

from __future__ import annotations

from tage.dataplane.protocols.http2.fields import BlockKind, Fields
from tage.dataplane.protocols.http2.hpack.decoder import HpackDecoder
from tage.dataplane.protocols.http2.hpack.encoder import HpackEncoder
from tage.dataplane.protocols.writer import ByteWriter

Pairs = list[tuple[bytes, bytes]]


def encode(pairs: Pairs, encoder: HpackEncoder | None = None) -> bytes:
    """A block of these fields, whatever they are."""
    encoder = encoder or HpackEncoder()
    out = ByteWriter()
    encoder.begin(out)
    for name, value in pairs:
        encoder.put_field(out, name, value)
    return out.take()


def decode(
    block: bytes,
    kind: BlockKind = BlockKind.REQUEST,
    decoder: HpackDecoder | None = None,
    max_bytes: int = 65_536,
    max_count: int = 1_000,
) -> Fields:
    """A block's fields; `pairs` are those of a RAW one. AssertionError: a compression error."""
    fields = Fields()
    fields.reset(kind, max_bytes, max_count)
    decoder = decoder or HpackDecoder()
    assert decoder.decode(block, 0, len(block), fields), decoder.error
    return fields
