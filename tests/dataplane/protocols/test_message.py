"""Heads and header blocks, as codecs fill them in: values by name, kinds, and growth."""

from __future__ import annotations

import pytest

from tage.dataplane.protocols.edits import write_headers
from tage.dataplane.protocols.http1.decoder import Progress
from tage.dataplane.protocols.http1.request import RequestDecoder
from tage.dataplane.protocols.http1.response import ResponseDecoder
from tage.dataplane.protocols.message import HeaderBlock, HeaderKind, RequestHead, ResponseHead
from tage.dataplane.protocols.writer import ByteWriter

READY = Progress.READY


def request(*lines: bytes, line: bytes = b"GET /a?b=c?d HTTP/1.1", max_headers: int = 1000) -> RequestHead:
    decoder = RequestDecoder(max_headers=max_headers)
    decoder.feed(b"\r\n".join([line, b"Host: h", *lines, b"", b""]))
    assert decoder.read_head() == READY, decoder.error
    return decoder.head


def test_an_empty_head():
    for head in (RequestHead(), ResponseHead()):
        assert head.headers() == []
        assert head.header(b"a") is None
        assert head.header(b"") is None
        assert head.body_length == 0
    assert RequestHead().path_only() == b""
    assert HeaderBlock().items() == []
    assert HeaderBlock().count == 0


def test_pseudo_headers():
    head = request()
    assert head.header(b":method") == b"GET"
    assert head.header(b":path") == b"/a?b=c?d"
    assert head.header(b":authority") == b"h"
    assert head.header(b":scheme") == b"http"
    assert head.header(b":status") is None
    assert head.header(b":") is None
    assert head.header(b"") is None


@pytest.mark.parametrize(
    ("target", "path"), [(b"/", b"/"), (b"/a", b"/a"), (b"/a?", b"/a"), (b"/?/b", b"/"), (b"/a?b?c", b"/a")]
)
def test_the_path_without_its_query(target: bytes, path: bytes):
    assert request(line=b"GET " + target + b" HTTP/1.1").path_only() == path


def test_headers_by_name():
    head = request(b"X-Request-ID: 7", b"A: 1", b"ab: 2", b"a:3", b"a: \t", b"A:   4  ", b"c:")
    assert head.header(b"a") == b"1,3,,4"
    assert head.header(b"ab") == b"2"
    assert head.header(b"c") == b""
    assert head.header(b"x-request-id") == b"7"
    assert head.header(b"host") == b"h"
    assert head.header(b"b") is None
    assert head.block.get(b"a") == head.header(b"a")
    assert head.headers()[1:4] == [(b"X-Request-ID", b"7"), (b"A", b"1"), (b"ab", b"2")]
    # Only letters have a case: "^" and "~", "@" and "`" stay two names.
    assert request(b"^: 1").header(b"~") is None
    assert request(b"`: 1").header(b"@") is None


def test_a_block_grows_and_is_used_again():
    decoder = RequestDecoder(max_headers=1000)
    for count in (500, 0, 31, 32, 33, 999, 1):
        lines = [b"n%d: %d" % (i, i * i) for i in range(count)]
        decoder.feed(b"\r\n".join([b"GET / HTTP/1.1", b"Host: h", *lines, b"", b""]))
        assert decoder.read_head() == READY
        assert decoder.head.block.count == count + 1
        assert decoder.head.headers() == [(b"Host", b"h")] + [(b"n%d" % i, b"%d" % (i * i)) for i in range(count)]
        assert decoder.head.header(b"n%d" % (count - 1)) == (b"%d" % ((count - 1) ** 2) if count else None)
        assert decoder.read_body() == READY


def test_copies_outlive_the_message():
    decoder = RequestDecoder()
    decoder.feed(b"GET /first HTTP/1.1\r\nHost: h\r\nA: first\r\n\r\n")
    assert decoder.read_head() == decoder.read_body() == READY
    path, value, items = decoder.head.path, decoder.head.header(b"a"), decoder.head.headers()
    decoder.feed(b"GET /other HTTP/1.1\r\nHost: h\r\nA: other\r\n\r\n")
    assert decoder.read_head() == READY
    assert (path, value, items[1]) == (b"/first", b"first", (b"A", b"first"))
    assert decoder.head.header(b"a") == b"other"


