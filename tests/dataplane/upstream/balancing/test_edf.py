"""Turns by weight."""

from __future__ import annotations

from collections import Counter

import pytest

from tage.dataplane.upstream.balancing.edf import Edf


def turns(edf: Edf, weights: list[float], n: int) -> list[int]:
    order = []
    for _ in range(n):
        at = edf.first()
        edf.advance(weights[at])
        order.append(at)
    return order


def test_the_same_weights_take_turns() -> None:
    assert turns(Edf([2.5] * 3), [2.5] * 3, 7) == [0, 1, 2, 0, 1, 2, 0]


def test_turns_of_one_lie_between_those_of_others() -> None:
    assert turns(Edf([5, 1, 1]), [5, 1, 1], 14) == [0, 0, 0, 1, 2, 0, 0] * 2


@pytest.mark.parametrize("weights", [[1, 2, 3, 4], [1e-6, 3e-6], [1e9, 1.0], [97, 13, 1, 60, 60]])
def test_each_has_what_it_weighs(weights: list[float]) -> None:
    """Never more than one off, whenever it is looked at."""
    edf, counts, total = Edf(weights), Counter[int](), sum(weights)
    for n in range(1, 5_000):
        counts.update(turns(edf, weights, 1))
        assert all(abs(counts[i] - n * weight / total) <= 1.5 for i, weight in enumerate(weights)), n


def test_it_goes_on_from_any_time() -> None:
    weights = [3.0, 1.0, 7.0, 0.5]
    edf = Edf(weights)
    for n in range(40):
        turns(edf, weights, n)
        other = Edf(weights)
        other.seek(edf.now, edf.last)
        ahead: Counter[int] = Counter()
        for here, there in zip(turns(edf, weights, 30), turns(other, weights, 30), strict=True):
            ahead[here] += 1
            ahead[there] -= 1
            # Who are due at the same time may come in another order, for rounding.
            assert sum(map(abs, ahead.values())) <= 4


def test_a_weight_that_changes_counts_from_the_next_turn_on() -> None:
    edf = Edf([1, 1])
    turns(edf, [1, 1], 10)
    counts = Counter(turns(edf, [1, 9], 1_000))
    assert counts[1] == pytest.approx(900, abs=10)
