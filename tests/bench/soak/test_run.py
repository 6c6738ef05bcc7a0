"""The soak run itself, short: a real mesh, changes every second, three kills, and not one failed request."""

from __future__ import annotations

import pytest

from bench.soak.run import Settings, soak
from bench.soak.verdict import failures, windows

pytestmark = pytest.mark.processes


def test_no_request_fails_while_weights_change_and_processes_are_killed() -> None:
    said: list[str] = []
    run = soak(Settings(seconds=8, rate=250, connections=16, seed=7), said.append)
    assert failures(run) == [], said
    assert run.load.requests == pytest.approx(8 * 250, rel=0.15)
    assert [kill.what for kill in run.kills] == ["the control plane", "the caller's agent", "a callee's agent"]
    assert len(windows(run)) >= 3
    assert run.rude > 20
    assert run.footprints is not None
    assert min(run.footprints[0].descriptors, run.footprints[0].private_kib) > 0
