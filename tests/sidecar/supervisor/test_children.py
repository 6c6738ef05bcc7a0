from __future__ import annotations

import os

import pytest

from tage.sidecar.supervisor.children import STEADY, Backoff, start


def test_backoff() -> None:
    backoff = Backoff()
    assert [backoff.delay(0) for _ in range(9)] == [0, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5, 5]
    assert [backoff.delay(STEADY), backoff.delay(STEADY - 1), backoff.delay(1)] == [0, 0.1, 0.2]
    for _ in range(2000):
        assert backoff.delay(0) <= 5


def test_what_cannot_be_started_leaves_no_descriptor() -> None:
    before = os.listdir("/proc/self/fd")
    with pytest.raises(FileNotFoundError):
        start(lambda fd: ["/nowhere/to/be/found"], lambda fd: {})
    assert os.listdir("/proc/self/fd") == before
