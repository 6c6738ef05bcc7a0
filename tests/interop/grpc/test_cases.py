"""Each case, by grpc-go's client and by grpcio's, against the server of each: directly, and through two sidecars with
plain text and with TLS between them. The outcome may not differ."""

from __future__ import annotations

import subprocess
from collections.abc import Callable

import grpc
import pytest

from tests.e2e.ports import LOOPBACK
from tests.golang import program
from tests.interop.grpc.cases import CASES, in_turn
from tests.interop.grpc.conftest import GO_CLIENT

pytestmark = [pytest.mark.interop, pytest.mark.processes]

SERVERS = ("go", "grpcio")
BETWEEN = ("direct", "plain", "tls")
SECONDS = 60

servers = pytest.mark.parametrize("server", SERVERS)
between = pytest.mark.parametrize("way", BETWEEN)


@servers
@between
@pytest.mark.parametrize("case", CASES)
def test_go(grpc_ports: Callable[[str, str], int], server: str, way: str, case: str) -> None:
    client = program(GO_CLIENT, "interop-client")
    port = grpc_ports(server, way)
    argv = (str(client), f"--server_host={LOOPBACK}", f"--server_port={port}", f"--test_case={case}")
    done = subprocess.run(argv, capture_output=True, text=True, timeout=SECONDS, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@servers
@between
@pytest.mark.parametrize("case", CASES)
def test_grpcio(grpc_ports: Callable[[str, str], int], server: str, way: str, case: str) -> None:
    with channel(grpc_ports(server, way)) as made:
        CASES[case](made)


@servers
@between
def test_many_calls_on_one_connection(grpc_ports: Callable[[str, str], int], server: str, way: str) -> None:
    with channel(grpc_ports(server, way)) as made:
        in_turn(made)


def channel(port: int) -> grpc.Channel:
    # A connection of its own: grpcio shares those of channels with the same options.
    return grpc.insecure_channel(f"{LOOPBACK}:{port}", options=[("grpc.use_local_subchannel_pool", 1)])
