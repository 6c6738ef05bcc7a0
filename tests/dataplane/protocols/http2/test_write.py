"""Heads, whatever protocol they came by, are written as header blocks (RFC 9113, 8)."""

from __future__ import annotations

import pytest

from tage.dataplane.protocols.edits import HeaderEdits, edited_request
from tage.dataplane.protocols.http1.request import Http1RequestHead, RequestDecoder
from tage.dataplane.protocols.http1.response import Http1ResponseHead, ResponseDecoder
from tage.dataplane.protocols.http2.fields import BlockKind
from tage.dataplane.protocols.http2.heads import Http2RequestHead, Http2ResponseHead, request_head, response_head
from tage.dataplane.protocols.http2.hpack.decoder import HpackDecoder
from tage.dataplane.protocols.http2.hpack.encoder import HpackEncoder
from tage.dataplane.protocols.http2.write import write_local, write_request, write_response, write_trailers
from tage.dataplane.protocols.message import RequestHead, ResponseHead
from tage.dataplane.protocols.writer import ByteWriter
from tests.dataplane.protocols.http2.blocks import Pairs, decode, encode

PSEUDO = [(b":method", b"POST"), (b":scheme", b"http"), (b":authority", b"reviews:9080"), (b":path", b"/a?b=c")]
GRPC = b"application/grpc"


def request(pairs: Pairs, *, ended: bool = True) -> Http2RequestHead:
    fields = decode(encode(pairs))
    head = request_head(fields, ended)
    assert head is not None, fields.problem
    return head


def http1(text: str) -> Http1RequestHead:
    decoder = RequestDecoder()
    decoder.feed(text.replace("\n", "\r\n").encode() + b"\r\n\r\n")
    assert decoder.read_head() == 1, decoder.error
    return decoder.head


def http1_response(text: str) -> Http1ResponseHead:
    decoder = ResponseDecoder()
    decoder.feed(text.replace("\n", "\r\n").encode() + b"\r\n\r\n")
    assert decoder.read_head() == 1, decoder.error
    return decoder.head


def edits_of(**attributes: object) -> HeaderEdits:
    edits = HeaderEdits()
    for name, value in attributes.items():
        setattr(edits, name, value)
    return edits


def written(head: RequestHead, edits: HeaderEdits | None = None) -> Pairs:
    """Which a peer takes, pseudo-headers and all."""
    out = ByteWriter()
    write_request(HpackEncoder(), out, head, edits or HeaderEdits())
    block = out.take()
    assert decode(block).problem is None
    return decode(block, BlockKind.RAW).pairs()


def answered(head: ResponseHead, edits: HeaderEdits | None = None) -> Pairs:
    out = ByteWriter()
    write_response(HpackEncoder(), out, head, edits)
    block = out.take()
    assert decode(block, BlockKind.RESPONSE).problem is None
    return decode(block, BlockKind.RAW).pairs()


# -- requests ----------------------------------------------------------------------------------------------------------


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
        assert (again.method, again.scheme, again.authority, again.path) == tuple(value for _, value in PSEUDO)
        assert again.headers() == head.headers()
    assert sizes[0] > sizes[1] > sizes[2] == sizes[3] == 6
    assert encoder.table.pairs() == decoder.table.pairs()


def test_what_is_indexed_stays_the_tables_own():
    """The bytes of a field that comes by its index are not copied."""
    encoder, decoder = HpackEncoder(), HpackDecoder()
    heads = [request_head(decode(encode(PSEUDO, encoder), decoder=decoder), True) for _ in range(4)]
    assert heads[2].path is heads[3].path
    assert heads[2].authority is heads[3].authority
    assert heads[2].method is heads[3].method


def test_edits_of_a_request():
    head = request([*PSEUDO, (b"x-a", b"1"), (b"x-b", b"2"), (b"x-request-id", b"3"), (b"content-length", b"0")])
    edits = edits_of(method=b"PUT", path=b"/new", authority=b"ratings", names=[b"x-a"], extra=b"x-c: 4\r\nx-d: \r\n")
    edits.drop = 1 << 12  # x-request-id
    assert written(head, edits) == [
        (b":method", b"PUT"), (b":scheme", b"http"), (b":authority", b"ratings"), (b":path", b"/new"),
        (b"x-b", b"2"), (b"content-length", b"0"), (b"x-c", b"4"), (b"x-d", b""),
    ]  # fmt: skip


@pytest.mark.parametrize("method", [b"GET", b"POST", b"PUT", b"GETS", b"OPTIONS"])
@pytest.mark.parametrize("scheme", [b"http", b"https", b"ftp", b"httpx"])
def test_methods_and_schemes(method, scheme):
    head = request([(b":method", method), (b":scheme", scheme), *PSEUDO[2:]])
    assert written(head)[:2] == [(b":method", method), (b":scheme", scheme)]


