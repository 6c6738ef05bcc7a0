"""Requests that somebody, somewhere, reads in two ways; and their combinations."""

# ruff: noqa: E501  (tables)

from __future__ import annotations

import random
from collections.abc import Iterator

from tests.e2e.smuggling import odd
from tests.e2e.smuggling.odd import DONE, HELLO, HIDDEN

METHODS = [
    b"GET", b"HEAD", b"PUT", b"OPTIONS", b"DELETE", b"TRACE", b"CONNECT", b"PRI", b"get", b"PoSt", b"M", b"!#$%&'*+-.^_`|~", b"M" * 200, b"", b"GE T", b"GET\t", b"G\0T", b"G\xc9T", b"GET:",
    b"(GET)", b'"GET"', b"GET,", b"\xef\xbb\xbfGET", b"HTTP/1.1", b"\x16\x03\x01",
]  # fmt: skip
TARGETS = [
    b"*", b"//", b"//x/y", b"/?", b"/?a=b&c", b"/#f", b"/a#", b"/%", b"/%zz", b"/%00", b"/%0d%0a", b"/a\xe9", b"/\xff", b"/\0", b"/a\tb", b"/a b", b"/\x7f", b'/"<>\\^`{|}', b"/..;/x", b"/../../x", b"x", b"",
    b"?", b"/" + b"a" * 9_000, b"/" + b"a" * 62_000, b"http://h/", b"http://h", b"http://h?x=/y", b"HTTP://h/", b"http://h:80/", b"http://h:x/", b"http://u@h/", b"http://u:p@h:80/", b"http:///", b"http://",
    b"http:/h/", b"http:h", b"http://[::1]/", b"http://[::1/", b"http://[x]/", b"http://h,i/", b"http://h#f", b"http://h/#f", b"http://h\\x/", b"http://h%00/", b"http://h%20x/", b"https://h/", b"ftp://h/", b"ws://h/", b"h:80",
    b"h", b"[::1]:80", b"http://h/http://i/", b"http:\\\\h\\", b"\\x", b"*x", b"/*", b"urn:x", b"http://HH/", b"/x?http://i/",
]  # fmt: skip
VERSIONS = [
    b"HTTP/1.0", b"HTTP/1.2", b"HTTP/1.9", b"HTTP/2.0", b"HTTP/2", b"HTTP/0.9", b"HTTP/1", b"HTTP/1.", b"HTTP/.1", b"HTTP/1.1.1", b"HTTP/1,1", b"HTTP/01.1", b"HTTP/1.01", b"HTTP/1.10", b"HTTP/11.1", b"HTTP/1.1 ", b"HTTP/1.1\t",
    b"http/1.1", b"Http/1.1", b"HTTP 1.1", b"HTTP//1.1", b"HTTP/1.1x", b"HTTP/ 1.1", b"HTTP/1.1\0", b"HTTP/1.1\x0b", b"HTTP/-1.1", b"HTTP/1.+1", b"HTTPS/1.1", b"ICY/1.1", b"1.1", b"", b"HTTP/1.1 HTTP/1.0", b"HTTP/1.\xb9", b"HTTP/x.y",
    b"HTTP/1.1\r", b"HTTP/4294967297.1", b"HTTP/1.4294967297",
]  # fmt: skip
HOSTS = [
    (), (b"Host:",), (b"Host: ",), (b"Host: a", b"Host: a"), (b"Host: a", b"host: b"), (b"Host: a,b",), (b"Host: a, b",), (b"Host: a b",), (b"Host: a:80",), (b"Host: a:",), (b"Host: a:b",), (b"Host: a:80:81",), (b"Host: :80",),
    (b"Host: u@a",), (b"Host: a@b:80",), (b"Host: a/b",), (b"Host: a?b",), (b"Host: a#b",), (b"Host: http://a",), (b"Host: [::1]",), (b"Host: [::1]:80",), (b"Host: [::1",), (b"Host: ::1",), (b"Host: [x]",), (b"Host: [::1]x",),
    (b"Host: a\0b",), (b"Host: a\tb",), (b"Host: \xe9",), (b"Host: a\x7f",), (b"Host: %61",), (b"Host: %zz",), (b"Host: a%00b",), (b"Host : a",), (b" Host: a",), (b"Host: a\r\n b",), (b"Host:\r\n a",), (b"HOST: A",), (b"Host: a\\b",),
    (b'Host: "a"',), (b"Host: <a>",), (b"Host: a;b",), (b"Host: a.",), (b"Host: .a",), (b"Host: a_b~c",), (b"Host: a:99999999",), (b"Host: a:+80",), (b"Host: a:-80",), (b"Host: a:8 0",), (b"Host:a",), (b"Host:\ta\t",), (b"X-Host: b", b"Host: a"),
    (b"Host: " + b"a" * 5_000,), (b"Host: a", b"X-Forwarded-Host: b"), (b"Hos\xc5\xbf: a",), (b"Host\0: a",),
]  # fmt: skip
BEFORE = [
    b"\r\n",
    b"\r\n\r\n",
    b"\r\n\r\n\r\n\r\n",
    b"\n",
    b"\r",
    b"\n\n",
    b" ",
    b"\t",
    b"\0",
    b"\r\n ",
    b"\xef\xbb\xbf",
    b"\x0b",
    b"x",
    b" \r\n",
    b"\r\r\n",
    b"0\r\n\r\n",
    b"PROXY TCP4 1.2.3.4 1.2.3.4 1 2\r\n",
]
TAILS = [HIDDEN, b"\r\n", b"\r\n\r\n", b"\n", b"x", b"\r\n" + HIDDEN, b"\r\n\r\n" + HIDDEN, b"0\r\n\r\n" + HIDDEN, b"hello" + HIDDEN, b"X" + HIDDEN, b"GET /", b"GPOST / HTTP/1.1\r\nHost: h\r\n\r\n", b"\0", HIDDEN * 2,
         b"POST /second HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc", b"POST /second HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n" + HELLO]  # fmt: skip

