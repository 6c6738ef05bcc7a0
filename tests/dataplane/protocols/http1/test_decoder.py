"""The decoder: what it takes, what it refuses, and that no cut of the bytes changes either."""

from __future__ import annotations

import tracemalloc

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tage.dataplane.protocols.http1 import errors
from tage.dataplane.protocols.http1.decoder import BodyKind, Progress
from tage.dataplane.protocols.http1.errors import Violation
from tage.dataplane.protocols.http1.request import RequestDecoder
from tage.dataplane.protocols.http1.response import ResponseDecoder

from . import oracle
from .cases import (
    DONE,
    OK,
    REFUSED,
    REFUSED_RESPONSES,
    REQUESTS,
    RESPONSES,
    Accepted,
    Answer,
    Refused,
    chunked,
    get,
    post,
    response,
)
from .playbook import Message, cuts, play, requests, responses

FAILED, MORE, READY = Progress.FAILED, Progress.MORE, Progress.READY
NO_BODY, LENGTH, CHUNKED, UNTIL_CLOSE = BodyKind.NO_BODY, BodyKind.LENGTH, BodyKind.CHUNKED, BodyKind.UNTIL_CLOSE

NEXT = b"POST /next?a HTTP/1.1\r\nHost: z\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nnext\r\n0\r\n\r\n"
NEXT_MESSAGE = Message(
    (b"POST", b"/next?a", b"z"), ((b"Host", b"z"), (b"Transfer-Encoding", b"chunked")), b"next", True
)
NEXT_RESPONSE = b"HTTP/1.1 201 Created\r\nContent-Length: 4\r\n\r\nnext"
NEXT_ANSWER = Message(201, ((b"Content-Length", b"4"),), b"next", True)


def names(case) -> str:
    return case.name


# -- tables ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", REQUESTS, ids=names)
def test_a_request_is_read_in_any_cut(case: Accepted):
    for pieces in cuts(case.wire):
        assert requests(pieces) == [case.message]


@pytest.mark.parametrize("case", REQUESTS, ids=names)
def test_the_request_behind_it_is_read_intact(case: Accepted):
    for pieces in cuts(case.wire + NEXT):
        assert requests(pieces) == [case.message, NEXT_MESSAGE]


@pytest.mark.parametrize("case", REFUSED, ids=names)
def test_a_request_is_refused_in_any_cut(case: Refused):
    for pieces in cuts(case.wire) if len(case.wire) < 1000 else ([case.wire], [case.wire[:600], case.wire[600:]]):
        *heads, error = requests(pieces)
        assert error == case.error
        assert all(head.body is None for head in heads)
    assert requests([case.wire + NEXT])[-1] == case.error
    assert requests([NEXT + case.wire])[0] == NEXT_MESSAGE
    assert requests([NEXT + case.wire])[-1] == case.error


@pytest.mark.parametrize("case", REFUSED, ids=names)
def test_what_h11_takes_and_we_refuse_is_explained(case: Refused):
    assert (oracle.read_requests(case.wire) is not None) == bool(case.h11)


@pytest.mark.parametrize("case", REQUESTS, ids=names)
def test_what_we_take_h11_reads_the_same(case: Accepted):
    seen = oracle.read_requests(case.wire)
    if seen is not None:
        assert [(s.line[0], s.body) for s in seen] == [(case.message.line[0], case.message.body)]


@pytest.mark.parametrize("case", RESPONSES, ids=names)
def test_a_response_is_read_in_any_cut(case: Answer):
    for pieces in cuts(case.wire):
        assert responses(pieces, to_head=case.to_head, finish=case.closes) == [case.message]


@pytest.mark.parametrize("case", [r for r in RESPONSES if not r.closes], ids=names)
def test_the_response_behind_it_is_read_intact(case: Answer):
    for pieces in cuts(case.wire + NEXT_RESPONSE):
        events = responses(pieces, to_head=case.to_head)
        if case.to_head:
            assert events == [case.message, NEXT_ANSWER._replace(body=b""), errors.BAD_STATUS_LINE][: len(events)]
        else:
            assert events == [case.message, NEXT_ANSWER]


