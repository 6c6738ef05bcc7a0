"""What callers may rely on, whatever happens on the connections that they share: an answer is the caller's own, or says
that there is none; there is one for each call; and nobody waits for somebody else's slowness.

Each request's body is like no other, and servers answer with it: so an answer says whose it is.
"""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import pytest

from tage.dataplane.protocols.xprotocol.settings import LIMIT
from tage.dataplane.streams import rpc_downstream
from tage.xprotocol import Frame, u8, u16
from tests.dataplane.streams.rpc_world import (
    GO_AWAY,
    HEARTBEAT,
    HEARTBEAT_ACK,
    OK,
    ONE_WAY,
    REQUEST,
    RESPONSE,
    TIMEOUT,
    End,
    Message,
    RpcWorld,
    Toy,
    frame,
    frames,
)

COMPILED = str(rpc_downstream.__file__).endswith(".so")
LATE = 100_000 if COMPILED else 4_000
CLIENTS = 8
BATCH = 480
"""Calls at a time; fewer than a connection takes."""


@pytest.fixture
def world(tmp_path):
    world = RpcWorld(tmp_path)
    yield world
    world.close()


class Caller:
    """A client that knows what it waits for."""

    def __init__(self, world: RpcWorld) -> None:
        self.end: End = world.client()
        self.waits: dict[int, bytes] = {}
        """By id: the body that the answer has to have."""

    def ask(self, *numbers: int) -> None:
        for number in numbers:
            self.waits[number] = b"%d-%d-%d" % (id(self) & 0xFFFFFF, number, next(_serial))
        self.end.send(b"".join(frame(REQUEST, number, self.waits[number]) for number in numbers))

    def heard(self) -> Counter[int]:
        """The statuses of the answers that came: each to something that was asked, and with its body if it is a
        server's."""
        statuses: Counter[int] = Counter()
        for answer in frames(self.end.takes()):
            if answer.kind == GO_AWAY:
                continue
            assert answer.kind == RESPONSE
            body = self.waits.pop(answer.id)  # KeyError: an answer to nothing, or a second one
            assert answer.status != OK or answer.body == body, "somebody else's answer"
            statuses[answer.status] += 1
        return statuses


_serial = iter(range(1 << 40))


def echo(request: Message) -> bytes:
    return frame(RESPONSE, request.id, request.body)


