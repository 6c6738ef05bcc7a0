"""Fields become heads (RFC 9113, 8.1 to 8.3)."""

import pytest

from tage.dataplane.protocols.http2.fields import BlockKind, Fields
from tage.dataplane.protocols.http2.heads import (
    Http2RequestHead,
    Http2ResponseHead,
    request_head,
    response_head,
    trailer_lines,
)
from tage.dataplane.protocols.http2.hpack.decoder import HpackDecoder
from tage.dataplane.protocols.http2.hpack.encoder import HpackEncoder
from tage.dataplane.protocols.http2.write import write_response
from tage.dataplane.protocols.writer import ByteWriter
from tests.dataplane.protocols.http2.blocks import Pairs, decode, encode

PSEUDO = [(b":method", b"POST"), (b":scheme", b"https"), (b":path", b"/a?b=c"), (b":authority", b"reviews:9080")]


def request(headers: Pairs, *, ended: bool = False, pseudo: Pairs = PSEUDO) -> Http2RequestHead:
    fields = decode(encode([*pseudo, *headers]))
    head = request_head(fields, ended)
    assert head is not None, fields.problem
    return head


def response(headers: Pairs, *, status: int = 200, to_head: bool = False, ended: bool = False) -> Http2ResponseHead:
    fields = decode(encode([(b":status", b"%d" % status), *headers]), BlockKind.RESPONSE)
    head = Http2ResponseHead()
    assert response_head(fields, head, to_head, ended), fields.problem
    return head


def test_a_request():
    head = request([(b"a", b"1"), (b"b", b""), (b"a", b"2")])
    assert (head.method, head.scheme, head.path, head.authority) == tuple(value for _, value in PSEUDO)
    assert head.headers() == [(b"a", b"1"), (b"b", b""), (b"a", b"2")]
    assert head.block.raw == b"a: 1\r\nb: \r\na: 2\r\n"
    assert head.header(b"a") == b"1,2"
    assert head.header(b":path") == b"/a?b=c"
    assert head.header(b":protocol") is None
    assert head.path_only() == b"/a"
    assert (head.upgrade, head.protocol, head.timeout, head.grpc, head.expects_continue) == (
        None,
        None,
        0,
        False,
        False,
    )
    assert [head.one_way, head.exclusive, head.malformed] == [False] * 3


def test_a_head_without_headers():
    head = request([])
    assert head.headers() == []
    assert head.header(b"a") is None


def test_heads_of_one_worker_are_their_own():
    fields = Fields()
    heads = []
    for number in range(3):
        block = encode([*PSEUDO, (b"number", b"%d" % number)])
        fields.reset(BlockKind.REQUEST, 1_000, 10)
        HpackDecoder().decode(block, 0, len(block), fields)
        heads.append(request_head(fields, False))
    assert [head.header(b"number") for head in heads] == [b"0", b"1", b"2"]


def test_many_headers():
    headers = [(b"name-%d" % number, b"%d" % number) for number in range(200)]
    assert request(headers).headers() == headers


def test_host_is_the_authority_and_no_header():
    head = request([(b"host", b"reviews:9080"), (b"a", b"1")])
    assert head.headers() == [(b"a", b"1")]
    head = request([(b"host", b"ratings"), (b"a", b"1")], pseudo=PSEUDO[:3])
    assert head.authority == b"ratings"
    assert head.headers() == [(b"a", b"1")]


# -- bodies ------------------------------------------------------------------------------------------------------------


def test_a_requests_body():
    length = [(b"content-length", b"5")]
    assert request([]).body_length == -1
    assert request([], ended=True).body_length == 0
    assert request(length).body_length == 5
    assert request(length).headers() == length
    assert request([(b"content-length", b"0")], ended=True).body_length == 0
    assert request([(b"content-length", b"0")]).body_length == 0


def test_a_length_and_no_body():
    fields = decode(encode([*PSEUDO, (b"content-length", b"5")]))
    assert request_head(fields, True) is None
    assert fields.problem == "content-length, and no body"


def test_100_continue_is_expected_where_there_is_a_body():
    expect = [(b"expect", b"100-continue")]
    assert request(expect).expects_continue
    assert not request(expect, ended=True).expects_continue
    assert not request([(b"expect", b"something")]).expects_continue


