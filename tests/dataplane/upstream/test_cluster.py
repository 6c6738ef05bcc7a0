"""Clusters: who is picked, how often, and what a change of hosts leaves alone."""

from collections import Counter

import pytest

from tage.dataplane.native import Random
from tage.dataplane.net.timers import TimerWheel
from tage.dataplane.protocols.writer import ByteWriter
from tage.dataplane.streams.http1_upstream import Http1UpstreamConnection
from tage.dataplane.telemetry import layout
from tage.dataplane.telemetry.store import StatStore
from tage.dataplane.upstream.balancing.settings import Settings
from tage.dataplane.upstream.cluster import Cluster
from tage.dataplane.upstream.endpoint import Assignment
from tage.dataplane.upstream.limits import Limit
from tage.xprotocol_testing.fakes import FakeLoop, FakeTransport


@pytest.fixture
def store(tmp_path):
    return StatStore(tmp_path / "stats")


@pytest.fixture
def make(store):
    def make(*weights, lb="round_robin"):
        loop = FakeLoop()
        wheel = TimerWheel(loop.call_later, loop.clock)
        cluster = Cluster("c", store.group(layout.CLUSTER, "c"), wheel, lambda host: None)
        cluster.set_lb(lb)
        cluster.set_hosts(endpoints(*weights))
        return cluster

    return make


def endpoints(*weights, healthy=True):
    return [(f"10.0.0.{i}", 80, weight, healthy) for i, weight in enumerate(weights)]


def picks(cluster, n, *tried):
    random = Random(5)
    return [int(cluster.pick(random, list(tried) or None).address.rsplit(".")[-1]) for _ in range(n)]


def connect(host):
    """A connection in the host's pool."""
    loop = FakeLoop()
    connection = Http1UpstreamConnection(host, ByteWriter())
    transport = FakeTransport(loop)
    host.connecting += 1
    host.opening()
    transport.attach(connection)
    host.connected(connection)
    return loop, transport


# -- turns -------------------------------------------------------------------------------------------------------------


def test_round_robin_takes_turns(make):
    assert picks(make(1, 1, 1), 7) == [0, 1, 2, 0, 1, 2, 0]


@pytest.mark.parametrize(
    ("weights", "turn"),
    [((3, 1), 4), ((6, 2), 4), ((5, 1, 1), 7), ((100, 100), 2), ((1, 0, 2), 3), ((128, 64, 64), 4), ((7, 5, 3), 15)],
)
def test_weights_hold_in_every_turn(make, weights, turn):
    cluster = make(*weights)
    for _ in range(3):
        counted = Counter(picks(cluster, turn))
        assert [counted[i] * sum(weights) for i in range(len(weights))] == [weight * turn for weight in weights]


def test_weights_are_spread_over_the_turn(make):
    order = picks(make(5, 5, 10), 4)
    assert sorted(order) == [0, 1, 2, 2]
    longest = max(len(run) for run in "".join(map(str, picks(make(2, 1, 1), 400))).replace("1", "2").split("2"))
    assert longest <= 2


def test_large_weights_keep_their_proportions(make):
    weights = [1, 10, 100, 1_000, 1_000_000, 2_000_000]
    counted = Counter(picks(make(*weights), 30_012))
    assert counted[5] / counted[4] == pytest.approx(2, rel=0.001)
    assert counted[4] / counted[3] == pytest.approx(1_000, rel=0.1)


def test_thousands_of_hosts_with_weights_are_quick(make):
    cluster = make(*(i % 97 + 1 for i in range(3_000)))
    assert set(picks(cluster, 97 * 3_000)) == set(range(3_000))


@pytest.mark.parametrize("hosts", [[], [("10.0.0.1", 80, 1, False)], [("10.0.0.1", 80, 0, True)]])
def test_nobody_to_pick(make, hosts):
    cluster = make()
    cluster.assign(Assignment(), Settings(panic_threshold=0))
    cluster.set_hosts(hosts)
    assert cluster.pick(Random(1), None) is None


def test_where_nobody_is_healthy_all_are_asked(make):
    cluster = make()
    cluster.assign(Assignment(), Settings(panic_threshold=50))
    cluster.set_hosts(endpoints(1, 1, healthy=False))
    assert picks(cluster, 4) == [0, 1, 0, 1]


def test_unhealthy_hosts_are_left_out(make, store):
    cluster = make()
    cluster.set_hosts([("10.0.0.0", 80, 1, False), ("10.0.0.1", 80, 1, True)])
    assert picks(cluster, 3) == [1, 1, 1]
    stats = store.group(layout.CLUSTER, "c")
    assert (stats.value("membership_total"), stats.value("membership_healthy")) == (2, 1)


def test_random_follows_the_weights(make):
    counted = Counter(picks(make(3, 1, lb="random"), 8_000))
    assert counted[0] / 8_000 == pytest.approx(0.75, abs=0.03)


def test_least_request_prefers_the_less_busy_of_two(make):
    cluster = make(1, 1, 1, 1, lb="least_request")
    for i, host in enumerate(cluster.hosts):
        host.active = i
    counted = Counter(picks(cluster, 16_000))
    # Of two drawn with replacement the better: 7/16, 5/16, 3/16, 1/16.
    for i, share in enumerate([7, 5, 3, 1]):
        assert counted[i] / 16_000 == pytest.approx(share / 16, abs=0.02)


def test_an_unknown_policy(make):
    with pytest.raises(ValueError, match="no load balancing policy 'first'"):
        make(1).set_lb("first")


