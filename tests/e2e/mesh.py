"""A mesh of processes: a control plane, a sidecar for a client, and a service in two versions, each behind a sidecar of
its own. The applications are in the test's process."""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tage.cli.up import addresses
from tests.e2e.backend import Backend, mirror
from tests.e2e.ports import LOOPBACK, PATIENCE, free_port, until
from tests.e2e.processes import ROOT, TAGE, Process
from tests.e2e.sidecar import Sidecar
from tests.e2e.wire import Client

SERVICE = "reviews"
VERSIONS = ("v1", "v2")


class Mesh:
    """`address` is the client's sidecar, where requests go to by service name. Everything listens on a block of
    loopback addresses on which nobody else does. `localities` says where `client` and the versions are."""

    def __init__(self, directory: Path, localities: Mapping[str, str] | None = None) -> None:
        self.directory = directory
        self._localities = localities or {}
        block = addresses.allocate(str(directory), 1 + len(VERSIONS))
        self.address, self._hosts = block.instances[0], dict(zip(VERSIONS, block.instances[1:], strict=True))
        self._xds, self._http = free_port(), free_port()
        self.apps = {v: Backend(mirror, v, (host, block.app_port)) for v, host in self._hosts.items()}
        self.register(*VERSIONS)
        self.control = self.start_control()
        self.client = self._sidecar("client", self.address)
        self.sidecars = {
            version: self._sidecar(
                version,
                host,
                *("--service", SERVICE, "--version", version, "--app", f"{host}:{self.apps[version].port}"),
            )
            for version, host in self._hosts.items()
        }

    @property
    def control_address(self) -> str:
        """Of the HTTP API, as TAGE_CONTROL has it."""
        return f"{LOOPBACK}:{self._http}"

    @property
    def addresses(self) -> dict[str, str]:
        """Of the service's sidecars, by version."""
        return self._hosts

    def _sidecar(self, name: str, address: str, *options: str) -> Sidecar:
        control = ("--control", f"{LOOPBACK}:{self._xds}", "--locality", self._localities.get(name, ""))
        return Sidecar(
            self.directory, *control, "--address", address, *options, admin=(address, addresses.ADMIN_PORT), name=name
        )

    @property
    def everything(self) -> list[Process]:
        return [self.client, *self.sidecars.values(), self.control]

    def start_control(self) -> Process:
        """On the same ports each time; what was applied is on disk."""
        registry = ("--registry", f"file:{self.directory / 'services.json'}")
        ports = ("--xds-port", str(self._xds), "--http-port", str(self._http))
        module = (sys.executable, "-m", "tage.pilot.server")
        self.control = Process(
            self.directory, *module, "--config", str(self.directory / "config"), *registry, *ports, name="control"
        )
        return self.control

    def register(self, *versions: str) -> None:
        """Makes these the service's instances."""
        instances = [
            {
                "name": f"{SERVICE}-{version}",
                "address": self._hosts[version],
                "port": addresses.INBOUND_PORT,
                "app_address": self._hosts[version],
                "app_port": self.apps[version].port,
                "labels": {"app": SERVICE, "version": version},
                "locality": self._localities.get(version, ""),
            }
            for version in versions
        ]
        file = self.directory / "services.json"
        part = file.with_suffix(".new")
        part.write_text(json.dumps({"services": [{"name": SERVICE, "instances": instances}]}))
        part.replace(file)

    # -- commands ------------------------------------------------------------------------------------------------------

    def tage(self, *argv: str, status: int = 0) -> str:
        """What a command prints, which has to end with that status."""
        env = {"TAGE_CONTROL": self.control_address, "PYTHONPATH": str(ROOT), "PATH": "/usr/bin"}
        done = subprocess.run(
            [*TAGE, *argv], env=env, cwd=self.directory, capture_output=True, text=True, timeout=PATIENCE, check=False
        )
        assert done.returncode == status, f"{argv}: {done.returncode}: {done.stdout}{done.stderr}"
        return done.stdout if status == 0 else done.stderr

    def apply(self, *resources: dict[str, Any]) -> None:
        """Straight to the HTTP API, which is what `tage apply` does after it has read its files."""
        answer = self._call("POST", "/v1/resources", {"items": resources})
        assert "items" in answer, answer

    def _call(self, method: str, path: str, body: Any = None) -> Any:
        connection = http.client.HTTPConnection(LOOPBACK, self._http, timeout=PATIENCE)
        try:
            headers = {"Content-Type": "application/json"}
            connection.request(method, path, json.dumps(body) if body is not None else None, headers)
            return json.loads(connection.getresponse().read())
        finally:
            connection.close()

    # -- state ---------------------------------------------------------------------------------------------------------

    def wait_ready(self) -> None:
        for sidecar in (self.client, *self.sidecars.values()):
            sidecar.wait_ready()
        self.wait_in_sync()
        until(lambda: self._versions_seen() == set(VERSIONS), "the service answers in both versions")

    def _versions_seen(self) -> set[str]:
        return {self.get().headers.get("x-backend", "") for _ in range(4)}

    def in_sync(self) -> bool:
        """Whether every sidecar is connected and has taken all that it was sent."""
        try:
            sidecars = self._call("GET", "/v1/status")["sidecars"]
        except OSError:
            return False
        return len(sidecars) == 1 + len(VERSIONS) and all(
            each["types"] and all(state["synced"] and not state["nacked"] for state in each["types"].values())
            for each in sidecars
        )

    def wait_in_sync(self) -> None:
        until(self.in_sync, "all sidecars are in sync")

    def get(self, path: str = "/", host: str = SERVICE, **headers: str) -> Any:
        with Client(addresses.OUTBOUND_PORT, self.address) as client:
            return client.get(host, path, **headers)

    def close(self) -> None:
        """All have ended by themselves, and left nothing."""
        try:
            for process in self.everything:
                assert process.stop() == 0, process.log
        finally:
            self.discard()

    def discard(self) -> None:
        for process in self.everything:
            process.discard()
        for app in self.apps.values():
            app.close()