@pytest.mark.parametrize(
    ("status", "to_head", "ended", "length", "expected"),
    [
        (200, False, False, b"5", 5),
        (200, False, False, None, -1),
        (200, False, True, None, 0),
        (200, False, True, b"0", 0),
        (200, True, True, b"5", 0),
        (200, True, False, b"5", 0),
        (304, False, True, b"5", 0),
        (204, False, True, None, 0),
        (103, False, False, None, 0),
        (204, False, True, b"0", 0),
    ],
)
def test_a_responses_body(status, to_head, ended, length, expected):
    headers = [] if length is None else [(b"content-length", length)]
    head = response(headers, status=status, to_head=to_head, ended=ended)
    assert (head.status, head.body_length, head.headers()) == (status, expected, headers)


@pytest.mark.parametrize(("status", "ended"), [(200, True), (204, False), (204, True), (103, False)])
def test_a_response_with_a_length_that_has_no_body(status, ended):
    fields = decode(encode([(b":status", b"%d" % status), (b"content-length", b"5")]), BlockKind.RESPONSE)
    assert not response_head(fields, Http2ResponseHead(), False, ended)
    assert fields.problem == "content-length, and no body"


def test_a_responses_head_is_filled_anew():
    head = Http2ResponseHead()
    fields = Fields()
    for number in range(5):
        block = encode([(b":status", b"20%d" % number), (b"number", b"%d" % number), *[(b"a", b"b")] * number])
        fields.reset(BlockKind.RESPONSE, 1_000, 20)
        HpackDecoder().decode(block, 0, len(block), fields)
        assert response_head(fields, head, False, False)
        assert (head.status, head.header(b"number")) == (200 + number, b"%d" % number)
        assert len(head.headers()) == 1 + number


def test_a_response_that_is_kept():
    fields = decode(b"\x88\x10\x05token\x03abc" + encode([(b"content-length", b"5")]), BlockKind.RESPONSE)
    head = Http2ResponseHead()
    assert response_head(fields, head, False, False)
    kept = head.copied(ByteWriter())
    assert response_head(decode(encode([(b":status", b"404")]), BlockKind.RESPONSE), head, False, True)
    assert (kept.status, kept.body_length, kept.headers()) == (200, 5, [(b"token", b"abc"), (b"content-length", b"5")])
    out = ByteWriter()
    write_response(HpackEncoder(), out, kept, None)
    assert out.take() == b"\x88\x10\x05token\x03abc\x0f\x0d\x015"


# -- cookies (8.2.3) ---------------------------------------------------------------------------------------------------


def test_crumbs_become_one_cookie():
    head = request(
        [(b"a", b"1"), (b"cookie", b"b=2"), (b"c", b"3"), (b"cookie", b"d=4"), (b"cookie", b"e=5"), (b"f", b"6")]
    )
    assert head.headers() == [(b"a", b"1"), (b"cookie", b"b=2; d=4; e=5"), (b"c", b"3"), (b"f", b"6")]
    assert head.block.raw == b"a: 1\r\ncookie: b=2; d=4; e=5\r\nc: 3\r\nf: 6\r\n"


def test_a_single_cookie_and_no_cookie():
    assert request([(b"cookie", b"a=1")]).headers() == [(b"cookie", b"a=1")]


@pytest.mark.parametrize(
    "crumbs", [[b"", b"a", b"b"], [b"a", b"", b"b"], [b"a", b"b", b""], [b"", b"", b"a", b"", b"b"]]
)
def test_empty_crumbs_leave_nothing(crumbs):
    """Else a space could stand at the value's end, which makes the next peer refuse it."""
    assert request([(b"cookie", crumb) for crumb in crumbs]).headers() == [(b"cookie", b"a; b")]
    assert request([(b"cookie", b""), (b"cookie", b"")]).headers() == [(b"cookie", b"")]


