"""Trying a filter without a mesh: a request is made, the filter is asked, and what became of the request is looked at.

    from tage.filter_testing import ask, answer

    def test_a_stranger_is_turned_away():
        outcome = ask(ApiKey({"keys": {"k1": "ann"}}), headers={"x-api-key": "k2"})
        assert outcome.status == 401

    def test_a_friend_goes_on():
        outcome = ask(ApiKey({"keys": {"k1": "ann"}}), headers={"x-api-key": "k1"})
        assert outcome.action is tage.CONTINUE
        assert outcome.headers["x-user"] == "ann"

What a filter raises, the test sees; `failure` and `timeout` are the sidecar's.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Iterable, Mapping
from typing import Any

from tage.dataplane.filters.offline import OfflineExchange
from tage.dataplane.filters.python.api import Action, Filter
from tage.dataplane.filters.python.messages import Request, Response

HeaderPairs = Mapping[str, str] | Iterable[tuple[str, str]]


class Outcome:
    """What became of a request (`ask`) or of an answer (`answer`).

    `action` is CONTINUE, REPLY or REROUTE. With REPLY `status`, `body` and `headers` are the answer's; else `headers`
    are those with which the request, or the answer, goes on, and `path` and `authority` the request's.
    """

    def __init__(self, exchange: OfflineExchange, request: Request, action: Action) -> None:
        self.action = action
        self.request = request
        self.status = 0
        self.body = b""
        self.headers: Any = request.headers
        self.path = request.path
        self.authority = request.authority
        self._exchange = exchange


def ask(
    filter: Filter,
    method: str = "GET",
    path: str = "/",
    *,
    authority: str = "example.com",
    headers: HeaderPairs = (),
    client: str = "127.0.0.1",
) -> Outcome:
    """Calls `on_request`, awaited where it is to be. Not from within a running event loop: see `ask_async`."""
    return asyncio.run(ask_async(filter, method, path, authority=authority, headers=headers, client=client))


async def ask_async(
    filter: Filter,
    method: str = "GET",
    path: str = "/",
    *,
    authority: str = "example.com",
    headers: HeaderPairs = (),
    client: str = "127.0.0.1",
) -> Outcome:
    exchange = OfflineExchange(
        method.encode("latin-1"), path.encode("latin-1"), authority.encode("latin-1"), _pairs(headers),
        peer=client.encode("latin-1"),
    )  # fmt: skip
    request = Request(exchange)
    return _outcome(exchange, request, await _awaited(filter.on_request(request)))


def answer(filter: Filter, asked: Outcome | None = None, status: int = 200, *, headers: HeaderPairs = ()) -> Outcome:
    """Calls `on_response` with the answer to the request of `asked`, or to any."""
    return asyncio.run(answer_async(filter, asked, status, headers=headers))


async def answer_async(
    filter: Filter, asked: Outcome | None = None, status: int = 200, *, headers: HeaderPairs = ()
) -> Outcome:
    exchange = asked._exchange if asked is not None else OfflineExchange()
    request = asked.request if asked is not None else Request(exchange)
    exchange.tell(status, _pairs(headers))
    response = Response(exchange)
    outcome = _outcome(exchange, request, await _awaited(filter.on_response(response, request)))
    if outcome.action is not Action.REPLY:
        outcome.status, outcome.headers = status, response.headers
    return outcome


async def _awaited(result: Any) -> Any:
    return await result if inspect.isawaitable(result) else result


def _outcome(exchange: OfflineExchange, request: Request, result: Any) -> Outcome:
    reply = request.take_reply()
    action = Action.REPLY if reply is not None else Action.CONTINUE if result is None else result
    if not isinstance(action, Action):
        raise TypeError(f"the filter answered {result!r}; give None or a tage.Action")
    outcome = Outcome(exchange, request, action)
    if reply is not None:
        outcome.status, outcome.body = reply.status, reply.body
        outcome.headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in reply.headers}
    elif action is Action.REPLY:
        raise ValueError("Action.REPLY without an answer: return request.reply(...)")
    return outcome


def _pairs(headers: HeaderPairs) -> list[tuple[bytes, bytes]]:
    pairs = headers.items() if isinstance(headers, Mapping) else headers
    return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in pairs]
