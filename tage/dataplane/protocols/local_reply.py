"""Answers of our own, as header lines: what every protocol of HTTP says with an error. Not compiled: it is no request's
usual way."""

from __future__ import annotations

from tage.dataplane.protocols.edits import HeaderEdits
from tage.dataplane.protocols.errors import ProxyError
from tage.dataplane.protocols.grpc import local_answer

Headers = tuple[tuple[bytes, bytes], ...]


def described(error: ProxyError, body: bytes, server: bytes) -> tuple[bytes, Headers]:
    """The body, and the headers, with which a client is told of the error."""
    headers = [(b"server", server), *error.headers]
    if error.flag != "-":
        headers.append((b"x-tage-response-flags", error.flag.encode()))
        body += b"\n"
    return body, tuple(headers)


def local_lines(status: int, body: bytes, headers: Headers, edits: HeaderEdits | None) -> tuple[bytes, bytes]:
    """The lines of the head, and what of the body there is; `edits` add to the headers, or replace them."""
    lines = []
    if status >= 200 and status != 204:  # which have neither body nor length (RFC 9110, 8.6)
        lines.append(b"content-length: %d\r\n" % len(body))
    else:
        body = b""
    if body:
        headers = ((b"content-type", b"text/plain; charset=utf-8"), *headers)
    lines += _lines(headers, edits)
    return b"".join(lines), body


def grpc_lines(error: ProxyError, status: int, body: bytes, server: bytes, edits: HeaderEdits | None) -> bytes:
    """The lines of an answer that is trailers only, and says the same to a client of gRPC."""
    headers = [(b"server", server)]
    if error.flag != "-":
        headers.append((b"x-tage-response-flags", error.flag.encode()))
    return b"".join([local_answer(error, status, body), *_lines(tuple(headers), edits)])


def _lines(headers: Headers, edits: HeaderEdits | None) -> list[bytes]:
    names = (edits.names if edits is not None else None) or ()
    lines = [name + b": " + value + b"\r\n" for name, value in headers if name not in names]
    if edits is not None:
        lines.append(edits.extra)
    return lines
