"""Memory of an idle sidecar under a control plane: Tage's Pilot with a small mesh, and each proxy that speaks xDS.

The mesh is `SERVICES` services of two instances each, as one laptop or a small namespace has them. A proxy is measured
once a request through the listener that it was sent is answered.
"""

from __future__ import annotations

import http.client
import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench import memory
from bench.backend import Backend
from bench.processes import Process, free_port, wait_for
from bench.proxies import Proxy, start

SERVICES = 10
READY_SECONDS = 30.0


def idle_mb(proxies: Sequence[Proxy], backend: Backend, directory: Path, core: int) -> dict[str, float]:
    """MiB for each proxy that has a dynamic configuration, by name. Raises `BenchError`."""
    found = {}
    services = [service(number, (backend.ports["items"], backend.ports["web"])) for number in range(SERVICES)]
    with control_plane(directory / "control", core, services) as control:
        for proxy in proxies:
            if not proxy.dynamic_template or proxy.program() is None:
                continue
            running = start(
                proxy,
                backend,
                directory / f"dynamic-{proxy.name}",
                core,
                template=proxy.dynamic_template,
                values={"XDS_PORT": control.xds_port, "NAME": proxy.name},
            )
            with running.process:
                wait_for(
                    lambda port=running.port: answers(port, SERVICES),  # type: ignore[misc]
                    READY_SECONDS,
                    f"{proxy.name}'s configuration by the control plane",
                    running.process,
                )
                found[proxy.name] = memory.settled_mb(running.process)
    return found


@dataclass(frozen=True)
class ControlPlane:
    xds_port: int
    registry: Path

    def register(self, services: Sequence[dict[str, object]]) -> None:
        """These services from now on, and no others."""
        new = self.registry.with_suffix(".new")
        new.write_text(json.dumps({"services": services}))
        new.replace(self.registry)


@contextmanager
def control_plane(
    place: Path, core: int, services: Sequence[dict[str, object]], before: Sequence[str] = ()
) -> Iterator[ControlPlane]:
    """Tage's control plane, serving xDS; `before` stands before its command (`nice`)."""
    place.mkdir()
    http_port = free_port()
    control = ControlPlane(free_port(), place / "services.yaml")
    control.register(services)
    argv = [*before, sys.executable, "-m", "tage.pilot.server", "--config", str(place / "config")]
    argv += ["--registry", f"file:{control.registry}", "--xds-port", str(control.xds_port)]
    argv += ["--http-port", str(http_port)]
    with Process("control plane", argv, place / "log", core) as process:
        wait_for(lambda: status_of(http_port, "/healthz/ready") == 200, READY_SECONDS, "the control plane", process)
        yield control


def service(number: int, ports: Sequence[int]) -> dict[str, object]:
    """Service `s<number>`, an instance behind each of the loopback ports."""
    instances = [
        {"name": f"s{number}-{index}", "address": "127.0.0.1", "port": port}
        | {"app_address": "127.0.0.1", "app_port": port, "labels": {"app": f"s{number}", "version": f"v{index + 1}"}}
        for index, port in enumerate(ports)
    ]
    return {"name": f"s{number}", "namespace": "default", "port": 80, "protocol": "http", "instances": instances}


def answers(port: int, services: int) -> bool:
    """Whether the proxy at `port` has a way to each of them."""
    return all(status_of(port, "/", f"s{number}") == 200 for number in range(services))


def status_of(port: int, path: str, host: str = "localhost") -> int:
    """0 when there is no answer yet."""
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
    try:
        client.request("GET", path, headers={"Host": host})
        return client.getresponse().status
    except (OSError, http.client.HTTPException):
        return 0
    finally:
        client.close()