@pytest.mark.parametrize("case", REFUSED_RESPONSES, ids=names)
def test_a_response_is_refused_in_any_cut(case: Refused):
    for pieces in cuts(case.wire):
        assert responses(pieces)[-1] == case.error


# -- details of heads --------------------------------------------------------------------------------------------------


def read(wire: bytes, **limits: int) -> RequestDecoder:
    decoder = RequestDecoder(**limits)
    decoder.feed(wire)
    assert decoder.read_head() == READY, decoder.error
    return decoder


def test_a_head_tells_version_form_and_expectation():
    decoder = read(get(line=b"GET http://b/ HTTP/1.0"))
    assert decoder.head.version_10
    assert decoder.head.absolute
    decoder = read(get())
    assert not decoder.head.version_10
    assert not decoder.head.absolute
    assert not decoder.head.expects_continue
    assert decoder.head.scheme == b"http"


@pytest.mark.parametrize(
    ("wire", "expects"),
    [
        (post(b"Expect: 100-continue", b"Content-Length: 1"), True),
        (post(b"expect: 100-CONTINUE", b"Transfer-Encoding: chunked"), True),
        (post(b"Expect: 100-continue", b"Expect: 100-continue", b"Content-Length: 1"), True),
        (post(b"Expect: 100-continue", b"Content-Length: 0"), False),
        (get(b"Expect: 100-continue"), False),
        (get(b"Expect: 100-continue", b"Content-Length: 1", line=b"POST / HTTP/1.0"), False),
    ],
)
def test_who_expects_100_continue(wire: bytes, expects: bool):
    assert read(wire).head.expects_continue is expects


def test_an_expectation_is_forgotten_with_its_request():
    decoder = read(post(b"Expect: 100-continue", b"Content-Length: 1", body=b"x") + get())
    assert decoder.head.expects_continue
    assert decoder.read_body() == READY
    assert decoder.read_head() == READY
    assert not decoder.head.expects_continue
    assert decoder.head.body_length == 0


@pytest.mark.parametrize(
    ("wire", "body", "has_body", "content_length"),
    [
        (get(), NO_BODY, False, 0),
        (post(b"Content-Length: 0"), LENGTH, False, 0),
        (post(b"Content-Length: 7"), LENGTH, True, 7),
        (post(b"Content-Length: " + b"9" * 18), LENGTH, True, 10**18 - 1),
        (post(b"Transfer-Encoding: chunked"), CHUNKED, True, 0),
    ],
)
def test_a_request_tells_how_its_body_ends(wire: bytes, body: int, has_body: bool, content_length: int):
    decoder = RequestDecoder()
    decoder.feed(post(b"Content-Length: 3", body=b"abc") + wire)
    assert decoder.read_head() == decoder.read_body() == READY
    assert decoder.read_head() == READY
    assert decoder.body == body
    assert (decoder.head.body_length != 0) is has_body
    assert decoder.content_length == content_length
    assert decoder.remaining == content_length


@pytest.mark.parametrize(
    ("wire", "to_head", "body", "content_length"),
    [
        (response(OK), False, UNTIL_CLOSE, 0),
        (response(OK, b"Content-Length: 7"), False, LENGTH, 7),
        (response(OK, b"Content-Length: 7"), True, NO_BODY, 7),
        (response(OK), True, NO_BODY, 0),
        (response(OK, b"Transfer-Encoding: chunked"), False, CHUNKED, 0),
        (response(b"HTTP/1.1 304 Not Modified", b"Content-Length: 7"), False, NO_BODY, 7),
    ],
)
def test_a_response_tells_how_its_body_ends(wire: bytes, to_head: bool, body: int, content_length: int):
    decoder = ResponseDecoder()
    decoder.feed(response(OK, b"Content-Length: 3", body=b"abc") + wire)
    assert decoder.read_head() == decoder.read_body() == READY
    decoder.to_head = to_head
    assert decoder.read_head() == READY
    assert decoder.body == body
    assert decoder.content_length == content_length


