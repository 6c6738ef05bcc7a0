"""HTTP/1.1 messages as RFC 9112 and RFC 9110 define them, for judging others: by regular expressions taken from their
grammar, with the whole of the bytes at hand, and sharing nothing with the decoder under test.

Stricter than the grammar where it leaves a choice to the recipient: what two recipients may read differently is
`Malformed`. What is well-formed and may be refused all the same says why in `Message.optional`.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, field

Headers = list[tuple[bytes, bytes]]

MAX_HEAD = 61_440
MAX_HEADERS = 100
"""What the sidecar is configured with: beyond, it has to refuse."""
_EXTRA = 16_000
"""Bytes of chunk extensions and trailers that everybody takes."""

_TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_TEXT = rb"[\t\x20-\x7e\x80-\xff]"
_REQUEST_LINE = re.compile(rb"(%s) ([\x21-\x7e]+) HTTP/1\.([01])" % _TOKEN)
_STATUS_LINE = re.compile(rb"HTTP/1\.([01]) ([1-9][0-9]{2})(| %s*)" % _TEXT)
_FIELD = re.compile(rb"(%s):(%s*)" % (_TOKEN, _TEXT))
_PATH = re.compile(rb"(?:[A-Za-z0-9\-._~!$&'()*+,;=:@/?]|%[0-9A-Fa-f]{2})*")
_ABSOLUTE = re.compile(rb"http://([^/?]*)(.*)", re.IGNORECASE)
_AUTHORITY = re.compile(rb"(\[[^\[\]]+\]|[A-Za-z0-9\-._~!$&'()*+,;=%]+)(?::[0-9]*)?")
_PERCENT = re.compile(rb"(?:[^%]|%[0-9A-Fa-f]{2})*")
_LITERAL = re.compile(rb"[0-9A-Za-z:.%\-_~!$&'()*+;=]+")
_CHUNK = re.compile(rb"([0-9A-Fa-f]+)(;%s*)?\r\n" % _TEXT)
_CHUNK_BEGUN = re.compile(rb"(?:[0-9A-Fa-f]+(?:;%s*)?\r?)?" % _TEXT)
_QUOTED = rb'"(?:[\t \x21\x23-\x5b\x5d-\x7e\x80-\xff]|\\[\t \x21-\x7e\x80-\xff])*"'
_EXTENSIONS = re.compile(
    rb"(?:[ \t]*;[ \t]*%s(?:[ \t]*=[ \t]*(?:%s|%s))?)*" % (_TOKEN, _TOKEN, _QUOTED),
)
_NO_TRAILER = (b"content-length", b"transfer-encoding", b"host", b"connection", b"trailer")
_DIGITS = re.compile(rb"[0-9]+")


@dataclass
class Message:
    """`line`: method, target and version of a request; version and status of a response. `host` is the one that a
    request is for. `optional`: why a recipient may refuse it; empty: it has to take it."""

    line: tuple[bytes, ...]
    headers: Headers
    persistent: bool
    nominated: frozenset[bytes]
    """Header names, in lower case, that Connection names."""
    host: bytes = b""
    framing: str = ""
    """length, chunked, close, or nothing: there is no body."""
    body: bytes = b""
    trailers: Headers = field(default_factory=list)
    end: int = 0
    """Where in the bytes it ends."""
    optional: str = ""

    def may_be_refused(self, why: str) -> None:
        self.optional = self.optional or why

    def values(self, name: bytes) -> list[bytes]:
        return [value for each, value in self.headers if each.lower() == name]


class Broken(Exception):
    """No whole message. `message` is what there is of it, where at least its head is well-formed."""

    def __init__(self, reason: str, message: Message | None = None) -> None:
        super().__init__(reason)
        self.message = message


class Malformed(Broken):
    """Whatever may follow, this is no message."""


class Incomplete(Broken):
    """It may become one."""


# -- heads -------------------------------------------------------------------------------------------------------------


def read_request(data: bytes, at: int = 0) -> Message:
    """The request that begins there."""
    skipped = 0
    while data.startswith(b"\r\n", at):
        at, skipped = at + 2, skipped + 1
    start, headers, at = _head(data, at)
    match = _REQUEST_LINE.fullmatch(start)
    if match is None:
        raise Malformed("request line")
    method, target, minor = match.groups()
    message = _message((method, target, b"1." + minor), headers, minor)
    if skipped > 1:
        message.may_be_refused("more than one empty line before")
    message.line = (method, _origin_form(message, method, target), b"1." + minor)
    for expectation in message.values(b"expect"):
        if expectation.lower() != b"100-continue":
            message.may_be_refused("another expectation")
    message.framing = _framing(message)
    return _body(message, data, at, ended=False)


def read_response(data: bytes, at: int, method: bytes, *, ended: bool) -> Message:
    """The one that begins there, interim or final; `ended`: nothing follows the bytes, in order."""
    start, headers, at = _head(data, at)
    match = _STATUS_LINE.fullmatch(start)
    if match is None:
        raise Malformed("status line")
    minor, status, reason = match.groups()
    message = _message((b"1." + minor, status), headers, minor)
    if not reason:
        message.may_be_refused("no space behind the status")
    if status >= b"600":
        message.may_be_refused("a status of no class")
    message.framing = _framing(message)
    if status < b"200" or status == b"204":
        lengths = message.values(b"content-length")
        if message.framing == "chunked" or any(int(length) for length in lengths):
            raise Malformed("a body where there can be none")
        if lengths:
            message.may_be_refused("a length where there is no body")
    if status == b"101":
        raise Malformed("a protocol switch that nobody asked for")
    if method == b"HEAD" or status < b"200" or status in (b"204", b"304"):
        message.framing = ""
    elif not message.framing:
        message.framing = "close"
        message.persistent = False
    return _body(message, data, at, ended=ended)


def _head(data: bytes, at: int) -> tuple[bytes, Headers, int]:
    """Start line, fields, and where the body begins."""
    end = data.find(b"\r\n\r\n", at)
    if end < 0:
        if len(data) - at > MAX_HEAD:
            raise Malformed("head too large")
        raise Incomplete("head")
    if end + 4 - at > MAX_HEAD:
        raise Malformed("head too large")
    start, *lines = data[at:end].split(b"\r\n")
    if len(lines) > MAX_HEADERS:
        raise Malformed("too many fields")
    return start, [_field(line) for line in lines], end + 4


def _field(line: bytes) -> tuple[bytes, bytes]:
    match = _FIELD.fullmatch(line)
    if match is None:
        raise Malformed(f"field line {line[:40]!r}")
    return match[1], match[2].strip(b" \t")


def _message(line: tuple[bytes, ...], headers: Headers, minor: bytes) -> Message:
    message = Message(line, headers, True, frozenset())
    options = [option.strip(b" \t").lower() for value in message.values(b"connection") for option in value.split(b",")]
    if any(option and not re.fullmatch(_TOKEN, option) for option in options) or len(options) > 32:
        message.may_be_refused("an odd Connection header")
    message.persistent = b"close" not in options and (minor == b"1" or b"keep-alive" in options)
    message.nominated = frozenset(options)
    return message


def _origin_form(message: Message, method: bytes, target: bytes) -> bytes:
    """What the target is to an origin server; finds the message's host (RFC 9112, 3.2 and 3.3)."""
    hosts = message.values(b"host")
    if len(hosts) > 1 or (not hosts and message.line[2] == b"1.1"):
        raise Malformed("Host")
    if hosts and hosts[0]:
        _authority(message, hosts[0])
    message.host = hosts[0] if hosts else b""
    if method == b"CONNECT":
        raise Malformed("no tunnels here")
    if b"#" in target:
        raise Malformed("a fragment in the target")
    if target == b"*":
        if method != b"OPTIONS":
            raise Malformed("asterisk")
        return target
    path = target
    if not target.startswith(b"/"):
        absolute = _ABSOLUTE.fullmatch(target)
        if absolute is None:
            raise Malformed("target")
        message.host, path = absolute.groups()
        _authority(message, message.host)
        if not path and method == b"OPTIONS":
            return b"*"
        if not path.startswith(b"/"):
            path = b"/" + path
    if not _PATH.fullmatch(path):
        message.may_be_refused("characters that no URI has")
    return path


