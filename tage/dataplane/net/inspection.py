"""What is spoken on a plain connection of a listener that takes several protocols: HTTP, or an RPC protocol, in the
order in which the configuration names them. Pure; not compiled: it is asked some times a connection.

    HTTP2, HTTP1   as `detect` tells them
    others         each says of a prefix whether it fits (`YES`), may still (`MORE`) or does not (`NO`)

The first that fits is the answer, and while one before may still fit, none behind is; so a longer prefix never changes
an answer. `LIMIT` bytes decide always: who could still not tell then does not speak it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tage.dataplane.net import detect

LIMIT = 64
"""Bytes: no more are ever looked at."""

NO, MORE, YES = 0, 1, 2

Candidate = tuple[str, Callable[[bytes], int]]
"""An application protocol, as filter chains ask for it, and what tells whether a connection's first bytes are its."""

HTTP1_NAME = "http/1.1"
HTTP2_NAME = "h2c"


def application(data: bytes, http: bool, candidates: Sequence[Candidate] = ()) -> str | None:
    """Which it is: of HTTP, where `http` says to look for it, and the candidates; empty for none of them. None while
    `data`, which begins with the connection's first byte, is too short to tell."""
    data = data[:LIMIT]
    if not data:
        return None
    if http:
        found = detect.detect(data)
        if found == detect.Protocol.UNDECIDED:
            return None
        if found == detect.Protocol.HTTP1:
            return HTTP1_NAME
        if found == detect.Protocol.HTTP2:
            return HTTP2_NAME
    for name, matches in candidates:
        fits = matches(data)
        if fits == YES:
            return name
        if fits == MORE and len(data) < LIMIT:
            return None
    return ""
