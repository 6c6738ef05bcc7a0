"""Random interleavings of everything that can happen, with h11 judging both ends.

However clients, servers, time and configuration behave: what servers get are well-formed requests, as they were sent;
what clients get are well-formed answers in the order of their requests, or the end of their connection; nothing waits
forever; and when all have left, nothing is left.
"""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import h11
import pytest

from tage.dataplane.upstream.connection import Failure
from tage.sidecar import plan
from tests.dataplane.streams.world import End, World


def body_of(number: int) -> bytes:
    return b"%d-" % number * (number * 37 % 3_000)


class Request:
    def __init__(self, rng: random.Random, number: int) -> None:
        self.number = number
        self.method = rng.choice([b"GET", b"GET", b"HEAD", b"POST", b"POST", b"PUT", b"DELETE"])
        self.bad = rng.random() < 0.03
        self.body = body_of(number) if self.method in (b"POST", b"PUT") else b""
        version = b"1.0" if rng.random() < 0.1 else b"1.1"
        lines = [b"%s /%d HTTP/%s" % (self.method, number, version), b"host: a"]
        if rng.random() < 0.1:
            lines.append(b"connection: " + rng.choice([b"close", b"keep-alive"]))
        data = self.body
        if self.method in (b"POST", b"PUT"):
            if version == b"1.1" and rng.random() < 0.5:
                lines.append(b"transfer-encoding: chunked")
                data = chunked(rng, self.body, bad=self.bad)
            else:
                lines.append(b"content-length: %d" % len(data))
        if self.bad:
            lines.append(b"bad header")
        self.wire = b"\r\n".join(lines) + b"\r\n\r\n" + data


def chunked(rng: random.Random, body: bytes, bad: bool = False) -> bytes:
    out = []
    while body:
        size = rng.randint(1, 2_000)
        out.append(b"%x\r\n%s\r\n" % (len(body[:size]), body[:size]))
        body = body[size:]
    return b"".join(out) + (b"bad" if bad else b"0\r\n\r\n")


class RandomClient:
    def __init__(self, fuzz: Fuzz) -> None:
        self.fuzz = fuzz
        self.end = fuzz.world.client()
        self.requests: list[Request] = []
        self.unsent = b""
        self.left = False
        self.blocked = False
        self.got = b""

    def step(self) -> None:
        rng = self.fuzz.rng
        if self.left or self.end.transport.closing:
            return
        what = rng.random()
        if what < 0.01:
            self.left = True
            self.end.transport.reset()
        elif what < 0.02:
            self.left = True
            self.end.transport.feed_eof()
        elif what < 0.06:
            self.block(not self.blocked)
        elif self.unsent or (self.requests and self.requests[-1].bad):
            self.send(rng.choice([1, 10, 100, 100_000]))
        else:
            while not self.unsent or rng.random() < 0.3:
                self.fuzz.number += 1
                self.requests.append(Request(rng, self.fuzz.number))
                self.unsent += self.requests[-1].wire
                if self.requests[-1].bad:
                    break

    def block(self, blocked: bool) -> None:
        if blocked != self.blocked and not self.end.transport.lost:
            self.blocked = blocked
            (self.end.transport.block if blocked else self.end.transport.unblock)()

    def send(self, size: int) -> None:
        if self.unsent:
            self.end.transport.feed(self.unsent[:size])
            self.unsent = self.unsent[size:]

    def check(self) -> None:
        """Every answer is whole and in its place, but for the last one of a connection that has ended."""
        rest = bytes(self.end.transport.sent)
        closed = self.end.transport.closing or self.end.transport.wrote_eof
        for request in self.requests:
            if not rest:
                assert closed or self.unsent, f"no answer to {request.wire[:50]!r}"
                return
            parser = h11.Connection(h11.CLIENT)
            parser.send(h11.Request(method=request.method, target="/", headers=[("host", "a")]))
            parser.send(h11.EndOfMessage())
            parser.receive_data(rest)
            if closed:
                parser.receive_data(b"")
            head, body, reason = None, b"", ""
            while True:
                try:
                    event = parser.next_event()
                except h11.RemoteProtocolError as error:
                    reason = str(error)
                    break
                if isinstance(event, h11.Response):
                    head = event
                elif isinstance(event, h11.Data):
                    body += event.data
                elif isinstance(event, h11.EndOfMessage):
                    break
                elif event is h11.NEED_DATA:
                    raise AssertionError(f"an answer that does not end: {rest[:300]!r}")
                else:
                    assert isinstance(event, h11.InformationalResponse), event
            if reason:
                assert "without sending complete message body" in reason or "closed" in reason.lower(), reason
                assert self.end.transport.aborted or self.left
                return
            assert head is not None
            headers = dict(head.headers)
            if b"x-number" in headers:
                assert int(headers[b"x-number"]) == request.number
                if request.method != b"HEAD" and head.status_code == 200:
                    expected = body_of(request.number)
                    # One that ends with its connection cannot be told from one that breaks off.
                    unframed = not {b"content-length", b"transfer-encoding"} & set(headers)
                    if unframed or request.number in self.fuzz.until_end:
                        assert expected.startswith(body)
                    else:
                        assert body == expected
            else:
                assert headers[b"server"] == b"tage", headers
                assert head.status_code in (400, 404, 408, 502, 503, 504), head
            if headers.get(b"x-tage-response-flags") in (b"DPE", b"DT"):
                # Malformed, or too late: whether it was to be a HEAD, nobody knows.
                assert closed
                assert head.status_code == 408 or request.bad
                return
            rest = parser.trailing_data[0]
            if headers.get(b"connection") == b"close":
                assert closed
                assert not rest
                return


