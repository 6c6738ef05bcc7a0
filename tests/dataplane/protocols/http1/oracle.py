"""h11 as an oracle: what another strict reader makes of the same bytes."""

from __future__ import annotations

from typing import NamedTuple

import h11

_LIMIT = 1 << 20


class Seen(NamedTuple):
    """`line`: a request's method and target; a response's status. `headers` with names in lower case."""

    line: tuple[bytes, bytes] | int
    headers: list[tuple[bytes, bytes]]
    body: bytes


def read_requests(wire: bytes) -> list[Seen] | None:
    """All requests, or None: h11 refuses one, or the last is not complete."""
    return _read(h11.SERVER, wire, None)


def read_responses(wire: bytes, method: bytes, *, ended: bool) -> list[Seen] | None:
    """The responses to one request; `ended`: the connection ends behind them."""
    return _read(h11.CLIENT, wire, method, ended=ended)


def _read(
    role: type[h11.CLIENT] | type[h11.SERVER], wire: bytes, method: bytes | None, *, ended: bool = False
) -> list[Seen] | None:
    seen: list[Seen] = []
    rest = wire
    while rest:
        connection = h11.Connection(role, max_incomplete_event_size=_LIMIT)
        if method is not None:
            connection.send(h11.Request(method=method, target=b"/", headers=[("Host", "a")]))
            connection.send(h11.EndOfMessage())
        connection.receive_data(rest)
        if ended:
            connection.receive_data(b"")
        try:
            rest = _one(connection, seen)
        except h11.RemoteProtocolError:
            return None
        if rest is None:
            return None
    return seen


def _one(connection: h11.Connection, seen: list[Seen]) -> bytes | None:
    """One message; what follows it, or None if it is not complete."""
    line: tuple[bytes, bytes] | int = 0
    headers: list[tuple[bytes, bytes]] = []
    body: list[bytes] = []
    while True:
        event = connection.next_event()
        if isinstance(event, h11.Request):
            line, headers = (event.method, event.target), list(event.headers)
        elif isinstance(event, h11.InformationalResponse):
            seen.append(Seen(event.status_code, list(event.headers), b""))
        elif isinstance(event, h11.Response):
            line, headers = event.status_code, list(event.headers)
        elif isinstance(event, h11.Data):
            body.append(bytes(event.data))
        elif isinstance(event, h11.EndOfMessage):
            seen.append(Seen(line, headers, b"".join(body)))
            return connection.trailing_data[0]
        else:
            return None
