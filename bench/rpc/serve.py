"""The RPC backend as a process: `python -m bench.rpc.serve PORT..`, a port to each cluster."""

from __future__ import annotations

import sys
from pathlib import Path

from bench.backend import Backend
from bench.processes import Process, free_port
from bench.rpc.wires import CLUSTERS


def start_backend(directory: Path, core: int) -> Backend:
    """It may not listen yet when this returns."""
    directory.mkdir()
    ports = {cluster: free_port() for cluster in CLUSTERS}
    values: dict[str, object] = {f"{cluster.upper().replace('-', '_')}_PORT": port for cluster, port in ports.items()}
    argv = [sys.executable, "-m", "bench.rpc.serve", *map(str, ports.values())]
    return Backend(Process("RPC backend", argv, directory / "log", core), ports, values)


def main() -> None:
    from bench.rpc.answering import Backend as Answering  # compiled; who starts this process need not load it

    Answering([int(port) for port in sys.argv[1:]]).run()


if __name__ == "__main__":
    main()
