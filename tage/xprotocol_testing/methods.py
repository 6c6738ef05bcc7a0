"""Calling all that a protocol may be asked about a frame, whatever the frame: it answers, or raises ValueError."""

from __future__ import annotations

from typing import Any

from tage.dataplane.protocols.xprotocol.shape import Shape
from tage.xprotocol import Kind
from tage.xprotocol_testing.frames import REQUESTS
from tage.xprotocol_testing.report import Failed
from tage.xprotocol_testing.subject import Subject


def call_everything(subject: Subject, frame: bytes, shape: Shape, kind: Kind) -> None:
    """`frame` may be the beginning of one, and its lengths may lie. Raises Failed."""

    def ask(name: str, *more: Any) -> Any:
        return subject.ask(name, frame, shape, *more, frame=frame, allowed=(ValueError,))

    if kind in REQUESTS:
        pair(ask("names"), "names()", frame)
        ask("with_names", b"a", b"b")
        ask("timeout_of")
        reply = ask("reply", 503, b"unavailable")
        if reply is not None and type(reply) is not bytes:
            raise Failed(f"reply() gives {type(reply).__name__}, not bytes", frame)
    if kind in (*REQUESTS, Kind.RESPONSE):
        headers = pairs(ask("headers"), "headers()", frame)
        ask("with_headers", [*headers, (b"name", b"value")])
    if kind == Kind.RESPONSE:
        ask("response_status")
    if kind == Kind.HEARTBEAT:
        ask("heartbeat_answer")


def pair(answer: Any, what: str, frame: bytes) -> tuple[bytes, bytes] | None:
    """What `names` has answered, looked at."""
    if answer is None:
        return None
    if not (isinstance(answer, tuple) and len(answer) == 2 and all(type(each) is bytes for each in answer)):
        raise Failed(f"{what} gives {answer!r}, neither two pieces of bytes nor None", frame)
    return answer


def pairs(answer: Any, what: str, frame: bytes) -> list[tuple[bytes, bytes]]:
    """What `headers` has answered, looked at."""
    if answer is None:
        return []
    if not isinstance(answer, list):
        raise Failed(f"{what} gives {type(answer).__name__}, not a list of pairs", frame)
    for each in answer:
        pair(each, f"an entry of {what}", frame)
    return answer
