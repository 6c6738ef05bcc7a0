"""Heads -> HTTP/1.1 bytes. Headers are copied in runs of lines from where they arrived; hop-by-hop headers stay behind,
framing headers are written from what the decoder understood, never copied unread."""

import cython

from tage.dataplane import native
from tage.dataplane.protocols.edits import HeaderEdits
from tage.dataplane.protocols.http1.response import Http1ResponseHead
from tage.dataplane.protocols.local_reply import local_lines

if not cython.compiled:
    # Compiled, these names come from the .pxd.
    from tage.dataplane.protocols.edits import write_headers
    from tage.dataplane.protocols.message import CONTENT_LENGTH, HOP_BY_HOP, HOST

_REASONS = {
    100: b"Continue", 101: b"Switching Protocols", 103: b"Early Hints",
    200: b"OK", 201: b"Created", 202: b"Accepted", 203: b"Non-Authoritative Information", 204: b"No Content",
    205: b"Reset Content", 206: b"Partial Content",
    300: b"Multiple Choices", 301: b"Moved Permanently", 302: b"Found", 303: b"See Other", 304: b"Not Modified",
    307: b"Temporary Redirect", 308: b"Permanent Redirect",
    400: b"Bad Request", 401: b"Unauthorized", 403: b"Forbidden", 404: b"Not Found", 405: b"Method Not Allowed",
    408: b"Request Timeout", 409: b"Conflict", 411: b"Length Required", 413: b"Content Too Large",
    414: b"URI Too Long", 417: b"Expectation Failed", 426: b"Upgrade Required", 429: b"Too Many Requests",
    431: b"Request Header Fields Too Large",
    500: b"Internal Server Error", 501: b"Not Implemented", 502: b"Bad Gateway", 503: b"Service Unavailable",
    504: b"Gateway Timeout", 505: b"HTTP Version Not Supported", 508: b"Loop Detected",
}  # fmt: skip


def write_request(out, head, edits, chunked):
    """A request head. Without `chunked`, a Content-Length that the request has is kept."""
    drop: cython.uint = (HOP_BY_HOP & ~edits.keep) | edits.drop
    path: bytes = head.path if edits.path is None else edits.path
    authority: bytes = head.authority if edits.authority is None else edits.authority
    out.put(head.method if edits.method is None else edits.method)
    out.put(b" ")
    out.put(path)
    out.put(b" HTTP/1.1\r\n")
    host: cython.Py_ssize_t = head.block.find(HOST)
    if host < 0 or head.block.value_end[host] - head.block.value_start[host] != len(authority) or not native.equal(
        head.block.raw, head.block.value_start[host], authority, len(authority)
    ):
        # Absolute-form, HTTP/1.0 without Host (RFC 9112, 3.2.2), another authority.
        drop |= 1 << HOST
        out.put(b"host: ")
        out.put(authority)
        out.put(b"\r\n")
    if chunked:
        drop |= 1 << CONTENT_LENGTH
    write_headers(out, head.block, drop, edits.names)
    if edits.extra:
        out.put(edits.extra)
    if chunked:
        out.put(b"transfer-encoding: chunked\r\n\r\n")
    else:
        out.put(b"\r\n")


def write_response(out, head, edits, chunked, close, keep_alive_10):
    """A response head, as HTTP/1.1. `close` announces that the connection ends with it; `keep_alive_10` tells an
    HTTP/1.0 client that it does not."""
    drop: cython.uint = (HOP_BY_HOP & ~edits.keep) | edits.drop
    line: Http1ResponseHead = head if isinstance(head, Http1ResponseHead) else None
    # As it came, but for one that lacks the space in front of no reason: "HTTP/1.1 200" CR LF.
    if line is not None and not line.version_10 and line.line_end - line.line_start > 14:
        out.put_slice(line.block.raw, line.line_start, line.line_end)
    else:
        out.put(b"HTTP/1.1 ")
        out.put_decimal(head.status)
        out.put(b" ")
        out.put(_REASONS.get(head.status, b""))
        out.put(b"\r\n")
    if chunked or head.status == 204 or head.status < 200:
        # RFC 9112, 6.2 and 6.3: not beside chunked, not with 1xx and 204.
        drop |= 1 << CONTENT_LENGTH
    write_headers(out, head.block, drop, edits.names)
    if edits.extra:
        out.put(edits.extra)
    if chunked:
        out.put(b"transfer-encoding: chunked\r\n")
    if close:
        out.put(b"connection: close\r\n\r\n")
    elif keep_alive_10:
        out.put(b"connection: keep-alive\r\n\r\n")
    else:
        out.put(b"\r\n")


def write_chunk(out, data):
    """One chunk of a body; empty data writes nothing (an empty chunk would end the body)."""
    if data:
        out.put_hex(len(data), 0)
        out.put(b"\r\n")
        out.put(data)
        out.put(b"\r\n")


def write_last_chunk(out, trailers):
    """The end of a chunked body. `trailers`: whole lines, or None."""
    if trailers is None:
        out.put(b"0\r\n\r\n")
    else:
        out.put(b"0\r\n")
        out.put(trailers)
        out.put(b"\r\n")


def local_response(
    status: int,
    body: bytes,
    headers: tuple[tuple[bytes, bytes], ...] = (),
    edits: HeaderEdits | None = None,
    *,
    close: bool = False,
    to_head: bool = False,
) -> bytes:
    """A whole response of our own, with its length; `edits` add to its headers, or replace them."""
    lines, body = local_lines(status, body, headers, edits)
    written = [b"HTTP/1.1 %d %s\r\n" % (status, _REASONS.get(status, b"")), lines]
    if close:
        written.append(b"connection: close\r\n")
    written.append(b"\r\n")
    if not to_head:
        written.append(body)
    return b"".join(written)
