"""`tage up` of the example, for tests: real control plane, sidecars and services, on loopback."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from email.message import Message
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BOOKSHOP = ROOT / "examples" / "bookshop"
LIMIT = 90.0
READY = 180
"""Seconds for all fifteen sidecars; a machine that does other things as well needs them."""
MAIN = "from tage.cli import main; main()"


class Bookshop:
    """`tage up` of the example in a runtime directory of its own."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.env = dict(os.environ, XDG_RUNTIME_DIR=str(directory))
        for name in ("http_proxy", "TAGE_CONTROL"):
            self.env.pop(name, None)
        self.output = directory / "output"
        with self.output.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-c", MAIN, "up", str(BOOKSHOP / "mesh.yaml"), "--ready-timeout", str(READY)],
                stdout=output,
                stderr=subprocess.STDOUT,
                env=self.env,
                cwd=ROOT,
            )

    def wait_ready(self) -> None:
        deadline = time.monotonic() + READY + LIMIT
        while "bookshop is ready" not in self.output.read_text():
            if self.process.poll() is not None or time.monotonic() > deadline:
                pytest.fail(self.output.read_text())
            time.sleep(0.05)

    @property
    def proxy(self) -> str:
        found = re.search(r"curl -x (http://127\.\d+\.\d+\.2:15001) http://productpage/", self.output.read_text())
        assert found is not None
        return found[1]

    def tage(self, *argv: str) -> str:
        return self._run("-c", MAIN, *argv)

    def traffic(self, *argv: str) -> str:
        return self._run(str(BOOKSHOP / "traffic.py"), *argv)

    def _run(self, *argv: str) -> str:
        result = subprocess.run(
            [sys.executable, *argv], capture_output=True, text=True, timeout=LIMIT, env=self.env, cwd=ROOT
        )
        assert result.returncode == 0, f"{result.stdout}{result.stderr}\n{self.output.read_text()}"
        return result.stdout

    def get(self, url: str, headers: dict[str, str] | None = None) -> object:
        status, _, body = self.ask(url, headers)
        assert status == 200, body
        return json.loads(body)

    def ask(self, url: str, headers: dict[str, str] | None = None) -> tuple[int, Message, str]:
        """Through the client entry: status, headers, body."""
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({"http": self.proxy}))
        try:
            with opener.open(urllib.request.Request(url, headers=headers or {}), timeout=10) as response:
                return response.status, response.headers, response.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.headers, error.read().decode()

    def stats(self, pattern: str) -> dict[str, int]:
        """Of the client entry's sidecar."""
        admin = self.proxy.rpartition(":")[0] + ":15000"
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(f"{admin}/stats", timeout=10) as response:
            lines = (line.rpartition(": ") for line in response.read().decode().splitlines())
        return {name: int(value) for name, _, value in lines if re.search(pattern, name) and value.isdigit()}

    def close(self) -> int:
        self.process.send_signal(signal.SIGINT)
        try:
            return self.process.wait(LIMIT)
        finally:
            self.process.kill()
            self.process.wait()


@contextlib.contextmanager
def running(directory: Path) -> Iterator[Bookshop]:
    """A bookshop that is ready, and that leaves nothing behind."""
    mesh = Bookshop(directory)
    try:
        mesh.wait_ready()
        yield mesh
        children = processes_of(directory)
        assert len(children) > 10
        assert mesh.close() == 0, mesh.output.read_text()
        assert processes_of(directory) == []
        assert not (directory / "tage").exists()
    finally:
        mesh.process.kill()
        mesh.process.wait()


def processes_of(directory: Path) -> list[str]:
    """Command lines of the processes whose environment names this runtime directory, `tage up` included."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if f"XDG_RUNTIME_DIR={directory}\0".encode() in (entry / "environ").read_bytes():
                found.append((entry / "cmdline").read_bytes().replace(b"\0", b" ").decode())
        except OSError:
            continue
    return found
