"""Lets in who has a key, and tells the application who that is.

config: {keys: {KEY: NAME, ...}, header: x-api-key}
"""

from __future__ import annotations

from typing import Any

import tage


class ApiKey(tage.Filter):
    def __init__(self, config: dict[str, Any]) -> None:
        super().__init__(config)
        self.keys: dict[str, str] = config.get("keys", {})
        self.header: str = config.get("header", "x-api-key")
        if not self.keys:
            raise ValueError("config.keys is empty: nobody would be let in")

    def on_request(self, request: tage.Request) -> tage.Action:
        user = self.keys.get(request.headers.get(self.header, ""))
        if user is None:
            return request.reply(401, "who are you?\n", headers={"www-authenticate": "ApiKey"})
        request.headers["x-user"] = user
        request.headers.pop(self.header)  # the application need not see it
        return tage.CONTINUE
