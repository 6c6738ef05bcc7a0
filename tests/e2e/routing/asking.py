"""Asks a proxy what a case says, and judges what came of it."""

from __future__ import annotations

import itertools
import json
import time
from collections import Counter
from dataclasses import dataclass
from typing import Any, ClassVar

import h11

from tests.e2e.ports import until
from tests.e2e.routing.case import Ask, Case
from tests.e2e.routing.services import Backends
from tests.e2e.wire import Client, Response

SIGMAS = 4.0
"""How far a share may be from its weight, in standard deviations."""
TICK = 0.01
"""Seconds that a proxy's timer may be early."""
_numbers = itertools.count()


@dataclass(frozen=True)
class Outcome:
    """Of one request. `told` is what the backend saw, where it was one that answered."""

    ask: str
    response: Response
    seconds: float
    told: dict[str, Any]

    @property
    def backend(self) -> str | None:
        return self.told.get("backend")


class Asking:
    """Connections to one proxy's listeners, which are kept as long as it keeps them."""

    _reached: ClassVar[dict[str, list[str | None]]] = {}
    """By whatever proxy was asked first."""

    def __init__(self, proxy: str, ports: dict[str, int], backends: Backends) -> None:
        self.proxy = proxy
        self._ports = ports
        self._backends = backends
        self._clients: dict[str, Client] = {}

    def close(self) -> None:
        for client in self._clients.values():
            client.close()

    def case(self, file: str, case: Case) -> list[str]:
        """What is not as the case has it."""
        wrong = []
        for number, ask in enumerate(case.requests):
            ask = ask.of(self.proxy)
            try:
                outcomes = [self._send(file, case, ask.numbered(each)) for each in range(ask.times)]
            except (OSError, h11.ProtocolError) as error:
                self._clients.pop(file).close()
                return [*wrong, f"requests[{number}] {ask.method} {ask.path}: {type(error).__name__}: {error}"]
            wrong += [f"requests[{number}] {ask.method} {ask.path}: {each}" for each in self._judge(ask, outcomes)]
            if ask.same:
                wrong += self._compared(f"{case.id}: requests[{number}]", outcomes)
        return wrong

    def _compared(self, key: str, outcomes: list[Outcome]) -> list[str]:
        """With where the proxy that was asked first has sent them."""
        reached = [outcome.backend for outcome in outcomes]
        other = self._reached.setdefault(key, reached)
        return [] if other == reached else [f"{key}: {reached}; the other proxy: {other}"]

    # -- sending -------------------------------------------------------------------------------------------------------

    def _send(self, file: str, case: Case, ask: Ask) -> Outcome:
        name = f"{self.proxy}-{next(_numbers)}"
        lines = [f"{ask.method} {ask.path} HTTP/1.1", f"host: {ask.host or case.host}", f"x-ask: {name}"]
        lines += [f"x-play: {ask.play}"] if ask.play else []
        lines += [f"{key}: {value}" for key, value in ask.pairs]
        if ask.body or ask.method in ("POST", "PUT", "PATCH"):
            lines.append(f"content-length: {len(ask.body.encode())}")
        client = self._clients.get(file)
        if client is None:
            client = self._clients[file] = Client(self._ports[file])
        began = time.monotonic()
        client.send(("\r\n".join(lines) + "\r\n\r\n" + ask.body).encode())
        response = client.response(ask.method)
        seconds = time.monotonic() - began
        if response.headers.get("connection", "") == "close":
            self._clients.pop(file).close()
        return Outcome(name, response, seconds, _told(response))

    # -- judging -------------------------------------------------------------------------------------------------------

    def _judge(self, ask: Ask, outcomes: list[Outcome]) -> list[str]:
        wrong = []
        for outcome in outcomes:
            wrong += self._of_one(ask, outcome)
            if wrong:
                return wrong
        answered = Counter(outcome.backend for outcome in outcomes)
        if ask.sticky and len(answered) != 1:
            wrong.append(f"went to several backends: {dict(answered)}")
        for backend, share in ask.split.items():
            spread = SIGMAS * (share * (1 - share) * ask.times) ** 0.5
            if abs(answered[backend] - share * ask.times) > spread:
                wrong.append(f"{backend} got {answered[backend]} of {ask.times}, to be {share:.0%} ± {spread:.0f}")
        return wrong

    def _of_one(self, ask: Ask, outcome: Outcome) -> list[str]:
        response = outcome.response
        if response.status != ask.expected_status or (outcome.backend is None) != (not ask.backends):
            what = outcome.backend or response.body[:200].decode("latin-1")
            return [f"status {response.status} ({what}), to be {ask.expected_status} ({ask.backends or 'no backend'})"]
        wrong = []
        if ask.backends and outcome.backend not in ask.backends:
            wrong.append(f"{outcome.backend} answered, to be {ask.backends}")
        if ask.seen:
            wrong += _differences("seen", ask.seen, outcome.told)
        if ask.answer:
            wrong += _differences("answer", ask.answer, {"body": response.body.decode(), "headers": response.headers})
        if ask.took is not None and not ask.took[0] - TICK <= outcome.seconds <= ask.took[1]:
            wrong.append(f"took {outcome.seconds:.3f} s, to be within {ask.took}")
        if ask.attempts is not None and (tries := len(self._backends.seen(outcome.ask))) != ask.attempts:
            wrong.append(f"backends were asked {tries} times, to be {ask.attempts}")
        if ask.mirrored is not None:
            wrong += self._mirrors(ask, outcome)
        return wrong

    def _mirrors(self, ask: Ask, outcome: Outcome) -> list[str]:
        """Mirrors are nobody's to wait for: they may come after the answer."""
        assert ask.mirrored is not None
        others = [each["backend"] for each in ask.mirrored]
        count = len(others) + (1 if ask.backends else 0)
        try:
            until(lambda: len(self._backends.seen(outcome.ask)) >= count, f"{count} backends are asked", 3.0)
        except AssertionError as error:
            return [f"{error}: {[name for name, _ in self._backends.seen(outcome.ask)]}"]
        seen = {name: request for name, request in self._backends.seen(outcome.ask) if name != outcome.backend}
        if sorted(seen) != sorted(others):
            return [f"mirrored to {sorted(seen)}, to be {sorted(others)}"]
        wrong = []
        for each in ask.mirrored:
            request = seen[each["backend"]]
            told = {
                "path": request.target,
                "method": request.method,
                "authority": request.headers.get("host"),
                "body": request.body.decode("latin-1"),
                "headers": request.headers,
            }
            expected = {key: value for key, value in each.items() if key != "backend"}
            wrong += _differences(f"mirrored to {each['backend']}", expected, told)
        return wrong


def _told(response: Response) -> dict[str, Any]:
    """What the backend says that it saw, no more than its name where an answer has no body; nothing where the answer is
    not a backend's."""
    try:
        told = json.loads(response.body)
    except ValueError:
        name = response.headers.get("x-backend")
        return {"backend": name, "headers": {}} if name else {}
    return told if isinstance(told, dict) and "backend" in told else {}


def _differences(what: str, expected: dict[str, Any], got: dict[str, Any]) -> list[str]:
    found = {name: got[name] if name in got else got["headers"].get(name.lower()) for name in expected}
    return [
        f"{what}: {name} is {found[name]!r}, to be {value!r}"
        for name, value in expected.items()
        if found[name] != (value if value is None else str(value))
    ]