def test_to_head_holds_for_the_answer_behind_the_interim_ones():
    decoder = ResponseDecoder()
    decoder.to_head = True
    events = play(decoder, [b"HTTP/1.1 103 Early Hints\r\n\r\n" + response(OK, b"Content-Length: 5")])
    assert [(e.line, e.body) for e in events] == [(103, b""), (200, b"")]


# -- the end of the connection -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wire", "end"),
    [
        (b"", READY),
        (b"\r\n", READY),
        (get(), READY),
        (get() + b"\r\n", READY),
        (chunked(DONE), READY),
        (b"G", FAILED),
        (b"\r", FAILED),
        (get()[:-1], FAILED),
        (post(b"Content-Length: 5", body=b"hell"), FAILED),
        (post(b"Content-Length: 5"), FAILED),
        (chunked(b""), FAILED),
        (chunked(b"5\r\nhello"), FAILED),
        (chunked(b"5\r\nhello\r\n"), FAILED),
        (chunked(DONE[:-1]), FAILED),
        (chunked(b"0\r\nA: b\r\n"), FAILED),
    ],
)
def test_the_peer_ends_its_side(wire: bytes, end: int):
    for pieces in cuts(wire):
        events = requests(pieces, finish=True)
        assert (events[-1:] == [errors.TRUNCATED]) == (end == FAILED)


def test_a_response_cut_short_is_not_complete():
    for wire in (response(OK, b"Content-Length: 5", body=b"hell"), response(OK, b"Transfer-Encoding: chunked")):
        assert responses([wire], finish=True)[-1] == errors.TRUNCATED


def test_the_first_error_stays():
    decoder = RequestDecoder()
    decoder.feed(b" / HTTP/1.1\r\n\r\n")
    assert decoder.read_head() == FAILED
    assert decoder.finish() == FAILED
    assert decoder.error == errors.BAD_METHOD


UPGRADE = (b"Connection: upgrade", b"Upgrade: websocket")


@pytest.mark.parametrize(
    ("wire", "asked"),
    [
        (get(*UPGRADE), b"websocket"),
        (get(*reversed(UPGRADE)), b"websocket"),
        (get(b"CONNECTION: keep-alive, UPGRADE", b"UPGRADE: WebSocket"), b"WebSocket"),
        (get(*UPGRADE, b"Upgrade: other/2"), b"websocket,other/2"),
        (get(b"Connection: x", b"Connection: upgrade", b"Upgrade: a, b"), b"a, b"),
        (post(*UPGRADE, b"Content-Length: 0"), b"websocket"),
        (get(b"Upgrade: websocket"), None),
        (get(b"Connection: keep-alive", b"Upgrade: websocket"), None),
        (get(b"Connection: upgrade"), None),
        (get(b"Connection: upgraded", b"Upgrade: websocket"), None),
        (get(*UPGRADE, line=b"GET / HTTP/1.0"), None),
        (post(*UPGRADE, b"Content-Length: 1"), None),
        (post(*UPGRADE, b"Transfer-Encoding: chunked"), None),
        (get(line=b"CONNECT a:1 HTTP/1.1"), b"CONNECT"),
        (get(*UPGRADE, line=b"CONNECT a:1 HTTP/1.1"), b"CONNECT"),
        (get(), None),
    ],
)
def test_which_requests_ask_for_another_protocol(wire, asked):
    assert read(wire).head.upgrade == asked


def test_what_one_request_asked_for_the_next_does_not():
    decoder = RequestDecoder()
    decoder.feed(get(*UPGRADE) + get() + get(b"Connection: keep-alive"))
    assert decoder.read_head() == decoder.read_body() == READY
    assert decoder.head.upgrade == b"websocket"
    for _ in range(2):
        assert decoder.read_head() == decoder.read_body() == READY
        assert decoder.head.upgrade is None


