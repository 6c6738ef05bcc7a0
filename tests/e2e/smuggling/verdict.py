"""What may come out of a sidecar for what was sent to it."""

from __future__ import annotations

from dataclasses import dataclass, field

from tests.e2e.smuggling.strict import Broken, Headers, Malformed, Message, read_request, read_response

HOP_BY_HOP = frozenset(
    (b"connection", b"keep-alive", b"proxy-connection", b"te", b"trailer", b"transfer-encoding", b"upgrade")
)
_FRAMING = frozenset((b"host", b"content-length"))
_FORWARDING = frozenset((b"x-request-id", b"x-forwarded-for", b"x-forwarded-proto", b"x-forwarded-host", b"forwarded"))
_NOT_FOR_CONNECTION = HOP_BY_HOP | _FRAMING | _FORWARDING | {b"expect"}
"""Naming one of these in Connection does not take it away."""
_NO_TRAILER = HOP_BY_HOP | _FRAMING | {b"authorization", b"x-forwarded-for", b"host"}


@dataclass
class Reading:
    """What a strict recipient makes of bytes: `messages`, and how it ends: clean, incomplete or malformed.
    `partial` is what there is of the last one then."""

    messages: list[Message] = field(default_factory=list)
    end: str = "clean"
    reason: str = ""
    partial: Message | None = None

    @property
    def optional(self) -> bool:
        return any(message.optional for message in self.messages)


def read_requests(data: bytes) -> Reading:
    """Requests one after the other, until one ends the connection."""
    reading = Reading()
    at = 0
    while at < len(data) and data[at:] != b"\r\n":
        try:
            message = read_request(data, at)
        except Broken as error:
            reading.end = "malformed" if isinstance(error, Malformed) else "incomplete"
            reading.reason, reading.partial = str(error), error.message
            break
        reading.messages.append(message)
        at = message.end
        if not message.persistent:
            break
    return reading


def read_answer(data: bytes, method: bytes, *, ended: bool) -> tuple[Reading, int]:
    """Interim responses and the final one, to one request; and where that ends."""
    reading = Reading()
    at = 0
    while True:
        try:
            message = read_response(data, at, method, ended=ended)
        except Broken as error:
            reading.end = "malformed" if isinstance(error, Malformed) else "incomplete"
            reading.reason, reading.partial = str(error), error.message
            return reading, len(data)
        reading.messages.append(message)
        at = message.end
        if message.line[1] >= b"200":
            return reading, at


def wrong_request(sent: Message, got: Message) -> str:
    """What of a request that an origin got whole is not what was sent; empty: nothing."""
    if got.optional and not sent.optional:
        return f"not strictly well-formed: {got.optional}"
    if got.line != (*sent.line[:2], b"1.1"):
        return f"{got.line} where {sent.line} was sent"
    if got.host != sent.host:
        return f"for host {got.host!r}, not {sent.host!r}"
    if wrong := _wrong_body(sent, got):
        return wrong
    return _wrong_headers(sent, got)


def wrong_part(candidate: Message | None, got: Message) -> str:
    """The same of a request that did not arrive whole; `candidate`: the one that was sent behind those that did."""
    if candidate is None:
        return "part of a request whose head is not well-formed"
    if got.line != (*candidate.line[:2], b"1.1") or got.host != candidate.host:
        return f"part of {got.line} for {got.host!r} where {candidate.line} for {candidate.host!r} was sent"
    if (got.framing or "length") != (candidate.framing or "length") or not candidate.body.startswith(got.body):
        return f"part of a body that was not sent: {got.framing} {got.body[:60]!r}"
    return _wrong_headers(candidate, got)


def wrong_response(sent: Message, got: Message) -> str:
    if got.line != (b"1.1", sent.line[1]):
        return f"{got.line} where {sent.line} was sent"
    body = sent.framing if sent.framing != "close" else "chunked"
    if sent.framing and got.framing not in (body, sent.framing):
        return f"framed by {got.framing}, not {sent.framing}"
    if got.body != sent.body:
        return f"body {got.body[:60]!r} where {sent.body[:60]!r} was sent"
    return _wrong_headers(sent, got)


def _wrong_body(sent: Message, got: Message) -> str:
    if got.body != sent.body:
        return f"body {got.body[:60]!r} where {sent.body[:60]!r} was sent"
    if got.framing != sent.framing and (got.body or {got.framing, sent.framing} != {"", "length"}):
        return f"framed by {got.framing or 'nothing'}, not {sent.framing or 'nothing'}"
    for trailer in got.trailers:
        if trailer not in sent.trailers or trailer[0].lower() in _NO_TRAILER:
            return f"trailer {trailer}"
    return ""


def _wrong_headers(sent: Message, got: Message) -> str:
    ours, theirs = _end_to_end(sent, sent), _end_to_end(sent, got)
    if ours != theirs:
        return f"headers {theirs[:8]} where {ours[:8]} were sent"
    return ""


def _end_to_end(sent: Message, message: Message) -> Headers:
    gone = HOP_BY_HOP | _FRAMING | _FORWARDING | (sent.nominated - _NOT_FOR_CONNECTION)
    return [(name, value) for name, value in message.headers if name.lower() not in gone]
