from __future__ import annotations

import asyncio
import socket

import pytest

from tage.config.errors import ConfigError
from tage.pilot.control import ControlPlane, merge
from tage.pilot.listen import ListenError
from tage.registry.model import Service
from tests.pilot.plane import MemoryRegistry, MemoryStore
from tests.pilot.samples import RATINGS, REVIEWS


def test_the_first_registry_wins_and_the_other_is_warned_of():
    services, warnings = merge([MemoryRegistry(REVIEWS), MemoryRegistry(Service("reviews", port=81), RATINGS)])
    assert services == [REVIEWS, RATINGS]
    (warning,) = warnings
    assert REVIEWS.fqdn in warning
    assert "registry 2" in warning


@pytest.mark.parametrize("port", ["xds", "http"])
def test_a_port_in_use_is_named_and_nothing_is_left_running(port: str):
    async def run() -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            number = taken.getsockname()[1]
            plane = ControlPlane(MemoryStore(), [MemoryRegistry()])
            ports = (number, 0) if port == "xds" else (0, number)
            with pytest.raises(ListenError, match=f"127.0.0.1:{number} .*in use.*--{port}-port"):
                await plane.start("127.0.0.1", *ports)
        assert len(asyncio.all_tasks()) == 1

    asyncio.run(run())


@pytest.mark.parametrize("address", ["0.0.0.0", "10.1.2.3", "::", "localhost"])
def test_only_loopback(address: str):
    plane = ControlPlane(MemoryStore(), [])
    with pytest.raises(ConfigError, match=r"loopback|IP address"):
        asyncio.run(plane.start(address, 0, 0))


def test_a_source_that_cannot_be_read_ends_the_start():
    class Broken(MemoryRegistry):
        async def start(self) -> None:
            raise ConfigError("cannot be read")

    async def run() -> None:
        plane = ControlPlane(MemoryStore(), [Broken()])
        with pytest.raises(ConfigError, match="cannot be read"):
            await plane.start("127.0.0.1", 0, 0)
        assert len(asyncio.all_tasks()) == 1

    asyncio.run(run())
