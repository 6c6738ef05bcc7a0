"""What HTTP/1.1 messages are taken and which are refused: the tables that the tests of decoder and encoder share.

Refused requests name what h11, the oracle, says to them: most it refuses too; `h11` tells why Tage is stricter where it
does not.
"""

# ruff: noqa: E501  (tables: a case stands on a line)

from __future__ import annotations

from typing import NamedTuple

from tage.dataplane.protocols.http1 import errors
from tage.dataplane.protocols.http1.errors import Violation

from .playbook import Message


class Accepted(NamedTuple):
    name: str
    wire: bytes
    message: Message


class Refused(NamedTuple):
    name: str
    wire: bytes
    error: Violation
    h11: str = ""
    """Not empty: h11 takes it; why Tage does not."""


def get(*lines: bytes, line: bytes = b"GET / HTTP/1.1", host: bytes = b"Host: a\r\n", body: bytes = b"") -> bytes:
    return line + b"\r\n" + host + b"".join(line + b"\r\n" for line in lines) + b"\r\n" + body


def post(*lines: bytes, body: bytes = b"") -> bytes:
    return get(*lines, line=b"POST /p HTTP/1.1", body=body)


def chunked(body: bytes) -> bytes:
    return post(b"Transfer-Encoding: chunked", body=body)


HOST = (b"Host", b"a")
CHUNKED = (b"Transfer-Encoding", b"chunked")
ROOT = (b"GET", b"/", b"a")
P = (b"POST", b"/p", b"a")
DONE = b"0\r\n\r\n"


def taken(
    name: str, line: bytes, *lines: bytes, want: tuple[bytes, bytes, bytes] = ROOT, keep: bool = True
) -> Accepted:
    """A request without a body whose head is given line by line, each `name: value`."""
    headers = tuple((h[: h.index(b":")], h[h.index(b":") + 1 :].strip(b" \t")) for h in lines)
    return Accepted(name, b"\r\n".join([line, *lines, b"", b""]), Message(want, headers, b"", keep))


def chunks(name: str, body: bytes, want: bytes) -> Accepted:
    return Accepted(name, chunked(body), Message(P, (HOST, CHUNKED), want))


def option(value: bytes, keep: bool = True, version: bytes = b"1.1") -> Accepted:
    name = f"connection {value.decode()} in {version.decode()}"
    return taken(name, b"GET / HTTP/" + version, b"Host: a", b"Connection: " + value, keep=keep)


LONG = b"x" * 9000

