"""Ring hash and maglev: evenness, and what a change of hosts moves."""

from __future__ import annotations

from collections import Counter

import pytest

from tage.dataplane.routing.hashing import xxh64
from tage.dataplane.upstream.balancing.ring_hash import PASSES, RingHash, points
from tests.dataplane.upstream.balancing.conftest import LIMITS, chi_square

KEYS = [xxh64(b"key-%d" % i) for i in range(2_000)]
RING = {"policy": "ring_hash", "min_ring_size": 4_000}
TABLE = {"policy": "maglev", "table_size": 2_003}


@pytest.mark.parametrize("settings", [RING, TABLE])
def test_a_key_has_its_host(balanced, settings):
    made, again = balanced(10, **settings), balanced(10, **settings)
    placed = [made.pick(key=key) for key in KEYS]
    assert placed == [made.pick(key=key) for key in KEYS]
    assert placed == [again.pick(key=key) for key in KEYS]


def test_the_order_of_endpoints_does_not_count(balanced):
    """Of equal weights, and as many points as there are whole numbers of."""
    for settings in (RING, TABLE):
        made, other = balanced(10, **settings), balanced(10, **settings)
        other.assign([{"name": name} for name in reversed(range(10))])
        assert [made.pick(key=key) for key in KEYS] == [other.pick(key=key) for key in KEYS]


def test_maglev_is_even(balanced):
    made = balanced(10, **TABLE)
    counts = Counter(made.pick(key=key) for key in KEYS)
    assert chi_square([counts[i] for i in range(10)], [len(KEYS) / 10] * 10) < LIMITS[9]


def test_ring_hash_is_as_even_as_its_points_let_it_be(balanced):
    """400 points a host: shares vary by 1 / sqrt(400), and those of keys by 1 / sqrt(200)."""
    made = balanced(10, **RING)
    counts = Counter(made.pick(key=key) for key in KEYS)
    assert all(count == pytest.approx(len(KEYS) / 10, rel=0.35) for count in counts.values())
    assert len(counts) == 10


@pytest.mark.parametrize("settings", [RING, TABLE])
def test_weights(balanced, settings):
    made = balanced([{"weight": w} for w in (1, 2, 5)], **settings)
    counts = Counter(made.pick(key=key) for key in KEYS)
    for i, weight in enumerate((1, 2, 5)):
        assert counts[i] / len(KEYS) == pytest.approx(weight / 8, abs=0.04)


@pytest.mark.parametrize("settings", [RING, TABLE])
def test_without_a_key_a_host_is_drawn(balanced, settings):
    shares = balanced(4, **settings).shares(4_000)
    assert all(share == pytest.approx(0.25, abs=0.03) for share in shares.values())


@pytest.mark.parametrize("settings", [RING, TABLE])
def test_a_host_that_goes_moves_few_others(balanced, settings):
    """On a ring none would move, if those that stay did not get more points, as in Envoy. Of a table a few percent do
    that is a hundred times as large as there are hosts (Maglev's paper, 5.3)."""
    made = balanced(20, **settings)
    before = [made.pick(key=key) for key in KEYS]
    made.assign([{"name": name} for name in range(20) if name != 7])
    after = [made.pick(key=key) for key in KEYS]
    others = [(was, now) for was, now in zip(before, after, strict=True) if was != 7]
    assert sum(was != now for was, now in others) / len(others) < 0.06
    assert 7 not in after


@pytest.mark.parametrize(("settings", "bound"), [(RING, 0.12), (TABLE, 0.11)])
def test_a_host_that_comes_takes_its_share_and_little_more(balanced, settings, bound):
    made = balanced(20, **settings)
    before = [made.pick(key=key) for key in KEYS]
    made.assign([{}] * 21)
    after = [made.pick(key=key) for key in KEYS]
    changed = [now for was, now in zip(before, after, strict=True) if was != now]
    assert 0.02 < len(changed) / len(KEYS) < bound
    assert after.count(20) / len(KEYS) == pytest.approx(1 / 21, abs=0.02)


