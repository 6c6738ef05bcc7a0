"""What an overloaded worker does with new requests."""

from tage.dataplane.native import Random
from tests.dataplane.streams.test_failures import flags, status
from tests.dataplane.streams.world import GET, OK


def overload(world, probes=60):
    """Waits of 10 ms for a while, with a target of 5."""
    world.context.random = Random(9)
    world.context.overload.configure(5, 100)
    now = world.wheel.now_us()
    for i in range(probes):
        world.context.overload.measure(now - (probes - i) * 10_000, 10_000)
    assert world.context.overload.share > 30


def test_a_share_is_refused_and_the_rest_served(world):
    world.warm()
    overload(world)
    client = world.client()
    shed = 0
    n = 300
    for _ in range(n):
        client.send(GET)
        got = client.takes()
        if got:
            assert (status(got), flags(got)) == (503, "OM")
            shed += 1
        else:
            world.servers[-1].send(OK)
            assert client.takes() == OK
    share = world.context.overload.share / 64
    assert abs(shed - n * share) < 5 * (n * share * (1 - share)) ** 0.5
    assert world.listener.stats.value("overload.shed") == shed
    assert world.down("rq_5xx") == shed


def test_a_listener_may_keep_out(world):
    world.warm()
    world.listener.sheds = False
    overload(world)
    client = world.client()
    for _ in range(100):
        client.send(GET)
        world.servers[-1].send(OK)
        assert client.takes() == OK
    assert world.listener.stats.value("overload.shed") == 0


def test_without_overload_nothing_is_refused(world):
    world.warm()
    world.context.overload.configure(5, 100)
    client = world.client()
    for _ in range(100):
        client.send(GET)
        world.servers[-1].send(OK)
        assert client.takes() == OK
    assert world.listener.stats.value("overload.shed") == 0
