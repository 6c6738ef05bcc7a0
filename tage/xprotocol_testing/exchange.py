"""Checks of calls: clients and servers that speak the protocol, and between them the data plane's own connections,
streams and pools. The frames are the protocol's examples with ids of our own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from tage.sidecar import plan
from tage.xprotocol import Kind, Protocol
from tage.xprotocol_testing.frames import Told, first
from tage.xprotocol_testing.report import Failed, Skipped
from tage.xprotocol_testing.rpc import Call, RpcWorld, rpc_world
from tage.xprotocol_testing.subject import Subject, label
from tage.xprotocol_testing.world import End

_CALLS = 24
_TIMEOUT = 100
"""ms, the route's, where a check has calls time out."""
_NOISE = b"\xff" * 64


@contextmanager
def _world(subject: Subject, **settings: Any) -> Iterator[RpcWorld]:
    """What the world itself finds wrong is the check's failure."""
    try:
        with rpc_world(subject.protocol, **settings) as world:
            yield world
    except AssertionError as error:
        raise Failed(str(error) or "an invariant of connections does not hold") from error


def _frames(subject: Subject) -> tuple[bytes, bytes]:
    """A request and a response."""
    return subject.need(Kind.REQUEST)[0].frame, subject.need(Kind.RESPONSE)[0].frame


def _expect(world: RpcWorld, client: End, kind: Kind, id: int, what: str) -> Told:
    """Exactly one frame came to the client, and this one."""
    return _only(world.told(client), kind, id, what)


def _only(told: list[Told], kind: Kind, id: int, what: str) -> Told:
    if [(each.kind, each.id) for each in told] != [(kind, id)]:
        got = ", ".join(f"{label(each.kind)} {each.id}" for each in told) or "nothing"
        raise Failed(f"{what}: {got} in place of {label(kind)} {id}", told[0].frame if told else None)
    return told[0]


def _nothing(world: RpcWorld, end: End, what: str) -> None:
    told = world.told(end)
    if told:
        raise Failed(f"{what}: {label(told[0].kind)} {told[0].id} in place of nothing", told[0].frame)


def _id(world: RpcWorld, frame: bytes, id: int) -> int:
    """`id`, or 0 where the protocol has none."""
    return id if world.with_id(frame, 1) != world.with_id(frame, 2) else 0


def calls(subject: Subject) -> str:
    """A request goes to a server and its response comes back, both byte for byte but for the id."""
    request, response = _frames(subject)
    with _world(subject) as world:
        client = world.client()
        for id in (5, 5, 77, 2**31 - 1):
            call = world.call(request, id, client)
            if call.sent != world.with_id(request, call.upstream_id):
                raise Failed("the request that a server got is not the one that was sent", call.sent)
            told = _only(world.answer(call, response), Kind.RESPONSE, _id(world, response, id), "the client got")
            if told.frame != world.with_id(response, id):
                raise Failed("the response that a client got is not the one that was sent", told.frame)
    return "requests and responses as they were sent, ids rewritten and restored"


def out_of_order(subject: Subject) -> str:
    """Responses come in another order than the requests went out, and each comes to its caller."""
    request, response = _frames(subject)
    if subject.protocol.multiplexing == "ordered":
        raise Skipped("its responses come in the order of the requests")
    rng = subject.rng()
    with _world(subject) as world:
        made = [world.call(request, 1 + number % 3) for number in range(_CALLS)]  # clients' ids are alike
        rng.shuffle(made)
        for number, call in enumerate(made):
            _only(world.answer(call, response), Kind.RESPONSE, call.id, f"response {number} of {_CALLS}")
            for other in made[number + 1 :]:
                _nothing(world, other.client, "a caller who is still waiting got")
        servers = len({id(call.server) for call in made})
    return f"{_CALLS} calls of {_CALLS} clients over {servers} connection{'s' if servers > 1 else ''}"


