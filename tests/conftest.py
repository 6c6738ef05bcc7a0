"""Tests of processes share the cores with each other and with whatever else the machine does. One that fails is run
once more, and named in the summary (RERUN): what fails twice has failed."""

from __future__ import annotations

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.get_closest_marker("processes") is not None:
            item.add_marker(pytest.mark.flaky(reruns=1, reruns_delay=1))