PLAIN = [
    b"", b"hello", HELLO, DONE, HIDDEN, b"%x\r\n%b\r\n" % (len(HIDDEN), HIDDEN) + DONE, b"hello" + HIDDEN, DONE + HIDDEN, HELLO + HIDDEN, b"hell", b"5\r\nhel", b"0\r\n\r\nX", b"5\r\nhello\r\n", b"x" * 70_000, b"G",
]  # fmt: skip
_SIXTY = b"".join([b"X-%d: y\r\n" % i for i in range(60)])


def build(
    *lines: bytes,
    method: bytes = b"POST",
    target: bytes = b"/t",
    version: bytes = b"HTTP/1.1",
    host: tuple[bytes, ...] = (b"Host: a",),
    body: bytes = b"",
    gaps: tuple[bytes, bytes] = (b" ", b" "),
    ends: tuple[bytes, bytes, bytes] = (b"\r\n", b"\r\n", b"\r\n"),
) -> bytes:
    """`ends`: of the request line, of each header line, of the head."""
    start = method + gaps[0] + target + gaps[1] + version + ends[0]
    return start + b"".join([line + ends[1] for line in (*host, *lines)]) + ends[2] + body


def special() -> Iterator[bytes]:
    """One thing is odd in each, or a pair that attacks use."""
    chunked, length = b"Transfer-Encoding: chunked", b"Content-Length: 5"
    for method in METHODS:
        yield build(method=method)
        yield build(length, method=method, body=b"hello" + HIDDEN)
    for target in TARGETS:
        for host in ((b"Host: a",), ()):
            yield build(method=b"GET", target=target, host=host)
        yield build(method=b"OPTIONS", target=target)
        yield build(method=b"GET", target=target, version=b"HTTP/1.0", host=())
    for version in VERSIONS:
        yield build(method=b"GET", version=version) + HIDDEN
        yield build(chunked, version=version, body=HELLO)
        yield build(length, version=version, body=b"hello" + HIDDEN)
        yield build(length, b"Connection: keep-alive", version=version, body=b"hello" + HIDDEN)
    for host in HOSTS:
        yield build(method=b"GET", host=host)
        yield build(method=b"GET", host=host, target=b"http://h/x")
        yield build(method=b"GET", host=host, version=b"HTTP/1.0")
    for before in BEFORE:
        yield before + build(method=b"GET") + HIDDEN
        yield build(length, body=b"hello") + before + build(method=b"GET")
    for gap in odd.SPACES:
        yield build(method=b"GET", gaps=(gap, b" "))
        yield build(method=b"GET", gaps=(b" ", gap))
    for end in odd.ENDS:
        for at in range(3):
            ends = tuple(end if i == at else b"\r\n" for i in range(3))
            yield build(b"X: y", length, body=b"hello" + HIDDEN, ends=ends)
            yield build(b"X: y", chunked, body=HELLO + HIDDEN, ends=ends)
        yield build(length, body=b"hello", ends=(end, end, end))
    for field in odd.FIELDS:
        yield build(field, method=b"GET") + HIDDEN
        yield build(field, length, body=b"hello")
        yield build(chunked, field, body=HELLO)
    for options in odd.CONNECTIONS:
        yield build(b"Connection: " + options, method=b"GET") + HIDDEN
        yield build(b"Connection: " + options, b"Cookie: c", b"X: y", length, body=b"hello") + HIDDEN
        yield build(b"Connection: " + options, chunked, version=b"HTTP/1.1", body=HELLO) + HIDDEN
        yield build(b"Connection: " + options, length, version=b"HTTP/1.0", body=b"hello") + HIDDEN
    for expectation in odd.EXPECTATIONS:
        yield build(b"Expect: " + expectation, length, body=b"hello") + HIDDEN
        yield build(b"Expect: " + expectation, chunked, body=HELLO) + HIDDEN
        yield build(b"Expect: " + expectation, method=b"GET") + HIDDEN
        yield build(b"Expect: " + expectation, length, version=b"HTTP/1.0", body=b"hello")
    for lines in odd.framing_lines():
        yield build(*lines, body=HELLO + HIDDEN)
        yield build(*lines, method=b"GET", body=b"hello" + HIDDEN)
    for body in odd.chunked_bodies():
        yield build(chunked, body=body)
        yield build(chunked, body=body + HIDDEN)
        yield build(chunked, method=b"HEAD", body=body)
    for tail in TAILS:
        yield build(length, body=b"hello" + tail)
        yield build(chunked, body=HELLO + tail)
        yield build(method=b"GET") + tail
    yield from (build(length, body=b"hello") * n for n in (2, 5, 20))
    yield b"GET /\r\n"
    yield b"GET / \r\n\r\n"
    yield b"GET\r\n\r\n"
    yield b"\r\n" * 5_000
    yield b"\0" * 70_000
    yield b"G" * 70_000
    yield _SIXTY.join([b"GET / HTTP/1.1\r\nHost: a\r\n", b"\r\n"])
    yield _SIXTY.join([b"GET / HTTP/1.1\r\nHost: a\r\n", _SIXTY + b"\r\n"])
    yield b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


