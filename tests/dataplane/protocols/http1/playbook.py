"""Feeds a decoder and writes down what happens: feed this, expect these events.

A playbook is a list of `Message` and at most one `Violation` at its end. A body is compared whole, however its pieces
came; of a message that breaks off, the head alone (how much of the body came out before depends on the cut).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from tage.dataplane.protocols.http1.decoder import Decoder, Progress
from tage.dataplane.protocols.http1.errors import Violation
from tage.dataplane.protocols.http1.request import RequestDecoder
from tage.dataplane.protocols.http1.response import ResponseDecoder

FAILED, MORE, READY = Progress.FAILED, Progress.MORE, Progress.READY


class Message(NamedTuple):
    """`line`: a request's method, path and authority; a response's status."""

    line: tuple[bytes, bytes, bytes] | int
    headers: tuple[tuple[bytes, bytes], ...] = ()
    body: bytes | None = b""
    """None: the head came, the body did not come to its end."""
    keep_alive: bool = True


Event = Message | Violation


def requests(pieces: Iterable[bytes], *, finish: bool = False, **limits: int) -> list[Event]:
    return play(RequestDecoder(**limits), pieces, finish=finish)


def responses(pieces: Iterable[bytes], *, finish: bool = False, to_head: bool = False, **limits: int) -> list[Event]:
    decoder = ResponseDecoder(**limits)
    decoder.to_head = to_head
    return play(decoder, pieces, finish=finish)


def play(decoder: Decoder, pieces: Iterable[bytes], *, finish: bool = False) -> list[Event]:
    """`finish`: the peer ends its side after the last piece."""
    events: list[Event] = []
    body: list[bytes] | None = None
    for piece in pieces:
        decoder.feed(piece)
        while True:
            if body is None:
                progress = decoder.read_head()
                if progress == READY:
                    events.append(message(decoder))
                    body = []
            else:
                progress = decoder.read_body()
                if progress != FAILED and decoder.payload is not None:
                    assert decoder.payload, "a payload is None or has bytes"
                    body.append(decoder.payload)
                if progress == READY:
                    events[-1] = events[-1]._replace(body=b"".join(body), keep_alive=decoder.keep_alive)
                    body = None
            if progress == FAILED:
                assert decoder.error is not None
                assert not decoder.keep_alive
                events.append(decoder.error)
                assert decoder.read_head() == FAILED
                assert decoder.read_body() == FAILED
                return events
            if progress == MORE:
                assert not decoder.buffered(), "MORE is said once all is read"
                break
    if finish:
        if decoder.finish() == FAILED:
            events.append(decoder.error)
        elif body is not None:
            events[-1] = events[-1]._replace(body=b"".join(body))
    return events


def message(decoder: Decoder) -> Message:
    head = decoder.head
    if isinstance(decoder, ResponseDecoder):
        line: tuple[bytes, bytes, bytes] | int = head.status
    else:
        line = (head.method, head.path, head.authority)
    return Message(line, tuple(head.headers()), None, decoder.keep_alive)


def cuts(wire: bytes) -> Iterator[list[bytes]]:
    """Whole, byte by byte, and in two at every place."""
    yield [wire]
    yield [wire[i : i + 1] for i in range(len(wire))]
    for at in range(1, len(wire)):
        yield [wire[:at], wire[at:]]