@pytest.mark.parametrize("make", [RequestDecoder, ResponseDecoder])
def test_behind_a_switch_all_is_one_body(make):
    head = get(*UPGRADE) if make is RequestDecoder else b"HTTP/1.1 101 Go\r\nConnection: upgrade\r\nUpgrade: a\r\n\r\n"
    wire = head + b"\0\r\n\r\nGET / HTTP/1.1\r\n\r\n" + bytes(range(256))
    for pieces in cuts(wire):
        decoder = make()
        body, switched = b"", False
        for piece in pieces:
            decoder.feed(piece)
            if not switched and decoder.read_head() == READY:
                assert decoder.read_body() == READY
                decoder.switch()
                switched = True
            if switched:
                assert decoder.read_body() == MORE
                body += decoder.payload or b""
        assert body == wire[len(head) :]
        assert not decoder.keep_alive
        assert decoder.finish() == READY


@pytest.mark.parametrize(
    ("lines", "agrees"),
    [
        ((b"Connection: upgrade", b"Upgrade: websocket"), True),
        ((b"Connection: x, Upgrade", b"upgrade: WebSocket"), True),
        ((b"Upgrade: websocket",), False),
        ((b"Connection: upgrade",), False),
        ((b"Connection: upgrade", b"Upgrade: websockets"), False),
        ((b"Connection: upgrade", b"Upgrade: websocket, other"), False),
        ((b"Connection: upgrade", b"Upgrade: websocket", b"Upgrade: websocket"), False),
    ],
)
def test_which_answers_agree_to_switch(lines, agrees):
    decoder = ResponseDecoder()
    decoder.feed(response(b"HTTP/1.1 101 Switching Protocols", *lines))
    assert decoder.read_head() == READY
    assert decoder.switches_to(b"websocket") == agrees


@pytest.mark.parametrize("status", [200, 204, 299])
@pytest.mark.parametrize(
    "lines",
    [
        (b"Content-Length: 5",),
        (b"Transfer-Encoding: chunked",),
        (b"Content-Length: 5", b"Transfer-Encoding: chunked"),
        (b"Content-Length: x", b"Content-Length: y"),
        (),
    ],
)
def test_an_answer_that_opens_a_tunnel_has_no_framing(status, lines):
    wire = response(b"HTTP/1.1 %d OK" % status, *lines)
    for pieces in cuts(wire):
        decoder = ResponseDecoder()
        decoder.to_connect = True
        assert play(decoder, pieces) == [Message(status, tuple(tuple(line.split(b": ")) for line in lines), b"", True)]


def test_an_answer_that_refuses_a_tunnel_is_framed_as_ever():
    decoder = ResponseDecoder()
    decoder.to_connect = True
    [answer] = play(decoder, [response(b"HTTP/1.1 407 No", b"Content-Length: 2", body=b"no")])
    assert (answer.line, answer.body) == (407, b"no")


def test_what_follows_an_upgrade_is_handed_over():
    decoder = ResponseDecoder()
    decoder.feed(b"HTTP/1.1 101 Switching Protocols\r\n\r\n\x00\x01")
    assert decoder.read_head() == decoder.read_body() == READY
    assert decoder.buffered()
    assert decoder.rest() == b"\x00\x01"
    assert not decoder.buffered()
    assert decoder.rest() == b""


def test_errors_tell_a_client_something():
    for error in vars(errors).values():
        if isinstance(error, Violation):
            assert 400 <= error.status <= 505
            assert error.code.startswith("http1.")
            assert error.reason
    for case in REFUSED:
        assert case.error.status in (400, 417, 431, 501, 505)


# -- limits ------------------------------------------------------------------------------------------------------------


def test_a_request_line_that_alone_is_too_long():
    line = b"GET /" + b"a" * 100 + b" HTTP/1.1\r\n"
    for pieces in cuts(line + b"Host: a\r\n\r\n"):
        assert requests(pieces, max_head=len(line) - 1) == [errors.URI_TOO_LONG]
        assert requests(pieces, max_head=len(line)) == [errors.HEAD_TOO_LARGE]
    for pieces in cuts(b"HTTP/1.1 200 " + b"a" * 100 + b"\r\n\r\n"):
        assert responses(pieces, max_head=100) == [errors.HEAD_TOO_LARGE]