def mutated(source: random.Random) -> bytes:
    """A request with a few odd things at once."""

    def pick(usual: object, table: list, odds: float = 0.12) -> object:
        return source.choice(table) if source.random() < odds else usual

    lines: list[bytes] = list(source.choice(_FRAMING)) if source.random() < 0.25 else []
    body = source.choice(PLAIN)
    if not lines:
        kind = source.randrange(3)
        if kind == 0:
            lines, body = [b"Content-Length: %d" % len(body)], body
        elif kind == 1:
            lines, body = [b"Transfer-Encoding: chunked"], source.choice(_CHUNKED) if source.random() < 0.6 else HELLO
        else:
            body = b""
    for table, name, odds in (
        (odd.FIELDS, b"", 0.25),
        (odd.CONNECTIONS, b"Connection: ", 0.2),
        (odd.EXPECTATIONS, b"Expect: ", 0.08),
    ):
        if source.random() < odds:
            lines.insert(source.randrange(len(lines) + 1), name + source.choice(table))
    ends = tuple(pick(b"\r\n", odd.ENDS, 0.02) for _ in range(3))
    gaps = tuple(pick(b" ", odd.SPACES, 0.02) for _ in range(2))
    message = build(
        *lines,
        method=pick(source.choice([b"GET", b"POST"]), METHODS),
        target=pick(b"/t", TARGETS),
        version=pick(b"HTTP/1.1", VERSIONS, 0.08),
        host=pick((b"Host: a",), HOSTS, 0.08),
        body=body,
        gaps=gaps,
        ends=ends,
    )
    message = pick(b"", BEFORE, 0.04) + message
    for _ in range(source.choice([0, 0, 0, 0, 0, 1, 1, 2])):
        message = odd.havoc(source, message)
    if source.random() < 0.35:
        message += source.choice(TAILS)
    return message or b"\r\n"


_FRAMING = odd.framing_lines()
_CHUNKED = odd.chunked_bodies()
