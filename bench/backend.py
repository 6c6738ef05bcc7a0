"""The backend behind every proxy: one nginx worker on the load's core, answering from memory (peers/backend.conf)."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from pathlib import Path

from bench.certificates import Certificates, Tls
from bench.processes import BenchError, Process, find_program, free_port
from bench.templates import render, user_directive

CLUSTERS = ("items", "web", "reviews")
BODY_BYTES = 100
ABSENT = "absent"
"""Not a cluster: a server that answers 404, where a proxy cannot do so itself."""


class Speaks(enum.Enum):
    """What a row's backend speaks."""

    HTTP1 = "http1"
    HTTP2 = "http2"
    """In plain text, by prior knowledge."""
    GRPC = "grpc"
    """The same; trailers follow the answers of the measured cluster."""


def body_of(cluster: str) -> bytes:
    """The body that this cluster's server answers with: its name, filled up to `BODY_BYTES`."""
    return cluster.encode().ljust(BODY_BYTES, b".")


@dataclass(frozen=True)
class Backend:
    process: Process
    ports: dict[str, int]
    values: dict[str, object]
    """What the templates of proxies must know of it, and of TLS on both sides of them."""

    def beside(self, other: Backend) -> Backend:
        """Another process, and the ports of both; where both have a cluster, this one's counts."""
        return Backend(self.process, {**other.ports, **self.ports}, {**other.values, **self.values})


def start_backend(
    directory: Path,
    core: int,
    certificates: Certificates,
    tls: Tls = Tls.NONE,
    speaks: Speaks = Speaks.HTTP1,
) -> Backend:
    """Raises `BenchError` when nginx, which serves as the backend for all rows, is not installed."""
    nginx = find_program("nginx")
    if nginx is None:
        raise BenchError(
            "nginx is not installed; it is the backend of this benchmark (on Debian and Ubuntu: apt-get install nginx)"
        )
    directory.mkdir()
    ports = {cluster: free_port() for cluster in (*CLUSTERS, ABSENT)}
    shared = {f"{cluster.upper()}_PORT": port for cluster, port in ports.items()} | certificates.values(tls)
    bodies = {f"{cluster.upper()}_BODY": body_of(cluster).decode() for cluster in CLUSTERS}
    values = {"DIR": directory, "USER": user_directive(), "BODY_BYTES": BODY_BYTES, **shared, **bodies}
    values["LISTEN_HTTP2"] = "" if speaks is Speaks.HTTP1 else "http2"
    config = render("backend.conf", values, directory)
    return Backend(Process("backend", [nginx, "-c", str(config)], directory / "log", core), ports, shared)
