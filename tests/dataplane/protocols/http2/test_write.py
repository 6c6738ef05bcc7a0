"""Heads are written as header blocks, and read back."""

from tage.dataplane.protocols.edits import HeaderEdits
from tage.dataplane.protocols.http2.heads import Http2RequestHead, request_head
from tage.dataplane.protocols.http2.hpack.decoder import HpackDecoder
from tage.dataplane.protocols.http2.hpack.encoder import HpackEncoder
from tage.dataplane.protocols.http2.write import write_request
from tage.dataplane.protocols.writer import ByteWriter
from tests.dataplane.protocols.http2.blocks import Pairs, decode, encode

PSEUDO = [(b":method", b"POST"), (b":scheme", b"http"), (b":path", b"/a?b=c"), (b":authority", b"reviews:9080")]


def request(pairs: Pairs, *, ended: bool = True) -> Http2RequestHead:
    fields = decode(encode(pairs))
    head = request_head(fields, ended)
    assert head is not None, fields.problem
    return head


def test_a_request_goes_round_and_is_indexed_when_it_is_seen_again():
    head = request([*PSEUDO, (b"user-agent", b"test"), (b"x-request-id", b"0123456789")])
    encoder, decoder = HpackEncoder(), HpackDecoder()
    sizes = []
    for _ in range(4):
        out = ByteWriter()
        write_request(encoder, out, head, HeaderEdits())
        block = out.take()
        sizes.append(len(block))
        again = request_head(decode(block, decoder=decoder), True)
        assert (again.method, again.scheme, again.path, again.authority) == tuple(value for _, value in PSEUDO)
        assert again.headers() == head.headers()
    assert sizes[0] > sizes[1] > sizes[2] == sizes[3] == 6
    assert encoder.table.pairs() == decoder.table.pairs()
