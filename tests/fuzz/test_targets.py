"""A thousand inputs of each fuzz target, the same each time: `make fuzz` runs them for longer."""

from __future__ import annotations

import pytest

from fuzz import driver
from fuzz.targets import TARGETS


@pytest.mark.parametrize("name", TARGETS)
def test_a_thousand_inputs_find_nothing(name: str):
    outcome = driver.run(TARGETS[name], 60, seed=20, inputs=1000)
    assert outcome.runs >= len(TARGETS[name].seeds())
    assert outcome.corpus > 10


@pytest.mark.parametrize("name", TARGETS)
def test_what_memory_is_measured_with_reads_every_seed(name: str):
    target = TARGETS[name]
    assert max(len(data) for data in target.seeds()) > 0
    for data in target.seeds()[::10]:
        driver.examine(target, data[: target.max_size])