def test_late_answers_reach_nobody(world):
    """A hundred thousand calls time out, and all their answers come later, while others are waited for under the same
    ids of clients: mixed with those others' answers, in any order."""
    rng = random.Random(5)
    world.rule(timeout=100)
    callers = [Caller(world) for _ in range(CLIENTS)]
    callers[0].ask(1)
    server = world.accept()
    server.send(b"".join(map(echo, frames(server.takes()))))
    assert callers[0].heard() == {OK: 1}
    numbers = range(1, BATCH // CLIENTS + 1)
    late: list[Message] = []
    sent = timed_out = 0
    while timed_out < LATE:
        for caller in callers:
            caller.ask(*numbers)
        late += frames(server.takes())
        world.pass_time(100)
        for caller in callers:
            assert caller.heard() == {TIMEOUT: len(numbers)}
        timed_out += BATCH
        for caller in callers:
            caller.ask(*numbers)
        asked = frames(server.takes())
        assert len(asked) == BATCH
        rng.shuffle(late)
        kept = 5_000 if timed_out < LATE else 0
        due, late = late[kept:], late[:kept]
        sent += len(due)
        answers = [*map(echo, due), *map(echo, asked)]
        rng.shuffle(answers)
        server.send(b"".join(answers))
        for caller in callers:
            assert caller.heard() == {OK: len(numbers)}
            assert not caller.waits
    assert not late
    assert sent == timed_out >= LATE
    assert world.up("rq_late_response") == sent
    assert len(world.servers) == 1
    assert not server.closed


def test_ids_wrap_around_those_in_use(world):
    """At the end of the ids the first ones come again, but for those that are waited for, or were given up."""
    world.rule(timeout=60_000)
    slow, gone, caller = Caller(world), Caller(world), Caller(world)
    slow.ask(1)
    server = world.accept()
    [first] = frames(server.takes())
    gone.ask(1)
    [reserved] = frames(server.takes())
    gone.end.reset()
    assert (first.id, reserved.id) == (1, 2)
    server.connection.calls.last_id = 2**32 - 3
    caller.ask(*range(10, 18))
    asked = frames(server.takes())
    assert [each.id for each in asked] == [2**32 - 2, 2**32 - 1, 3, 4, 5, 6, 7, 8]
    server.send(b"".join(map(echo, reversed(asked))) + echo(reserved) + echo(first))
    assert caller.heard() == {OK: 8}
    assert slow.heard() == {OK: 1}


class Narrow(Toy):
    """Ids of a byte."""

    name = "narrow"
    _narrow = {"service": u8(10), "method": u8(11), "metadata": u16(12), "body": u8(19)}
    request = Frame({0: b"TY", 2: REQUEST}, header=20, id=u8(7), timeout=u16(8), parts=_narrow)
    one_way = request.but({2: ONE_WAY})
    response = Frame({0: b"TY", 2: RESPONSE}, header=20, id=u8(7), status=u8(3), parts=_narrow)
    heartbeat = Frame({0: b"TY", 2: HEARTBEAT}, header=20, id=u8(7), parts=_narrow)
    heartbeat_ack = heartbeat.but({2: HEARTBEAT_ACK})
    go_away = None


def test_more_calls_than_there_are_ids(tmp_path):
    """They go over several connections, and those that time out do not use the ids up."""
    world = RpcWorld(tmp_path, protocol=Narrow())
    world.rule(timeout=100)
    for _ in range(3):
        callers = [Caller(world) for _ in range(3)]
        for caller in callers:
            caller.ask(*range(1, 201))
        world.accept_all()
        for server in world.servers:
            frames(server.takes())
        world.pass_time(100)
        for caller in callers:
            assert caller.heard() == {TIMEOUT: 200}
        for caller in callers:
            caller.ask(*range(1, 201))
        world.accept_all()
        for server in world.servers:
            server.send(b"".join(map(echo, frames(server.takes()))))
        for caller in callers:
            assert caller.heard() == {OK: 200}
            caller.end.reset()
    world.close()


def test_a_slow_client_holds_up_nobody_and_misses_nothing(world):
    """What waits for it is kept, up to the stated bound (16 MiB); those who share its upstream connection do not
    notice."""
    slow, quick = Caller(world), Caller(world)
    slow.ask(*range(1, 41))
    server = world.accept()
    waiting = frames(server.takes())
    slow.end.block()
    big = bytes(200_000)
    for number, request in enumerate(waiting):
        slow.waits[request_number(slow, request)] = request.body + big
        server.send(frame(RESPONSE, request.id, request.body + big))
        quick.ask(number)
        server.send(b"".join(map(echo, frames(server.takes()))))
        assert quick.heard() == {OK: 1}
        assert server.reading
    slow.end.unblock()
    assert slow.heard() == {OK: 40}
    assert len(world.servers) == 1


def request_number(caller: Caller, request: Message) -> int:
    """The client's id of it."""
    return next(number for number, body in caller.waits.items() if body == request.body)


TOO_LARGE = frame(RESPONSE, 1)[:16] + (LIMIT + 1).to_bytes(4, "big")


@pytest.mark.parametrize("noise", [b"\xff" * 40, b"GET / HTTP/1.1\r\n\r\n", TOO_LARGE])
def test_a_connection_with_a_framing_error_is_not_used_again(world, noise: bytes):
    """Each call on it is answered once; the next goes elsewhere, and nothing more is written to the broken one."""
    callers = [Caller(world) for _ in range(5)]
    for caller in callers:
        caller.ask(1, 2, 3)
    broken = world.accept()
    asked = frames(broken.takes())
    broken.send(b"".join(map(echo, asked[:4])) + noise)
    assert broken.closed
    heard = sum((caller.heard() for caller in callers), Counter())
    assert heard.total() == 15
    assert heard[OK] == 4
    assert world.up("cx_protocol_error") == 1
    for caller in callers:
        caller.ask(4)
    world.accept_all()
    again = world.servers[-1]
    assert again is not broken
    again.send(b"".join(map(echo, frames(again.takes()))))
    assert all(caller.heard() == {OK: 1} for caller in callers)
    assert broken.takes() == b""


def test_an_idle_server_is_asked_and_a_dead_one_given_up(tmp_path):
    """A heartbeat goes out for each interval of silence. A server that answers stays, one that does not is left, and
    the next call does not meet it."""
    world = RpcWorld(tmp_path, heartbeat_interval=10_000)
    caller = Caller(world)
    caller.ask(1)
    server = world.accept()
    server.send(b"".join(map(echo, frames(server.takes()))))
    assert caller.heard() == {OK: 1}
    for _ in range(20):  # idle minutes
        world.pass_time(10_000)
        [asked] = frames(server.takes())
        assert asked.kind == HEARTBEAT
        server.send(frame(HEARTBEAT_ACK, asked.id))
        assert not server.closed
    caller.ask(2)
    server.send(b"".join(map(echo, frames(server.takes()))))
    assert caller.heard() == {OK: 1}
    world.pass_time(60_000)
    assert server.closed
    caller.ask(3)
    other = world.accept()
    other.send(b"".join(map(echo, frames(other.takes()))))
    assert caller.heard() == {OK: 1}
    world.close()


class Chaos:
    """Clients that call and go, servers that answer in any order, late, twice, go away, break."""

    def __init__(self, world: RpcWorld, seed: int) -> None:
        self.world = world
        self.rng = random.Random(seed)
        self.callers = [Caller(world) for _ in range(4)]
        self.open: list[tuple[End, Message]] = []
        self.statuses: Counter[int] = Counter()
        self.asked = 0
        self.number = 0

    def step(self) -> None:
        way = self.rng.random()
        if way < 0.45:
            self.call()
        elif way < 0.85:
            self.answer()
        elif way < 0.90:
            self.world.pass_time(self.rng.choice((1, 20, 120)))
        elif way < 0.93:
            self.say_go_away()
        elif way < 0.945:
            self.break_server()
        elif way < 0.96 and self.open:
            server, request = self.rng.choice(self.open)
            if not server.closed:
                server.send(echo(request), echo(request))
        self.world.accept_all()
        self.collect()

    def call(self) -> None:
        caller = self.rng.choice(self.callers)
        numbers = range(self.number, self.number + self.rng.choice((1, 1, 5)))
        self.number += len(numbers)
        self.asked += len(numbers)
        caller.ask(*numbers)

    def answer(self) -> None:
        self.rng.shuffle(self.open)
        for _ in range(self.rng.choice((1, 2, 8))):
            if self.open:
                server, request = self.open.pop()
                if not server.closed:
                    server.send(echo(request))

    def say_go_away(self) -> None:
        server = self.rng.choice(self.living())
        if server is not None:
            server.send(frame(GO_AWAY))

    def break_server(self) -> None:
        server = self.rng.choice(self.living())
        if server is not None:
            self.rng.choice((server.reset, server.end, lambda: server.send(b"\xff" * 30)))()

    def living(self) -> list[Any]:
        return [server for server in self.world.servers if not server.closed] or [None]

    def collect(self) -> None:
        for server in self.world.servers:
            data = server.takes()
            if data:
                self.open += [(server, each) for each in frames(data) if each.kind == REQUEST]
        for caller in self.callers:
            self.statuses += caller.heard()

    def finish(self) -> None:
        while self.open:
            self.answer()
            self.world.accept_all()
            self.collect()
        self.world.pass_time(1_000)
        self.collect()
        assert not any(caller.waits for caller in self.callers), "a call was never answered"
        assert self.statuses.total() == self.asked


@pytest.mark.parametrize("seed", range(6))
def test_each_call_is_answered_once_whatever_happens(tmp_path, seed: int):
    world = RpcWorld(tmp_path, hosts=2, max_requests=6)
    world.rule(timeout=100)
    chaos = Chaos(world, seed)
    for _ in range(700):
        chaos.step()
    chaos.finish()
    assert chaos.statuses[OK] > chaos.asked / 4
    assert chaos.statuses[TIMEOUT] > 0
    world.close()


@pytest.mark.parametrize("seed", range(3))
def test_go_away_loses_no_call(tmp_path, seed: int):
    """Servers say go-away again and again under load, and end when they have answered: every call is answered, and by a
    server."""
    world = RpcWorld(tmp_path, hosts=2)
    chaos = Chaos(world, seed)
    for turn in range(500):
        chaos.call()
        world.accept_all()
        chaos.collect()
        if turn % 7 == 0:
            chaos.say_go_away()
        if turn % 2:
            chaos.answer()
        chaos.collect()
    chaos.finish()
    assert chaos.statuses == {OK: chaos.asked}
    assert len(world.servers) > 10
    world.close()