class RandomServer:
    def __init__(self, fuzz: Fuzz, end: End) -> None:
        self.fuzz = fuzz
        self.end = end
        self.blocked = False
        self.reset_parser()

    def reset_parser(self) -> None:
        self.parser = h11.Connection(h11.SERVER)
        self.request: h11.Request | None = None
        self.whole = False
        self.body = b""
        self.unsent = b""
        self.answered = False
        self.ends = False

    @property
    def number(self) -> int:
        assert self.request is not None
        return int(self.request.target[1:])

    def read(self) -> None:
        """What came is a prefix of one request, and if that was answered, of the next."""
        data = self.end.takes()
        if data:
            self.parser.receive_data(data)
        while True:
            event = self.parser.next_event()
            if isinstance(event, h11.Request):
                self.request = event
                self.fuzz.seen(self.number, event.method)
            elif isinstance(event, h11.Data):
                self.body += event.data
            elif isinstance(event, h11.EndOfMessage):
                self.whole = True
                expected = body_of(self.number) if self.request.method in (b"POST", b"PUT") else b""
                assert self.body == expected
            elif event is h11.PAUSED and self.answered and not self.unsent and not self.ends:
                rest = self.parser.trailing_data[0]
                self.reset_parser()
                self.parser.receive_data(rest)
            else:
                assert event in (h11.NEED_DATA, h11.PAUSED), event
                break
        assert self.parser.trailing_data[0] == b"" or not self.whole

    def step(self, calm: bool = False) -> None:
        rng = self.fuzz.rng
        if self.end.transport.closing:
            return
        self.read()
        what = 1.0 if calm else rng.random()
        if what < 0.02:
            self.end.transport.reset()
        elif what < 0.04:
            self.end.transport.feed_eof()
        elif what < 0.05 and not self.answered:
            self.end.transport.feed(b"unasked or malformed")
        elif what < 0.09:
            self.block(not self.blocked)
        elif self.unsent:
            size = 100_000 if calm else rng.choice([1, 10, 1_000, 100_000])
            data, self.unsent = self.unsent[:size], self.unsent[size:]
            last = not self.unsent
            ends = self.ends
            self.end.transport.feed(data)
            if last and ends:
                self.end.transport.feed_eof()
        elif self.request is not None and not self.answered and (self.whole or (not calm and rng.random() < 0.05)):
            self.answer(calm)

    def answer(self, calm: bool) -> None:
        rng = self.fuzz.rng
        self.answered = True
        body = body_of(self.number)
        lines = [b"HTTP/1.1 200 OK", b"x-number: %d" % self.number]
        what = 1.0 if calm else rng.random()
        if what < 0.1:
            lines[0] = b"HTTP/1.1 503 Service Unavailable"
            body = b"down"
        if rng.random() < 0.1:
            lines.append(b"connection: close")
            self.ends = True
        kind = rng.choice(["length", "chunked", "end"])
        if what >= 0.9 and not calm:
            kind = "none"
            lines[0] = b"HTTP/1.1 204 No Content"
            body = b""
        if kind == "length":
            lines.append(b"content-length: %d" % len(body))
        elif kind == "chunked":
            lines.append(b"transfer-encoding: chunked")
            body = chunked(rng, body)
        elif kind == "end":
            self.ends = True
            self.fuzz.until_end.add(self.number)
            if self.request.method == b"HEAD":  # the answer's head alone does not tell
                lines.append(b"connection: close")
        if self.request.method == b"HEAD":
            body = b""
        hints = b"HTTP/1.1 103 Early Hints\r\n\r\n" if rng.random() < 0.1 else b""
        self.unsent = hints + b"\r\n".join(lines) + b"\r\n\r\n" + body

    def block(self, blocked: bool) -> None:
        if blocked != self.blocked and not self.end.transport.lost:
            self.blocked = blocked
            (self.end.transport.block if blocked else self.end.transport.unblock)()


