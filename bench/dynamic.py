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
    with _control_plane(backend, directory, core) as xds_port:
        for proxy in proxies:
            if not proxy.dynamic_template or proxy.program() is None:
                continue
            running = start(
                proxy,
                backend,
                directory / f"dynamic-{proxy.name}",
                core,
                template=proxy.dynamic_template,
                values={"XDS_PORT": xds_port, "NAME": proxy.name},
            )
            with running.process:
                wait_for(
                    lambda port=running.port: _answers(port),  # type: ignore[misc]
                    READY_SECONDS,
                    f"{proxy.name}'s configuration by the control plane",
                    running.process,
                )
                found[proxy.name] = memory.settled_mb(running.process)
    return found


@contextmanager
def _control_plane(backend: Backend, directory: Path, core: int) -> Iterator[int]:
    """Tage's control plane, serving xDS on the port that it yields."""
    place = directory / "control"
    place.mkdir()
    registry = place / "services.yaml"
    registry.write_text(json.dumps({"services": [_service(number, backend) for number in range(SERVICES)]}))
    xds_port, http_port = free_port(), free_port()
    argv = [sys.executable, "-m", "tage.pilot.server", "--config", str(place / "config")]
    argv += ["--registry", f"file:{registry}", "--xds-port", str(xds_port), "--http-port", str(http_port)]
    with Process("control plane", argv, place / "log", core) as process:
        wait_for(lambda: _status(http_port, "/healthz/ready") == 200, READY_SECONDS, "the control plane", process)
        yield xds_port


def _service(number: int, backend: Backend) -> dict[str, object]:
    instances = [
        {"name": f"s{number}-{index}", "address": "127.0.0.1", "port": port}
        | {"app_address": "127.0.0.1", "app_port": port, "labels": {"app": f"s{number}", "version": f"v{index + 1}"}}
        for index, port in enumerate((backend.ports["items"], backend.ports["web"]))
    ]
    return {"name": f"s{number}", "namespace": "default", "port": 80, "protocol": "http", "instances": instances}


def _answers(port: int) -> bool:
    return all(_status(port, "/", f"s{number}") == 200 for number in range(SERVICES))


def _status(port: int, path: str, host: str = "localhost") -> int:
    """0 when there is no answer yet."""
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
    try:
        client.request("GET", path, headers={"Host": host})
        return client.getresponse().status
    except (OSError, http.client.HTTPException):
        return 0
    finally:
        client.close()
