"""What stands behind the proxies: services that every case may name, and backends that tell what they saw.

A request's header `x-play` says what each try of it gets, one word a try, the last one for all further: a status;
`close`, an end without an answer; `cut`, an end in the middle of one; `wait`, an answer after `WAIT_SECONDS`. Tries of
one request are known by its `x-ask`. A status may have headers behind it: ``503;x-why=tired``.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections import Counter
from functools import cache, partial
from typing import Any

from tage.registry.model import Instance, Service
from tests.e2e.backend import Answer, Backend, DeadPort, Request
from tests.e2e.ports import LOOPBACK, free_port

WAIT_SECONDS = 0.6
DEAD = "dead"
"""A backend whose connections are refused."""

SERVICES: dict[str, list[str]] = {
    "reviews": ["v1", "v2", "v3"],
    "ratings": ["ratings"],
    "many": ["m1", "m2", "m3", "m4", "m5"],
    "half": [DEAD, "half"],
    "dead": [DEAD],
    "empty": [],
}
"""Their backends, by service. A backend's name is its label `version`."""

DESTINATION_RULE = """
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: reviews}
spec:
  host: reviews
  subsets:
  - {name: v1, labels: {version: v1}}
  - {name: v2, labels: {version: v2}}
  - {name: v3, labels: {version: v3}}
"""
"""Counts in every case that has none of its own for the host."""


@cache
def ports() -> dict[str, int]:
    """Of the backends, by name: known before they listen, for rules are made once for all tests."""
    return {name: free_port() for name in sorted({name for names in SERVICES.values() for name in names})}


class Backends:
    """All backends, from the start to the end of the tests."""

    def __init__(self) -> None:
        self._tries: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._dead = DeadPort(ports()[DEAD])
        self._running = {
            name: Backend(partial(self._answer, name), name, (LOOPBACK, port))
            for name, port in ports().items()
            if name != DEAD
        }

    def close(self) -> None:
        self._dead.close()
        for backend in self._running.values():
            backend.close()

    def seen(self, ask: str) -> list[tuple[str, Request]]:
        """All that were asked with this `x-ask`, by backend's name."""
        return [
            (name, request)
            for name, backend in self._running.items()
            for request in list(backend.requests)
            if request.headers.get("x-ask") == ask
        ]

    async def _answer(self, name: str, request: Request) -> Answer:
        plays = request.headers.get("x-play", "200").split()
        with self._lock:
            number = self._tries[request.headers.get("x-ask", "")]
            self._tries[request.headers.get("x-ask", "")] += 1
        play, *headers = plays[min(number, len(plays) - 1)].split(";")
        if play in ("close", "cut"):
            return Answer(body=b"cut", abort=play)
        if play == "wait":
            await asyncio.sleep(WAIT_SECONDS)
            play = "200"
        told = {
            "backend": name,
            "method": request.method,
            "path": request.target,
            "authority": request.headers.get("host", ""),
            "headers": request.headers,
            "body": request.body.decode("latin-1"),
        }
        pairs = [(key, value) for key, _, value in (each.partition("=") for each in headers)]
        return Answer(int(play), json.dumps(told).encode(), [("content-type", "application/json"), *pairs])


def registry(more: list[dict[str, Any]]) -> tuple[Service, ...]:
    """The services as Pilot knows them. `more`: a case's own, each with `name`, `backends`, and fields of Service."""
    known = [{"name": name, "backends": backends} for name, backends in SERVICES.items()]
    return tuple(_service(**each) for each in [*known, *more])


def _service(name: str, backends: list[str], **fields: Any) -> Service:
    instances = tuple(
        Instance(
            name=f"{name}-{backend}",
            address=LOOPBACK,
            port=ports()[backend],
            app_address=LOOPBACK,
            app_port=ports()[backend],
            labels={"app": name, "version": backend},
        )
        for backend in backends
    )
    return Service(name, instances=instances, **fields)