class Fuzz:
    def __init__(self, path: Path, seed: int) -> None:
        self.rng = rng = random.Random(seed)
        self.number = 0
        self.posts: dict[int, int] = {}
        self.until_end: set[int] = set()
        """Requests whose answer ends with the server's connection."""
        self.retries = rng.random() < 0.5
        self.world = World(
            path,
            hosts=rng.randint(1, 3),
            max_connections=rng.choice([1, 3, 100]),
            max_pending=rng.choice([1, 5, 100]),
            max_requests=rng.choice([3, 100]),
            max_retries=rng.choice([1, 10]),
            max_requests_per_connection=rng.choice([0, 0, 3]),
            idle_timeout=rng.choice([0, 5_000, 60_000]),
        )
        self.world.listener.head_timeout = rng.choice([0, 10_000])
        self.world.listener.idle_timeout = rng.choice([0, 30_000])
        self.clients: list[RandomClient] = []
        self.servers: list[RandomServer] = []
        self.configure()

    def configure(self) -> None:
        rng = self.rng
        retry = None
        if self.retries:
            retry = plan.RetryPolicy(
                ["connect-failure", "5xx"], attempts=rng.randint(0, 3), per_try_timeout=rng.choice([0, 300])
            )
        timeouts: dict[str, Any] = {"timeout": rng.choice([500, 15_000]), "idle_timeout": rng.choice([400, 300_000])}
        self.world.rule(retry=retry, **timeouts)
        if rng.random() < 0.5:
            chosen = rng.sample(range(5), rng.randint(0, 4))
            self.world.cluster.set_hosts([(f"10.0.0.{i}", 80, rng.randint(1, 3), rng.random() < 0.9) for i in chosen])

    def seen(self, number: int, method: bytes) -> None:
        """A POST goes up once, unless the policy says otherwise."""
        if method == b"POST":
            self.posts[number] = self.posts.get(number, 0) + 1
            assert self.retries or self.posts[number] == 1

    def step(self) -> None:
        rng, world = self.rng, self.world
        what = rng.random()
        if what < 0.03 and len(self.clients) < 30:
            self.clients.append(RandomClient(self))
        elif what < 0.13 and world.opening:
            self.open(rng.randrange(len(world.opening)))
        elif what < 0.14 and world.opening:
            world.refuse(rng.choice([Failure.CONNECT_FAILURE, Failure.CONNECT_TIMEOUT]))
        elif what < 0.16:
            world.loop.run(rng.choice([1, 20, 200, 2_000]))
        elif what < 0.165:
            self.configure()
        elif what < 0.167 and self.clients:
            rng.choice(self.clients).end.connection.drain()
        elif what < 0.6 and self.clients:
            rng.choice(self.clients).step()
        elif self.servers:
            rng.choice(self.servers).step()
        if rng.random() < 0.7:
            world.loop.turn()

    def open(self, index: int) -> None:
        self.servers.append(RandomServer(self, self.world.accept(index)))

    def calm(self) -> None:
        """Everybody behaves from now on."""
        world = self.world
        for _ in range(400):
            before = sum(len(client.end.transport.sent) for client in self.clients), len(self.servers)
            for client in self.clients:
                client.block(False)
                if not client.left:
                    client.send(1_000_000)
            while world.opening:
                self.open(0)
            for server in self.servers:
                server.block(False)
                for _ in range(4):
                    server.step(calm=True)
            world.loop.run(300)
            if before == (sum(len(client.end.transport.sent) for client in self.clients), len(self.servers)):
                world.loop.run(20_000)
                if not world.opening and world.down("rq_active") == 0:
                    break
        assert world.down("rq_active") == 0, "requests are stuck"

    def run(self, steps: int) -> None:
        for _ in range(steps):
            self.step()
        self.calm()
        self.world.check_quiet()
        for client in self.clients:
            client.check()
        self.world.close()


@pytest.mark.parametrize("seed", range(40))
def test_anything(seed, make_world):
    Fuzz(Path(make_world.path), seed).run(steps=1_000)
