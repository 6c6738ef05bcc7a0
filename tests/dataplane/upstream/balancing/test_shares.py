"""How requests are shared out over priorities: Envoy's documentation, "Priority levels" and "Panic threshold"."""

from __future__ import annotations

import pytest

from tage.dataplane.upstream.balancing.shares import Level, Shares


def shares(*healthy: int, hosts: int = 100, panic: int = 50, overprovisioning: int = 140, degraded=()) -> Shares:
    """`healthy` of each priority's `hosts`."""
    rest = [*degraded, *[0] * len(healthy)]
    return Shares([Level(hosts, n, rest[i]) for i, n in enumerate(healthy)], overprovisioning, panic)


@pytest.mark.parametrize(
    ("healthy", "expected"),
    [
        ((100, 100), [100, 0]),
        ((72, 100), [100, 0]),
        ((71, 100), [99, 1]),
        ((50, 100), [70, 30]),
        ((25, 100), [35, 65]),
        ((0, 100), [0, 100]),
        ((100, 100, 100), [100, 0, 0]),
        ((72, 72, 100), [100, 0, 0]),
        ((50, 50, 100), [70, 30, 0]),
        ((20, 30, 100), [28, 42, 30]),
        ((20, 20, 20), [34, 33, 33]),
    ],
)
def test_documented_shares(healthy: tuple[int, ...], expected: list[int]) -> None:
    found = shares(*healthy, panic=0)
    assert found.healthy == expected
    assert sum(found.degraded) == 0


@pytest.mark.parametrize(
    ("healthy", "panics"),
    [
        ((72, 72), [False, False]),
        ((71, 1), [False, False]),
        ((50, 60), [False, False]),
        ((25, 25), [True, True]),
        ((5, 65), [True, False]),
        ((0, 60), [True, False]),
    ],
)
def test_panic_only_where_all_together_are_too_few(healthy: tuple[int, ...], panics: list[bool]) -> None:
    assert shares(*healthy).panics == panics


def test_where_all_panic_the_number_of_hosts_counts() -> None:
    found = Shares([Level(10, 0, 0), Level(20, 1, 0), Level(0, 0, 0)], 140, 50)
    assert found.panics == [True, True, True]
    assert found.healthy == [34, 66, 0]


def test_nobody_healthy_and_no_panic() -> None:
    found = shares(0, 0, panic=0)
    assert (found.healthy, found.panics) == ([100, 0], [False, False])


def test_what_healthy_hosts_cannot_take_goes_to_degraded_ones() -> None:
    """Per Envoy's documentation of degraded endpoints."""
    found = shares(25, degraded=(75,))
    assert (found.healthy, found.degraded, found.panics) == ([35], [65], [False])
    found = shares(0, degraded=(10,), panic=0)
    assert (found.healthy, found.degraded) == ([0], [100])


def test_another_overprovisioning_factor() -> None:
    assert shares(50, 100, overprovisioning=200).healthy == [100, 0]
    assert shares(50, 100, overprovisioning=100).healthy == [50, 50]