KINDS = {
    HeaderKind.CONNECTION: b"connection",
    HeaderKind.KEEP_ALIVE: b"keep-alive",
    HeaderKind.PROXY_CONNECTION: b"proxy-connection",
    HeaderKind.TE: b"te",
    HeaderKind.TRAILER: b"trailer",
    HeaderKind.UPGRADE: b"upgrade",
    HeaderKind.TRANSFER_ENCODING: b"transfer-encoding",
    HeaderKind.CONTENT_LENGTH: b"content-length",
    HeaderKind.HOST: b"host",
    HeaderKind.EXPECT: b"expect",
    HeaderKind.REQUEST_ID: b"x-request-id",
    HeaderKind.FORWARDED_FOR: b"x-forwarded-for",
    HeaderKind.FORWARDED_PROTO: b"x-forwarded-proto",
    HeaderKind.CLIENT_CERT: b"x-forwarded-client-cert",
    HeaderKind.MAX_FORWARDS: b"max-forwards",
    HeaderKind.TAGE_HOPS: b"x-tage-hops",
    HeaderKind.CONTENT_TYPE: b"content-type",
    HeaderKind.COOKIE: b"cookie",
}
VALUES = {
    HeaderKind.TRANSFER_ENCODING: b"chunked",
    HeaderKind.CONTENT_LENGTH: b"0",
    HeaderKind.EXPECT: b"100-continue",
}


def kept(drop: int, *lines: bytes) -> bytes:
    """The lines of a response that are written when kinds are left behind."""
    decoder, out = ResponseDecoder(), ByteWriter()
    decoder.feed(b"\r\n".join([b"HTTP/1.1 200 OK", *lines, b"", b""]))
    assert decoder.read_head() == READY, decoder.error
    write_headers(out, decoder.head.block, drop)
    return out.take()


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_kinds_are_known_in_any_case_and_by_the_whole_name_only(kind: HeaderKind):
    name, value = KINDS[kind], VALUES.get(kind, b"v")
    for spelt in (name, name.upper(), name.title()):
        line = spelt + b": " + value
        assert kept(1 << kind, line) == b""
        assert kept(~(1 << kind) & 0xFFFFFFFF, line) == line + b"\r\n"
    # Names of the same length, first letter and nearly the same bytes.
    for at in range(len(name)):
        for other in (b"_", b"x" if name[at] != 120 else b"y", bytes([name[at] ^ 0x20]) if name[at] == 45 else b"1"):
            line = name[:at] + other + name[at + 1 :] + b": v"
            if not line[:-3].strip(b"\r") or b"\r" in line:
                continue
            assert kept(~(1 << HeaderKind.PLAIN) & 0xFFFFFFFF, line) == line + b"\r\n"
    for line in (name + b"x: v", b"x" + name + b": v"):
        assert kept(~(1 << HeaderKind.PLAIN) & 0xFFFFFFFF, line) == line + b"\r\n"


def test_every_kind_but_the_first_two_has_a_name():
    assert set(HeaderKind) == {HeaderKind.PLAIN, HeaderKind.DROPPED, *KINDS}


def test_lines_are_written_in_runs_as_they_came():
    lines = [b"a:1", b"TE: x", b"B:  2 ", b"c: 3", b"Upgrade: y", b"TE: z", b"D:", b"te: w"]
    drop = 1 << HeaderKind.TE | 1 << HeaderKind.UPGRADE
    assert kept(drop, *lines) == b"a:1\r\nB:  2 \r\nc: 3\r\nD:\r\n"
    assert kept(0, *lines) == b"\r\n".join(lines) + b"\r\n"
    assert kept(drop, *lines[1:2]) == b""
    assert kept(0xFFFFFFFF, *lines) == b""


@pytest.mark.parametrize("name", [b"cookie", b"Content-Type"])
def test_headers_of_the_client_s_own_may_be_named(name: bytes):
    assert kept(1 << HeaderKind.DROPPED, name + b": 1", b"Connection: " + name) == b"Connection: " + name + b"\r\n"


@pytest.mark.parametrize("named", [b"a", b"A", b" a ", b"x, a", b"A,B", b",a,"])
def test_what_connection_names_ends_here(named: bytes):
    drop = 1 << HeaderKind.DROPPED
    assert kept(drop, b"a: 1", b"Connection: " + named, b"A: 2", b"aa: 3") == (
        b"Connection: " + named + b"\r\naa: 3\r\n"
    )


@pytest.mark.parametrize(
    "name",
    [*(n for k, n in KINDS.items() if HeaderKind.TRANSFER_ENCODING <= k <= HeaderKind.TAGE_HOPS),
     b"forwarded", b"x-forwarded-host", b"x-forwarded-client-cert"],
)  # fmt: skip
def test_framing_host_and_forwarding_headers_cannot_be_named_away(name: bytes):
    value = VALUES.get(next((k for k, n in KINDS.items() if n == name), HeaderKind.PLAIN), b"v")
    for lines in ([b"Connection: close, " + name], [b"Connection: x", b"Connection: " + name.upper()]):
        assert kept(1 << HeaderKind.DROPPED | 1 << HeaderKind.CONNECTION, *lines, name + b": " + value) == (
            name + b": " + value + b"\r\n"
        )
