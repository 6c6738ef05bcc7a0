from collections.abc import Iterator
from typing import Any

import pytest

from tests.dataplane.streams.world import World


class Worlds:
    """Makes worlds, and checks at the test's end that nothing is left in them."""

    def __init__(self, path: Any) -> None:
        self._path = path
        self.made: list[World] = []

    def __call__(self, *args: Any, **kwargs: Any) -> World:
        path = self._path / str(len(self.made))
        path.mkdir()
        self.made.append(World(path, *args, **kwargs))
        return self.made[-1]


@pytest.fixture
def make_world(tmp_path: Any) -> Iterator[Worlds]:
    worlds = Worlds(tmp_path)
    yield worlds
    for world in worlds.made:
        world.close()


@pytest.fixture
def world(make_world: Worlds) -> World:
    return make_world()
