"""What a run's figures say, and what counts as a failure."""

from __future__ import annotations

import pytest

from bench.soak.changes import Change, Probes
from bench.soak.load import SLOT
from bench.soak.rude import Footprint
from bench.soak.verdict import Capacity, Kill, Load, Run, effect_ms, failures, longest_refusal, next_effect, windows

BEGIN = 1000.0
SECONDS = 4


def change(number: int, weight: int, seen: float | None = 0.11) -> Change:
    """Sent on time, taken at once, in effect after `seen` seconds."""
    at = BEGIN + number
    return Change(number, weight, at, at, at + 0.01, at + seen if seen is not None else 0.0)


def made(**fields: object) -> Run:
    """Four changes; the load is split as they say, 20 answers a slot."""
    values: dict[str, object] = {
        "capacity": Capacity(2000, 0.5),
        "rate": 1000.0,
        "seconds": float(SECONDS),
        "begin": BEGIN,
        "seed": 7,
        "connections": 32,
        "generators": 1,
        "load": Load(4000, 0, [], [1000, 2000, 3000, 40_000], _split([50, 100, 25, 0])),
        "changes": [change(0, 50), change(1, 100), change(2, 25), change(3, 0)],
        "probes": Probes(80),
        "kills": [Kill("the agent", BEGIN + 2.5, 0.1, 0.4)],
    }
    return Run(**{**values, **fields})  # type: ignore[arg-type]


def _split(weights: list[int]) -> dict[int, tuple[int, int]]:
    each = round(1 / SLOT)
    return {
        number * each + slot: (20 * weight // 100, 20 - 20 * weight // 100)
        for number, weight in enumerate(weights)
        for slot in range(each)
    }


def test_nothing_failed():
    run = made()
    assert failures(run) == []
    assert [window.deviation for window in windows(run)] == [0, 0, 0, 0]
    assert run.load.latency_ms(0.5) == 3


def test_a_window_begins_with_the_effect_and_ends_with_the_next_offer():
    run = made(changes=[change(0, 50, 0.5), change(1, 100, None), change(2, 25, 0.25), change(3, 0)])
    first, third, last = windows(run)
    assert (first.change.number, third.change.number, last.change.number) == (0, 2, 3)
    assert first.answers == 20 * 25
    assert third.answers == 20 * 37  # of 37.5 slots those that lie within as a whole
    assert last.answers == 20 * 44


def test_a_split_beyond_chance_is_a_failure_and_within_it_is_not():
    near = made(load=Load(1, slots=_split([55, 100, 25, 0])))
    assert failures(near) == []
    far = made(load=Load(1, slots=_split([65, 100, 25, 0])))
    assert failures(far) == ["0.11 s: weights 50/50 are in force, but v1 gave 572 and v2 308 answers"]


def test_one_answer_of_a_version_without_weight_is_a_failure():
    slots = _split([50, 100, 25, 0])
    slots[60] = (19, 1)
    assert failures(made(load=Load(1, slots=slots))) == [
        "1.11 s: weights 100/0 are in force, but v1 gave 879 and v2 1 answers"
    ]


def test_a_change_that_was_overtaken_counts_until_the_one_that_overtook_it():
    changes = [change(0, 50, 0.2), change(1, 100, None), change(2, 25, 0.3), change(3, 0, None)]
    assert effect_ms(changes) == pytest.approx([300, 1300, 200])


def test_a_change_that_was_refused_counts_from_its_last_offer():
    late = Change(1, 30, offered=1.0, sent=2.5, taken=2.6, seen=2.75, refusals=30)
    assert effect_ms([late]) == pytest.approx([250])
    assert longest_refusal([change(0, 50), late]) == pytest.approx(1.6)


def test_only_a_change_sent_after_a_kill_shows_that_it_was_overcome():
    run = made(kills=[Kill("the agent", BEGIN + 2.05, 0.1, 0.4)])
    assert next_effect(run, run.kills[0]) == pytest.approx(1.06)
    run = made(kills=[Kill("the agent", BEGIN + 3.05, 0.1, 0.4)])
    assert failures(run) == ["no change took effect after the kill of the agent at 3.0 s"]


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"load": Load(10, 2, [(1.5, "reset"), (0.5, "503")])}, "2 requests failed: 0.50 s: 503; 1.50 s: reset"),
        ({"load": Load()}, "no request was answered"),
        ({"probes": Probes(9, [(1.0, "probe: closed")])}, "1 requests failed: 1.00 s: probe: closed"),
        ({"retries": 3}, "a sidecar retried 3 times, though retries are off"),
        ({"kills": [Kill("the agent", BEGIN + 1)]}, "the agent, killed at 1.0 s, was not replaced"),
        ({"wrong": ["left running: python"]}, "left running: python"),
    ],
)
def test_what_fails(fields, said):
    assert failures(made(**fields)) == [said]


def test_replays_of_idempotent_requests_are_shown_and_are_no_failure():
    assert failures(made(replays=3)) == []


def test_what_workers_keep():
    assert failures(made(footprints=(Footprint(100, 50_000), Footprint(140, 60_000)))) == []
    (descriptors,) = failures(made(footprints=(Footprint(100, 50_000), Footprint(229, 50_000))))
    assert "100 descriptors before the load and 229 after" in descriptors
    (memory,) = failures(made(footprints=(Footprint(100, 50_000), Footprint(100, 70_000))))
    assert "grew from 50,000 KiB to 70,000 KiB" in memory
