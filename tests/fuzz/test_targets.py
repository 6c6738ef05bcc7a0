"""A second of each fuzz target, the same inputs each time: `make fuzz` runs them for longer."""

from __future__ import annotations

import pytest

from fuzz import driver
from fuzz.targets import TARGETS


@pytest.mark.parametrize("name", TARGETS)
def test_a_second_of_fuzzing_finds_nothing(name: str):
    outcome = driver.run(TARGETS[name], 1.0, seed=20)
    assert outcome.runs >= len(TARGETS[name].seeds())
    assert outcome.corpus > 10


@pytest.mark.parametrize("name", TARGETS)
def test_what_memory_is_measured_with_reads_every_seed(name: str):
    target = TARGETS[name]
    assert max(len(data) for data in target.seeds()) > 0
    for data in target.seeds()[::10]:
        driver.examine(target, data[: target.max_size])
