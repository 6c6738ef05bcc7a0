"""Responses of a hostile origin: odd ones, those of another request behind them, and their combinations."""

# ruff: noqa: E501  (tables)

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

from tests.e2e.smuggling import odd
from tests.e2e.smuggling.odd import DONE, HELLO

STOLEN = b"HTTP/1.1 200 OK\r\nX-Stolen: yes\r\nContent-Length: 6\r\n\r\nstolen"
"""What is to be taken for the answer to the next request."""

STATUS_LINES = [
    b"HTTP/1.1 200", b"HTTP/1.1 200 ", b"HTTP/1.1 200  OK", b"HTTP/1.1 200 \t", b"HTTP/1.1 200 \xe9", b"HTTP/1.1 200 " + b"x" * 9_000, b"HTTP/1.1 200 HTTP/1.1 500", b"HTTP/1.0 200 OK", b"HTTP/1.1 201 C", b"HTTP/1.1 204 No",
    b"HTTP/1.1 205 R", b"HTTP/1.1 206 P", b"HTTP/1.1 304 N", b"HTTP/1.1 302 F", b"HTTP/1.1 404 N", b"HTTP/1.1 500 I", b"HTTP/1.1 599 x", b"HTTP/1.1 600 x", b"HTTP/1.1 999 x", b"HTTP/1.1 100 C", b"HTTP/1.1 101 S", b"HTTP/1.1 103 E", b"HTTP/1.1 199 x",
    b"HTTP/1.1 099 x", b"HTTP/1.1 000 x", b"HTTP/1.1 20 OK", b"HTTP/1.1 2000 OK", b"HTTP/1.1 0200 OK", b"HTTP/1.1 -200 OK", b"HTTP/1.1 +200 OK", b"HTTP/1.1 2 0 0", b"HTTP/1.1 200.0 OK", b"HTTP/1.1 0xc8 OK", b"HTTP/1.1 200OK", b"HTTP/1.1 200\tOK",
    b"HTTP/1.1 200\0OK", b"HTTP/1.1 200 O\0K", b"HTTP/1.1 200 O\rK", b"HTTP/1.1 200 O\nK", b"HTTP/1.1 200 \x7f", b"HTTP/1.1 OK", b"HTTP/1.1", b"HTTP/1.1 ", b"HTTP/1.1  200 OK", b"HTTP/1.1\t200 OK", b" HTTP/1.1 200 OK", b"\tHTTP/1.1 200 OK", b"http/1.1 200 OK",
    b"HTTP/1.2 200 OK", b"HTTP/2.0 200 OK", b"HTTP/2 200 OK", b"HTTP/0.9 200 OK", b"HTTP/1 200 OK", b"HTTP/11.1 200 OK", b"HTTP/1.10 200 OK", b"HTTP/01.1 200 OK", b"HTTP/1.1/ 200 OK", b"HTTPS/1.1 200 OK", b"ICY 200 OK", b"RTSP/1.0 200 OK", b"SIP/2.0 200 OK", b"200 OK",
    b"", b"\0", b"GET / HTTP/1.1", b"SSH-2.0-x", b"HTTP/1.1 \xb2\xb0\xb0 OK", b"HTTP/1.1 200 OK\r", b"\xef\xbb\xbfHTTP/1.1 200 OK", b"x" * 70_000,
]  # fmt: skip
BEFORE = [b"\r\n", b"\r\n\r\n", b"\n", b" ", b"\0", b"x", b"0\r\n\r\n", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 103 E\r\nLink: </a>\r\n\r\n", b"HTTP/1.1 100 C\r\n\r\n" * 20, b"HTTP/1.1 100 C\r\nContent-Length: 5\r\n\r\nhello",
          b"HTTP/1.1 100 C\r\nTransfer-Encoding: chunked\r\n\r\n" + HELLO, b"HTTP/1.1 103 E\r\nContent-Length: 0\r\n\r\n", b"HTTP/1.1 100 C\n\n", b"HTTP/1.0 100 C\r\n\r\n", b"HTTP/1.1 102 P\r\nConnection: close\r\n\r\n", b"HTTP/1.1 101 S\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"]  # fmt: skip
TAILS = [
    STOLEN,
    b"\r\n",
    b"\r\n" + STOLEN,
    b"x",
    b"\0",
    b"\n",
    b"0\r\n\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\n",
    b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1",
    b" " * 100,
    STOLEN * 3,
]
BODIES = [
    b"",
    b"hello",
    HELLO,
    DONE,
    b"hell",
    b"5\r\nhel",
    b"5\r\nhello\r\n",
    b"hello" + STOLEN,
    HELLO + STOLEN,
    STOLEN,
    b"%x\r\n%b\r\n" % (len(STOLEN), STOLEN) + DONE,
    b"x" * 70_000,
]
ENDINGS = ("open", "end", "reset")


@dataclass(frozen=True)
class Script:
    """What the origin sends to a request with that method, and then does: leaves the connection open, ends or resets
    it."""

    method: bytes
    data: bytes
    ending: str


def build(
    *lines: bytes,
    line: bytes = b"HTTP/1.1 200 OK",
    body: bytes = b"",
    ends: tuple[bytes, bytes, bytes] = (b"\r\n", b"\r\n", b"\r\n"),
) -> bytes:
    return line + ends[0] + b"".join([each + ends[1] for each in lines]) + ends[2] + body


