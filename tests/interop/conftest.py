"""Servers and clients for all tests: JVMs are slow to start, so each is started once, when it is first asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from tests.interop import java
from tests.interop.java import Client, Server
from tests.interop.sdk import SDKS, Sdk

VERSIONS = ("v1", "v2")


@pytest.fixture(scope="session")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    java.build()
    return tmp_path_factory.mktemp("interop")


@pytest.fixture(scope="session")
def servers(directory: Path) -> Iterator[Callable[[str], dict[str, Server]]]:
    """By module: its servers by version."""
    running: dict[str, dict[str, Server]] = {}

    def of(module: str) -> dict[str, Server]:
        if module not in running:
            running[module] = {version: Server(module, directory, version) for version in VERSIONS}
        return running[module]

    yield of
    for server in (each for versions in running.values() for each in versions.values()):
        server.discard()


@pytest.fixture(scope="session")
def clients(directory: Path) -> Iterator[Callable[[Sdk], Client]]:
    running: dict[str, Client] = {}
    with ExitStack() as stack:

        def of(sdk: Sdk) -> Client:
            if sdk.name not in running:
                running[sdk.name] = stack.enter_context(closing(Client(sdk.module, directory, *sdk.arguments)))
            return running[sdk.name]

        yield of


@pytest.fixture(params=SDKS, ids=[each.name for each in SDKS])
def sdk(request: pytest.FixtureRequest) -> Sdk:
    return request.param


@pytest.fixture
def client(clients: Callable[[Sdk], Client], sdk: Sdk) -> Client:
    return clients(sdk)
