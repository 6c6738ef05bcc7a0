"""The filter of http1-32-filter: reads one header and adds one. envoy.yaml has the same in Lua."""

from __future__ import annotations

import tage


class Mark(tage.Filter):
    def on_request(self, request: tage.Request) -> None:
        request.headers.add("x-marked", request.headers.get("x-user") or "")