def test_a_host_that_fails_and_comes_back_gets_its_keys_back(balanced):
    made = balanced(10, **RING)
    before = [made.pick(key=key) for key in KEYS]
    made.host(3).mark(2, True)
    made.cluster.refresh()
    without = [made.pick(key=key) for key in KEYS]
    assert 3 not in without
    assert sum(was != now for was, now in zip(before, without, strict=True) if was != 3) / len(KEYS) < 0.12
    made.host(3).mark(2, False)
    made.cluster.refresh()
    assert [made.pick(key=key) for key in KEYS] == before


def test_hosts_are_hashed_by_metadata_or_by_name_if_so_configured(balanced):
    def placed(hosts, **settings):
        made = balanced(hosts, **settings)
        return [made.pick(key=key) for key in KEYS[:500]]

    names = [{"hostname": f"h{i}"} for i in range(5)]
    for settings in (RING, TABLE):
        by_address = placed(5, **settings)
        by_name = placed(names, **settings, hash_hostname=True)
        by_key = placed([{"metadata": {"hash_key": f"h{i}"}} for i in range(5)], **settings)
        assert placed(names, **settings) == by_address
        assert by_name == by_key != by_address


# -- the ring itself ---------------------------------------------------------------------------------------------------


def test_points_of_equal_weights_are_the_same_for_all() -> None:
    assert points([0.25] * 4, 1024, 8_000_000) == [256] * 4
    assert points([1 / 3] * 3, 1024, 8_000_000) == [342] * 3
    assert points([0.001] * 1_000, 1024, 8_000_000) == [2] * 1_000


def test_points_follow_the_weights_up_to_the_largest_ring() -> None:
    assert points([0.1, 0.9], 10, 100) == [1, 9]
    counts = points([0.25] * 4, 6, 6)
    assert counts == [2, 1, 2, 1], "Envoy's example, in the comments of ring_hash_lb.cc"


def test_a_key_goes_to_the_first_point_that_is_not_before_it() -> None:
    class Named:
        def __init__(self, name: str) -> None:
            self.name = name

    names = [b"10.0.0.1:80", b"10.0.0.2:80"]
    ring = RingHash([Named("a"), Named("b")], 8)
    for owner, name in enumerate(names):
        ring.add(owner, name, 4)
    for digit in range(PASSES):
        ring.sort(digit)
    placed = sorted((xxh64(b"%b_%d" % (name, i)), owner) for owner, name in enumerate(names) for i in range(4))
    for at, (point, owner) in enumerate(placed):
        following = placed[(at + 1) % 8][1]
        assert ring.place(point, 0) == owner
        assert ring.place(point - 1, 0) == owner or placed[at - 1][0] == point - 1
        assert ring.place(point + 1, 0) == following, "after the last one comes the first"
        assert ring.place(point, 1) == following
    assert ring.place(0, 0) == placed[0][1]


# -- bounded loads -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("settings", [RING, TABLE])
def test_no_host_gets_more_than_its_share_times_the_factor(balanced, settings):
    made = balanced(8, **settings, balance_factor=150)
    made.cluster.max_requests = 10_000
    key = KEYS[1]
    for n in range(1, 200):
        made.cluster.counts.up(2)
        host = made.cluster.pick(made.random, None, key)
        host.active += 1
        most = max(made.host(i).active for i in range(8))
        assert most <= -(-(n * 150 + 99) // 100 // 8) + 1
    assert sum(made.host(i).active > 0 for i in range(8)) == 6, "8 / 1.5, rounded up"


def test_what_is_too_much_goes_the_same_way_each_time(balanced):
    made = balanced(8, **TABLE, balance_factor=120)
    for _ in range(10):
        made.cluster.counts.up(2)
    first = made.host(made.pick(key=KEYS[0]))
    first.active = 10
    second = made.pick(key=KEYS[0])
    assert made.picks(5, key=KEYS[0]) == [second] * 5
    assert made.host(second) is not first
    seconds = set()
    for key in KEYS:
        first.active = 0
        if made.host(made.pick(key=key)) is first:
            first.active = 10
            seconds.add(made.pick(key=key))
    assert len(seconds) == 7, "each key has an order of its own"


def test_where_all_have_too_much_the_least_loaded_gets_more(balanced):
    made = balanced(3, **TABLE, balance_factor=100)
    for i, active in enumerate((9, 5, 7)):
        made.host(i).active = active
    assert made.picks(3, key=KEYS[0]) == [1] * 3