@pytest.mark.parametrize("lb", ["round_robin", "random"])
def test_connections_are_opened_ahead_where_they_will_be_used(store, lb):
    asked = []
    loop = FakeLoop()
    wheel = TimerWheel(loop.call_later, loop.clock)
    cluster = Cluster("c", store.group(layout.CLUSTER, "c"), wheel, asked.append)
    cluster.set_lb(lb)
    cluster.set_hosts(endpoints(*[1] * 40))
    cluster.set_preconnect(1, 3)
    random = Random(7)
    host = cluster.pick(random, None)
    cluster.counts.up(Limit.REQUESTS)
    host.active += 1
    host.opening()
    cluster.preconnect(host, random)
    assert len(asked) == 2
    cluster.preconnect(host, random)
    assert len(asked) == 2, "three for one request are there"
    assert [cluster.pick(random, None) for _ in asked] == asked
    cluster.set_hosts(endpoints(1))
    assert cluster.pick(random, None) is cluster.hosts[0]


# -- what failed is avoided --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lb", ["round_robin", "random", "least_request"])
@pytest.mark.parametrize("weights", [(1, 1), (1, 1, 1, 1), (1_000, 1), (1, 50, 1)])
def test_the_host_that_failed_is_avoided(make, lb, weights):
    cluster = make(*weights, lb=lb)
    avoided = weights.index(max(weights))
    assert avoided not in picks(cluster, 300, cluster.hosts[avoided])


def test_the_only_host_is_not_avoided(make):
    cluster = make(1)
    assert picks(cluster, 2, cluster.hosts[0]) == [0, 0]
    cluster = make(2)
    assert picks(cluster, 2, cluster.hosts[0]) == [0, 0]


def test_a_host_that_is_gone_is_not_found_in_its_place(make):
    cluster = make(1, 1)
    gone = cluster.hosts[0]
    cluster.set_hosts(endpoints(1, 1)[1:])
    assert picks(cluster, 2, gone) == [1, 1]


# -- hosts come and go -------------------------------------------------------------------------------------------------


def test_hosts_that_stay_keep_their_connections(make):
    cluster = make(1, 1)
    kept, gone = cluster.hosts
    _, kept_transport = connect(kept)
    gone_loop, gone_transport = connect(gone)
    gone.active = 1
    cluster.set_hosts([("10.0.0.9", 80, 1, True), ("10.0.0.0", 80, 7, True)])
    assert cluster.hosts[1] is kept
    assert (kept.weight, kept.retired, kept.idle_connections()) == (7, False, 1)
    assert not kept_transport.closing
    assert gone.retired
    assert gone_transport.closing
    gone_loop.settle()
    assert cluster.counts.own(Limit.CONNECTIONS) == 1
    cluster.set_hosts([("10.0.0.0", 80, 7, False)])
    assert kept.idle_connections() == 1, "health does not close connections"


def test_another_port_is_another_host(make):
    cluster = make(1)
    old = cluster.hosts[0]
    cluster.set_hosts([("10.0.0.0", 81, 1, True)])
    assert cluster.hosts[0] is not old
    assert old.retired


def test_a_host_given_twice_is_one(make):
    cluster = make(1, 1)
    host = cluster.hosts[0]
    connect(host)
    cluster.set_hosts([*endpoints(1, 1), ("10.0.0.0", 80, 9, True)])
    assert len(cluster.hosts) == 2
    assert host.weight == 1
    cluster.set_hosts(endpoints(1, 1))
    assert cluster.hosts[0] is host
    assert host.idle_connections() == 1


def test_an_update_does_not_begin_the_round_anew(make):
    """With an update a request the first host would have all of them."""
    cluster = make(1, 1, 1)
    seen = []
    for _ in range(6):
        seen += picks(cluster, 1)
        cluster.set_hosts(endpoints(1, 1, 1))
    assert sorted(seen) == [0, 0, 1, 1, 2, 2]


def test_fewer_hosts_than_before(make):
    cluster = make(1, 1, 1, 1)
    picks(cluster, 3)
    cluster.set_hosts(endpoints(1, 1))
    assert sorted(picks(cluster, 2)) == [0, 1]


def test_a_cluster_that_closes(make, store):
    cluster = make(1)
    host = cluster.hosts[0]
    loop, transport = connect(host)
    cluster.close()
    loop.settle()
    assert transport.lost
    assert cluster.counts.own(Limit.CONNECTIONS) == 0
    assert cluster.pick(Random(1), None) is None
    assert store.group(layout.CLUSTER, "c").value("membership_total") == 0


# -- a logical cluster -------------------------------------------------------------------------------------------------


def test_the_address_of_a_logical_host_moves_and_its_connections_stay(make):
    cluster = make(1)
    cluster.logical = True
    [host] = cluster.hosts
    connect(host)
    cluster.set_hosts([("10.0.9.9", 81, 3, True)])
    assert cluster.hosts == [host]
    assert (host.address, host.port, host.weight, host.retired) == ("10.0.9.9", 81, 3, False)
    assert host.idle_connections() == 1
    assert cluster.pick(Random(1), None) is host
    cluster.set_hosts([])
    assert host.retired
    assert host.idle_connections() == 0


@pytest.mark.parametrize("kept", [0, 1])
def test_a_cluster_that_becomes_logical_keeps_the_host_with_the_address(make, kept):
    cluster = make(1, 1)
    cluster.logical = True
    hosts = list(cluster.hosts)
    cluster.set_hosts(endpoints(1, 1)[kept : kept + 1])
    assert cluster.hosts == [hosts[kept]]
    assert [host.retired for host in hosts] == [kept != 0, kept != 1]
