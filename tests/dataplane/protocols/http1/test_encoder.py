"""The encoder: what was decoded and is written again means the same, to us and to h11, and is one message."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tage.dataplane.protocols.edits import HeaderEdits
from tage.dataplane.protocols.http1.decoder import BodyKind, Decoder, Progress
from tage.dataplane.protocols.http1.encoder import (
    local_response,
    write_chunk,
    write_last_chunk,
    write_request,
    write_response,
)
from tage.dataplane.protocols.http1.request import RequestDecoder
from tage.dataplane.protocols.http1.response import ResponseDecoder
from tage.dataplane.protocols.message import HeaderKind
from tage.dataplane.protocols.writer import ByteWriter

from . import oracle
from .cases import DONE, OK, REFUSED, REQUESTS, RESPONSES, Accepted, Answer, get, post, response
from .playbook import Message, requests, responses
from .test_decoder import mutated, soup, valid

READY, FAILED = Progress.READY, Progress.FAILED
HOP_BY_HOP = (
    b"connection", b"keep-alive", b"proxy-connection", b"te", b"trailer", b"transfer-encoding", b"upgrade",
)  # fmt: skip


# -- as a proxy does it ------------------------------------------------------------------------------------------------


def read_body(decoder: Decoder) -> list[bytes] | None:
    """The pieces of a body, or None when it is malformed or not all there."""
    pieces = []
    while True:
        progress = decoder.read_body()
        if progress != FAILED and decoder.payload is not None:
            pieces.append(decoder.payload)
        if progress == READY:
            return pieces
        if progress == FAILED or decoder.body != BodyKind.UNTIL_CLOSE:
            return None
        if not decoder.buffered() and decoder.finish() == READY:
            return pieces


def put_body(out: ByteWriter, pieces: list[bytes], chunked: bool) -> None:
    for piece in pieces:
        if chunked:
            write_chunk(out, piece)
        else:
            out.put(piece)
    if chunked:
        write_last_chunk(out, None)


def forward_requests(wire: bytes, edits: HeaderEdits | None = None) -> list[bytes]:
    """Each request that is taken before the first error, as it is written."""
    decoder, out, written = RequestDecoder(), ByteWriter(), []
    decoder.feed(wire)
    while decoder.read_head() == READY:
        chunked = decoder.body == BodyKind.CHUNKED
        write_request(out, decoder.head, edits or HeaderEdits(), chunked)
        pieces = read_body(decoder)
        if pieces is None:
            break
        put_body(out, pieces, chunked)
        written.append(out.take())
    return written


def forward_response(wire: bytes, *, to_head: bool = False, close: bool = False, keep_alive_10: bool = False) -> bytes:
    """A response as it is written to an HTTP/1.1 client."""
    decoder, out = ResponseDecoder(), ByteWriter()
    decoder.to_head = to_head
    decoder.feed(wire)
    assert decoder.read_head() == READY, decoder.error
    chunked = decoder.body in (BodyKind.CHUNKED, BodyKind.UNTIL_CLOSE)
    write_response(out, decoder.head, HeaderEdits(), chunked, close, keep_alive_10)
    pieces = read_body(decoder)
    assert pieces is not None
    if decoder.body != BodyKind.NO_BODY:
        put_body(out, pieces, chunked)
    return out.take()


def end_to_end(headers) -> list[tuple[bytes, bytes]]:
    """What has to arrive: neither hop-by-hop, nor Host, nor the length, which the framing says."""
    named = {
        token.strip(b" \t").lower()
        for name, value in headers
        if name.lower() == b"connection"
        for token in value.split(b",")
    }
    kept = {name for _, name in PROTECTED}
    return [
        (name, value)
        for name, value in headers
        if name.lower() not in (*HOP_BY_HOP, b"host", b"content-length")
        and (name.lower() not in named or name.lower() in kept or name.lower().startswith(b"x-forwarded-"))
    ]


PROTECTED = [
    (HeaderKind.EXPECT, b"expect"),
    (HeaderKind.REQUEST_ID, b"x-request-id"),
    (HeaderKind.PLAIN, b"forwarded"),
]


# -- requests ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", REQUESTS, ids=lambda case: case.name)
def test_a_request_written_again_means_the_same(case: Accepted):
    (written,) = forward_requests(case.wire)
    (message,) = requests([written])
    assert (message.line, message.body) == (case.message.line, case.message.body)
    assert end_to_end(message.headers) == end_to_end(case.message.headers)
    assert message.keep_alive == (message.line[0] != b"CONNECT")
    # Once more, and it does not change any further.
    assert forward_requests(written) == [written]


@pytest.mark.parametrize("case", REQUESTS, ids=lambda case: case.name)
def test_a_request_written_again_is_one_to_h11(case: Accepted):
    (written,) = forward_requests(case.wire)
    method, path, authority = case.message.line
    (seen,) = oracle.read_requests(written)
    assert seen.line == (method, path)
    assert seen.body == case.message.body
    assert [v for n, v in seen.headers if n == b"host"] == [authority]
    assert not {n for n, _ in seen.headers} & set(HOP_BY_HOP) - {b"transfer-encoding"}


def test_pipelined_requests_stay_apart():
    wires = [case.wire for case in REQUESTS]
    written = forward_requests(b"".join(wires))
    assert written == [forward_requests(wire)[0] for wire in wires]
    assert [s.body for s in oracle.read_requests(b"".join(written))] == [case.message.body for case in REQUESTS]


def test_hop_by_hop_headers_stay_behind():
    wire = get(
        b"A: 1", b"Connection: close, X-Hop", b"Keep-Alive: timeout=5", b"Proxy-Connection: keep-alive",
        b"TE: trailers", b"Trailer: A", b"Upgrade: h2c", b"X-Hop: 1", b"x-hop: 2", b"B: 2",
    )  # fmt: skip
    assert forward_requests(wire) == [b"GET / HTTP/1.1\r\nHost: a\r\nA: 1\r\nB: 2\r\n\r\n"]


def test_a_chunked_request_has_one_coding_and_no_length():
    wire = post(b"TRANSFER-ENCODING:\tChunked", b"Trailer: x", body=b"5;a=b\r\nhello\r\n0\r\nx: y\r\n\r\n")
    assert forward_requests(wire) == [
        b"POST /p HTTP/1.1\r\nHost: a\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
    ]


def test_the_end_of_a_chunked_body():
    out = ByteWriter()
    write_last_chunk(out, None)
    assert out.take() == b"0\r\n\r\n"
    write_last_chunk(out, b"A: b\r\nC:d\r\n")
    assert out.take() == b"0\r\nA: b\r\nC:d\r\n\r\n"


def test_an_announcement_of_trailers_goes_on_where_it_is_kept():
    edits = HeaderEdits()
    edits.keep = 1 << HeaderKind.TRAILER
    kept, named = (
        forward_requests(post(b"TE: trailers", b"Trailer: x", *more, b"Transfer-Encoding: chunked", body=DONE), edits)
        for more in ((), (b"Connection: trailer",))
    )
    assert kept == [b"POST /p HTTP/1.1\r\nHost: a\r\nTrailer: x\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n"]
    assert named == [b"POST /p HTTP/1.1\r\nHost: a\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n"]


@pytest.mark.parametrize(
    ("wire", "host"),
    [
        (get(line=b"GET http://b/ HTTP/1.1"), b"host: b\r\n"),
        (get(line=b"GET http://a/ HTTP/1.1"), b"Host: a\r\n"),
        (get(line=b"GET http://A/ HTTP/1.1"), b"host: A\r\n"),
        (b"GET / HTTP/1.0\r\n\r\n", b"host: \r\n"),
        (b"GET http://b/ HTTP/1.0\r\n\r\n", b"host: b\r\n"),
        (get(host=b"HOST:\t a\t\r\n"), b"HOST:\t a\t\r\n"),
    ],
)
def test_one_host_which_is_the_authority(wire: bytes, host: bytes):
    assert forward_requests(wire) == [b"GET / HTTP/1.1\r\n" + host + b"\r\n"]


def test_edits():
    edits = HeaderEdits()
    edits.path = b"/new?q"
    edits.drop = 1 << HeaderKind.REQUEST_ID | 1 << HeaderKind.EXPECT
    edits.extra = b"x-request-id: 2\r\nx-new: 3\r\n"
    wire = post(b"X-Request-Id: 1", b"Expect: 100-continue", b"A: b", b"Content-Length: 1", body=b"x")
    assert forward_requests(wire, edits) == [
        b"POST /new?q HTTP/1.1\r\nHost: a\r\nA: b\r\nContent-Length: 1\r\nx-request-id: 2\r\nx-new: 3\r\n\r\nx"
    ]


def test_a_new_authority_replaces_host():
    decoder, out = RequestDecoder(), ByteWriter()
    decoder.feed(get(b"A: b"))
    assert decoder.read_head() == READY
    decoder.head.authority = b"other:81"
    write_request(out, decoder.head, HeaderEdits(), False)
    assert out.take() == b"GET / HTTP/1.1\r\nhost: other:81\r\nA: b\r\n\r\n"


# -- responses ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", RESPONSES, ids=lambda case: case.name)
def test_a_response_written_again_means_the_same(case: Answer):
    written = forward_response(case.wire, to_head=case.to_head)
    (message,) = responses([written], to_head=case.to_head)
    assert (message.line, message.body) == (case.message.line, case.message.body)
    assert end_to_end(message.headers) == end_to_end(case.message.headers)
    assert message.keep_alive
    assert forward_response(written, to_head=case.to_head) == written
    seen = oracle.read_responses(written, b"HEAD" if case.to_head else b"GET", ended=False)
    if case.message.line == 999 or case.message.line < 200:
        return  # h11 knows no such status, or waits for what follows
    assert [(s.line, s.body) for s in seen] == [(case.message.line, case.message.body)]


def test_status_lines():
    def line(wire: bytes) -> bytes:
        return forward_response(wire).split(b"\r\n", 1)[0]

    assert line(response(b"HTTP/1.1 299 Odd  one\xff", b"Content-Length: 0")) == b"HTTP/1.1 299 Odd  one\xff"
    assert line(response(b"HTTP/1.1 299 ", b"Content-Length: 0")) == b"HTTP/1.1 299 "
    assert line(response(b"HTTP/1.1 299", b"Content-Length: 0")) == b"HTTP/1.1 299 "
    assert line(response(b"HTTP/1.1 200", b"Content-Length: 0")) == b"HTTP/1.1 200 OK"
    assert line(response(b"HTTP/1.0 404 Nowhere", b"Content-Length: 0")) == b"HTTP/1.1 404 Not Found"
    assert line(response(b"HTTP/1.0 299 Odd", b"Content-Length: 0")) == b"HTTP/1.1 299 "


@pytest.mark.parametrize(
    ("wire", "to_head", "written"),
    [
        (response(b"HTTP/1.1 204 No Content", b"Content-Length: 0"), False, b"HTTP/1.1 204 No Content\r\n\r\n"),
        (response(b"HTTP/1.1 100 Continue", b"Content-Length: 0"), False, b"HTTP/1.1 100 Continue\r\n\r\n"),
        (response(b"HTTP/1.1 304 =", b"Content-Length: 9"), False, b"HTTP/1.1 304 =\r\nContent-Length: 9\r\n\r\n"),
        (response(OK, b"Content-Length: 9"), True, OK + b"\r\nContent-Length: 9\r\n\r\n"),
        (response(OK, b"Transfer-Encoding: chunked"), True, OK + b"\r\n\r\n"),
        (response(OK, b"Keep-Alive: 5", b"Connection: close", body=b"hi"), False,
         OK + b"\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n"),
    ],
)  # fmt: skip
def test_framing_of_responses(wire: bytes, to_head: bool, written: bytes):
    assert forward_response(wire, to_head=to_head) == written


def test_persistence_is_announced():
    wire = response(OK, b"Content-Length: 0", b"Connection: keep-alive")
    assert forward_response(wire) == OK + b"\r\nContent-Length: 0\r\n\r\n"
    assert forward_response(wire, close=True) == OK + b"\r\nContent-Length: 0\r\nconnection: close\r\n\r\n"
    assert forward_response(wire, keep_alive_10=True) == OK + b"\r\nContent-Length: 0\r\nconnection: keep-alive\r\n\r\n"


def test_an_empty_piece_does_not_end_a_chunked_body():
    out = ByteWriter()
    for piece in (b"", b"a", b"", b"b" * 256):
        write_chunk(out, piece)
    assert out.take() == b"1\r\na\r\n100\r\n" + b"b" * 256 + b"\r\n"


@pytest.mark.parametrize("status", [100, 200, 204, 404, 431, 503, 599])
@pytest.mark.parametrize("to_head", [False, True])
@pytest.mark.parametrize("close", [False, True])
def test_local_responses(status: int, to_head: bool, close: bool):
    wire = local_response(status, b"why\n", ((b"server", b"tage"),), close=close, to_head=to_head)
    (message,) = responses([wire], to_head=to_head)
    bodiless = to_head or status in (100, 204)
    assert message.line == status
    assert message.body == (b"" if bodiless else b"why\n")
    assert message.keep_alive is not close
    assert (b"server", b"tage") in message.headers
    assert ((b"content-length", b"4") in message.headers) is (status not in (100, 204))


# -- properties --------------------------------------------------------------------------------------------------------

TOKEN = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
VALUE = st.binary(max_size=30).map(lambda b: bytes(c for c in b if c >= 32 and c != 127).strip(b" \t"))
FRAMING = {b"host", b"content-length", b"expect", b"connection", *HOP_BY_HOP}

tokens = st.text(TOKEN, min_size=1, max_size=20).map(str.encode)
field_names = tokens.filter(lambda name: name.lower() not in FRAMING)
spaces = st.sampled_from([b"", b" ", b"\t", b" \t "])
bodies = st.one_of(st.none(), st.binary(max_size=300))


@st.composite
def chunked_wire(draw: st.DrawFn, body: bytes) -> bytes:
    """The body in chunks of any size, with extensions and trailers."""
    wire, at = b"", 0
    while at < len(body):
        size = draw(st.integers(1, len(body) - at))
        number = draw(st.sampled_from([b"%x", b"%X", b"0%x"])) % size
        wire += number + draw(st.sampled_from([b"", b";a", b';a="b;c"'])) + b"\r\n" + body[at : at + size] + b"\r\n"
        at += size
    return wire + b"0\r\n" + draw(st.sampled_from([b"", b"A: b\r\n", b"Host: c\r\nContent-Length: 1\r\n"])) + b"\r\n"


@st.composite
def header_lines(draw: st.DrawFn) -> tuple[list[tuple[bytes, bytes]], list[bytes]]:
    headers = draw(st.lists(st.tuples(field_names, VALUE), max_size=8))
    return headers, [name + b":" + draw(spaces) + value + draw(spaces) for name, value in headers]


@st.composite
def framed(draw: st.DrawFn, body: bytes | None) -> tuple[list[bytes], bytes]:
    """Framing headers for a body, and the body as it is sent."""
    if body is None:
        return [], b""
    if draw(st.booleans()):
        return [b"Content-Length: %d" % len(body)], body
    return [b"Transfer-Encoding: chunked"], draw(chunked_wire(body))


@st.composite
def request_messages(draw: st.DrawFn) -> tuple[bytes, Message]:
    headers, lines = draw(header_lines())
    method = draw(tokens.filter(lambda m: m != b"CONNECT"))
    path = b"/" + draw(st.binary(max_size=20).map(lambda b: bytes(33 + c % 94 for c in b).replace(b"#", b"")))
    authority = draw(st.sampled_from([b"a", b"a.b:80", b"[::1]:8080", b"A"]))
    body = draw(bodies)
    framing, sent = draw(framed(body))
    absolute = draw(st.booleans())
    host = b"x" if absolute else authority
    lines = draw(st.permutations([*lines, *framing, b"Host: " + host]))
    target = b"http://" + authority + path if absolute else path
    wire = b"\r\n".join([method + b" " + target + b" HTTP/1.1", *lines, b"", sent])
    return wire, Message((method, path, authority), tuple(headers), body or b"")


def plain(message: Message, headers: tuple[tuple[bytes, bytes], ...]) -> Message:
    """Headers in any order, but for Host and those that frame."""
    rest = (h for h in headers if h[0].lower() not in (b"host", b"content-length", b"transfer-encoding"))
    return message._replace(headers=tuple(sorted(rest)))


@settings(max_examples=200, deadline=None)
@given(st.lists(request_messages(), min_size=1, max_size=3))
def test_requests_come_through(messages: list[tuple[bytes, Message]]):
    stream = b"".join(wire for wire, _ in messages)
    wanted = [plain(message, message.headers) for _, message in messages]
    assert [plain(m, m.headers) for m in requests([stream])] == wanted
    written = forward_requests(stream)
    assert [plain(m, m.headers) for m in requests([b"".join(written)])] == wanted
    seen = oracle.read_requests(b"".join(written))
    assert [(s.line, s.body) for s in seen] == [(m.line[:2], m.body) for m in wanted]


@settings(max_examples=200, deadline=None)
@given(st.integers(200, 599), header_lines(), st.data())
def test_responses_come_through(
    status: int, headers: tuple[list[tuple[bytes, bytes]], list[bytes]], data: st.DataObject
):
    bodiless = status in (204, 304)
    body = None if bodiless else data.draw(bodies)
    framing, sent = data.draw(framed(body))
    reason = data.draw(VALUE)
    wire = response(b"HTTP/1.1 %d %s" % (status, reason), *headers[1], *framing, body=sent)
    written = forward_response(wire)
    wanted = plain(Message(status, (), body or b""), tuple(headers[0]))
    (message,) = responses([written])
    assert plain(message, message.headers) == wanted
    (seen,) = oracle.read_responses(written, b"GET", ended=False)
    assert (seen.line, seen.body) == (status, body or b"")


@settings(max_examples=500, deadline=None)
@given(st.one_of(mutated(valid), soup.map(lambda tail: get() + tail), soup.map(lambda tail: post(b"A: b")[:-2] + tail)))
def test_whatever_is_taken_is_one_message_to_h11(wire: bytes):
    """The defence against smuggling: what comes out is read by another parser as that request, with that body."""
    taken = [m for m in requests([wire]) if isinstance(m, Message) and m.body is not None]
    written = forward_requests(wire)
    assert len(written) == len(taken)
    for sent, message in zip(written, taken, strict=True):
        seen = oracle.read_requests(sent)
        assert seen is not None, sent
        assert [(s.line, s.body) for s in seen] == [(message.line[:2], message.body)]
        assert [v for n, v in seen[0].headers if n == b"host"] == [message.line[2]]
        assert requests([sent])[0].body == message.body


def test_nothing_refused_is_forwarded():
    for case in REFUSED:
        assert forward_requests(case.wire) == []
