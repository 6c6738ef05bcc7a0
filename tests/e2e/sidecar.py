"""One sidecar under test: `tage sidecar`, its admin API and its processes."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.e2e.ports import LOOPBACK, PATIENCE, until
from tests.e2e.processes import TAGE, Process

AGENT, WORKER = "tage.sidecar.agent", "tage.sidecar.worker"


class Sidecar(Process):
    """Given the options of `tage sidecar` but for --run-dir."""

    def __init__(self, directory: Path, *options: str, admin: tuple[str, int], name: str = "sidecar") -> None:
        self.run_dir = directory / f"{name}.run"
        self._admin = admin
        self._makes_run_dir = not self.run_dir.exists()
        super().__init__(directory, *TAGE, "sidecar", "--run-dir", str(self.run_dir), *options, name=name)

    @property
    def agent(self) -> int:
        return self.child(AGENT)

    @property
    def worker(self) -> int:
        return self.child(WORKER)

    def page(self, path: str) -> tuple[int, str]:
        """Of the admin API. Raises `OSError` where nobody answers."""
        connection = http.client.HTTPConnection(*self._admin, timeout=PATIENCE)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        except http.client.HTTPException as error:
            raise ConnectionError(str(error)) from error
        finally:
            connection.close()

    def json(self, path: str) -> Any:
        status, body = self.page(path)
        assert status == 200, body
        return json.loads(body)

    def stats(self) -> dict[str, int]:
        """Counters and gauges by Envoy's names."""
        return {each["name"]: each["value"] for each in self.json("/stats?format=json")["stats"] if "name" in each}

    def is_ready(self) -> bool:
        assert self.running, self.log
        try:
            return self.page("/ready")[0] == 200
        except OSError:
            return False

    def wait_ready(self) -> None:
        try:
            until(self.is_ready, "the sidecar is ready")
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.log}") from None

    def kill(self, module: str) -> int:
        """Kills agent or worker; which process it was."""
        pid = self.child(module)
        assert pid, f"there is no {module}"
        os.kill(pid, signal.SIGKILL)
        return pid

    def wait_replaced(self, module: str, former: int) -> int:
        return until(lambda: (pid := self.child(module)) != former and pid, f"a new {module}")

    def stop(self) -> int:
        """SIGTERM; the exit status. Nothing is left: no process, no file."""
        status = super().stop()
        self.assert_clean()
        return status

    def assert_clean(self) -> None:
        """No file is left, nor the run directory, unless it was there before."""
        left = sorted(self.run_dir.iterdir()) if self.run_dir.exists() else []
        assert left == []
        assert self.run_dir.exists() != self._makes_run_dir

    def discard(self) -> None:
        super().discard()
        shutil.rmtree(self.run_dir, ignore_errors=True)


@contextmanager
def sidecar(directory: Path, bootstrap: dict[str, Any], *options: str, name: str = "sidecar") -> Iterator[Sidecar]:
    """A sidecar with this bootstrap, ready; stopped and looked after at the end, unless the test did."""
    file = directory / f"{name}.json"
    file.write_text(json.dumps(bootstrap))
    admin = bootstrap["admin"]["address"]["socket_address"]["port_value"]
    running = Sidecar(directory, "--bootstrap", str(file), *options, admin=(LOOPBACK, admin), name=name)
    try:
        running.wait_ready()
        yield running
        if running.running:
            assert running.stop() == 0, running.log
    finally:
        running.discard()
