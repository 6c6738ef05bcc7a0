"""Servers and pairs of sidecars, each started when it is first asked for."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.e2e.ports import free_port, until
from tests.e2e.processes import Process
from tests.golang import program
from tests.interop.grpc.sidecars import Identity, pair
from tests.interop.sockets import listens

GO_CLIENT = "google.golang.org/grpc/interop/client"
GO_SERVER = "google.golang.org/grpc/interop/server"


def _argv(server: str, port: int) -> tuple[str, ...]:
    if server == "go":
        return (str(program(GO_SERVER, "interop-server")), f"--port={port}")
    return (sys.executable, "-m", "tests.interop.grpc.serve", str(port))


@pytest.fixture(scope="session")
def grpc_directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("grpc")


@pytest.fixture(scope="session")
def grpc_servers(grpc_directory: Path) -> Iterator[Callable[[str], int]]:
    """The port of a server, `go` or `grpcio`."""
    running: dict[str, tuple[Process, int]] = {}

    def of(server: str) -> int:
        if server not in running:
            port = free_port()
            process = Process(grpc_directory, *_argv(server, port), name=f"{server}-server")
            running[server] = process, port
            until(lambda: process.running and listens(port), f"the {server} server listens")
        return running[server][1]

    yield of
    for process, _ in running.values():
        process.discard()


@pytest.fixture(scope="session")
def grpc_ports(grpc_directory: Path, grpc_servers: Callable[[str], int]) -> Iterator[Callable[[str, str], int]]:
    """What a client dials, by server and by what is between: nothing (`direct`), or two sidecars with plain text or TLS
    between them."""
    ports: dict[tuple[str, str], int] = {}
    with ExitStack() as stack:

        def of(server: str, between: str) -> int:
            if between == "direct":
                return grpc_servers(server)
            if (server, between) not in ports:
                name = f"{server}-{between}"
                directory = grpc_directory / name
                directory.mkdir(mode=0o700)
                made = pair(grpc_servers(server), Identity(directory) if between == "tls" else None)
                stack.enter_context(made.run(grpc_directory, name))
                ports[server, between] = made.port
            return ports[server, between]

        yield of
