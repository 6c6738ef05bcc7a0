"""Round robin, random and least request: who gets how much."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.dataplane.upstream.balancing.conftest import LIMITS, chi_square

WEIGHTS = [1, 2, 3, 4]
WEIGHTED = [{"weight": weight} for weight in WEIGHTS]


def test_round_robin_without_weights_is_even_at_any_time(balanced):
    made = balanced(7)
    counts = Counter()
    for _ in range(100):
        counts.update(made.picks(1))
        assert max(counts.values()) - min(counts[i] for i in range(7)) <= 1


def test_round_robin_with_weights(balanced):
    counts = Counter(balanced(WEIGHTED).picks(1_000))
    assert [counts[i] for i in range(4)] == [100, 200, 300, 400]


@pytest.mark.parametrize("hosts", [[{}] * 10, WEIGHTED])
def test_random(balanced, hosts):
    n = 20_000
    counts = Counter(balanced(hosts, policy="random").picks(n))
    weights = [host.get("weight", 1) for host in hosts]
    expected = [n * weight / sum(weights) for weight in weights]
    assert chi_square([counts[i] for i in range(len(hosts))], expected) < LIMITS[len(hosts) - 1]


def test_random_with_weights_larger_than_32_bits_in_all(balanced):
    shares = balanced([{"weight": 0xFFFFFFFF}, {"weight": 0xFFFFFFFF}, {"weight": 1}], policy="random").shares(4_000)
    assert shares[0] == pytest.approx(0.5, abs=0.03)
    assert shares[1] == pytest.approx(0.5, abs=0.03)


@pytest.mark.parametrize("choices", [2, 3, 5])
def test_least_request_takes_the_least_busy_of_its_choices(balanced, choices):
    """Host i has i requests: it is chosen when it is drawn and none before it is."""
    made, n = balanced(4, policy="least_request", choice_count=choices), 20_000
    for i in range(4):
        made.host(i).active = i
    counts = Counter(made.picks(n))
    expected = [n * ((4 - i) ** choices - (3 - i) ** choices) / 4**choices for i in range(4)]
    assert chi_square([counts[i] for i in range(4)], expected) < LIMITS[3]


def test_least_request_of_equals_is_even(balanced):
    n = 20_000
    counts = Counter(balanced(20, policy="least_request").picks(n))
    assert chi_square([counts[i] for i in range(20)], [n / 20] * 20) < LIMITS[19]


def test_least_request_with_weights_and_nothing_under_way(balanced):
    counts = Counter(balanced(WEIGHTED, policy="least_request").picks(1_000))
    assert [counts[i] for i in range(4)] == [100, 200, 300, 400]


@pytest.mark.parametrize(("bias", "share"), [(0.0, 0.5), (1.0, 1 / 5), (0.5, 1 / 3), (2.0, 1 / 17)])
def test_least_request_with_weights_takes_the_bias_into_account(balanced, bias, share):
    """Weights 3 and 3 (and 1, so that they are not all the same); one has three requests under way."""
    made = balanced([{"weight": 3}, {"weight": 3}, {"weight": 1}], policy="least_request", active_request_bias=bias)
    made.host(0).active = 3
    counts = Counter(made.picks(7_000))
    assert counts[0] / (counts[0] + counts[1]) == pytest.approx(share, abs=0.005)
    assert counts[2] / counts[1] == pytest.approx(1 / 3, abs=0.005)


@pytest.mark.parametrize("policy", ["round_robin", "random", "least_request", "ring_hash", "maglev"])
@pytest.mark.parametrize("hosts", [[{}] * 5, [{"weight": 1000}, {}, {}]])
def test_hosts_that_failed_are_avoided(balanced, policy, hosts):
    made = balanced(hosts, policy=policy, table_size=1009)
    tried = [made.host(0), made.host(2)]
    keys = range(1, 2**64, 2**57)
    assert {made.pick(tried, key) for key in keys}.isdisjoint({0, 2})
    everyone = [made.host(i) for i in range(len(hosts))]
    assert made.pick(everyone, 77) is not None, "all have failed: one of them is asked again"
