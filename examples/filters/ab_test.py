"""Gives each user one of two variants, always the same one; the routes do the rest.

config: {percent: 20, user: x-user, variant: x-variant}

A request that has the variant header already keeps it, so that a whole chain of services is of one mind. Else the
routes are matched again: a VirtualService sends `x-variant: b` where the experiment runs.
"""

from __future__ import annotations

import zlib
from typing import Any

import tage


class AbTest(tage.Filter):
    def __init__(self, config: dict[str, Any]) -> None:
        super().__init__(config)
        self.percent: float = config.get("percent", 50)
        self.user: str = config.get("user", "x-user")
        self.variant: str = config.get("variant", "x-variant")
        if not 0 <= self.percent <= 100:
            raise ValueError(f"config.percent is {self.percent}; give a number from 0 to 100")

    def on_request(self, request: tage.Request) -> tage.Action:
        if self.variant in request.headers:
            return tage.CONTINUE
        user = request.headers.get(self.user, request.client)
        request.headers[self.variant] = "b" if zlib.crc32(user.encode()) % 100 < self.percent else "a"
        return tage.REROUTE

    def on_response(self, response: tage.Response, request: tage.Request) -> None:
        response.headers[self.variant] = request.headers[self.variant]
