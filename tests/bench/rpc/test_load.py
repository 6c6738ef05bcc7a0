"""The check of equal work lets no proxy through that does other work."""

import dataclasses

import pytest

from bench.load import Target
from bench.load.rpc import SHARES, RpcLoad
from bench.processes import BenchError
from bench.rpc.generate import Outcome, Plan
from bench.rpc.wires import CLUSTERS, WIRES

pytestmark = pytest.mark.processes


def outcome(**by_cluster: int) -> Outcome:
    counts = {cluster: by_cluster.get(cluster.replace("-", "_"), 0) for cluster in CLUSTERS}
    return Outcome(sum(counts.values()), 1.0, 0, 0.5, "", counts)


RIGHT = outcome(orders_1=800, orders_2=200, stocks_1=800, stocks_2=200)


@pytest.fixture
def load(monkeypatch):
    """Its generator finds what the test sets."""
    found = [RIGHT]
    monkeypatch.setattr(RpcLoad, "_generate", lambda self, target, seconds, rate=0.0: found[-1])
    load = RpcLoad("bolt", 8, 16)
    return load, found


def test_shares_add_up():
    assert sum(SHARES.values()) == pytest.approx(1)


@pytest.mark.parametrize("wire", WIRES)
def test_the_backend_alone_passes(backend, generate, monkeypatch, wire):
    monkeypatch.setattr(
        RpcLoad, "_generate", lambda self, target, seconds, rate=0.0: generate(plan(self, target, seconds))
    )
    RpcLoad(wire, 2, 4).verify(Target(backend["orders-1"], proxied=False))


def plan(load: RpcLoad, target: Target, seconds: float) -> Plan:
    return Plan(target.port, load.wire, load.connections, load.depth, seconds, routed=target.proxied)


def test_what_answers_a_service_without_a_route_is_refused(backend, load):
    with pytest.raises(BenchError, match="a service without a route is answered with"):
        load[0].verify(Target(backend["orders-1"]))


def test_where_frames_are_not_looked_at_only_the_shares_count(backend, load):
    frames = dataclasses.replace(load[0], routed=False)
    frames.verify(Target(backend["orders-1"]))
    load[1].append(outcome(orders_1=500, orders_2=500, stocks_1=500, stocks_2=500))
    with pytest.raises(BenchError, match="orders-1 gets 25% of the requests instead of 40%"):
        frames.verify(Target(backend["orders-1"]))


def test_a_failed_request_is_told(backend, load):
    load[1].append(dataclasses.replace(RIGHT, failures=2, reason="2 times another answer"))
    with pytest.raises(BenchError, match="2 failed: 2 times another answer"):
        load[0].verify(Target(backend["orders-1"], proxied=False))


def test_nobody_there_is_told(load):
    with pytest.raises(BenchError, match="ConnectionRefusedError"):
        load[0].verify(Target(1))