def late_replies(subject: Subject) -> str:
    """A response that comes after its request's time was up reaches nobody, whoever calls meanwhile."""
    request, response = _frames(subject)
    with _world(subject) as world:
        world.rule(timeout=_TIMEOUT)
        late: list[Call] = []
        for number in range(_CALLS):
            call = world.call(request, number + 1)
            world.pass_time(_TIMEOUT)
            _expect(world, call.client, Kind.RESPONSE, _id(world, response, call.id), "after its timeout, a caller got")
            late.append(call)
            now = world.call(request, number + 1)
            if not late[number // 2].server.closed:
                late[number // 2].server.send(world.with_id(response, late[number // 2].upstream_id))
            _nothing(world, now.client, "when a response came too late, another caller got")
            _only(world.answer(now, response), Kind.RESPONSE, _id(world, response, now.id), "its own response was")
        for call in late:
            if not call.server.closed:
                call.server.send(world.with_id(response, call.upstream_id))
            _nothing(world, call.client, "a second response was")
    return f"{_CALLS} timeouts answered, and as many responses that came too late dropped"


def one_way(subject: Subject) -> str:
    """A one-way request goes on, and nothing is ever answered: neither by a server nor by Tage."""
    request, response = _frames(subject)
    frame = subject.need(Kind.ONE_WAY)[0].frame
    with _world(subject) as world:
        call = world.call(frame, 3)
        if call.sent != world.with_id(frame, call.upstream_id):
            raise Failed("the one-way request that a server got is not the one that was sent", call.sent)
        world.pass_time(60_000)
        _nothing(world, call.client, "a one-way request was answered by")
        again = world.call(request, 4, call.client)
        _only(world.answer(again, response), Kind.RESPONSE, _id(world, response, 4), "the next call's response was")
    with _world(subject) as world:
        client = world.client(world.with_id(frame, 3))
        while world.opening:
            world.refuse()
        _nothing(world, client, "a one-way request that nobody could take was answered by")
    return "carried on; never answered"


def local_replies(subject: Subject) -> str:
    """Where no server can be had, each caller gets a response with his id; his connection goes on."""
    request, response = _frames(subject)
    with _world(subject) as world:
        client = world.client()
        for id in (9, 10):
            client.send(world.with_id(request, id))
            while world.opening:
                world.refuse()
            _expect(world, client, Kind.RESPONSE, _id(world, response, id), "with no server, the client got")
        call = world.call(request, 11, client)
        _only(
            world.answer(call, response), Kind.RESPONSE, _id(world, response, 11), "with a server again, the client got"
        )
    return "refused connections are answered"


def heartbeats(subject: Subject) -> str:
    """A client's heartbeat is answered here; a server's too; a server that is idle is sent one."""
    request, response = _frames(subject)
    frame = subject.need(Kind.HEARTBEAT)[0].frame
    protocol = subject.protocol
    with _world(subject) as world:
        client = world.client(world.with_id(frame, 21))
        _expect(world, client, Kind.HEARTBEAT_ACK, _id(world, frame, 21), "for a heartbeat, the client got")
        if world.opening or world.servers:
            raise Failed("a client's heartbeat goes on to a server", frame)
        call = world.call(request, 22, client)
        world.answer(call, response)
        call.server.send(world.with_id(frame, 23))
        _expect(world, call.server, Kind.HEARTBEAT_ACK, _id(world, frame, 23), "for a heartbeat, the server got")
        sent = _sends_heartbeat(world, call.server) if protocol.heartbeat_interval else 0
        _nothing(world, client, "of what happens on a server's connection, the client got")
    return "answered on both sides" + (f"; sent to a server after {sent / 1000:g} s" if sent else "; none is sent")


def _sends_heartbeat(world: RpcWorld, server: End) -> int:
    """After how many ms."""
    interval = world.protocol.heartbeat_interval
    world.pass_time(interval)
    told = world.told(server)
    if [each.kind for each in told] != [Kind.HEARTBEAT]:
        raise Failed(f"a server that was idle for {interval} ms got {len(told)} frames in place of a heartbeat")
    answer = world.protocol.heartbeat_answer(told[0].frame, first(world.protocol, told[0].frame).shape)
    server.send(answer)
    if server.closed:
        raise Failed("a connection whose heartbeat was answered is closed", answer)
    return interval


def go_away_drains(subject: Subject) -> str:
    """A server that says go-away gets no further request; those under way are completed."""
    request, response = _frames(subject)
    frame = subject.need(Kind.GO_AWAY)[0].frame
    with _world(subject) as world:
        under_way = [world.call(request, id) for id in (1, 2, 3)]
        under_way[0].server.send(frame)
        later = world.call(request, 4)
        if later.server is under_way[0].server:
            raise Failed("after its go-away, a server got another request", later.sent)
        for call in [*under_way, later]:
            _only(world.answer(call, response), Kind.RESPONSE, _id(world, response, call.id), "a response was")
    return "calls under way are answered, others go elsewhere"


def framing_errors(subject: Subject) -> str:
    """A connection on which something else comes than the protocol is ended and not used again; calls on it are
    answered, and those of others go on."""
    request, response = _frames(subject)
    with _world(subject) as world:
        call = world.call(request, 1)
        call.server.send(_NOISE)
        if not call.server.closed:
            raise Failed("a server's connection is kept after this came on it", _NOISE)
        _expect(world, call.client, Kind.RESPONSE, _id(world, response, 1), "when its server broke, the client got")
        again = world.call(request, 2, call.client)
        if again.server is call.server:
            raise Failed("a broken connection is used again", again.sent)
        other = world.client(_NOISE)
        if not other.closed:
            raise Failed("a client's connection is kept after this came on it", _NOISE)
        _only(world.answer(again, response), Kind.RESPONSE, _id(world, response, 2), "another client's response was")
    return "ended on either side; the others go on"


def exceptions(subject: Subject) -> str:
    """A method that raises harms the connection on which it does, and no other."""
    request, response = _frames(subject)
    faulty = _faulty(subject.protocol)
    with _world(_Faulty(subject, faulty)) as world:
        # A rule that looks at metadata: that has headers() called.
        match = plan.RouteMatch(plan.StringMatch("prefix", "/"), [plan.HeaderMatch("x-tage-check")])
        everything = plan.RouteMatch(plan.StringMatch("prefix", "/"))
        world.route(*(plan.Route(each, clusters=[plan.WeightedCluster("c")]) for each in (match, everything)))
        good = world.call(request, 1)
        faulty.raises = True
        victim = world.client(world.with_id(request, 2))
        faulty.raises = False
        if not world.failures:
            raise Failed("headers() raised, and nobody was told of it", request)
        told = world.told(victim)
        if not victim.closed and [(each.kind, each.id) for each in told] != [(Kind.RESPONSE, _id(world, response, 2))]:
            raise Failed("when headers() raised, the connection was neither closed nor its request answered", request)
        _only(world.answer(good, response), Kind.RESPONSE, _id(world, response, 1), "another client's response was")
        more = world.call(request, 3)
        _only(world.answer(more, response), Kind.RESPONSE, _id(world, response, 3), "a later client's response was")
    return "those of other connections are not concerned"


class _Faulty(Subject):
    """The same frames; another protocol object."""

    def __init__(self, subject: Subject, protocol: Protocol) -> None:
        super().__init__(protocol, subject.seed)


def _faulty(protocol: Protocol) -> Any:
    cls: Any = type(protocol)

    class Faulty(cls):  # type: ignore[misc]
        """Raises what it likes, when it is told to."""

        raises = False

        def headers(self, frame, shape):  # type: ignore[no-untyped-def]
            if self.raises:
                raise RuntimeError("as the check wants it")
            return super().headers(frame, shape)

    return Faulty()


CHECKS: dict[str, Callable[[Subject], str]] = {
    "calls": calls,
    "out-of-order": out_of_order,
    "late-replies": late_replies,
    "one-way": one_way,
    "local-replies": local_replies,
    "heartbeats": heartbeats,
    "go-away-drains": go_away_drains,
    "framing-errors": framing_errors,
    "exceptions": exceptions,
}