def _authority(message: Message, value: bytes) -> None:
    match = _AUTHORITY.fullmatch(value)
    if match is None:
        raise Malformed("authority")
    host = match[1]
    if b"," in host or not _PERCENT.fullmatch(host):
        message.may_be_refused("an odd host name")
    if host.startswith(b"["):
        if not _LITERAL.fullmatch(host[1:-1]):
            raise Malformed("IP literal")
        try:
            ipaddress.IPv6Address(host[1:-1].decode())
        except ValueError:
            message.may_be_refused("no IPv6 address")


# -- bodies ------------------------------------------------------------------------------------------------------------


def _framing(message: Message) -> str:
    codings, lengths = message.values(b"transfer-encoding"), message.values(b"content-length")
    if codings and lengths:
        raise Malformed("Transfer-Encoding and Content-Length")
    if codings:
        if len(codings) > 1 or codings[0].lower() != b"chunked" or b"1.0" in message.line:
            raise Malformed("Transfer-Encoding")
        return "chunked"
    if lengths:
        if len(lengths) > 1 or not _DIGITS.fullmatch(lengths[0]):
            raise Malformed("Content-Length")
        if len(lengths[0]) > 18:
            message.may_be_refused("more digits than any length needs")
        return "length"
    return ""


def _body(message: Message, data: bytes, at: int, *, ended: bool) -> Message:
    if message.framing == "chunked":
        _chunks(message, data, at)
        return message
    size = len(data) - at
    if message.framing == "length":
        size = int(message.values(b"content-length")[0])
    elif not message.framing:
        size = 0
    message.body = data[at : at + size]
    message.end = at + len(message.body)
    if len(message.body) < size or (message.framing == "close" and not ended):
        raise Incomplete("body", message)
    return message


