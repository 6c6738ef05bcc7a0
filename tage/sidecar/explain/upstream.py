"""How a request goes on: `streams.forwarding` edits it, the encoder writes it, the decoder reads it back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from tage.dataplane.native import Random
from tage.dataplane.net.timers import TimerWheel
from tage.dataplane.protocols.edits import HeaderEdits
from tage.dataplane.protocols.http1.decoder import Progress
from tage.dataplane.protocols.http1.encoder import write_request
from tage.dataplane.protocols.http1.request import RequestDecoder
from tage.dataplane.protocols.message import HeaderBlock, RequestHead
from tage.dataplane.protocols.writer import ByteWriter
from tage.dataplane.routing.route import ClusterShare, Route
from tage.dataplane.streams.context import Context, ListenerState
from tage.dataplane.streams.forwarding import ask_upgrade, request_edits, route_edits, settle_upgrade
from tage.dataplane.streams.record import StreamRecord
from tage.sidecar import plan
from tage.sidecar.explain import calls
from tage.sidecar.explain.findings import Change, Header, Request
from tage.sidecar.explain.question import Asked

MADE = "(made for each request)"
"""In place of an x-request-id that the sidecar makes."""
MAX_HEAD = 1 << 20
"""Bytes of what goes on: more than comes in, for headers may have been added."""


def described(asked: Asked) -> Request:
    """The head as it was asked."""
    head = asked.head
    return Request(_text(head.method), _text(head.authority), _text(head.path), _headers(head), _scheme(asked))


def connects(head: RequestHead, http: plan.Http, route: Route | None) -> bool:
    """Settles what the head asks to switch to (RFC 9110, 7.8). False: it is CONNECT, and that is not enabled."""
    return head.upgrade is None or bool(settle_upgrade(_listener(http), route, head))


def edited(asked: Asked, http: plan.Http) -> HeaderEdits:
    """What every request that goes on gets; remote calls get nothing."""
    if asked.protocol:
        return HeaderEdits()
    return request_edits(_listener(http), asked.head, asked.source.encode())


class Forwarded(NamedTuple):
    """`key` is what hash policies make of it, 0: nothing; `cookie`: it was made for this request."""

    request: Request
    key: int
    cookie: bool


def forwarded(asked: Asked, http: plan.Http, route: Route, share: ClusterShare | None) -> Forwarded:
    """The head that the upstream gets. Whether the route lets it switch protocols has been settled."""
    head = asked.head
    edits = edited(asked, http)
    route_edits(edits, head, route, share, _record(asked, edits))
    key, cookie, policies = 0, False, route.hash_policies
    if policies is not None:
        key = policies.key(head, edits, asked.source.encode(), Random())
        cookie = policies.cookie is not None
    if asked.protocol:
        authority, path, made = calls.forwarded(head, edits)
        request = Request(calls.METHOD, authority, path, changes(_headers(head), made), _scheme(asked))
        return Forwarded(request, key, cookie)
    if head.upgrade is not None:
        ask_upgrade(edits, head)
    out = ByteWriter()
    write_request(out, head, edits, head.body_length < 0)
    decoder = RequestDecoder(MAX_HEAD, 10_000)
    decoder.feed(out.take())
    if decoder.read_head() != Progress.READY:
        raise AssertionError(f"what goes on cannot be read: {decoder.error}")
    sent = decoder.head
    headers = changes(_headers(head), _headers(sent))
    return Forwarded(Request(_text(sent.method), _text(sent.authority), _text(sent.path), headers), key, cookie)


def answered(asked: Asked, route: Route) -> list[Header]:
    """Headers of an answer that the sidecar makes: what the rules add to it, and where a redirect leads."""
    edits = HeaderEdits()
    if route.response_edits is not None:
        route.response_edits.apply(edits, HeaderBlock(), _record(asked, edits))
    lines = [line.partition(b": ") for line in edits.extra.splitlines()]
    found = [Header(_text(name), _text(value)) for name, _, value in lines]
    if route.redirect is not None:
        found.insert(0, Header("location", _text(route.location(asked.head))))
    return found


def _record(asked: Asked, edits: HeaderEdits) -> Any:
    """What operators in headers read, as far as it is known before a request is made."""
    record: Any = StreamRecord()
    record.head = asked.head
    record.edits = edits
    record.protocol = asked.protocol or "HTTP/1.1"
    record.remote = record.direct_remote = (asked.source, 0)
    record.server_name = asked.server_name or None
    return record


def changes(before: Sequence[Header], after: Sequence[Header]) -> list[Header]:
    """What is there afterwards, marked where it is new or different, and then what is gone. Several lines of one name
    are compared as one."""
    was = _joined(before)
    found = []
    for name, value in _joined(after).items():
        change: Change = "" if was.get(name) == value else "changed" if name in was else "added"
        shown = MADE if name == "x-request-id" and change == "added" else value
        found.append(Header(name, shown, change))
    gone = [Header(name, value, "removed") for name, value in was.items() if name not in {each.name for each in found}]
    return [*found, *gone]


def _joined(headers: Sequence[Header]) -> dict[str, str]:
    joined: dict[str, str] = {}
    for header in headers:
        joined[header.name] = f"{joined[header.name]},{header.value}" if header.name in joined else header.value
    return joined


def _listener(http: plan.Http) -> ListenerState:
    """What forwarding asks of it."""
    state = ListenerState(Context(TimerWheel(None)), "", None)
    state.append_x_forwarded_for = http.append_x_forwarded_for
    state.generate_request_id = http.generate_request_id
    state.upgrades = frozenset(name.encode() for name in http.upgrades)
    return state


def _headers(head: RequestHead) -> list[Header]:
    return [Header(_text(name).lower(), _text(value)) for name, value in head.headers()]


def _scheme(asked: Asked) -> str:
    """Of a remote call, as it was written."""
    return asked.scheme if asked.protocol else ""


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "backslashreplace")