def test_a_head_of_max_head_bytes_passes_and_one_more_does_not():
    wire = get(b"A: " + b"b" * 100)
    for pieces in cuts(wire):
        assert len(requests(pieces, max_head=len(wire))) == 1
        assert requests(pieces, max_head=len(wire) - 1) == [errors.HEAD_TOO_LARGE]
    # The limit is of a head, not of what was fed.
    assert len(requests([wire * 50], max_head=len(wire))) == 50
    assert len(requests([b"\r\n" + wire], max_head=len(wire))) == 1
    assert requests([wire + post(b"Content-Length: 5000", body=b"x" * 5000)], max_head=len(wire))[1].body == b"x" * 5000


def test_a_head_without_end_is_refused_at_the_limit():
    for filler, error in ((b"a", errors.URI_TOO_LONG), (b"a: b\r\n", errors.HEAD_TOO_LARGE)):
        decoder = RequestDecoder()
        sent = 0
        while True:
            decoder.feed(filler * 1000)
            sent += len(filler) * 1000
            if decoder.read_head() == FAILED:
                break
            assert sent < 70_000
        assert decoder.error == error


def test_max_headers():
    wire = get(b"A: 1", b"B: 2")
    assert len(requests([wire], max_headers=3)) == 1
    assert requests([wire], max_headers=2) == [errors.TOO_MANY_HEADERS]
    many = get(*[b"n%d: %d" % (i, i) for i in range(2000)])
    (message,) = requests([many], max_headers=3000)
    assert message.headers[1:] == tuple((b"n%d" % i, b"%d" % i) for i in range(2000))


def test_framing_is_found_behind_many_headers():
    lines = [b"n%d: v" % i for i in range(97)]
    assert requests([post(*lines, b"Content-Length: 1", body=b"x")])[0].body == b"x"
    assert requests([post(*lines, b"Content-Length: 1", b"Content-Length: 1")]) == [errors.BAD_CONTENT_LENGTH]


def test_extensions_may_be_as_long_as_the_data_they_go_with():
    """A signed upload has one with each chunk, however long it is; extensions without data are an attack."""
    piece = b"400;chunk-signature=" + b"f" * 64 + b"\r\n" + b"x" * 1024 + b"\r\n"
    assert requests([chunked(piece * 500 + DONE)])[0].body == b"x" * 1024 * 500
    assert requests([chunked((b"1;" + b"f" * 100 + b"\r\nx\r\n") * 500 + DONE)])[-1] == errors.BAD_CHUNK


def test_a_long_list_of_connection_options_costs_little():
    decoder = RequestDecoder()
    headers = [b"n%02d: v" % i for i in range(90)]
    decoder.feed(get(*headers, b"Connection: " + b",".join([b"abc"] * 14_000)))
    assert decoder.read_head() == FAILED
    assert decoder.error == errors.BAD_CONNECTION


def test_memory_is_bounded_by_the_limit():
    """Whatever a peer sends and however it is cut, a decoder holds no more than a head and one feed."""
    max_head = 8192
    piece = b"x" * 1024
    streams = (
        [b"GET /"] + [piece] * 4000,
        [get()[:-2]] + [b"a: b\r\n" * 170] * 4000,
        [chunked(b"400;")] + [piece] * 4000,
        [chunked(b"0\r\nA: ")] + [piece] * 4000,
        [post(b"Content-Length: 4000000")] + [piece] * 4000,
        [get() * 20] * 1000,
    )
    for stream in streams:
        decoder = RequestDecoder(max_head)
        tracemalloc.start()
        try:
            drain(decoder, stream)
            assert tracemalloc.get_traced_memory()[1] < 8 * max_head
        finally:
            tracemalloc.stop()


def drain(decoder: RequestDecoder, stream: list[bytes]) -> None:
    """Reads and forgets, and goes on feeding after an error."""
    in_body = False
    for data in stream:
        decoder.feed(data)
        while (decoder.read_body() if in_body else decoder.read_head()) == READY:
            in_body = not in_body


