"""The request that is asked about.

It is written as HTTP/1.1 and read by the data plane's own decoder: what a sidecar would refuse is refused here, with
the same words, and what routing looks at is the head that routing sees.
"""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlsplit

from tage.dataplane.protocols.http1.decoder import Progress
from tage.dataplane.protocols.http1.request import RequestDecoder
from tage.dataplane.protocols.message import RequestHead
from tage.sidecar.explain import calls
from tage.sidecar.explain.apart import Question, QuestionError
from tage.sidecar.explain.words import is_address

MAX_HEAD = 61_440
"""Bytes, as a listener takes by default."""
DEFAULT_PORTS = {"http": 80, "https": 443, "tcp": 0}


class Asked:
    """A question, read. `host`, `port`: where the connection goes, as far as the URL says; empty and 0 where not.
    `protocol`: of a remote call; empty: it is HTTP."""

    def __init__(
        self, question: Question, head: RequestHead, scheme: str, host: str = "", port: int = 0, protocol: str = ""
    ) -> None:
        self.question = question
        self.head = head
        self.scheme = scheme
        self.host = host
        self.port = port
        self.protocol = protocol

    @property
    def tls(self) -> bool:
        return self.scheme == "https" or bool(self.question.sni)

    @property
    def source(self) -> str:
        return self.question.source or "127.0.0.1"

    @property
    def server_name(self) -> str:
        """What a client would ask for in its ClientHello: names only, never an address (RFC 6066, 3)."""
        if not self.tls:
            return ""
        return (self.question.sni or ("" if is_address(self.host) else self.host)).lower()


def read(question: Question) -> Asked:
    """Raises `QuestionError`."""
    if question.source and not is_address(question.source):
        raise QuestionError(f"source {question.source!r} is not an IP address")
    scheme, separator, rest = question.target.partition("://")
    if separator and scheme.lower() not in DEFAULT_PORTS and (protocol := calls.protocol_of(scheme)):
        return _call(question, scheme, protocol, rest)
    if question.method == "CONNECT":
        scheme, authority, path = "http", question.target, question.target
    else:
        scheme, authority, path = _split(question.target)
    # As curl: the connection goes where the URL says, and a Host that is given replaces the URL's.
    named = [value for name, value in question.headers if name.lower() == "host"]
    if len(named) > 1:
        raise QuestionError("more than one host header")
    if not authority and not named:
        raise QuestionError(f"{question.target!r} names no host: give a URL, or a header 'host: NAME' beside the path")
    headers = [(name, value) for name, value in question.headers if name.lower() != "host"]
    first = ("host", named[0] if named else authority)
    head = _decode(f"{question.method} {path} HTTP/1.1", [first, *headers])
    head.scheme = b"https" if scheme == "https" or question.sni else b"http"
    host, port = _host_port(authority)
    return Asked(question, head, scheme, host, port or DEFAULT_PORTS[scheme] if authority else 0)


def _call(question: Question, scheme: str, protocol: str, target: str) -> Asked:
    """Metadata are headers; what goes on the wire beside them does not matter to rules."""
    if question.method not in ("GET", calls.METHOD):  # GET: nothing was said
        raise QuestionError(f"{question.method} {question.target}: remote calls have no such methods")
    service, path = calls.split(target)
    head = _decode(f"{calls.METHOD} {path} HTTP/1.0", question.headers)
    head.authority = service.encode()
    head.scheme = b"http"
    return Asked(question, head, scheme, protocol=protocol)


def _split(target: str) -> tuple[str, str, str]:
    """(scheme, authority, path with query)."""
    if target.startswith("/") or target == "*":
        return "http", "", target
    scheme, separator, rest = target.partition("://")
    if not separator:
        scheme, rest = "http", target
    if scheme.lower() not in DEFAULT_PORTS:
        raise QuestionError(f"{target!r}: the scheme {scheme!r} is not known; write http:// or https://")
    at = min((found for mark in "/?#" if (found := rest.find(mark)) >= 0), default=len(rest))
    path = rest[at:].partition("#")[0]  # a fragment is never sent
    return scheme.lower(), rest[:at], path if path.startswith("/") else f"/{path}"


def _host_port(authority: str) -> tuple[str, int]:
    try:
        parts = urlsplit(f"//{authority}")
        return parts.hostname or "", parts.port or 0
    except ValueError as error:
        raise QuestionError(f"{authority!r} is not a host: {error}") from None


def _decode(line: str, headers: Sequence[tuple[str, str]]) -> RequestHead:
    lines = [line]
    for name, value in headers:
        if any(mark in name + value for mark in "\r\n"):
            raise QuestionError(f"header {name!r}: a line break cannot be sent")
        lines.append(f"{name}: {value}")
    decoder = RequestDecoder(MAX_HEAD)
    decoder.switches = True
    try:
        decoder.feed("\r\n".join([*lines, "", ""]).encode("utf-8"))
    except UnicodeEncodeError as error:
        raise QuestionError(f"the request is not text: {error}") from None
    if decoder.read_head() != Progress.READY:
        raise QuestionError(f"no sidecar takes this request: {decoder.error.reason if decoder.error else 'malformed'}")
    return decoder.head
