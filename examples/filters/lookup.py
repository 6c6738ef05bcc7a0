"""Asks a service which tenant a host name belongs to, and remembers the answer for a while.

config: {address: "127.0.0.1:9100", seconds: 60}

The service is asked by ``GET /tenants/HOST`` and answers 200 with the tenant's name, or 404. While it is asked the
request waits, and others go on; requests for one host that come meanwhile share one question. How long a request waits
at most is the filter's `timeout`, whether it then goes on without a tenant its `failure`.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any
from urllib.parse import quote

import tage

MAX_REMEMBERED = 10_000
PATIENCE = 10.0
"""Seconds for one question, whoever waits for it."""


class Lookup(tage.Filter):
    def __init__(self, config: dict[str, Any]) -> None:
        super().__init__(config)
        host, _, port = config.get("address", "").rpartition(":")
        if not host or not port.isdigit():
            raise ValueError(f"config.address is {config.get('address')!r}; give HOST:PORT")
        self.address = (host, int(port))
        self.seconds: float = config.get("seconds", 60)
        self.known: dict[str, tuple[float, str | None]] = {}
        self.asked: dict[str, asyncio.Task[str | None]] = {}

    async def on_request(self, request: tage.Request) -> tage.Action:
        tenant = await self.tenant_of(request.authority)
        if tenant is None:
            return request.reply(404, f"nobody is at home at {request.authority}\n")
        request.headers["x-tenant"] = tenant
        return tage.CONTINUE

    async def tenant_of(self, host: str) -> str | None:
        until, tenant = self.known.get(host, (0.0, None))
        if time.monotonic() < until:
            return tenant
        task = self.asked.get(host)
        if task is None:
            task = self.asked[host] = asyncio.create_task(self.ask(host))
            task.add_done_callback(lambda task: self.answered(host, task))
        # Shielded: a client that goes away takes its own request along, not the question of all.
        return await asyncio.shield(task)

    def answered(self, host: str, task: asyncio.Task[str | None]) -> None:
        del self.asked[host]
        if not task.cancelled():
            task.exception()  # whoever waits is told; if nobody does any more, nobody need know

    async def ask(self, host: str) -> str | None:
        async with asyncio.timeout(PATIENCE):
            status, body = await self.get(f"/tenants/{quote(host, safe='')}")
        if status not in (200, 404):
            raise RuntimeError(f"the tenant service answered {status}")
        tenant = body.strip() if status == 200 else None
        if len(self.known) >= MAX_REMEMBERED:
            self.known.clear()
        self.known[host] = time.monotonic() + self.seconds, tenant
        return tenant

    async def get(self, path: str) -> tuple[int, str]:
        reader, writer = await asyncio.open_connection(*self.address)
        try:
            writer.write(f"GET {path} HTTP/1.0\r\nhost: tenants\r\n\r\n".encode())
            head, _, body = (await reader.read()).partition(b"\r\n\r\n")
        finally:
            writer.close()
        return int(head.split(maxsplit=2)[1]), body.decode("latin-1")
