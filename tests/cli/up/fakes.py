"""Programs for the runner's tests: their ports and their ways of ending are real, what they do is not."""

from __future__ import annotations

import sys
from pathlib import Path

from tage.cli.up.addresses import ADMIN_PORT, HTTP_PORT
from tage.cli.up.plan import PlannedInstance
from tage.cli.up.programs import ControlFiles

SERVER = str(Path(__file__).with_name("fake_server.py"))


class FakePrograms:
    """Each process appends its name to `log` as it ends in order."""

    def __init__(self, log: Path, control_exit: int | None = None, sidecar_status: int = 200) -> None:
        self._log = log
        self._control_exit = control_exit
        self._sidecar_status = sidecar_status

    def control(self, files: ControlFiles, address: str) -> list[str]:
        if self._control_exit is not None:
            return [sys.executable, "-c", f"print('mesh.yaml: wrong'); raise SystemExit({self._control_exit})"]
        return self._server("control", address, HTTP_PORT, 200)

    def sidecar(self, instance: PlannedInstance, control: str, run_dir: Path) -> list[str]:
        argv = self._server(f"{instance.name}/sidecar", instance.address, ADMIN_PORT, self._sidecar_status)
        return [*argv, str(run_dir.parent / "registry.json")]

    def client(self, namespace: str, address: str, control: str, run_dir: Path) -> list[str]:
        return [*self._server("client", address, ADMIN_PORT, 200), str(run_dir.parent / "registry.json")]

    def application(self, name: str) -> str:
        """A command for the mesh file."""
        return f"{sys.executable} {SERVER} {name} $HOST ${{PORT}} 200 {self._log}"

    def _server(self, name: str, address: str, port: int, status: int) -> list[str]:
        return [sys.executable, SERVER, name, address, str(port), str(status), str(self._log)]