def test_crumbs_count_as_one_header_but_all_their_bytes_count():
    crumbs = [(b"cookie", b"a=1")] * 90
    block = encode([*PSEUDO, *crumbs])
    assert not decode(block, max_count=1).too_large
    size = sum(len(name) + len(value) + 4 for name, value in [*PSEUDO, *crumbs])
    assert not decode(block, max_bytes=size).too_large
    assert decode(block, max_bytes=size - 1).too_large


def test_cookies_of_one_message_are_not_in_the_next():
    fields = Fields()
    for crumbs in ([(b"cookie", b"a"), (b"cookie", b"b")], [], [(b"cookie", b"c")]):
        block = encode([*PSEUDO, *crumbs])
        fields.reset(BlockKind.REQUEST, 1_000, 20)
        HpackDecoder().decode(block, 0, len(block), fields)
        head = request_head(fields, False)
        assert head.header(b"cookie") == (b"; ".join(value for _, value in crumbs) if crumbs else None)


def test_crumbs_of_a_malformed_message_are_not_in_the_next():
    fields = Fields()
    for headers in ([(b"cookie", b"a"), (b"cookie", b"b"), (b"te", b"x")], [(b"cookie", b"c")]):
        block = encode([*PSEUDO, *headers])
        fields.reset(BlockKind.REQUEST, 1_000, 20)
        HpackDecoder().decode(block, 0, len(block), fields)
        head = request_head(fields, False)
    assert head.header(b"cookie") == b"c"


# -- gRPC, CONNECT -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "is_grpc"),
    [
        (b"application/grpc", True),
        (b"application/grpc+proto", True),
        (b"application/grpc;charset=utf-8", True),
        (b"Application/gRPC", True),
        (b"application/grpc-web", False),
        (b"application/grpcx", False),
        (b"application/json", False),
        (b"", False),
    ],
)
def test_calls_of_grpc(value, is_grpc):
    assert request([(b"content-type", value)]).grpc == is_grpc


def test_connect():
    head = request([], pseudo=[(b":method", b"CONNECT"), (b":authority", b"a:80")])
    assert (head.method, head.path, head.authority, head.upgrade) == (b"CONNECT", b"a:80", b"a:80", b"CONNECT")
    assert (head.scheme, head.protocol, head.body_length) == (b"http", None, -1)


def test_extended_connect():
    head = request([], pseudo=[(b":method", b"CONNECT"), (b":protocol", b"websocket"), *PSEUDO[1:]])
    assert (head.method, head.path, head.upgrade, head.protocol) == (b"GET", b"/a?b=c", b"websocket", b"websocket")
    assert head.header(b":protocol") == b"websocket"


# -- what is malformed -------------------------------------------------------------------------------------------------


def test_a_malformed_message_has_no_head():
    assert request_head(decode(encode([*PSEUDO, (b"te", b"x")])), False) is None
    assert request_head(decode(encode([*PSEUDO, *[(b"a", b"b")] * 3]), max_count=2), False) is None
    head = Http2ResponseHead()
    assert not response_head(decode(encode([(b":status", b"x")]), BlockKind.RESPONSE), head, False, False)
    assert not response_head(
        decode(encode([(b":status", b"200")]), BlockKind.RESPONSE, max_count=0), head, False, False
    )


# -- trailers ----------------------------------------------------------------------------------------------------------


def trailers(pairs: Pairs) -> bytes | None:
    return trailer_lines(decode(encode(pairs), BlockKind.TRAILERS))


def test_trailers():
    assert trailers([]) is None
    assert trailers([(b"grpc-status", b"0")]) == b"grpc-status: 0\r\n"
    both = [(b"grpc-status", b"13"), (b"grpc-message", b"no")]
    assert trailers(both) == b"grpc-status: 13\r\ngrpc-message: no\r\n"
    assert trailers([*both, (b"x-a", b"1")]) == b"grpc-status: 13\r\ngrpc-message: no\r\nx-a: 1\r\n"


def test_trailers_that_must_not_be_passed_on():
    assert trailers([(b"content-length", b"5")]) is None
    assert trailers([(b"grpc-status", b"0"), (b"x-request-id", b"1"), (b"a", b"b")]) == b"grpc-status: 0\r\na: b\r\n"
    assert trailers([(b"host", b"a"), (b"cookie", b"b"), (b"cookie", b"c")]) is None