REQUESTS: list[Accepted] = [
    # -- request lines and targets
    taken("plain", b"GET / HTTP/1.1", b"Host: a"),
    taken("query", b"GET /b/c?d=e&f HTTP/1.1", b"Host: a", want=(b"GET", b"/b/c?d=e&f", b"a")),
    taken("two slashes", b"GET //a/b HTTP/1.1", b"Host: a", want=(b"GET", b"//a/b", b"a")),
    taken("target kept as it came", b'GET /%2e%2E/;x=1/"<>[\\]^`{|}~ HTTP/1.1', b"Host: a",
          want=(b"GET", b'/%2e%2E/;x=1/"<>[\\]^`{|}~', b"a")),
    taken("long target", b"GET /" + LONG[:300] + b" HTTP/1.1", b"Host: a", want=(b"GET", b"/" + LONG[:300], b"a")),
    taken("method is case-sensitive", b"get / HTTP/1.1", b"Host: a", want=(b"get", b"/", b"a")),
    taken("extension method", b"!#$%&'*+-.^_`|~09azAZ / HTTP/1.1", b"Host: a",
          want=(b"!#$%&'*+-.^_`|~09azAZ", b"/", b"a")),
    taken("asterisk", b"OPTIONS * HTTP/1.1", b"Host: a", want=(b"OPTIONS", b"*", b"a")),
    taken("absolute", b"GET http://b/c?d HTTP/1.1", b"Host: b", want=(b"GET", b"/c?d", b"b")),
    taken("absolute beats Host", b"GET http://b:81/c HTTP/1.1", b"Host: a", want=(b"GET", b"/c", b"b:81")),
    taken("absolute without a path", b"GET http://b HTTP/1.1", b"Host: b", want=(b"GET", b"/", b"b")),
    taken("absolute with a query only", b"GET http://b?c=/d HTTP/1.1", b"Host: b", want=(b"GET", b"/?c=/d", b"b")),
    taken("scheme in capitals", b"GET HTTP://b/ HTTP/1.1", b"Host: b", want=(b"GET", b"/", b"b")),
    taken("absolute to IPv6", b"GET http://[::1]:80/ HTTP/1.1", b"Host: [::1]:80", want=(b"GET", b"/", b"[::1]:80")),
    taken("OPTIONS absolute without a path is *", b"OPTIONS http://b HTTP/1.1", b"Host: b", want=(b"OPTIONS", b"*", b"b")),
    taken("OPTIONS absolute with a path", b"OPTIONS http://b/ HTTP/1.1", b"Host: b", want=(b"OPTIONS", b"/", b"b")),
    taken("OPTIONS absolute with a query", b"OPTIONS http://b?c HTTP/1.1", b"Host: b", want=(b"OPTIONS", b"/?c", b"b")),
    Accepted("one empty line before", b"\r\n" + get(), Message(ROOT, (HOST,))),
    # -- CONNECT
    taken("CONNECT", b"CONNECT b:443 HTTP/1.1", b"Host: b:443", want=(b"CONNECT", b"b:443", b"b:443"), keep=False),
    taken("CONNECT beats Host", b"CONNECT b:1 HTTP/1.1", b"Host: a", want=(b"CONNECT", b"b:1", b"b:1"), keep=False),
    taken("CONNECT to IPv6", b"CONNECT [::1]:65535 HTTP/1.1", b"Host: a", want=(b"CONNECT", b"[::1]:65535", b"[::1]:65535"),
          keep=False),
    taken("CONNECT with a length of 0", b"CONNECT b:1 HTTP/1.1", b"Host: b:1", b"Content-Length: 0",
          want=(b"CONNECT", b"b:1", b"b:1"), keep=False),
    taken("CONNECT in HTTP/1.0", b"CONNECT b:1 HTTP/1.0", want=(b"CONNECT", b"b:1", b"b:1"), keep=False),
    taken("connect is another method", b"connect / HTTP/1.1", b"Host: a", want=(b"connect", b"/", b"a")),
    # -- versions and persistence
    taken("HTTP/1.0", b"GET / HTTP/1.0", b"Host: a", keep=False),
    taken("HTTP/1.0 without Host", b"GET / HTTP/1.0", want=(b"GET", b"/", b""), keep=False),
    taken("HTTP/1.0, absolute", b"GET http://a/ HTTP/1.0", keep=False),
    option(b"close", keep=False),
    option(b"CLOSE", keep=False),
    option(b"keep-alive"),
    option(b"close, keep-alive", keep=False),
    option(b"keep-alive, close", keep=False),
    option(b", ,close,,", keep=False),
    option(b"x\t, \tClose", keep=False),
    option(b""),
    option(b"closed"),
    option(b"x-close"),
    option(b"keep-alive", version=b"1.0"),
    option(b"Keep-Alive, x", version=b"1.0"),
    option(b"close, keep-alive", keep=False, version=b"1.0"),
    option(b"x", keep=False, version=b"1.0"),
    taken("two Connection headers", b"GET / HTTP/1.1", b"Host: a", b"Connection: keep-alive", b"Connection: close",
          keep=False),
    taken("close elsewhere", b"GET / HTTP/1.1", b"Host: a", b"Proxy-Connection: close", b"Keep-Alive: close"),
    # -- headers
    taken("white space around values", b"GET / HTTP/1.1", b"Host:a", b"A: \t b \t", b"C:", b"D: \t ", b"E: f\tg  h"),
    taken("bytes above 127 in a value", b"GET / HTTP/1.1", b"Host: a", b"A: \x80\xff\xe8\xb8\x8f"),
    taken("odd names", b"GET / HTTP/1.1", b"Host: a", b"!#$%&'*+-.^_`|~: b", b"0: 1"),
    taken("colons in a value", b"GET / HTTP/1.1", b"Host: a", b"A: :b: c", b"B::"),
    taken("names in capitals", b"GET / HTTP/1.1", b"HOST: a", b"CONTENT-LENGTH: 0", b"CONNECTION: CLOSE", keep=False),
    taken("names like those that frame", b"GET / HTTP/1.1", b"Host: a", b"Content_Length: 9", b"Content-Lengths: 9",
          b"X-Transfer-Encoding: chunked", b"TransferEncoding: chunked"),
    taken("repeated headers", b"GET / HTTP/1.1", b"Host: a", b"A: 1", b"B: 2", b"a: 3"),
    taken("Host not first", b"GET / HTTP/1.1", b"A: 1", b"Host: a"),
    taken("a hundred headers", b"GET / HTTP/1.1", b"Host: a", *[b"n%d: v" % i for i in range(99)]),
    *[
        taken(f"Host {host.decode()}", b"GET / HTTP/1.1", b"Host: " + host, want=(b"GET", b"/", host))
        for host in (b"", b"A.b-c_d~e", b"a:", b"a:80", b"127.0.0.1:65535", b"[::1]", b"[fe80::1%25eth0]:80", b"%41")
    ],
    taken("user information in the path only", b"GET /@b HTTP/1.1", b"Host: a", want=(b"GET", b"/@b", b"a")),
    # -- bodies by length
    taken("a length of nothing", b"GET / HTTP/1.1", b"Host: a", b"Content-Length: 0"),
    Accepted("length", post(b"Content-Length: 5", body=b"hello"), Message(P, (HOST, (b"Content-Length", b"5")), b"hello")),
    Accepted("leading zeros", post(b"Content-Length: 0005", body=b"hello"),
             Message(P, (HOST, (b"Content-Length", b"0005")), b"hello")),
    Accepted("GET with a body", get(b"Content-Length: 2", body=b"hi"), Message(ROOT, (HOST, (b"Content-Length", b"2")), b"hi")),
    Accepted("a body that looks like a request", post(b"Content-Length: %d" % len(get()), body=get()),
             Message(P, (HOST, (b"Content-Length", b"%d" % len(get()))), get())),
    Accepted("HTTP/1.0 with a length", get(b"Content-Length: 2", line=b"POST /p HTTP/1.0", body=b"hi"),
             Message(P, (HOST, (b"Content-Length", b"2")), b"hi", keep_alive=False)),
    Accepted("length named by Connection still holds", post(b"Connection: content-length", b"Content-Length: 2", body=b"hi"),
             Message(P, (HOST, (b"Connection", b"content-length"), (b"Content-Length", b"2")), b"hi")),
    # -- chunked bodies
    chunks("no chunk", DONE, b""),
    chunks("one chunk", b"5\r\nhello\r\n" + DONE, b"hello"),
    chunks("chunks", b"3\r\nhel\r\n2\r\nlo\r\n" + DONE, b"hello"),
    chunks("hexadecimal, both cases", b"a\r\n0123456789\r\nB\r\n0123456789a\r\n" + DONE, b"01234567890123456789a"),
    chunks("leading zeros in a size", b"00000000000005\r\nhello\r\n000000\r\n\r\n", b"hello"),
    chunks("extensions", b"1;a\r\nx\r\n1;b=c;d=\"e;f\"\r\ny\r\n0;z\r\n\r\n", b"xy"),
    chunks("a chunk of CR LF", b"4\r\n\r\n\r\n\r\n" + DONE, b"\r\n\r\n"),
    chunks("a chunk that looks like the end", b"5\r\n" + DONE + b"\r\n" + DONE, DONE),
    chunks("trailers are checked and dropped", b"1\r\nx\r\n0\r\nA: b\r\nContent-Length: 9\r\nc:\r\n\r\n", b"x"),
    Accepted("chunked in capitals", post(b"TRANSFER-ENCODING: CHUNKED", body=b"1\r\nx\r\n" + DONE),
             Message(P, (HOST, (b"TRANSFER-ENCODING", b"CHUNKED")), b"x")),
    Accepted("chunked between tabs", post(b"Transfer-Encoding:\tchunked\t", body=b"1\r\nx\r\n" + DONE),
             Message(P, (HOST, CHUNKED), b"x")),
    Accepted("coding named by Connection still holds", post(b"Connection: transfer-encoding", b"Transfer-Encoding: chunked",
                                                            body=b"1\r\nx\r\n" + DONE),
             Message(P, (HOST, (b"Connection", b"transfer-encoding"), CHUNKED), b"x")),
    Accepted("GET with chunks", get(b"Transfer-Encoding: chunked", body=b"1\r\nx\r\n" + DONE),
             Message(ROOT, (HOST, CHUNKED), b"x")),
    taken("expectation", b"GET / HTTP/1.1", b"Host: a", b"Expect: 100-Continue"),
]  # fmt: skip