def test_nothing_is_kept_of_what_comes_behind_an_error():
    decoder = RequestDecoder()
    decoder.feed(b" \r\n\r\n" + b"x" * 1000)
    assert decoder.read_head() == FAILED
    for _ in range(10):
        decoder.feed(b"x" * 1000)
    assert not decoder.buffered()
    assert decoder.rest() == b""


# -- properties --------------------------------------------------------------------------------------------------------

# Bytes that mean something to some parser of HTTP.
NASTY = [
    b"\r", b"\n", b"\r\n", b"\r\n\r\n", b" ", b"\t", b"\0", b"\x0b", b"\x0c", b"\x1f", b"\x7f", b"\x80", b"\xff", b":",
    b";", b",", b'"', b"#", b"@", b"0", b"1", b"5", b"a", b"f", b"0x", b"+", b"-", b"chunked", b"identity",
    b"Host: b\r\n",
    b"Content-Length: 5\r\n", b"Content-Length:", b"Transfer-Encoding: chunked\r\n", b"Transfer-Encoding:", b"HTTP/1.1",
    b"HTTP/1.0", b"Connection: close\r\n", b"Expect: 100-continue\r\n", b"0\r\n\r\n", b"GET / HTTP/1.1\r\n", b"hello",
    b"HTTP/1.1 200 OK\r\n", b"http://", b"OPTIONS", b"*", b"[::1]",
]  # fmt: skip
soup = st.lists(st.one_of(st.sampled_from(NASTY), st.binary(max_size=4)), max_size=40).map(b"".join)
valid = st.sampled_from([case.wire for case in REQUESTS + REFUSED if len(case.wire) < 400])
answers = st.sampled_from([case.wire for case in (*RESPONSES, *REFUSED_RESPONSES)])


@st.composite
def mutated(draw: st.DrawFn, wires: st.SearchStrategy[bytes]) -> bytes:
    wire = b"".join(draw(st.lists(wires, min_size=1, max_size=3)))
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(wire)))
        gone = draw(st.sampled_from([0, 0, 1, 2, 8]))
        wire = wire[:at] + draw(st.sampled_from([b"", *NASTY])) + wire[at + gone :]
    return wire


@st.composite
def cut_up(draw: st.DrawFn, wires: st.SearchStrategy[bytes]) -> list[bytes]:
    wire = draw(wires)
    places = sorted(draw(st.lists(st.integers(0, len(wire)), max_size=8)))
    return [wire[a:b] for a, b in zip([0, *places], [*places, len(wire)], strict=True)]


@settings(max_examples=400, deadline=None)
@given(cut_up(st.one_of(mutated(valid), soup)), st.booleans(), st.integers(20, 200))
def test_any_cut_of_any_requests_gives_the_same(pieces: list[bytes], finish: bool, max_head: int):
    whole = requests([b"".join(pieces)], finish=finish, max_head=max_head)
    assert requests(pieces, finish=finish, max_head=max_head) == whole


@settings(max_examples=300, deadline=None)
@given(cut_up(st.one_of(mutated(answers), soup)), st.booleans(), st.booleans())
def test_any_cut_of_any_responses_gives_the_same(pieces: list[bytes], finish: bool, to_head: bool):
    whole = responses([b"".join(pieces)], finish=finish, to_head=to_head)
    got = responses(pieces, finish=finish, to_head=to_head)
    assert got == whole


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("fhbez"), st.one_of(soup, valid, st.binary())), max_size=30))
@example([("f", get()), ("b", b""), ("h", b""), ("h", b""), ("b", b""), ("b", b"")])
def test_nothing_is_raised_in_whatever_order_it_is_asked(calls: list[tuple[str, bytes]]):
    for decoder in (RequestDecoder(100, 5), ResponseDecoder(100, 5)):
        for call, data in calls:
            if call == "f":
                decoder.feed(data)
            elif call == "h":
                assert decoder.read_head() in (FAILED, MORE, READY)
            elif call == "b":
                assert decoder.read_body() in (FAILED, MORE, READY)
            elif call == "e":
                assert decoder.finish() in (FAILED, READY)
            else:
                assert isinstance(decoder.rest(), bytes)
            decoder.head.headers()
