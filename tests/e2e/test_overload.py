"""A worker that is asked for twice what it can do. It runs uncompiled, so that a test can ask for that much."""

from __future__ import annotations

import multiprocessing
import os
import selectors
import socket
import statistics
import time
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.e2e.bootstraps import Json, bootstrap, cluster, listener, route, virtual_host
from tests.e2e.ports import LOOPBACK, free_port, until
from tests.e2e.sidecar import Sidecar, sidecar

pytestmark = pytest.mark.processes

REQUEST = b"GET / HTTP/1.1\r\nhost: a\r\nx-long: " + b"x" * 300 + b"\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
TARGET_MS = 100
CONNECTIONS = 100
RULES = 8


class Origin:
    """Answers everything at once, in a process of its own: it must not wait for the load."""

    def __init__(self) -> None:
        self._socket = socket.create_server((LOOPBACK, 0), backlog=1024)
        self.port = self._socket.getsockname()[1]
        self._process = multiprocessing.get_context("spawn").Process(target=serve, args=(self._socket,), daemon=True)
        self._process.start()

    def close(self) -> None:
        self._process.terminate()
        self._process.join(10)
        self._socket.close()


def serve(listening: socket.socket) -> None:
    with selectors.DefaultSelector() as selector:
        selector.register(listening, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                if key.fileobj is listening:
                    accepted, _ = listening.accept()
                    selector.register(accepted, selectors.EVENT_READ)
                    continue
                sock = key.fileobj
                assert isinstance(sock, socket.socket)
                if sock.recv(65_536):
                    sock.sendall(OK)
                else:
                    selector.unregister(sock)
                    sock.close()


class Result(NamedTuple):
    admitted: list[float]
    """How long each took, in seconds, of those that began in the last third."""
    shed: int
    other: int
    served: int


def drive(port: int, connections: int, seconds: float, rate: float = 0) -> Result:
    """Requests at this rate a second, each on a connection that has none; 0: as fast as answers come."""
    free = [socket.create_connection((LOOPBACK, port)) for _ in range(connections)]
    everyone = list(free)
    sent: dict[socket.socket, float] = {}
    admitted: list[float] = []
    shed = other = served = 0
    with selectors.DefaultSelector() as selector:
        for sock in everyone:
            selector.register(sock, selectors.EVENT_READ)
        began = due = time.monotonic()
        while (now := time.monotonic()) < began + seconds:
            while free and (rate == 0 or due <= now):
                sock = free.pop()
                sent[sock] = now
                sock.sendall(REQUEST)
                due += 1 / rate if rate else 0
            due = max(due, now) if rate and not free else due  # who finds no connection goes away
            for key, _ in selector.select(0.01 if not rate else max(0, min(0.01, due - now))):
                sock = key.fileobj  # type: ignore[assignment]
                answer = sock.recv(65_536)
                at = sent.pop(sock)
                free.append(sock)
                if answer.startswith(b"HTTP/1.1 200"):
                    served += 1
                    if at > began + seconds * 2 / 3:
                        admitted.append(time.monotonic() - at)
                elif answer.startswith(b"HTTP/1.1 503") and b"\r\nx-tage-response-flags: OM\r\n" in answer:
                    shed += 1
                else:
                    other += 1
    for sock in everyone:
        sock.close()
    return Result(admitted, shed, other, served)


def config(admin: int, port: int, origin: int, **keys: object) -> Json:
    """Rules look through a long header before one takes the request: what is admitted costs the worker milliseconds,
    what is shed does not."""
    asking = {"match": {"prefix": "/", "headers": [{"name": "x-long", "string_match": {"contains": "xxy"}}]}}
    rules = [{**route("app"), **asking} for _ in range(RULES)]
    listeners = [listener("web", port, [virtual_host("*", *rules, route("app"))])]
    breakers = {"thresholds": [{"max_connections": 10_000, "max_pending_requests": 10_000, "max_requests": 10_000}]}
    layer = {"name": "tage", "static_layer": {f"tage.overload.{key}": value for key, value in keys.items()}}
    return bootstrap(
        admin,
        listeners,
        [cluster("app", origin, circuit_breakers=breakers, connect_timeout="20s")],
        layered_runtime={"layers": [layer]},
    )


def shed_by(running: Sidecar) -> int:
    return running.stats()["listener.web.overload.shed"]


@pytest.mark.skipif(not os.environ.get("TAGE_OVERLOAD"), reason="needs a machine of its own: make soak")
def test_twice_as_much_as_it_can_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TAGE_PURE", "1")
    origin = Origin()
    ports = [free_port() for _ in range(4)]
    try:
        with sidecar(
            tmp_path, config(ports[0], ports[1], origin.port, target_ms=TARGET_MS, interval_ms=400), name="sheds"
        ) as running:
            # It is busy all the time, but nobody waits behind anybody for long.
            calm = drive(ports[1], 2, 2.0)
            assert (calm.shed, calm.other) == (0, 0)
            assert shed_by(running) == 0
            rate = 2 * calm.served / 2.0
            ours = drive(ports[1], CONNECTIONS, 9.0, rate)
            assert shed_by(running) >= ours.shed > 0
            # When it is over, it is over.
            until(lambda: drive(ports[1], 2, 1.0).shed == 0, "nothing is shed any more")
        with sidecar(tmp_path, config(ports[2], ports[3], origin.port, enabled=False), name="bears") as running:
            theirs = drive(ports[3], CONNECTIONS, 9.0, rate)
            assert theirs.shed == shed_by(running) == 0
    finally:
        origin.close()
    assert ours.other == theirs.other == 0
    assert len(ours.admitted) > 20
    with_it, without = (1000 * statistics.median(each.admitted) for each in (ours, theirs))
    print(f"{rate:.0f}/s: median {with_it:.1f} ms, {ours.served} served, {ours.shed} shed; without: {without:.1f} ms")
    # The machine may have more for one run than for the other, or so much for the first that little is shed.
    if theirs.served < 1.3 * ours.served and ours.shed > ours.served / 2:
        assert with_it < 0.8 * without
