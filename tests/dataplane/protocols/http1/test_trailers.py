"""Trailers: what the decoder leaves of them, and that they are nobody's headers."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from tage.dataplane.protocols.http1 import errors
from tage.dataplane.protocols.http1.decoder import Decoder, Progress
from tage.dataplane.protocols.http1.request import RequestDecoder
from tage.dataplane.protocols.http1.response import ResponseDecoder
from tage.dataplane.protocols.http1.trailers import FORBIDDEN

from .cases import DONE, OK, chunked, get, post, response
from .playbook import cuts

READY = Progress.READY


def keeping(decoder: Decoder) -> Decoder:
    decoder.keep_trailers = True
    return decoder


def read(decoder: Decoder, pieces: Iterable[bytes]) -> list[tuple[int, bytes | None]]:
    """Of each message: how many headers and what trailers it had."""
    seen: list[tuple[int, bytes | None]] = []
    in_body = False
    for piece in pieces:
        decoder.feed(piece)
        while (decoder.read_body() if in_body else decoder.read_head()) == READY:
            if in_body:
                seen.append((len(decoder.head.headers()), decoder.trailers))
            in_body = not in_body
        assert decoder.error is None
    return seen


def end(section: bytes) -> bytes:
    return b"1\r\nx\r\n0;e\r\n" + section + b"\r\n"


CASES = [
    (b"", None),
    (b"A: b\r\n", b"A: b\r\n"),
    (b"A:\tb \r\nc:\r\nA: \xe9\r\n", b"A:\tb \r\nc:\r\nA: \xe9\r\n"),
    (b"Grpc-Status: 0\r\nContent-Digest: x\r\nETag: y\r\n", b"Grpc-Status: 0\r\nContent-Digest: x\r\nETag: y\r\n"),
    (b"Content-Length: 9\r\n", None),
    (b"A: b\r\nTRANSFER-ENCODING: chunked\r\nC: d\r\n", b"A: b\r\nC: d\r\n"),
    (b"X-Forwarded-For: 1.2.3.4\r\nx-forwarded-client-cert: me\r\nProxy-Anything: x\r\n", None),
    (b"host: a\r\nauthority: b\r\n", b"authority: b\r\n"),
]


@pytest.mark.parametrize(("section", "kept"), CASES)
def test_trailers_of_a_request_in_any_cut(section: bytes, kept: bytes | None):
    wire = chunked(end(section)) + get() + chunked(DONE)
    for pieces in cuts(wire):
        assert read(keeping(RequestDecoder()), pieces) == [(2, kept), (1, None), (2, None)]


@pytest.mark.parametrize(("section", "kept"), CASES)
def test_trailers_of_a_response_in_any_cut(section: bytes, kept: bytes | None):
    wire = response(OK, b"Transfer-Encoding: chunked", body=end(section))
    wire += response(OK, b"Content-Length: 1", body=b"x")
    for pieces in cuts(wire):
        assert read(keeping(ResponseDecoder()), pieces) == [(1, kept), (1, None)]


@pytest.mark.parametrize("name", sorted(FORBIDDEN))
def test_what_must_not_stand_there_stays_behind(name: bytes):
    wire = chunked(end(b"A: b\r\n" + name + b": x\r\n" + name.title() + b": y\r\n" + name + b"-not: z\r\n"))
    (seen,) = read(keeping(RequestDecoder()), [wire])
    assert seen == (2, b"A: b\r\n" + name + b"-not: z\r\n" if not name.startswith(b"proxy") else b"A: b\r\n")


def test_what_connection_names_stays_behind():
    wire = post(
        b"Connection: X-A , close", b"connection:x-b,", b"Transfer-Encoding: chunked",
        body=end(b"X-A: 1\r\nx-B: 2\r\nX-C: 3\r\n"),
    )  # fmt: skip
    for pieces in cuts(wire):
        assert read(keeping(RequestDecoder()), pieces) == [(4, b"X-C: 3\r\n")]


def test_by_default_they_are_dropped():
    for pieces in cuts(chunked(end(b"A: b\r\n"))):
        assert read(RequestDecoder(), pieces) == [(2, None)]


def test_the_setting_may_change_between_messages():
    decoder, wire = RequestDecoder(), chunked(end(b"A: b\r\n"))
    for keep in (False, True, False, True):
        decoder.keep_trailers = keep
        assert read(decoder, [wire]) == [(2, b"A: b\r\n" if keep else None)]


@pytest.mark.parametrize(
    ("section", "error"),
    [
        (b"A: b\r\n C: d\r\n\r\n", errors.OBS_FOLD),
        (b"A : b\r\n\r\n", errors.BAD_HEADER_NAME),
        (b":path: b\r\n\r\n", errors.BAD_HEADER_NAME),
        (b"A: b\0\r\n\r\n", errors.BAD_HEADER_VALUE),
        (b"A: b\n\r\n", errors.BAD_HEADER_VALUE),
        (b"A: b\rC: d\r\n\r\n", errors.BAD_LINE_END),
        (b"A: " + b"b" * 16_400 + b"\r\n\r\n", errors.HEAD_TOO_LARGE),
        (b"".join(b"a%d: b\r\n" % i for i in range(3_000)) + b"\r\n", errors.HEAD_TOO_LARGE),
    ],
)
def test_malformed_and_large_ones_are_refused_all_the_same(section: bytes, error: errors.Violation):
    wire = chunked(b"0\r\n" + section)
    for pieces in cuts(wire) if len(wire) < 1_000 else ([wire], [wire[:5_000], wire[5_000:]]):
        decoder = keeping(RequestDecoder())
        for piece in pieces:
            decoder.feed(piece)
            if decoder.read_head() == READY or decoder.error is None:
                decoder.read_body()
        assert decoder.error == error
        assert decoder.trailers is None
