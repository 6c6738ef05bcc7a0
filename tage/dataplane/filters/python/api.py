"""What the author of a filter writes against: `tage.Filter` and the actions that its methods answer with."""

from __future__ import annotations

from collections.abc import Awaitable
from enum import Enum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tage.dataplane.filters.python.messages import Request, Response


class Action(Enum):
    """What becomes of a request."""

    CONTINUE = "continue"
    """It goes on, as the filter has changed it. None means the same."""
    REPLY = "reply"
    """It is answered here: what `Request.reply` gives."""
    REROUTE = "reroute"
    """The routes are matched again, with the changed headers, path or authority; then it goes on."""


class Filter:
    """Base of all filters. One object serves all requests of a worker, which are many processes' worth of state: what
    it keeps is its worker's alone. Its methods run on the worker's one thread, so they must not block: what takes time
    is awaited (``async def on_request``).

    ``config`` is the mapping from the configuration, empty where there is none. Raise `ValueError` for what is wrong
    with it: the configuration is refused with that text and what was in force stays so. ``__init__`` runs on a thread
    beside the traffic, where no event loop is.
    """

    def __init__(self, config: dict[str, Any]) -> None:
        self.config = config

    def on_request(self, request: Request) -> Action | Awaitable[Action | None] | None:
        """A request's head has come. May be ``async def``: the request then waits, for as long as `timeout` says."""
        return Action.CONTINUE

    def on_response(self, response: Response, request: Request) -> Action | Awaitable[Action | None] | None:
        """The answer's head has come, from an upstream or from Tage itself. May be ``async def`` as well."""
