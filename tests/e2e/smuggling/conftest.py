from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator

import pytest

from tests.e2e.bootstraps import bootstrap, cluster, listener, route
from tests.e2e.ports import free_port
from tests.e2e.sidecar import sidecar
from tests.e2e.smuggling.lane import Lane

CASES = int(os.environ.get("TAGE_DIFFERENTIAL", "0"))
"""0: what `make test` has the time for."""
SEED = int(os.environ.get("TAGE_DIFFERENTIAL_SEED", "1"))
_REPORTED = 5


@pytest.fixture(scope="module")
def lane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lane]:
    """A sidecar that sends all it takes to the lane's origin."""
    port = free_port()
    lane = Lane()
    everything = {"name": "any", "domains": ["*"], "routes": [route("origin", "", timeout="0s")]}
    # A long run on a busy machine may be kept waiting.
    origin = cluster("origin", lane.port, connect_timeout="20s")
    content = bootstrap(free_port(), [listener("l", port, [everything])], [origin])
    try:
        with sidecar(tmp_path_factory.mktemp("differential"), content) as running:
            worker = running.worker
            lane.sidecar_port = port
            yield lane
            assert running.worker == worker
            assert "Traceback" not in running.log
    finally:
        lane.close()


class Report:
    """Collects what is wrong, up to a few cases; each with what it takes to see it again."""

    def __init__(self) -> None:
        self.cases = 0
        self._wrong: list[str] = []

    def add(self, case: object, cuts: object, wrong: list[str]) -> None:
        self.cases += 1
        if wrong:
            self._wrong.append(f"seed {SEED}, {case!r:.2000}, cut at {cuts}: " + "; ".join(wrong))
            if len(self._wrong) == _REPORTED:
                self.check()

    def check(self) -> None:
        assert not self._wrong, "\n\n".join(self._wrong)


@pytest.fixture
def report() -> Iterator[Report]:
    made = Report()
    yield made
    made.check()


@pytest.fixture
def source() -> random.Random:
    return random.Random(SEED)


Sample = Callable[[list, int], list]


@pytest.fixture
def sample(source: random.Random) -> Sample:
    """So many of a list; all of it in a long run."""
    return lambda cases, count: cases if CASES or count >= len(cases) else source.sample(cases, count)


def whole_or_cut(source: random.Random, size: int) -> list[list[int]]:
    """Where something of that size is cut: nowhere or somewhere; both in a long run."""
    both = [[], [source.randrange(size + 1)]]
    return both if CASES else [source.choice(both)]
