"""The bench of plans, small."""

from __future__ import annotations

import asyncio

from bench import plans


def test_it_measures_every_change_and_every_policy() -> None:
    slices, picks = asyncio.run(plans.measure(1, 3, 5))
    assert len(slices) == 3 + 3 * len(plans.POLICIES)
    assert picks.keys() == set(plans.POLICIES)
    for name, _, longest, _, committing in plans.rows(slices):
        assert float(longest) >= 0, name
        assert float(committing) >= 0, name
