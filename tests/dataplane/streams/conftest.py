import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.dataplane.streams.world import World

_MEMORY = "/dev/shm"
"""A statistics file on a disk takes longer to make than most of these tests."""


class Worlds:
    """Makes worlds, and checks at the test's end that nothing is left in them."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.made: list[World] = []

    def __call__(self, *args: Any, **kwargs: Any) -> World:
        path = self.path / str(len(self.made))
        path.mkdir()
        self.made.append(World(path, *args, **kwargs))
        return self.made[-1]


@pytest.fixture
def make_world() -> Iterator[Worlds]:
    with tempfile.TemporaryDirectory(dir=_MEMORY if os.access(_MEMORY, os.W_OK) else None) as directory:
        worlds = Worlds(Path(directory))
        yield worlds
        for world in worlds.made:
            world.close()


@pytest.fixture
def world(make_world: Worlds) -> World:
    return make_world()
