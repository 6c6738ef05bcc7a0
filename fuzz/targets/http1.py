"""The HTTP/1.1 decoders: as a server reads requests, as a client reads responses."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Hashable

from fuzz.target import Target, cuts
from tage.dataplane.protocols.http1 import errors
from tage.dataplane.protocols.http1.decoder import Decoder, Progress
from tage.dataplane.protocols.http1.request import RequestDecoder
from tage.dataplane.protocols.http1.response import ResponseDecoder
from tests.dataplane.protocols.http1 import cases, oracle
from tests.dataplane.protocols.http1.playbook import Event, Message, requests, responses

_ERRORS = {error for error in vars(errors).values() if isinstance(error, errors.Violation)}
_MAX_HEAD = 8192
_STREAM = 32 * _MAX_HEAD
"""Bytes: as much as an input is repeated for, to see that memory does not follow."""
_BYTEWISE = 600  # bytes; a longer input is read in larger pieces

_TOKENS = [
    b"\r\n", b"\r", b"\n", b"\r\n\r\n", b" ", b"\t", b"\0", b"\x0b", b"\x7f", b"\x80", b":", b";", b",", b"\"",
    b"*", b"@", b"0", b"f", b"0x", b"+", b"-", b"chunked", b"identity", b"gzip, chunked", b"0\r\n\r\n",
    b"5\r\nhello\r\n", b"ffffffffffffffff\r\n", b"Host: a\r\n", b"Content-Length: 5\r\n", b"Content-Length: 0\r\n",
    b"Content-Length:", b"Transfer-Encoding: chunked\r\n", b"Transfer-Encoding:", b"Connection: close\r\n",
    b"Connection: upgrade\r\n", b"Upgrade: websocket\r\n", b"Expect: 100-continue\r\n", b"Trailer: a\r\n",
    b"GET / HTTP/1.1\r\n", b"http://", b"[::1]", b"CONNECT a:1 HTTP/1.1\r\n", b"HTTP/1.0", b"HTTP/1.1",
    b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 101 a\r\n", b"HTTP/1.1 204 \r\n", b"HTTP/1.1 304 \r\n",
]  # fmt: skip


def _bytewise(data: bytes) -> list[bytes]:
    step = 1 if len(data) <= _BYTEWISE else 37
    return [data[at : at + step] for at in range(0, len(data), step)]


def _check(play: Callable[[list[bytes]], list[Event]], data: bytes) -> Hashable:
    told = play([data])
    assert play(_bytewise(data)) == told
    assert play(cuts(data)) == told
    for event in told[:-1]:
        assert isinstance(event, Message)
    if told and not isinstance(told[-1], Message):
        assert told[-1] in _ERRORS
    return tuple(_short(event) for event in told[:4])


def _short(event: Event) -> Hashable:
    if not isinstance(event, Message):
        return event
    kind = event.line if isinstance(event.line, int) else event.line[0][:1]
    return kind, len(event.headers).bit_length(), event.body is None or len(event.body).bit_length(), event.keep_alive


def _consume(decoder: Decoder, data: bytes) -> None:
    """`data` again and again, read and forgotten; after an error it is fed all the same."""
    in_body = False
    piece = data[:1024]
    for _ in range(_STREAM // max(len(piece), 64)):
        decoder.feed(piece)
        while (decoder.read_body() if in_body else decoder.read_head()) == Progress.READY:
            in_body = not in_body


def check_request(data: bytes) -> Hashable:
    """Besides: what h11, another strict reader, takes as well, it reads with the same boundaries."""
    finish = bool(zlib.adler32(data) & 1)
    answer = _check(lambda pieces: requests(pieces, finish=finish, max_head=_MAX_HEAD), data)
    told = requests([data], max_head=_MAX_HEAD)
    ours = [(_method(event), event.body) for event in told if isinstance(event, Message) and event.body is not None]
    if len(ours) == len(told):
        seen = oracle.read_requests(data)
        assert seen is None or ours == [(_method(request), request.body) for request in seen], "h11 reads it otherwise"
    return answer


def _method(request: Message | oracle.Seen) -> bytes:
    assert isinstance(request.line, tuple)
    return request.line[0]


def check_response(data: bytes) -> Hashable:
    """The input's checksum says whether a HEAD is answered, and whether the connection ends behind."""
    finish, to_head = bool(zlib.adler32(data) & 1), bool(zlib.adler32(data) & 2)
    return _check(lambda pieces: responses(pieces, finish=finish, to_head=to_head, max_head=_MAX_HEAD), data)


REQUESTS = Target(
    name="http1_request",
    seeds=lambda: [case.wire for case in cases.REQUESTS] + [case.wire for case in cases.REFUSED],
    check=check_request,
    consume=lambda data: _consume(RequestDecoder(_MAX_HEAD), data),
    max_memory=8 * _MAX_HEAD,
    tokens=_TOKENS,
)
RESPONSES = Target(
    name="http1_response",
    seeds=lambda: [case.wire for case in cases.RESPONSES] + [case.wire for case in cases.REFUSED_RESPONSES],
    check=check_response,
    consume=lambda data: _consume(ResponseDecoder(_MAX_HEAD), data),
    max_memory=8 * _MAX_HEAD,
    tokens=_TOKENS,
)