def test_a_request_of_http1():
    head = http1(
        "POST /a HTTP/1.1\nHOST: reviews\nUser-Agent:  test \nContent-Length: 5\nX-Kind: A\nConnection: close, X-Hop\n"
        "X-Hop: 1\nKeep-Alive: 5\nProxy-Connection: close\nTrailer: a"
    )
    assert written(head) == [
        (b":method", b"POST"), (b":scheme", b"http"), (b":authority", b"reviews"), (b":path", b"/a"),
        (b"user-agent", b"test"), (b"content-length", b"5"), (b"x-kind", b"A"),
    ]  # fmt: skip


def test_a_chunked_request_of_http1():
    head = http1("POST /a HTTP/1.1\nHost: reviews\nTransfer-Encoding: chunked")
    assert [name for name, _ in written(head)] == [b":method", b":scheme", b":authority", b":path"]


def test_an_http_1_0_request_without_host_has_no_authority():
    out = ByteWriter()
    write_request(HpackEncoder(), out, http1("GET /a HTTP/1.0"), HeaderEdits())
    assert [name for name, _ in decode(out.take(), BlockKind.RAW).pairs()] == [b":method", b":scheme", b":path"]


@pytest.mark.parametrize(
    ("te", "goes"),
    [
        ("trailers", True), ("Trailers", True), ("gzip, trailers", True), ("trailers;q=1", True), ("gzip", False),
        ("notrailers", False),
    ],
)  # fmt: skip
def test_te_asks_for_trailers_or_stays_behind(te, goes):
    pairs = written(http1(f"GET /a HTTP/1.1\nHost: reviews\nTE: {te}\nConnection: TE"))
    assert pairs[4:] == ([(b"te", b"trailers")] if goes else [])


def test_te_of_http2():
    head = request([*PSEUDO, (b"te", b"trailers"), (b"a", b"1")])
    assert written(head)[4:] == [(b"a", b"1"), (b"te", b"trailers")]
    assert written(head, edits_of(drop=1 << 5))[4:] == [(b"a", b"1")]


@pytest.mark.parametrize("kind", [1, 2, 3, 4, 7, 8])
def test_what_is_connection_specific_never_goes_on(kind):
    head = http1("GET /a HTTP/1.1\nHost: a\nConnection: x-y, upgrade\nX-Y: 1\nUpgrade: h2c\nKeep-Alive: 1")
    head.upgrade = None
    assert written(head, edits_of(keep=1 << kind))[4:] == []


# -- CONNECT (RFC 9113, 8.5; RFC 8441) ---------------------------------------------------------------------------------


def test_connect():
    head = http1("CONNECT a:80 HTTP/1.1\nHost: a:80\nUser-Agent: b")
    assert written(head) == [(b":method", b"CONNECT"), (b":authority", b"a:80"), (b"user-agent", b"b")]
    head = request([(b":method", b"CONNECT"), (b":authority", b"a:80")])
    assert written(head) == [(b":method", b"CONNECT"), (b":authority", b"a:80")]


def test_an_upgrade_of_http1_is_an_extended_connect():
    head = http1(
        "GET /chat HTTP/1.1\nHost: a\nConnection: Upgrade\nUpgrade: websocket\nSec-WebSocket-Key: abc\n"
        "Sec-WebSocket-Version: 13"
    )
    assert head.upgrade == b"websocket"
    edits = edits_of(extra=b"x-a: 1\r\nconnection: upgrade\r\nupgrade: websocket\r\n", names=[b"x-b"])
    assert written(head, edits) == [
        (b":method", b"CONNECT"), (b":protocol", b"websocket"), (b":scheme", b"http"), (b":authority", b"a"),
        (b":path", b"/chat"), (b"sec-websocket-version", b"13"), (b"x-a", b"1"),
    ]  # fmt: skip
    assert edits.names == [b"x-b"]


def test_an_extended_connect_goes_round():
    pairs = [(b":method", b"CONNECT"), (b":protocol", b"websocket"), *PSEUDO[1:], (b"sec-websocket-version", b"13")]
    assert written(request(pairs, ended=False)) == pairs


# -- what must not be indexed ------------------------------------------------------------------------------------------


def test_what_came_as_never_to_be_indexed_goes_on_so():
    block = encode(PSEUDO) + b"\x10\x05token\x03abc" + b"\x00\x05other\x03abc"
    encoder = HpackEncoder()
    for _ in range(3):
        out = ByteWriter()
        write_request(encoder, out, request_head(decode(block), True), HeaderEdits())
        again = out.take()
        assert b"\x10\x05token\x03abc" in again
    assert (b"other", b"abc") in encoder.table.pairs()
    assert b"token" not in [name for name, _ in encoder.table.pairs()]