def length(value: bytes, h11: str = "") -> Refused:
    return Refused(f"length {value!r}", post(b"Content-Length:" + value, body=b"hello"), errors.BAD_CONTENT_LENGTH, h11)


def coding(value: bytes, error: Violation = errors.BAD_TRANSFER_ENCODING) -> Refused:
    return Refused(f"coding {value!r}", post(b"Transfer-Encoding:" + value, body=DONE), error)


def connect(value: bytes) -> Refused:
    wire = b"CONNECT " + value + b" HTTP/1.1\r\nHost: a\r\n\r\n"
    return Refused(f"CONNECT {value!r}", wire, errors.BAD_TARGET, "h11 leaves targets to its user")


def host(value: bytes, h11: str = "") -> Refused:
    return Refused(f"host {value!r}", get(host=b"Host: " + value + b"\r\n"), errors.BAD_HOST, h11)


def target(value: bytes, h11: str = "") -> Refused:
    return Refused(f"target {value!r}", get(line=b"GET " + value + b" HTTP/1.1"), errors.BAD_TARGET, h11)


def version(value: bytes, h11: str = "") -> Refused:
    return Refused(f"version {value!r}", get(line=b"GET / " + value), errors.BAD_VERSION, h11)


def name(line: bytes) -> Refused:
    return Refused(f"header {line!r}", get(line), errors.BAD_HEADER_NAME)


def chunk(body: bytes, error: Violation = errors.BAD_CHUNK, h11: str = "") -> Refused:
    return Refused(f"chunked {body[:40]!r}", chunked(body), error, h11)


SPACE = "h11 lets white space follow a chunk's size; others read it otherwise"
TARGETS = "h11 leaves targets alone; Tage routes by them"
VERSIONS = "h11 reads any version as 1.1"
LF = "h11 takes a bare LF for a line's end; a peer that does not sees another head"
AGREEING = "h11 takes equal repeated lengths; a sender of those is broken or attacks"
EXTENSION = "h11 lets any byte but LF stand in a chunk's extension"
HOSTS = "h11 leaves Host alone but for control characters; Tage routes by it"