def special() -> Iterator[Script]:
    """One thing is odd in each."""
    chunked, length = b"Transfer-Encoding: chunked", b"Content-Length: 5"

    def each(data: bytes, *methods: bytes) -> Iterator[Script]:
        for method in methods or (b"GET",):
            for ending in ENDINGS:
                yield Script(method, data, ending)

    for line in STATUS_LINES:
        for body, *lines in ((b"hello", length), (HELLO, chunked), (b"hello",), (b"", b"Content-Length: 0"), (b"",)):
            yield from each(build(*lines, line=line, body=body), b"GET")
            yield from each(build(*lines, line=line, body=body + STOLEN), b"GET", b"HEAD")
        yield from each(build(length, line=line), b"HEAD")
    for before in BEFORE:
        yield from each(before + build(length, body=b"hello"), b"GET", b"POST")
        yield from each(before + build(chunked, body=HELLO) + STOLEN)
        yield from each(before)
    for end in odd.ENDS:
        for at in range(3):
            ends = tuple(end if i == at else b"\r\n" for i in range(3))
            yield from each(build(b"X: y", length, body=b"hello", ends=ends))
            yield from each(build(b"X: y", chunked, body=HELLO + STOLEN, ends=ends))
        yield from each(build(length, body=b"hello", ends=(end, end, end)))
    for field in odd.FIELDS:
        yield from each(build(field, length, body=b"hello"))
        yield from each(build(chunked, field, body=HELLO))
        yield from each(build(field, body=b"hello"))
    for options in odd.CONNECTIONS:
        yield from each(build(b"Connection: " + options, b"X: y", length, body=b"hello"))
        yield from each(build(b"Connection: " + options, b"Cookie: y", chunked, body=HELLO) + STOLEN)
        yield from each(build(b"Connection: " + options, line=b"HTTP/1.0 200 OK", body=b"hello"))
        yield from each(build(b"Connection: " + options, length, line=b"HTTP/1.0 200 OK", body=b"hello"))
    for lines in odd.framing_lines():
        yield Script(b"GET", build(*lines, body=HELLO + STOLEN), "open")
        yield Script(b"GET", build(*lines, body=b"hello"), "open")
        yield Script(b"GET", build(*lines, body=HELLO), "end")
        yield Script(b"HEAD", build(*lines), "open")
        yield Script(b"GET", build(*lines, line=b"HTTP/1.1 204 No"), "open")
        yield Script(b"GET", build(*lines, line=b"HTTP/1.1 304 No", body=b"hello"), "open")
    for body in odd.chunked_bodies():
        yield from each(build(chunked, body=body))
        yield Script(b"GET", build(chunked, body=body + STOLEN), "open")
        yield Script(b"HEAD", build(chunked, body=body), "open")
    for tail in TAILS:
        yield from each(build(length, body=b"hello" + tail), b"GET", b"HEAD", b"POST")
        yield from each(build(chunked, body=HELLO + tail))
        yield from each(build(line=b"HTTP/1.1 304 N") + tail)
        yield from each(build(line=b"HTTP/1.1 204 N") + tail)
        yield from each(build(body=tail))
    yield from each(b"")
    yield from each(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 101 + b"\r\n")
    yield from each(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 90 + b"\r\n")
    yield from each(b"HTTP/1.1 200 OK\r\nX: " + b"y" * 70_000 + b"\r\n\r\n")
    yield from each(b"\0" * 70_000)
    yield from each(b"\r\n" * 5_000)


def mutated(source: random.Random) -> Script:
    """A response with a few odd things at once."""

    def pick(usual: object, table: list, odds: float) -> object:
        return source.choice(table) if source.random() < odds else usual

    lines: list[bytes] = list(source.choice(_FRAMING)) if source.random() < 0.25 else []
    body = source.choice(BODIES)
    if not lines:
        kind = source.randrange(4)
        if kind == 0:
            lines = [b"Content-Length: %d" % len(body)]
        elif kind <= 2:
            lines, body = [b"Transfer-Encoding: chunked"], source.choice(_CHUNKED) if source.random() < 0.5 else HELLO
    for table, name, odds in ((odd.FIELDS, b"", 0.2), (odd.CONNECTIONS, b"Connection: ", 0.2)):
        if source.random() < odds:
            lines.insert(source.randrange(len(lines) + 1), name + source.choice(table))
    ends = tuple(pick(b"\r\n", odd.ENDS, 0.02) for _ in range(3))
    data = build(*lines, line=pick(b"HTTP/1.1 200 OK", STATUS_LINES, 0.2), body=body, ends=ends)
    data = pick(b"", BEFORE, 0.12) + data
    for _ in range(source.choice([0, 0, 0, 0, 0, 1, 1, 2])):
        data = odd.havoc(source, data)
    if source.random() < 0.35:
        data += source.choice(TAILS)
    return Script(source.choice([b"GET", b"GET", b"HEAD", b"POST"]), data, source.choice(ENDINGS))


_FRAMING = odd.framing_lines()
_CHUNKED = odd.chunked_bodies()