def test_it_goes_on_so_from_an_edited_head():
    """As one is that routes are matched with anew (`edits.edited_request`)."""
    extended = [(b":method", b"CONNECT"), (b":protocol", b"websocket"), *PSEUDO[1:], (b"x-a", b"1")]
    block = encode(extended) + b"\x10\x05token\x03abc" + b"\x00\x05other\x03abc" + encode([(b"content-type", GRPC)])
    edits = edits_of(names=[b"x-a"], extra=b"x-b: 2\r\n", path=b"/new", drop=1 << 12)
    head = edited_request(request_head(decode(block), False), edits, ByteWriter())
    assert isinstance(head, Http2RequestHead)
    assert (head.method, head.path, head.protocol, head.upgrade) == (b"GET", b"/new", b"websocket", b"websocket")
    assert (head.grpc, head.body_length) == (True, -1)
    assert [name for name, _ in head.headers()] == [b"token", b"other", b"content-type", b"x-b"]
    out = ByteWriter()
    write_request(HpackEncoder(), out, head, HeaderEdits())
    assert b"\x10\x05token\x03abc\x40\x05other\x03abc" in out.take()


def test_a_cookie_that_was_put_together_has_another_hash():
    crumbs = [(b"cookie", b"a=%d" % number + b"x" * 20) for number in range(2)]
    encoder, decoder, second, third = HpackEncoder(), HpackDecoder(), HpackEncoder(), HpackDecoder()
    for headers in (crumbs, crumbs[:1], crumbs, crumbs[:1], crumbs, crumbs[:1]):
        head = request_head(decode(encode([*PSEUDO, *headers], encoder), decoder=decoder), True)
        out = ByteWriter()
        write_request(second, out, head, HeaderEdits())
        assert request_head(decode(out.take(), decoder=third), True).header(b"cookie") == b"; ".join(
            value for _, value in headers
        )


# -- responses ---------------------------------------------------------------------------------------------------------


def test_a_response_of_http1():
    head = http1_response(
        "HTTP/1.1 503 No\nServer: a\nConnection: close\nKeep-Alive: 5\nTransfer-Encoding: chunked\nSet-Cookie: b=1"
    )
    expected = [(b":status", b"503"), (b"server", b"a"), (b"set-cookie", b"b=1")]
    assert answered(head) == expected
    assert answered(head, HeaderEdits()) == expected


def test_a_response_goes_round():
    pairs = [(b":status", b"200"), (b"content-type", b"text/plain"), (b"content-length", b"5")]
    head = Http2ResponseHead()
    assert response_head(decode(encode(pairs), BlockKind.RESPONSE), head, False, False)
    assert answered(head) == pairs
    edits = edits_of(names=[b"content-type"], extra=b"a: b\r\n", drop=1 << 9)
    assert answered(head, edits) == [(b":status", b"200"), (b"a", b"b")]


@pytest.mark.parametrize("status", [103, 204])
def test_what_has_no_body_has_no_length(status):
    head = ResponseHead()
    head.status = status
    assert answered(head) == [(b":status", b"%d" % status)]
    head = http1_response(f"HTTP/1.1 {status} A\nContent-Length: 0\nLink: a")
    assert answered(head) == [(b":status", b"%d" % status), (b"link", b"a")]


def test_101_is_200():
    head = http1_response("HTTP/1.1 101 A\nConnection: upgrade\nUpgrade: websocket\nSec-WebSocket-Accept: a\nServer: b")
    edits = edits_of(extra=b"connection: upgrade\r\nupgrade: websocket\r\nx-a: 1\r\n")
    assert answered(head, edits) == [(b":status", b"200"), (b"server", b"b"), (b"x-a", b"1")]
    assert answered(head) == [(b":status", b"200"), (b"server", b"b")]


def test_an_answer_of_our_own():
    out = ByteWriter()
    write_local(HpackEncoder(), out, 503, b"content-type: text/plain\r\n")
    assert decode(out.take(), BlockKind.RAW).pairs() == [(b":status", b"503"), (b"content-type", b"text/plain")]
    write_local(HpackEncoder(), out, 404, b"")
    assert out.take() == b"\x8d"


def test_trailers():
    out = ByteWriter()
    write_trailers(HpackEncoder(), out, b"grpc-status: 0\r\nX-A: b\r\n")
    assert decode(out.take(), BlockKind.RAW).pairs() == [(b"grpc-status", b"0"), (b"x-a", b"b")]


def test_every_block_begins_with_the_tables_size_where_it_has_changed():
    head = request(PSEUDO)
    answer = ResponseHead()
    answer.status = 200
    for write in (
        lambda encoder, out: write_request(encoder, out, head, HeaderEdits()),
        lambda encoder, out: write_response(encoder, out, answer, None),
        lambda encoder, out: write_local(encoder, out, 200, b""),
        lambda encoder, out: write_trailers(encoder, out, b"a: b\r\n"),
    ):
        encoder, out = HpackEncoder(), ByteWriter()
        encoder.resize(0)
        write(encoder, out)
        assert out.take()[0] == 0x20
        write(encoder, out)
        assert out.take()[0] != 0x20