def _chunks(message: Message, data: bytes, at: int) -> None:
    extra = 0
    body = bytearray()
    while True:
        match = _CHUNK.match(data, at)
        if match is None:
            message.body = bytes(body)
            if _CHUNK_BEGUN.fullmatch(data, at):
                raise Incomplete("chunk size", message)
            raise Malformed("chunk size", message)
        size, extensions = int(match[1], 16), match[2] or b""
        at = match.end()
        if len(match[1]) > 15:
            message.body = bytes(body)
            if size >> 62:
                raise Malformed("chunk size", message)
            message.may_be_refused("more digits than any chunk needs")
        extra += len(extensions)
        if not _EXTENSIONS.fullmatch(extensions):
            message.may_be_refused("an odd chunk extension")
        if size == 0:
            break
        body += data[at : at + size]
        message.body = bytes(body)
        if at + size > len(data):
            raise Incomplete("chunk", message)
        at += size
        if not data.startswith(b"\r\n", at):
            ended = data[at:] in (b"", b"\r")
            raise (Incomplete if ended else Malformed)("what ends a chunk", message)
        at += 2
    message.body = bytes(body)
    begin = at
    while (end := data.find(b"\r\n", at)) > at:
        try:
            message.trailers.append(_field(data[at:end]))
        except Malformed as error:
            raise Malformed(f"trailer: {error}", message) from None
        if message.trailers[-1][0].lower() in _NO_TRAILER:
            message.may_be_refused("framing in a trailer")
        at = end + 2
    if end < 0:
        raise Incomplete("trailers", message)
    if extra + at - begin > _EXTRA:
        message.may_be_refused("much beside the data")
    message.end = at + 2