REFUSED: list[Refused] = [
    # -- request lines
    Refused("leading space", b" " + get(), errors.BAD_METHOD),
    Refused("leading tab", b"\t" + get(), errors.BAD_METHOD),
    Refused("leading NUL", b"\0" + get(), errors.BAD_METHOD),
    Refused("leading CR", b"\r" + get(), errors.BAD_METHOD),
    Refused("two empty lines before", b"\r\n\r\n" + get(), errors.BAD_METHOD),
    Refused("an empty line ends in LF", b"\n" + get(), errors.BAD_LINE_END),
    Refused("no method", b" / HTTP/1.1\r\nHost: a\r\n\r\n", errors.BAD_METHOD),
    Refused("method with a slash", get(line=b"GE/T / HTTP/1.1"), errors.BAD_METHOD),
    Refused("method with a colon", get(line=b"GET: / HTTP/1.1"), errors.BAD_METHOD),
    Refused("method above 127", get(line=b"G\xc3\x89T / HTTP/1.1"), errors.BAD_METHOD),
    Refused("a tab after the method", get(line=b"GET\t/ HTTP/1.1"), errors.BAD_METHOD),
    Refused("method only", b"GET\r\n\r\n", errors.BAD_METHOD),
    Refused("TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", errors.BAD_METHOD),
    Refused("two spaces before the target", get(line=b"GET  / HTTP/1.1"), errors.BAD_TARGET),
    Refused("HTTP/0.9", b"GET /\r\n\r\n", errors.BAD_TARGET),
    Refused("two spaces before the version", get(line=b"GET /  HTTP/1.1"), errors.BAD_VERSION),
    Refused("a space in the target", get(line=b"GET /a b HTTP/1.1"), errors.BAD_VERSION),
    Refused("space after the version", get(line=b"GET / HTTP/1.1 "), errors.BAD_VERSION),
    Refused("no version", b"GET / \r\nHost: a\r\n\r\n", errors.BAD_VERSION),
    Refused("no version and nothing else", b"GET / \r\n\r\n", errors.BAD_VERSION),
    Refused("CR in place of CR LF", b"GET / HTTP/1.1\rXHost: a\r\n\r\n", errors.BAD_VERSION),
    Refused("CR in place of CR LF, then a header", b"GET / HTTP/1.1\r\rHost: a\r\n\r\n", errors.BAD_VERSION),
    Refused("CR CR LF", b"GET / HTTP/1.1\r\r\nHost: a\r\n\r\n", errors.BAD_VERSION),
    Refused("LF after the request line", b"GET / HTTP/1.1\nHost: a\r\n\r\n", errors.BAD_LINE_END, LF),
    Refused("HTTP/2 preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", errors.BAD_VERSION),
    version(b"http/1.1"), version(b"HTTP/1.2", VERSIONS), version(b"HTTP/1.9", VERSIONS),
    version(b"HTTP/0.9", VERSIONS), version(b"HTTP/2.0", VERSIONS), version(b"HTTP/1.1\0"), version(b"HTTP/1,1"), version(b"HTTP/1.11"),
    version(b"HTTP/11"), version(b"HTTP/1."), version(b"HTTP/01.1"), version(b"HTTPS/1.1"), version(b"ICY/1.1"),
    version(b"HTTP/1.\xb1"),
    # -- targets
    target(b"a", TARGETS), target(b"*", TARGETS), target(b"?a", TARGETS), target(b"a/b", TARGETS),
    target(b"/a#b", TARGETS), target(b"/#", TARGETS), target(b"http://b/#c", TARGETS), target(b"http://b#c", TARGETS),
    target(b"/\0"), target(b"/a\tb"), target(b"/\x7f"), target(b"/\x80"), target(b"/\xe8\xb8\x8f"), target(b"/a\rb"),
    target(b"https://b/", "TLS is not spoken inside an absolute-form request"), target(b"ftp://b/", TARGETS),
    target(b"file:///etc/passwd", TARGETS), target(b"http:/b/", TARGETS), target(b"http:b", TARGETS),
    target(b"http://", TARGETS), target(b"http:///b", TARGETS), target(b"http://?b", TARGETS),
    target(b"http://u@b/", TARGETS), target(b"http://u:p@b/", TARGETS), target(b"http://b,c/", TARGETS),
    target(b"http://:80/", TARGETS), target(b"http://b:80:81/", TARGETS), target(b"http://b:x/", TARGETS),
    target(b"http://[::1/", TARGETS), target(b"http://b\\c/", TARGETS),
    *(connect(t) for t in (
        b"/", b"*", b"a", b"a:", b":443", b"a:0", b"a:65536", b"a:099", b"a:443443", b"a:-1", b"a:+1", b"a:x", b"a:1:2",
        b"u@a:443", b"a,b:443", b"http://a:443", b"http://a:443/", b"a:443/", b"a:443?b", b"a:443#b", b"[::1]", b"::1:443",
        b"[::1:443", b"[]:443",
    )),
    Refused("CONNECT without Host", b"CONNECT a:443 HTTP/1.1\r\n\r\n", errors.BAD_HOST),
    Refused("CONNECT with a length", get(b"Content-Length: 1", line=b"CONNECT a:443 HTTP/1.1", body=b"x"),
            errors.CONNECT_WITH_BODY, "what follows would be content to one reader and the tunnel to another"),
    Refused("CONNECT with chunks", get(b"Transfer-Encoding: chunked", line=b"CONNECT a:443 HTTP/1.1", body=DONE),
            errors.CONNECT_WITH_BODY, "what follows would be content to one reader and the tunnel to another"),
    # -- Host
    Refused("no Host", b"GET / HTTP/1.1\r\n\r\n", errors.BAD_HOST),
    Refused("no Host, absolute", b"GET http://a/ HTTP/1.1\r\n\r\n", errors.BAD_HOST),
    Refused("two Hosts", get(b"Host: b"), errors.BAD_HOST),
    Refused("the same Host twice", get(b"hOST: a"), errors.BAD_HOST),
    Refused("two Hosts, absolute", get(b"Host: b", line=b"GET http://a/ HTTP/1.1"), errors.BAD_HOST),
    Refused("two Hosts in HTTP/1.0", get(b"Host: b", line=b"GET / HTTP/1.0"), errors.BAD_HOST),
    host(b"a b", HOSTS), host(b"a,b", HOSTS), host(b"a/b", HOSTS), host(b"a?b", HOSTS), host(b"a#b", HOSTS),
    host(b"a@b", HOSTS), host(b"http://a", HOSTS), host(b"a\\b", HOSTS), host(b"a\tb", HOSTS), host(b"\xc3\xa9", HOSTS),
    host(b"a:b", HOSTS), host(b"a:80:81", HOSTS), host(b"a:-1", HOSTS), host(b":80", HOSTS), host(b"::1", HOSTS),
    host(b"[::1", HOSTS), host(b"[::1]x", HOSTS), host(b"[]", HOSTS), host(b"[::1]:x", HOSTS), host(b"a[b]", HOSTS),
    host(b"a]", HOSTS), host(b"[::1]]", HOSTS), host(b'"a"', HOSTS), host(b"<a>", HOSTS),
    # -- header lines
    name(b"A : b"), name(b"A\t: b"), name(b": b"), name(b"A"), name(b"A b: c"), name(b"A\0: b"), name(b"(A): b"),
    name(b"A\x80: b"), name(b"\xef\xbb\xbfA: b"), name(b"A\r: b"), name(b"\rA: b"), name(b"\0"), name(b"A;b: c"),
    name(b"Content-Length : 5"), name(b"Transfer-Encoding : chunked"), name(b"Transfer-Encoding\x0b: chunked"),
    name(b"Content-Length\xa0: 5"), name(b"\x0bContent-Length: 5"), name(b"\r"),
    Refused("a line continued", get(b"A: b", b" c"), errors.OBS_FOLD, "h11 unfolds; others do not"),
    Refused("a line continued by a tab", get(b"A: b", b"\tc"), errors.OBS_FOLD, "h11 unfolds; others do not"),
    Refused("continued by nothing", get(b"A: b", b" "), errors.OBS_FOLD, "h11 unfolds; others do not"),
    Refused("a hidden coding", post(b"Transfer-Encoding:", b" chunked", body=DONE), errors.OBS_FOLD,
            "h11 unfolds; others do not"),
    Refused("space before the first header", b"GET / HTTP/1.1\r\n Host: a\r\n\r\n", errors.OBS_FOLD),
    Refused("NUL in a value", get(b"A: b\0c"), errors.BAD_HEADER_VALUE),
    Refused("CR in a value", get(b"A: b\rc"), errors.BAD_HEADER_VALUE),
    Refused("CR before a smuggled header", get(b"A: b\rContent-Length: 5"), errors.BAD_HEADER_VALUE),
    Refused("CR CR LF after a value", get(b"A: b\r"), errors.BAD_HEADER_VALUE),
    Refused("DEL in a value", get(b"A: b\x7f"), errors.BAD_HEADER_VALUE, "h11 lets DEL pass"),
    Refused("form feed in a value", get(b"A: b\x0c"), errors.BAD_HEADER_VALUE),
    Refused("escape in a value", get(b"A: \x1b[2J"), errors.BAD_HEADER_VALUE, "h11 lets some controls pass"),
    Refused("LF after a header", b"GET / HTTP/1.1\r\nHost: a\nA: b\r\n\r\n", errors.BAD_LINE_END, LF),
    Refused("LF before a smuggled header", get(b"A: b\nTransfer-Encoding: chunked", body=DONE), errors.BAD_LINE_END, LF),
    Refused("the head ends in LF", b"GET / HTTP/1.1\r\nHost: a\r\n\n", errors.BAD_LINE_END, LF),
    Refused("LF LF", b"GET / HTTP/1.1\nHost: a\n\n", errors.BAD_LINE_END, LF),
    Refused("LF CR LF", b"GET / HTTP/1.1\r\nHost: a\n\r\n", errors.BAD_LINE_END, LF),
    # -- Content-Length
    length(b""), length(b" "), length(b" +5"), length(b" -5"), length(b" -0"), length(b" 5 5"), length(b" 0x5"),
    length(b" 5,"), length(b" 5;"), length(b" 5.0"), length(b" 5e0"), length(b" 5_0"), length(b" five"),
    length(b' "5"'), length(b" 5,6"), length(b" 5\xa0"), length(b" \xb2"), length(b" \xd9\xa5"), length(b" 05h"),
    length(b" 5, 5", AGREEING), length(b" 5,5", AGREEING),
    length(b" 9999999999999999999"), length(b" 18446744073709551621"), length(b" 4294967301" * 2),
    length(b" 0000000000000000005", "more digits than any length needs: they overflow others"),
    Refused("length 5\\0", post(b"Content-Length: 5\0", body=b"hello"), errors.BAD_HEADER_VALUE),
    Refused("length \\v5", post(b"Content-Length: \x0b5", body=b"hello"), errors.BAD_HEADER_VALUE),
    Refused("two lengths", post(b"Content-Length: 5", b"Content-Length: 6", body=b"hello"), errors.BAD_CONTENT_LENGTH),
    Refused("equal lengths", post(b"Content-Length: 5", b"content-length: 5", body=b"hello"), errors.BAD_CONTENT_LENGTH,
            AGREEING),
    Refused("a length and zero", post(b"Content-Length: 0", b"Content-Length: 5", body=b"hello"), errors.BAD_CONTENT_LENGTH),
    # -- Transfer-Encoding
    coding(b""), coding(b" "), coding(b" chunked,"), coding(b" ,chunked"), coding(b" chunked, chunked"),
    coding(b" gzip, chunked"), coding(b" chunked, gzip"), coding(b" chunked, identity"), coding(b" identity, chunked"),
    coding(b" chunked;q=1"), coding(b' "chunked"'), coding(b" chunked chunked"), coding(b" \xe1\xb4\x84hunked"),
    coding(b" chunked\xa0"), coding(b" x chunked"), coding(b" chun\tked"), coding(b" chunked ,"),
    coding(b" identity", errors.UNKNOWN_TRANSFER_ENCODING), coding(b" gzip", errors.UNKNOWN_TRANSFER_ENCODING),
    coding(b" xchunked", errors.UNKNOWN_TRANSFER_ENCODING), coding(b" chunke", errors.UNKNOWN_TRANSFER_ENCODING),
    coding(b" cow", errors.UNKNOWN_TRANSFER_ENCODING), coding(b" x-chunked", errors.UNKNOWN_TRANSFER_ENCODING),
    coding(b" chunked\0", errors.BAD_HEADER_VALUE), coding(b" \x0bchunked", errors.BAD_HEADER_VALUE),
    coding(b" chunked\r", errors.BAD_HEADER_VALUE), coding(b"\x1fchunked", errors.BAD_HEADER_VALUE),
    Refused("two codings", post(b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked", body=DONE),
            errors.BAD_TRANSFER_ENCODING),
    Refused("a coding after chunked", post(b"Transfer-Encoding: chunked", b"Transfer-Encoding: cow", body=DONE),
            errors.BAD_TRANSFER_ENCODING),
    Refused("a coding before chunked", post(b"Transfer-Encoding: cow", b"Transfer-Encoding: chunked", body=DONE),
            errors.UNKNOWN_TRANSFER_ENCODING),
    Refused("chunked in HTTP/1.0", get(b"Transfer-Encoding: chunked", line=b"POST / HTTP/1.0", body=DONE),
            errors.BAD_TRANSFER_ENCODING, "HTTP/1.0 knows no codings: who forwards it may not either"),
    Refused("CL.TE", post(b"Content-Length: 32", b"Transfer-Encoding: chunked", body=DONE + get()), errors.LENGTH_AND_CHUNKED,
            "h11 lets the coding win"),
    Refused("TE.CL", post(b"Transfer-Encoding: chunked", b"Content-Length: 4", body=b"5c\r\n" + b"x" * 92 + b"\r\n" + DONE),
            errors.LENGTH_AND_CHUNKED, "h11 lets the coding win"),
    Refused("CL.TE with zero", post(b"Content-Length: 0", b"Transfer-Encoding: chunked", body=DONE), errors.LENGTH_AND_CHUNKED,
            "h11 lets the coding win"),
    Refused("CL.TE with Connection", post(b"Connection: transfer-encoding, content-length", b"Content-Length: 5",
                                          b"Transfer-Encoding: chunked", body=DONE), errors.LENGTH_AND_CHUNKED,
            "h11 lets the coding win"),
    Refused("CL.TE in HTTP/1.0", get(b"Content-Length: 5", b"Transfer-Encoding: chunked", line=b"POST / HTTP/1.0", body=DONE),
            errors.BAD_TRANSFER_ENCODING, "HTTP/1.0 knows no codings: who forwards it may not either"),
    # -- other headers
    Refused("Connection with a space", get(b"Connection: close x"), errors.BAD_CONNECTION, "h11 leaves Connection alone"),
    Refused("Connection quoted", get(b'Connection: "close"'), errors.BAD_CONNECTION, "h11 leaves Connection alone"),
    Refused("Connection above 127", get(b"Connection: clos\xe9"), errors.BAD_CONNECTION, "h11 leaves Connection alone"),
    Refused("another expectation", get(b"Expect: 200-ok"), errors.BAD_EXPECT, "h11 leaves Expect alone"),
    Refused("two expectations", get(b"Expect: 100-continue, x"), errors.BAD_EXPECT, "h11 leaves Expect alone"),
    Refused("an empty expectation", get(b"Expect:"), errors.BAD_EXPECT, "h11 leaves Expect alone"),
    Refused("too many headers", get(*[b"a: b"] * 100), errors.TOO_MANY_HEADERS, "h11 limits bytes only"),
    # -- chunks
    chunk(b"\r\n\r\n"), chunk(b"g\r\n"), chunk(b" 5\r\nhello\r\n" + DONE), chunk(b"0x5\r\nhello\r\n" + DONE),
    chunk(b"+5\r\nhello\r\n" + DONE), chunk(b"-5\r\nhello\r\n" + DONE), chunk(b";a\r\n" + DONE),
    chunk(b"5 \r\nhello\r\n" + DONE, h11=SPACE), chunk(b"5\t\r\nhello\r\n" + DONE, h11=SPACE),
    chunk(b"5 ;a\r\nhello\r\n" + DONE), chunk(b"5,\r\nhello\r\n" + DONE), chunk(b"5h\r\nhello\r\n" + DONE),
    chunk(b"5\nhello\r\n" + DONE), chunk(b"5\rhello\r\n" + DONE), chunk(b"5\r\rhello\r\n" + DONE), chunk(b"5\0\r\nhello\r\n" + DONE),
    chunk(b"\xb5\r\nhello\r\n" + DONE), chunk(b"5_0\r\nhello\r\n" + DONE), chunk(b"5.\r\nhello\r\n" + DONE),
    chunk(b"5;a\nhello\r\n" + DONE), chunk(b"5;a\rb\r\nhello\r\n" + DONE, h11=EXTENSION), chunk(b"5;a\0\r\nhello\r\n" + DONE, h11=EXTENSION),
    chunk(b"5;\x7f\r\nhello\r\n" + DONE, h11=EXTENSION), chunk(b"5;\n\r\nhello\r\n" + DONE),
    chunk(b"5\r\nhello" + DONE), chunk(b"5\r\nhelloworld\r\n" + DONE), chunk(b"5\r\nhello\n" + DONE), chunk(b"5\r\nhello\r" + DONE),
    chunk(b"5\r\nhello\n\r" + DONE), chunk(b"5\r\nhello \r\n" + DONE), chunk(b"5\r\nhell\r\n" + DONE),
    chunk(b"5\r\nhello\r\n\r\n" + DONE),
    chunk(b"0000000000000005\r\nhello\r\n" + DONE, h11="as many digits as overflow 64 bits elsewhere"),
    chunk(b"10000000000000005\r\nhello\r\n" + DONE), chunk(b"ffffffffffffffffffffff\r\n"), chunk(b"fffffffffffffffb\r\n"),
    chunk(b"5;" + b"a" * 16_400 + b"\r\nhello\r\n" + DONE, h11="h11 limits them not at all"),
    # -- the end of a chunked body, and trailers
    chunk(b"0\r\n\n", errors.BAD_HEADER_NAME, LF), chunk(b"0\r\n\rX", errors.BAD_LINE_END),
    chunk(b"0\r\n A: b\r\n\r\n", errors.OBS_FOLD), chunk(b"0\r\nA: b\r\n c\r\n\r\n", errors.OBS_FOLD, "h11 unfolds; others do not"),
    chunk(b"0\r\nA : b\r\n\r\n", errors.BAD_HEADER_NAME), chunk(b"0\r\n: b\r\n\r\n", errors.BAD_HEADER_NAME),
    chunk(b"0\r\nA\r\n\r\n", errors.BAD_HEADER_NAME), chunk(b"0\r\nA: \0\r\n\r\n", errors.BAD_HEADER_VALUE),
    chunk(b"0\r\nA: b\n\r\n", errors.BAD_HEADER_VALUE, LF), chunk(b"0\r\nA: b\rc\r\n\r\n", errors.BAD_LINE_END),
    chunk(b"0\r\nA: " + b"b" * 16_400 + b"\r\n\r\n", errors.HEAD_TOO_LARGE, "h11 allows trailers the size of a head"),
    chunk(b"0\r\n\0\r\n\r\n", errors.BAD_HEADER_NAME), chunk(b"0\r\nGET / HTTP/1.1\r\n\r\n", errors.BAD_HEADER_NAME),
]  # fmt: skip


class Answer(NamedTuple):
    """A response; `to_head`: it answers HEAD. `closes`: its body lasts until the connection ends."""

    name: str
    wire: bytes
    message: Message
    to_head: bool = False
    closes: bool = False


def response(line: bytes, *lines: bytes, body: bytes = b"") -> bytes:
    return b"\r\n".join([line, *lines, b"", b""]) + body


def answer(name: str, line: bytes, *lines: bytes, body: bytes = b"", want: bytes | None = None, keep: bool = True,
           to_head: bool = False, closes: bool = False) -> Answer:  # fmt: skip
    headers = tuple((h[: h.index(b":")], h[h.index(b":") + 1 :].strip(b" \t")) for h in lines)
    status = int(line[9:12])
    message = Message(status, headers, body if want is None else want, keep and not closes)
    return Answer(name, response(line, *lines, body=body), message, to_head, closes)


OK = b"HTTP/1.1 200 OK"
RESPONSES: list[Answer] = [
    answer("length", OK, b"Content-Length: 2", body=b"hi"),
    answer("no bytes", OK, b"Content-Length: 0"),
    answer("chunked", OK, b"Transfer-Encoding: chunked", body=b"2\r\nhi\r\n" + DONE, want=b"hi"),
    answer("until the end", OK, body=b"hi\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", closes=True),
    answer("until the end, nothing", OK, closes=True),
    answer("until the end, keep-alive is no help", OK, b"Connection: keep-alive", body=b"x", closes=True),
    answer("no reason", b"HTTP/1.1 200 ", b"Content-Length: 0"),
    answer("no reason and no space", b"HTTP/1.1 200", b"Content-Length: 0"),
    answer("nothing but a status", b"HTTP/1.1 204"),
    answer("an odd reason", b"HTTP/1.1 200 \t a:b \xff ", b"Content-Length: 0"),
    answer("status 999", b"HTTP/1.1 999 ?", b"Content-Length: 0"),
    answer("HTTP/1.0", b"HTTP/1.0 200 OK", b"Content-Length: 2", body=b"hi", keep=False),
    answer("HTTP/1.0, keep-alive", b"HTTP/1.0 200 OK", b"Content-Length: 2", b"Connection: keep-alive", body=b"hi"),
    answer("close", OK, b"Content-Length: 2", b"Connection: close", body=b"hi", keep=False),
    answer("to HEAD", OK, b"Content-Length: 5", to_head=True),
    answer("to HEAD, chunked", OK, b"Transfer-Encoding: chunked", to_head=True),
    answer("to HEAD, no length", OK, to_head=True),
    answer("204", b"HTTP/1.1 204 No Content"),
    answer("204 with a length of nothing", b"HTTP/1.1 204 No Content", b"Content-Length: 0"),
    answer("304 with a length", b"HTTP/1.1 304 Not Modified", b"Content-Length: 5"),
    answer("304, chunked", b"HTTP/1.1 304 Not Modified", b"Transfer-Encoding: chunked"),
    answer("100", b"HTTP/1.1 100 Continue"),
    answer("103", b"HTTP/1.1 103 Early Hints", b"Link: </a>"),
    answer("205", b"HTTP/1.1 205 Reset Content", b"Content-Length: 0"),
]  # fmt: skip

REFUSED_RESPONSES: list[Refused] = [
    *[
        Refused(f"status line {line!r}", response(line, b"Content-Length: 0"), errors.BAD_STATUS_LINE)
        for line in (
            b" HTTP/1.1 200 OK", b"http/1.1 200 OK", b"HTTP/1.2 200 OK", b"HTTP/2.0 200 OK", b"HTTP/0.9 200 OK",
            b"HTTP/1.1  200 OK", b"HTTP/1.1\t200 OK", b"HTTP/1.1 20 OK", b"HTTP/1.1 2000 OK", b"HTTP/1.1 099 OK",
            b"HTTP/1.1 000", b"HTTP/1.1 2x0 OK", b"HTTP/1.1 +20 OK", b"HTTP/1.1 200\tOK", b"HTTP/1.1 200-OK",
            b"HTTP/1.1 200 O\0K", b"HTTP/1.1 200 O\rK", b"HTTP/1.1 200\r", b"HTTP/1.1 200 OK\r", b"HTTP/1.1 200 \x7f",
            b"HTTP/1.1", b"HTTP/1.1 ", b"ICY 200 OK", b"GET / HTTP/1.1", b"HTTP/1.1 \xb2\xb2\xb2 OK", b"\0",
        )
    ],
    Refused("shorter than any", b"H\r\n\r\n", errors.BAD_STATUS_LINE),
    Refused("no line at all", b"\r\n\r\n\r\n", errors.BAD_STATUS_LINE),
    Refused("an empty line before", b"\r\n" + response(OK, b"Content-Length: 0"), errors.BAD_STATUS_LINE),
    Refused("LF", b"HTTP/1.1 200 OK\nContent-Length: 0\r\n\r\n", errors.BAD_LINE_END),
    Refused("no status, short", b"HTTP/1.1 20\r\n\r\n", errors.BAD_STATUS_LINE),
    Refused("two lengths", response(OK, b"Content-Length: 1", b"Content-Length: 1", body=b"x"), errors.BAD_CONTENT_LENGTH),
    Refused("a list of lengths", response(OK, b"Content-Length: 1, 1", body=b"x"), errors.BAD_CONTENT_LENGTH),
    Refused("both", response(OK, b"Content-Length: 5", b"Transfer-Encoding: chunked", body=DONE), errors.LENGTH_AND_CHUNKED),
    Refused("gzip", response(OK, b"Transfer-Encoding: gzip"), errors.UNKNOWN_TRANSFER_ENCODING),
    Refused("gzip, chunked", response(OK, b"Transfer-Encoding: gzip, chunked"), errors.BAD_TRANSFER_ENCODING),
    Refused("chunked in HTTP/1.0", response(b"HTTP/1.0 200 OK", b"Transfer-Encoding: chunked", body=DONE),
            errors.BAD_TRANSFER_ENCODING),
    Refused("204 with a body", response(b"HTTP/1.1 204 No", b"Content-Length: 5", body=b"hello"), errors.BAD_CONTENT_LENGTH),
    Refused("204, chunked", response(b"HTTP/1.1 204 No", b"Transfer-Encoding: chunked", body=DONE),
            errors.BAD_TRANSFER_ENCODING),
    Refused("100 with a body", response(b"HTTP/1.1 100 No", b"Content-Length: 5", body=b"hello"), errors.BAD_CONTENT_LENGTH),
    Refused("101, chunked", response(b"HTTP/1.1 101 No", b"Transfer-Encoding: chunked", body=DONE),
            errors.BAD_TRANSFER_ENCODING),
    Refused("a line continued", response(OK, b"A: b", b" c", b"Content-Length: 0"), errors.OBS_FOLD),
    Refused("CR in a value", response(OK, b"A: b\rSet-Cookie: c"), errors.BAD_HEADER_VALUE),
    Refused("name", response(OK, b"Content-Length : 0"), errors.BAD_HEADER_NAME),
    Refused("chunk", response(OK, b"Transfer-Encoding: chunked", body=b"x\r\n"), errors.BAD_CHUNK),
]  # fmt: skip
